// Discrete variance-preserving schedules: tables of alpha_bar(k), k = 0 ... T-1.
//
//   x_k = sqrt(alpha_bar(k)) x0 + sqrt(1 - alpha_bar(k)) z,   alpha_bar(k) = prod_{j <= k} (1 - beta(j))
//   (Ho et al. 2020, eq. 4)
//
// Time index. Papers count steps n = 1 ... T and put clean data at n = 0; checkpoints and their
// networks count array entries k = n - 1 = 0 ... T-1. Times here are array indices, what a network
// is told: time k has noise after k + 1 steps, and time -1 is clean data (alpha_bar = 1).
// `step_of_index` and `index_of_step` convert.
//
// Tables hold log alpha_bar and log(1 - alpha_bar) in double, so that neither end loses digits:
// log alpha_bar = sum log1p(-beta), log(1 - alpha_bar) = log(-expm1(log alpha_bar)).
//
// alpha_bar falls strictly where beta > 0 only. Cosine needs its clip at beta = 0.999: without it the end is
// 3.7e-33, with it 2.4e-9. "x_T is pure noise" depends on the table: sqrt(alpha_bar) ends at 0.0064 for the
// linear one of DDPM, at 0.068 for Stable Diffusion's, which leaves the mean brightness of a picture in
// its noise (zero_terminal_snr in schedule/derived.hpp takes it away; terminal level: `schedule(T - 1)`).
#pragma once

#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// Step 1 ... T of array index 0 ... T-1 (clean data: step 0, index -1).
constexpr int step_of_index(int index) { return index + 1; }
/// Array index 0 ... T-1 of step 1 ... T (clean data: index -1, step 0).
constexpr int index_of_step(int step) { return step - 1; }

/// A table of noise levels that never fall; between integer times the log noise level is
/// interpolated linearly (as k-diffusion's sigma_to_t does). Neighbours are equal where beta = 0; their
/// level is found at one of them, and samplers walk a grid that holds only one.
class discrete_schedule {
 public:
  /// From log alpha_bar(k) and log(1 - alpha_bar(k)).
  /// \throws std::invalid_argument if empty, of different lengths, or of noise that falls anywhere.
  discrete_schedule(std::vector<double> log_alpha_bar, std::vector<double> log_one_minus_alpha_bar);

  int steps() const { return static_cast<int>(log_alpha_bar_.size()); }
  double clean_time() const { return -1; }
  double noisy_time() const { return steps() - 1; }

  /// log alpha_bar at array index k = -1 ... T-1; -inf where alpha_bar = 0.
  double log_alpha_bar(int k) const { return k == -1 ? 0 : log_alpha_bar_[checked(k)]; }
  /// log(1 - alpha_bar) at array index k = -1 ... T-1.
  double log_one_minus_alpha_bar(int k) const {
    return k == -1 ? -infinity : log_one_minus_alpha_bar_[checked(k)];
  }
  double alpha_bar(int k) const { return std::exp(log_alpha_bar(k)); }
  /// beta(k) = 1 - alpha_bar(k) / alpha_bar(k - 1), in [0, 1].
  double beta(int k) const {
    return -std::expm1(log_alpha_bar_[checked(k)] - log_alpha_bar(k - 1));
  }

  /// (alpha, sigma) at array index k, variance preserving.
  signal_noise at(int k) const {
    return {std::exp(log_alpha_bar(k) / 2), std::exp(log_one_minus_alpha_bar(k) / 2)};
  }

  /// (alpha, sigma) at time t: -1, or 0 <= t <= T-1 with interpolation between integers.
  /// \throws std::invalid_argument outside, including (-1, 0): no noise level is defined there.
  signal_noise operator()(double t) const;

  /// Time at which the half log-SNR log(alpha / sigma) is reached, by linear interpolation of the
  /// log noise level; +inf gives -1.
  /// \throws std::invalid_argument beyond the ends of the table.
  double time_of(double half_log_snr) const;

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  std::size_t checked(int k) const;
  double level(std::size_t k) const {  // log(sigma / alpha)
    return (log_one_minus_alpha_bar_[k] - log_alpha_bar_[k]) / 2;
  }
  double levels_end() const { return level(log_alpha_bar_.size() - 1); }

  std::vector<double> log_alpha_bar_;
  std::vector<double> log_one_minus_alpha_bar_;
};

/// The node at a noise level. A table has no times between clean data and its first entry: a level
/// there is kept, and the network is told time 0, the nearest it was trained at (methods that
/// evaluate between nodes reach such levels just before the clean end).
inline node node_of_level(const discrete_schedule& schedule, double level) {
  if (level > 0 && level < noise_level(schedule.at(0))) return {0, variance_preserving(level)};
  return node_at(schedule, schedule.time_of(-std::log(level)));
}

/// From beta(0) ... beta(T-1), each in [0, 1]; beta(0) > 0. beta = 1 is allowed last (alpha_bar = 0),
/// beta = 0 inside, where a step adds no noise.
/// \throws std::invalid_argument otherwise, as `discrete_schedule` does.
discrete_schedule from_betas(std::span<const double> betas);

/// From alpha_bar(0) >= alpha_bar(1) >= ..., each in [0, 1). Values close to 1 have lost digits of
/// the noise already; prefer `from_betas` or `from_sigmas`.
discrete_schedule from_alpha_bars(std::span<const double> alpha_bars);

/// From signal-to-noise ratios alpha^2/sigma^2 that do not rise, in [0, inf).
discrete_schedule from_snrs(std::span<const double> ratios);

/// From noise levels sigma/alpha that do not fall, in (0, inf].
discrete_schedule from_sigmas(std::span<const double> levels);

#if defined(TWEEDIE_DEFINES_ENGINE)

TWEEDIE_INLINE discrete_schedule::discrete_schedule(std::vector<double> log_alpha_bar,
                                                    std::vector<double> log_one_minus_alpha_bar)
    : log_alpha_bar_(std::move(log_alpha_bar)),
      log_one_minus_alpha_bar_(std::move(log_one_minus_alpha_bar)) {
  constexpr const char* name = "discrete_schedule";
  if (log_alpha_bar_.empty()) detail::fail(name, "the table is empty; give at least one level");
  if (log_alpha_bar_.size() != log_one_minus_alpha_bar_.size())
    detail::fail(name, "the two tables have different lengths");
  for (std::size_t k = 0; k < log_alpha_bar_.size(); ++k) {
    detail::require(log_alpha_bar_[k] <= 0 && log_one_minus_alpha_bar_[k] <= 0, name,
                    "log alpha_bar", log_alpha_bar_[k], "valid: 0 <= alpha_bar <= 1");
    if (k > 0)
      detail::require(level(k) >= level(k - 1) && level(k - 1) < infinity, name, "log noise level",
                      level(k), "valid: no less noise than at the step before, which has signal");
  }
}

TWEEDIE_INLINE signal_noise discrete_schedule::operator()(double t) const {
  const double whole = std::floor(t);
  if (t == whole && t >= -1 && t <= noisy_time()) return at(static_cast<int>(t));
  detail::require(t >= 0 && t <= noisy_time(), "discrete_schedule", "time", t,
                  "valid: -1 (clean data) or 0 <= time <= T - 1");
  const auto k = static_cast<std::size_t>(whole);
  const double upper = level(k + 1);
  detail::require(std::isfinite(upper), "discrete_schedule", "time", t,
                  "no level between a finite one and zero signal; use integer times there");
  return variance_preserving(std::exp(std::lerp(level(k), upper, t - whole)));
}

TWEEDIE_INLINE double discrete_schedule::time_of(double half_log_snr) const {
  if (half_log_snr == infinity) return -1;
  const double wanted = -half_log_snr;
  constexpr double slack = 1e-12;
  detail::require(wanted >= level(0) - slack && wanted <= levels_end() + slack,
                  "discrete_schedule::time_of", "half_log_snr", half_log_snr,
                  "valid: between the ends of the table");
  std::size_t low = 0;
  std::size_t high = log_alpha_bar_.size() - 1;
  if (wanted >= level(high)) return static_cast<double>(high);
  if (wanted <= level(0)) return 0;
  while (high - low > 1) {
    const std::size_t middle = (low + high) / 2;
    (level(middle) <= wanted ? low : high) = middle;
  }
  if (std::isinf(level(high))) return static_cast<double>(low);
  return static_cast<double>(low) + (wanted - level(low)) / (level(high) - level(low));
}

TWEEDIE_INLINE std::size_t discrete_schedule::checked(int k) const {
  if (k < 0 || k >= steps())
    detail::raise(std::out_of_range(
        detail::describe("discrete_schedule", "index", k,
                         "valid: -1 <= index <= T - 1 = " + std::to_string(steps() - 1))));
  return static_cast<std::size_t>(k);
}

TWEEDIE_INLINE discrete_schedule from_betas(std::span<const double> betas) {
  std::vector<double> log_signal, log_noise;
  double sum = 0;
  if (!betas.empty())
    detail::require(betas[0] != 0, "from_betas", "beta(0)", betas[0], "valid: beta(0) > 0");
  for (const double beta : betas) {
    detail::require(beta >= 0 && beta <= 1, "from_betas", "beta", beta, "valid: 0 <= beta <= 1");
    sum += std::log1p(-beta);
    log_signal.push_back(sum);
    log_noise.push_back(std::log(-std::expm1(sum)));
  }
  return {std::move(log_signal), std::move(log_noise)};
}

TWEEDIE_INLINE discrete_schedule from_alpha_bars(std::span<const double> alpha_bars) {
  std::vector<double> log_signal, log_noise;
  for (const double a : alpha_bars) {
    detail::require(a >= 0 && a < 1, "from_alpha_bars", "alpha_bar", a,
                    "valid: 0 <= alpha_bar < 1");
    log_signal.push_back(std::log(a));
    log_noise.push_back(std::log1p(-a));
  }
  return {std::move(log_signal), std::move(log_noise)};
}

TWEEDIE_INLINE discrete_schedule from_snrs(std::span<const double> ratios) {
  std::vector<double> log_signal, log_noise;
  for (const double snr : ratios) {
    detail::require(snr >= 0 && std::isfinite(snr), "from_snrs", "snr", snr,
                    "valid: 0 <= snr < inf");
    log_signal.push_back(-std::log1p(1 / snr));
    log_noise.push_back(-std::log1p(snr));
  }
  return {std::move(log_signal), std::move(log_noise)};
}

TWEEDIE_INLINE discrete_schedule from_sigmas(std::span<const double> levels) {
  std::vector<double> log_signal, log_noise;
  for (const double level : levels) {
    detail::require(level > 0, "from_sigmas", "sigma", level, "valid: 0 < sigma <= inf");
    log_signal.push_back(-std::log1p(level * level));
    log_noise.push_back(-std::log1p(1 / (level * level)));
  }
  return {std::move(log_signal), std::move(log_noise)};
}

#endif

}  // namespace tweedie
