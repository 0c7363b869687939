// The reverse process: what one step back is, given the x0 estimate of a network.
//
// For neighbouring levels t (noisier) and s, with the forward kernel N(a x_s, b I) between them,
//   q(x_s | x_t, x_0) = N(c0 x_0 + ct x_t, v I)                  (Ho et al. 2020, eqs. 6-7)
//   c0 = alpha_s b/sigma_t^2,   ct = a sigma_s^2/sigma_t^2,   v = b sigma_s^2/sigma_t^2
// and p(x_s | x_t) replaces x_0 by its estimate. In terms of the predicted noise the mean is
//   mu = (x_t - b/sigma_t * eps)/a                               (eq. 11)
// mu is the mean of x_s, a state a little less noisy. The mean of the original picture is another
// number, the estimate x_0 itself.
//
// Which noise? eps is the whole noise of x_t = alpha_t x_0 + sigma_t eps, what networks predict. A
// formula often seen, mu = (x_t - sqrt(b) eta)/a, is about another variable: the noise eta of the
// last step only, x_t = a x_s + sqrt(b) eta. The two are tied by E[eta | x_t] = sqrt(b)/sigma_t *
// E[eps | x_t] (`last_step_noise`); putting eps where eta belongs multiplies the noise removed by
// sigma_t/sqrt(b), 7 at the noisy end of the usual schedule, and collapses the samples.
//
// Variances in use: see `small_variance` ... `gaussian_variance`. With v <= variance <= b, the two
// ends are exact for data that is a point and for standard normal data.
#pragma once

#include <algorithm>
#include <cmath>

#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie {

/// q(x_s | x_t, x0) = N(clean x0 + state x_t, variance I), with what bounds a reverse variance.
struct posterior_weights {
  double clean = 0;
  double state = 0;
  double variance = 0;  ///< v, "beta tilde"
  double upper_variance =
      0;  ///< b (alpha_s^2 + sigma_s^2)/(alpha_t^2 + sigma_t^2); "beta" if both are 1
};

/// Posterior of the less noisy level `to` given `from`. At to.sigma = 0 it is x0 itself.
/// \throws std::invalid_argument if from.sigma = 0 or `to` is noisier than `from`.
inline posterior_weights posterior(signal_noise from, signal_noise to) {
  detail::require(from.sigma > 0, "posterior", "sigma", from.sigma, "valid: sigma > 0");
  const transition_kernel forward = transition(to, from);
  const double kept = to.sigma / from.sigma;
  const double b = forward.variance;
  const double scale = std::hypot(to.alpha, to.sigma) / std::hypot(from.alpha, from.sigma);
  return {to.alpha * b / (from.sigma * from.sigma), forward.mean * kept * kept, b * kept * kept,
          b * scale * scale};
}

/// E[eta | x_t] = last_step_noise * E[eps | x_t] for the noise eta of the step s -> t.
/// \throws std::invalid_argument if from.sigma = 0 or `to` is noisier than `from`.
inline double last_step_noise(signal_noise from, signal_noise to) {
  detail::require(from.sigma > 0, "last_step_noise", "sigma", from.sigma, "valid: sigma > 0");
  return std::sqrt(transition(to, from).variance) / from.sigma;
}

/// Fixed small: v. Exact if the data is a single point.
inline double small_variance(const posterior_weights& q) { return q.variance; }

/// Fixed large: b, in the scale of x_s. Exact if the data is N(0, I).
inline double large_variance(const posterior_weights& q) { return q.upper_variance; }

/// Learned range: exp(w log b + (1 - w) log v), w = (1 + v_network)/2 in [0, 1] for a network
/// output in [-1, 1] (Nichol and Dhariwal 2021, eq. 15). At v = 0 the range is the single value 0.
inline double learned_range_variance(const posterior_weights& q, double network_output) {
  const double w = (1 + network_output) / 2;
  if (q.variance == 0) return 0;
  return std::exp(w * std::log(q.upper_variance) + (1 - w) * std::log(q.variance));
}

/// Optimal for an isotropic estimate: v + c0^2 * (variance of x0 given x_t, per dimension)
/// (Bao et al. 2022, theorem 1).
inline double analytic_variance_of(const posterior_weights& q, double clean_variance) {
  detail::require(clean_variance >= 0, "analytic_variance_of", "clean_variance", clean_variance,
                  "valid: >= 0");
  return q.variance + q.clean * q.clean * clean_variance;
}

/// The clean_variance of an isotropic estimate from E|z_hat|^2 per dimension, the mean over data at one level of
/// what a noise network answers there: sigma^2/alpha^2 (1 - E|z_hat|^2/d) (Analytic-DPM, Bao et al. 2022). A mean above 1,
/// which samples may have and no exact network has, counts as 1.
/// \throws std::invalid_argument at alpha = 0, or for a mean that is negative or not finite.
inline double clean_variance_of_mean(signal_noise level, double mean_square_noise) {
  constexpr const char* name = "clean_variance_of_mean";
  detail::require(level.alpha > 0, name, "alpha", level.alpha, "valid: alpha > 0");
  detail::require(mean_square_noise >= 0 && std::isfinite(mean_square_noise), name,
                  "mean_square_noise", mean_square_noise, "valid: 0 <= mean < inf");
  const double u = level.sigma / level.alpha;
  return u * u * (std::max)(0.0, 1 - mean_square_noise);
}

/// The same of one coordinate from a network of the noise and one of its square, E[z|x] and E[z^2|x]:
/// sigma^2/alpha^2 (E[z^2|x] - E[z|x]^2) (SN-DPM, Bao et al. 2022b). Two networks may contradict
/// each other: a negative difference counts as 0.
/// \throws std::invalid_argument at alpha = 0, or for a square that is negative or not finite.
inline double clean_variance_of_squares(signal_noise level, double noise, double squared_noise) {
  constexpr const char* name = "clean_variance_of_squares";
  detail::require(level.alpha > 0, name, "alpha", level.alpha, "valid: alpha > 0");
  detail::require(squared_noise >= 0 && std::isfinite(squared_noise), name, "squared_noise",
                  squared_noise, "valid: 0 <= squared_noise < inf");
  const double u = level.sigma / level.alpha;
  return u * u * (std::max)(0.0, squared_noise - noise * noise);
}

/// The exact variance of p(x_s | x_t) for data N(m, s^2): b c_s/c_t with c = alpha^2 s^2 + sigma^2.
/// \throws std::invalid_argument for a negative or infinite s^2, c_t = 0, or `to` noisier than `from`.
inline double gaussian_variance(signal_noise from, signal_noise to, double data_variance) {
  detail::require(data_variance >= 0 && std::isfinite(data_variance), "gaussian_variance",
                  "data_variance", data_variance, "valid: 0 <= data_variance < inf");
  const double b = transition(to, from).variance;
  const double c_to = to.alpha * to.alpha * data_variance + to.sigma * to.sigma;
  const double c_from = from.alpha * from.alpha * data_variance + from.sigma * from.sigma;
  detail::require(c_from > 0, "gaussian_variance", "alpha^2 s^2 + sigma^2", c_from,
                  "valid: > 0 at `from`");
  return b * c_to / c_from;
}

}  // namespace tweedie
