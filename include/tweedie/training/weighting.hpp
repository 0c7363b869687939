// Loss weightings as functions of log-SNR, the same for every prediction kind.
//
//   loss = W(SNR) |x0_hat - x0|^2,   SNR = alpha^2 / sigma^2
//
// A weighting is any function log-SNR -> log W (the logarithm keeps both ends of a schedule
// finite). The weight that belongs on the squared error of another kind y = p_x x0 + p_z z follows
// from Delta x0 = -(sigma / l) Delta y, l = alpha p_z - sigma p_x:
//   noise: W / SNR,   v: W / (1 + SNR),   y: W sigma^2 / l^2.
//
//   name              W(SNR)                             source
//   simple            SNR (noise error, weight 1)        Ho et al. 2020, eq. 14
//   sample            1                                  Salimans and Ho 2022, section 4
//   truncated SNR     max(SNR, 1)                        Salimans and Ho 2022, section 4
//   SNR + 1           SNR + 1 (v error, weight 1)        Salimans and Ho 2022, section 4
//   min-SNR           min(SNR, gamma)                    Hang et al. 2023, eq. 8
//   soft min-SNR      SNR gamma / (SNR + gamma)          Crowson et al. 2024, section 3.4
//   P2                SNR / (k + SNR)^gamma              Choi et al. 2022, eq. 8
//   debiased          sqrt(SNR)                          Yu et al. 2024, eq. 12
//   EDM               SNR + 1 / sigma_data^2             Karras et al. 2022, table 1
//   sigmoid           SNR sigmoid(b - log SNR)           Kingma and Gao 2023, section 4
//   velocity          (1 + sqrt SNR)^2                   rectified flow: |z - x0| error, weight 1
//   truncated velocity  min((1 + sqrt SNR)^2, 1/t_min^2) Li and He 2025, x0 network, velocity loss
//
// `simple`, what most networks are trained with, is not the likelihood: the variational bound weighs the
// noise error by beta^2/(2 s^2 (1 - beta)(1 - alpha_bar)). On the linear table of 1000 steps with s^2 the
// posterior variance that is 0.600 at the second step and 0.0055 at the 500th (the first is the decoder's).
// (objective/variational_bound.hpp; in continuous time W = d(SNR)/2, objective/diffusion_bound.hpp)
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>

#include "tweedie/schedule/prediction.hpp"

namespace tweedie {

/// log-SNR = 2 log(alpha / sigma)  ->  log of the weight of |x0_hat - x0|^2.
template <class Weighting>
concept loss_weighting = requires(const Weighting& w, double log_snr) {
  { w(log_snr) } -> std::convertible_to<double>;
};

namespace detail {

inline double log_add(double a, double b) {
  const double high = (std::max)(a, b);
  return high == -std::numeric_limits<double>::infinity()
             ? high
             : high + std::log1p(std::exp((std::min)(a, b) - high));
}
/// log(1 + e^x).
inline double log_one_plus_exp(double x) { return log_add(0, x); }

}  // namespace detail

/// The weightings of the table above without a parameter, as log W of log-SNR.
inline constexpr auto simple_weighting = [](double log_snr) { return log_snr; };
inline constexpr auto sample_weighting = [](double) { return 0.0; };
inline constexpr auto truncated_snr_weighting = [](double log_snr) {
  return (std::max)(log_snr, 0.0);
};
inline constexpr auto snr_plus_one_weighting = [](double log_snr) {
  return detail::log_one_plus_exp(log_snr);
};
inline constexpr auto debiased_weighting = [](double log_snr) { return log_snr / 2; };
inline constexpr auto velocity_weighting = [](double log_snr) {
  return 2 * detail::log_one_plus_exp(log_snr / 2);
};

/// gamma = 5 in the paper.
inline auto min_snr_weighting(double gamma) {
  detail::require(gamma > 0, "min_snr_weighting", "gamma", gamma, "valid: gamma > 0");
  return [limit = std::log(gamma)](double log_snr) { return (std::min)(log_snr, limit); };
}

/// With gamma = 1/sigma_data^2 the soft-min-SNR of k-diffusion; with gamma = e^b the sigmoid
/// weighting of bias b.
inline auto soft_min_snr_weighting(double gamma) {
  detail::require(gamma > 0, "soft_min_snr_weighting", "gamma", gamma, "valid: gamma > 0");
  return [limit = std::log(gamma)](double log_snr) {
    return log_snr - detail::log_one_plus_exp(log_snr - limit);
  };
}

/// Weight sigmoid(bias - log-SNR) on the squared error of z.
inline auto sigmoid_weighting(double bias) {
  return [bias](double log_snr) { return log_snr - detail::log_one_plus_exp(log_snr - bias); };
}

/// gamma = 1, k = 1 in the paper; gamma = 0 is the simple weighting.
inline auto p2_weighting(double gamma, double k = 1) {
  detail::require(gamma >= 0, "p2_weighting", "gamma", gamma, "valid: gamma >= 0");
  detail::require(k > 0, "p2_weighting", "k", k, "valid: k > 0");
  return [gamma, log_k = std::log(k)](double log_snr) {
    return log_snr - gamma * detail::log_add(log_k, log_snr);
  };
}

/// 1/c_out^2 of the EDM preconditioning: unit weight on the error of F.
inline auto edm_weighting(double sigma_data) {
  detail::require(sigma_data > 0, "edm_weighting", "sigma_data", sigma_data,
                  "valid: sigma_data > 0");
  return [limit = -2 * std::log(sigma_data)](double log_snr) {
    return detail::log_add(log_snr, limit);
  };
}

/// The velocity weighting with 1/t^2 held at its value at t_min = 1/(1 + sqrt SNR), 0.05 in the
/// paper.
inline auto truncated_velocity_weighting(double t_min) {
  detail::require(t_min > 0 && t_min <= 1, "truncated_velocity_weighting", "t_min", t_min,
                  "valid: 0 < t_min <= 1");
  return [limit = -2 * std::log(t_min)](double log_snr) {
    return (std::min)(velocity_weighting(log_snr), limit);
  };
}

/// Velocity weighting times the logit-normal density of t = 1/(1 + sqrt SNR) (Esser et al. 2024,
/// section 3.1): with uniform t, the same loss in expectation as with t drawn logit-normally.
inline auto logit_normal_weighting(double mean = 0, double deviation = 1) {
  detail::require(deviation > 0, "logit_normal_weighting", "deviation", deviation,
                  "valid: deviation > 0");
  return [mean, deviation](double log_snr) {
    const double logit = -log_snr / 2;
    const double z = (logit - mean) / deviation;
    const double log_t_times_one_minus_t =
        -detail::log_one_plus_exp(logit) - detail::log_one_plus_exp(-logit);
    return velocity_weighting(log_snr) - z * z / 2 - std::log(deviation) - 0.91893853320467274178 -
           log_t_times_one_minus_t;
  };
}

namespace detail {

inline double log_of_weight(double weight) {
  require(weight >= 0, "weighting", "weight", weight, "valid: weight >= 0");
  return std::log(weight);
}

}  // namespace detail

/// A user's weight on the squared error of x0, of z or of v, as a function of log-SNR. The weighting
/// throws std::invalid_argument where the weight is negative.
template <std::invocable<double> Weight>
auto weighting_of_sample_error(Weight weight) {
  return [weight](double log_snr) { return detail::log_of_weight(weight(log_snr)); };
}
template <std::invocable<double> Weight>
auto weighting_of_noise_error(Weight weight) {
  return [weight](double log_snr) { return detail::log_of_weight(weight(log_snr)) + log_snr; };
}
template <std::invocable<double> Weight>
auto weighting_of_v_error(Weight weight) {
  return [weight](double log_snr) {
    return detail::log_of_weight(weight(log_snr)) + detail::log_one_plus_exp(log_snr);
  };
}

namespace detail {

/// Both ends of every schedule, as finite numbers beyond any other: 2 log of the range of double.
inline double finite_log_snr(double log_snr) { return std::clamp(log_snr, -1500.0, 1500.0); }

inline double checked_weight(const char* function, double log_weight, double log_snr) {
  const double weight = std::exp(log_weight);
  if (!std::isfinite(weight))
    fail(function, "log_snr", log_snr, "the weight of this prediction kind is unbounded here");
  return weight;
}

}  // namespace detail

/// Weight on |x0_hat - x0|^2.
template <loss_weighting Weighting>
double sample_weight(const Weighting& weighting, double log_snr) {
  const double l = detail::finite_log_snr(log_snr);
  return detail::checked_weight("sample_weight", weighting(l), log_snr);
}

/// Weight on |z_hat - z|^2.
template <loss_weighting Weighting>
double noise_weight(const Weighting& weighting, double log_snr) {
  const double l = detail::finite_log_snr(log_snr);
  return detail::checked_weight("noise_weight", weighting(l) - l, log_snr);
}

/// Weight on |v_hat - v|^2, v in the variance-preserving gauge: finite at both ends for every
/// weighting of the table.
template <loss_weighting Weighting>
double v_weight(const Weighting& weighting, double log_snr) {
  const double l = detail::finite_log_snr(log_snr);
  return detail::checked_weight("v_weight", weighting(l) - detail::log_one_plus_exp(l), log_snr);
}

/// Weight on |y_hat - y|^2 for predictions with the given row, at `level` in any gauge.
/// \throws std::invalid_argument where that weight is unbounded.
template <loss_weighting Weighting>
double prediction_weight(const Weighting& weighting, signal_noise level, plane_row row) {
  const double log_snr = tweedie::log_snr(level);
  if (row.x0 == 0 && row.z != 0) return noise_weight(weighting, log_snr) / (row.z * row.z);
  if (row.z == 0 && row.x0 != 0) return sample_weight(weighting, log_snr) / (row.x0 * row.x0);
  const double l = determinant(level, row);
  detail::require(l != 0 && std::isfinite(l), "prediction_weight", "determinant", l,
                  "valid: a prediction that determines x0 at this level");
  const double gain = std::hypot(level.alpha, level.sigma) / l;
  return v_weight(weighting, log_snr) * gain * gain;
}

/// d(log-SNR)/dt = 2 (alpha'/alpha - sigma'/sigma), strictly negative on a schedule whose time
/// runs towards noise.
inline double log_snr_rate(signal_noise level, signal_noise_rate rate) {
  detail::require(level.alpha > 0 && level.sigma > 0, "log_snr_rate", "alpha * sigma",
                  level.alpha * level.sigma, "valid: strictly between the ends of a schedule");
  return 2 * (rate.alpha / level.alpha - rate.sigma / level.sigma);
}

/// Weight on |z_hat - z|^2 that makes the expected loss, with t drawn from a density of value
/// `time_density`, the diffusion part of the ELBO in nats: |d(log-SNR)/dt| / (2 p(t))
/// (Kingma et al. 2021, eq. 15; Song et al. 2021b, theorem 1).
inline double elbo_noise_weight(double log_snr_rate, double time_density) {
  detail::require(time_density > 0, "elbo_noise_weight", "time_density", time_density,
                  "valid: density > 0");
  return std::abs(log_snr_rate) / (2 * time_density);
}

/// Weight on |x0_hat - x0|^2 of the term L_{t-1} of a discrete chain from `noisy` to `clean`, in
/// nats: (SNR(clean) - SNR(noisy)) / 2 (Kingma et al. 2021, eq. 13). For DDPM steps with variance
/// beta~ this is the weight of Ho et al. 2020, eq. 12.
/// \throws std::invalid_argument for sigma = 0 at the clean end, or a clean end that is not less noisy.
inline double elbo_step_sample_weight(signal_noise clean, signal_noise noisy) {
  detail::require(clean.sigma > 0, "elbo_step_sample_weight", "clean.sigma", clean.sigma,
                  "valid: sigma > 0; the last step belongs to the decoder term");
  detail::require(half_log_snr(noisy) < half_log_snr(clean), "elbo_step_sample_weight",
                  "half log-SNR of the clean end", half_log_snr(clean),
                  "valid: above that of the noisy end");
  return signal_to_noise_ratio(clean) *
         -std::expm1(2 * (half_log_snr(noisy) - half_log_snr(clean))) / 2;
}

/// w in the unified form  E_t[W |x0_hat - x0|^2] = 1/2 int w(l) E|z_hat - z|^2 dl  of an objective
/// whose log-SNR l is drawn with the given density (Kingma and Gao 2023, eq. 9). Where w does not
/// increase with l the objective is an ELBO of data with added noise (their theorem 1).
template <loss_weighting Weighting>
double unified_weight(const Weighting& weighting, double log_snr, double log_snr_density) {
  return 2 * noise_weight(weighting, log_snr) * log_snr_density;
}

/// An objective value with an uncertainty u learned per noise level: e^-u L + u
/// (Karras et al. 2024, eq. 14), its slope in u, and the factor e^-u on the gradient of L.
struct uncertainty_loss {
  double value = 0;
  double slope = 0;
  double gradient_factor = 1;
};
inline uncertainty_loss with_uncertainty(double loss, double u) {
  const double factor = std::exp(-u);
  return {factor * loss + u, 1 - factor * loss, factor};
}

}  // namespace tweedie
