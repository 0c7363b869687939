// The pair (alpha, sigma) of x = alpha x0 + sigma z, z ~ N(0, I), and its three clocks.
//
//   half log-SNR   lambda = log(alpha / sigma)      (DPM-Solver, Lu et al. 2022, section 2.2)
//   log-SNR        2 lambda                         (VDM, Kingma et al. 2021, eq. 3)
//   noise level    sigma / alpha = exp(-lambda)     (EDM, Karras et al. 2022, "sigma")
//
// The three are different names for one quantity; no function here is called plain "lambda".
// Multiplying x by a constant changes the gauge and none of the clocks: (c alpha, c sigma).
// Ends are exact: clean data is (1, 0) with noise level 0, pure noise is (0, sigma) with noise
// level +infinity.
#pragma once

#include <cmath>
#include <limits>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// Weights of data and noise in x = alpha x0 + sigma z. Invariant: alpha, sigma >= 0, not both 0.
struct signal_noise {
  double alpha = 1;
  double sigma = 0;

  friend bool operator==(const signal_noise&, const signal_noise&) = default;
};

/// Time derivatives (alpha', sigma') in the clock of the schedule they come from.
struct signal_noise_rate {
  double alpha = 0;
  double sigma = 0;
};

/// sigma / alpha, in [0, +inf].
inline double noise_level(signal_noise s) { return s.sigma / s.alpha; }

/// alpha^2 / sigma^2, in [0, +inf].
inline double signal_to_noise_ratio(signal_noise s) {
  const double ratio = s.alpha / s.sigma;
  return ratio * ratio;
}

/// log(alpha / sigma); +inf for clean data, -inf for pure noise. The quotient is formed first: it
/// has full relative accuracy, where a difference of logarithms would cancel near lambda = 0.
inline double half_log_snr(signal_noise s) { return std::log(s.alpha / s.sigma); }

/// 2 log(alpha / sigma).
inline double log_snr(signal_noise s) { return 2 * half_log_snr(s); }

/// Variance-preserving point (alpha^2 + sigma^2 = 1) of a noise level in [0, +inf].
inline signal_noise variance_preserving(double level) {
  detail::require(level >= 0, "variance_preserving", "level", level, "valid: 0 <= level <= inf");
  if (std::isinf(level)) return {0, 1};
  const double norm = std::hypot(1.0, level);
  return {1 / norm, level / norm};
}

/// Variance-exploding point (alpha = 1) of a finite noise level.
inline signal_noise variance_exploding(double level) {
  detail::require(level >= 0 && std::isfinite(level), "variance_exploding", "level", level,
                  "valid: 0 <= level < inf");
  return {1, level};
}

/// Point with noise level `level` on the straight path alpha + sigma = 1 (rectified flow).
inline signal_noise rectified(double level) {
  detail::require(level >= 0, "rectified", "level", level, "valid: 0 <= level <= inf");
  if (std::isinf(level)) return {0, 1};
  return {1 / (1 + level), level / (1 + level)};
}

/// The same noise level, rescaled to alpha^2 + sigma^2 = 1.
inline signal_noise to_variance_preserving(signal_noise s) {
  const double norm = std::hypot(s.alpha, s.sigma);
  return {s.alpha / norm, s.sigma / norm};
}

/// The same noise level, rescaled to alpha = 1; alpha = 0 has no such form and is refused.
inline signal_noise to_variance_exploding(signal_noise s) {
  detail::require(s.alpha > 0, "to_variance_exploding", "alpha", s.alpha, "valid: alpha > 0");
  return {1, s.sigma / s.alpha};
}

/// exp(-lambda): the noise level of a half log-SNR in [-inf, +inf].
inline double noise_level_of(double half_log_snr) { return std::exp(-half_log_snr); }

/// Mean and variance factors of x_to given x_from for to noisier than from:
/// q(x_to | x_from) = N(mean x_from, variance I), mean = alpha_to / alpha_from,
/// variance = sigma_to^2 - mean^2 sigma_from^2.
struct transition_kernel {
  double mean = 1;
  double variance = 0;
};

/// Renoising kernel from one level up to another. The variance is formed as a product of a
/// difference and a sum, which loses nothing when the levels are close.
/// \throws std::invalid_argument if `to` is less noisy than `from` or `from` is pure noise.
inline transition_kernel transition(signal_noise from, signal_noise to) {
  detail::require(from.alpha > 0, "transition", "from.alpha", from.alpha, "valid: alpha > 0");
  const double mean = to.alpha / from.alpha;
  const double carried = mean * from.sigma;
  const double variance = (to.sigma - carried) * (to.sigma + carried);
  const double rounding = 4 * std::numeric_limits<double>::epsilon() * to.sigma * to.sigma;
  detail::require(variance >= -rounding, "transition", "sigma_to^2 - mean^2 sigma_from^2", variance,
                  "valid: `to` at least as noisy as `from`");
  return {mean, variance > 0 ? variance : 0};
}

}  // namespace tweedie
