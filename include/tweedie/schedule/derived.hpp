// Schedules made from schedules.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "tweedie/schedule/discrete.hpp"

namespace tweedie {

namespace detail {

/// alphas = sqrt(alpha_bar), shifted so that the last is 0 and scaled so that the first stays.
inline std::vector<double> zero_terminal_alphas(std::vector<double> alphas) {
  const double first = alphas.front();
  const double last = alphas.back();
  return mapped(std::move(alphas), [=](double a) { return (a - last) * (first / (first - last)); });
}

}  // namespace detail

/// Zero terminal SNR (Lin et al. 2023, algorithm 1): sqrt(alpha_bar) is shifted so that its last
/// value is exactly 0 and scaled so that its first value stays,
///   sqrt(alpha_bar') = (sqrt(alpha_bar) - last) * first / (first - last).
/// The last level has no signal: predict v or samples, not noise. Needs at least two levels.
inline discrete_schedule zero_terminal_snr(const discrete_schedule& schedule) {
  const int steps = schedule.steps();
  detail::require(steps >= 2, "zero_terminal_snr", "steps", steps, "valid: steps >= 2");
  std::vector<double> alphas;
  for (int k = 0; k < steps; ++k) alphas.push_back(schedule.at(k).alpha);
  std::vector<double> log_signal{schedule.log_alpha_bar(0)};
  std::vector<double> log_noise{schedule.log_one_minus_alpha_bar(0)};
  alphas = detail::zero_terminal_alphas(std::move(alphas));
  for (std::size_t k = 1; k < alphas.size(); ++k) {
    log_signal.push_back(2 * std::log(alphas[k]));  // -inf at the last
    log_noise.push_back(std::log1p(-alphas[k] * alphas[k]));
  }
  return {std::move(log_signal), std::move(log_noise)};
}

/// SNR' = SNR / factor at every level: alpha_bar' = alpha_bar / (factor + (1 - factor) alpha_bar)
/// (Hoogeboom et al. 2023, eq. 3: factor = (side / 64)^2 for a base resolution of 64).
/// Scaling the input, alpha b x0 + sigma z brought back to variance 1 (Chen 2023, section 2.2), is factor = 1/b^2.
/// factor > 0; factors compose by multiplication, 1 changes nothing.
inline discrete_schedule shift_snr(const discrete_schedule& schedule, double factor) {
  detail::require(factor > 0 && std::isfinite(factor), "shift_snr", "factor", factor,
                  "valid: 0 < factor < inf");
  std::vector<double> log_signal, log_noise;
  for (int k = 0; k < schedule.steps(); ++k) {
    const double signal = schedule.log_alpha_bar(k);
    const double noise = schedule.log_one_minus_alpha_bar(k) + std::log(factor);
    const double total = std::log(std::exp(signal) + std::exp(noise));
    log_signal.push_back(signal - total);
    log_noise.push_back(noise - total);
  }
  return {std::move(log_signal), std::move(log_noise)};
}

/// t' = shift t / (1 + (shift - 1) t) on [0, 1]: on the rectified path the noise level sigma/alpha
/// is multiplied by `shift` (Esser et al. 2024, eq. 23; shift = sqrt(m/n) for resolutions m, n).
/// shift(a) after shift(b) is shift(ab); shift(1/a) inverts shift(a).
inline double shift_time(double t, double shift) {
  detail::require(t >= 0 && t <= 1, "shift_time", "t", t, "valid: 0 <= t <= 1");
  detail::require(shift > 0 && std::isfinite(shift), "shift_time", "shift", shift,
                  "valid: 0 < shift < inf");
  return t == 1 ? 1 : shift * t / (1 + (shift - 1) * t);
}

/// Resolution-dependent log-shift mu, linear in the number of image tokens (Flux: 256 tokens ->
/// 0.5, 4096 -> 1.15); the time shift is exp(mu).
inline double resolution_log_shift(double tokens, double base_tokens = 256,
                                   double max_tokens = 4096, double base_shift = 0.5,
                                   double max_shift = 1.15) {
  detail::require(max_tokens != base_tokens, "resolution_log_shift", "max_tokens", max_tokens,
                  "valid: different from base_tokens");
  const double slope = (max_shift - base_shift) / (max_tokens - base_tokens);
  return slope * (tokens - base_tokens) + base_shift;
}

/// The log-shift mu of Flux.2, of the number of image tokens and of steps, as fitted by its authors: lines
/// in the tokens at 10 and 200 steps, and one in the steps between them; above 4300 tokens the line of 200
/// steps for any number. 4096 tokens and 50 steps give 2.0234.
/// \throws std::invalid_argument unless both are positive.
inline double empirical_log_shift(double tokens, int steps) {
  detail::require(tokens > 0 && std::isfinite(tokens), "empirical_log_shift", "tokens", tokens,
                  "valid: 0 < tokens < inf");
  detail::require(steps >= 1, "empirical_log_shift", "steps", steps, "valid: at least 1");
  const double at_200 = 0.00016927 * tokens + 0.45666666;
  if (tokens > 4300) return at_200;
  const double at_10 = 8.73809524e-05 * tokens + 1.89833333;
  return at_200 + (at_200 - at_10) / 190 * (steps - 200);
}

/// A continuous schedule on [0, 1] whose times are spread by `shift_time`: the path and its clock
/// stay as they are, evenly spaced grids and training times u are moved to t = shift_time(u, shift).
/// Networks trained with a shift (SD3, Flux, Wan) are told the moved time, so t is what every
/// function of the schedule takes and what `node::time` holds: sigma itself on the rectified path.
template <noise_schedule Schedule>
class time_shifted {
 public:
  /// \throws std::invalid_argument unless the schedule runs from 0 to 1 and 0 < shift < inf.
  time_shifted(Schedule schedule, double shift) : schedule_(std::move(schedule)), shift_(shift) {
    detail::require(shift > 0 && std::isfinite(shift), "time_shifted", "shift", shift,
                    "valid: 0 < shift < inf");
    detail::require(schedule_.clean_time() == 0, "time_shifted", "clean_time",
                    schedule_.clean_time(), "valid: a schedule on [0, 1]");
    detail::require(schedule_.noisy_time() == 1, "time_shifted", "noisy_time",
                    schedule_.noisy_time(), "valid: a schedule on [0, 1]");
  }

  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  signal_noise operator()(double t) const { return schedule_(t); }
  signal_noise_rate rate(double t) const requires differentiable_schedule<Schedule> {
    return schedule_.rate(t);
  }
  double time_of(double half_log_snr) const requires invertible_schedule<Schedule> {
    return schedule_.time_of(half_log_snr);
  }
  /// The time t of the even spacing u in [0, 1].
  double spread(double u) const { return shift_time(u, shift_); }

 private:
  Schedule schedule_;
  double shift_;
};

}  // namespace tweedie
