// How N steps are spread over a schedule.
//
// Over the array indices of a discrete schedule of T levels (time -1 is clean data):
//   leading    floor(T/N) (N-1-i) + offset                       i = 0 ... N-1
//   trailing   round(T - i T/N) - 1                              (contains T-1)
//   linspace   round((T-1) (N-1-i)/(N-1))                        (contains T-1 and 0)
//   quadratic  (T-1) (1 - i/N)^2, not rounded                    (denser near the data)
// (names of diffusers' timestep_spacing; Lin et al. 2023, table 2). Rounding is half to even.
// Over noise levels, from the noisiest to the cleanest of the schedule:
//   Karras, exponential, poly-exponential, tangent law: see each function.
// Every grid has exactly N steps: N nodes and the final node, clean data.
#pragma once

#include <cmath>
#include <vector>

#include "tweedie/grid/beta_quantile.hpp"
#include "tweedie/grid/grid.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace tweedie {

/// Round half to even, as numpy and IEEE 754 do; independent of the rounding mode in force.
inline double round_half_even(double x) {
  const double below = std::floor(x);
  const double rest = x - below;
  if (rest != 0.5) return rest < 0.5 ? below : below + 1;
  return std::fmod(below, 2) == 0 ? below : below + 1;
}

/// Number of steps that are run when an edit starts from an image with `strength` in [0, 1]:
/// floor(steps * strength), where products that are integers up to rounding count as integers
/// (50 * 0.58 is 29, not 28).
inline int steps_of_strength(int steps, double strength) {
  detail::require_steps("steps_of_strength", steps);
  detail::require(strength >= 0 && strength <= 1, "steps_of_strength", "strength", strength,
                  "valid: 0 <= strength <= 1");
  return static_cast<int>(std::floor(steps * strength + 1e-9));
}

namespace detail {

inline void require_count(const char* function, const discrete_schedule& schedule, int steps) {
  require(steps >= 1 && steps <= schedule.steps(), function, "steps", steps,
          "valid: 1 <= steps <= levels of the schedule");
}

inline std::vector<double> collect(int count, const auto& value_of) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) values[static_cast<std::size_t>(i)] = value_of(i);
  return values;
}

inline void require_levels(const char* function, int count, double highest, double lowest) {
  require(count >= 1, function, "count", count, "valid: count >= 1");
  require(std::isfinite(highest) && highest > 0, function, "highest", highest,
          "valid: 0 < highest < inf");
  require(lowest >= 0 && (count == 1 || lowest < highest), function, "lowest", lowest,
          "valid: 0 <= lowest < highest");
}

/// count values f(1) = highest ... f(0) = lowest over a ramp, with exact ends; one value: highest.
inline std::vector<double> ramp(int count, double highest, double lowest, const auto& value_at) {
  return collect(count, [&](int i) {
    if (i == 0) return highest;
    if (i == count - 1) return lowest;
    return value_at(1 - static_cast<double>(i) / (count - 1));
  });
}

}  // namespace detail

/// Multiples of floor(T/N), shifted by `offset` (Stable Diffusion checkpoints: 1).
/// Never reaches T-1 unless N = T: the largest noise levels of training are skipped.
inline grid leading(const discrete_schedule& schedule, int steps, int offset = 0) {
  detail::require_count("leading", schedule, steps);
  const int ratio = schedule.steps() / steps;
  detail::require(offset >= 0 && ratio * (steps - 1) + offset < schedule.steps(), "leading",
                  "offset", offset, "valid: 0 <= offset and first time <= T - 1");
  const auto times =
      detail::collect(steps, [&](int i) { return ratio * (steps - 1.0 - i) + offset; });
  return ending_clean(schedule, at_times(schedule, times));
}

/// Multiples of T/N counted back from the last level.
inline grid trailing(const discrete_schedule& schedule, int steps) {
  detail::require_count("trailing", schedule, steps);
  const double levels = schedule.steps();
  const auto times = detail::collect(
      steps, [&](int i) { return round_half_even(levels - i * (levels / steps)) - 1; });
  return ending_clean(schedule, at_times(schedule, times));
}

/// N levels from T-1 to 0, both included; one step starts at T-1.
inline grid linspace(const discrete_schedule& schedule, int steps) {
  detail::require_count("linspace", schedule, steps);
  const double last = schedule.noisy_time();
  const auto times = detail::collect(steps, [&](int i) {
    return steps == 1 ? last : round_half_even(last / (steps - 1) * (steps - 1 - i));
  });
  return ending_clean(schedule, at_times(schedule, times));
}

/// Quadratic in the index (DDIM, Song et al. 2021, appendix D.2), on fractional times.
inline grid quadratic(const discrete_schedule& schedule, int steps) {
  detail::require_count("quadratic", schedule, steps);
  const double last = schedule.noisy_time();
  const auto times = detail::collect(steps, [&](int i) {
    const double u = 1 - static_cast<double>(i) / steps;
    return last * u * u;
  });
  return ending_clean(schedule, at_times(schedule, times));
}

/// N times evenly spaced over the clock of a continuous schedule, from the noisy end; then the clean
/// end. A schedule that spreads its times (`time_shifted`) has them moved by its `spread`.
template <noise_schedule Schedule>
grid uniform(const Schedule& schedule, int steps) {
  detail::require(steps >= 1, "uniform", "steps", steps, "valid: steps >= 1");
  const double noisy = schedule.noisy_time();
  const double clean = schedule.clean_time();
  grid nodes;
  for (int i = 0; i <= steps; ++i) {
    double t = i == steps ? clean : std::lerp(noisy, clean, static_cast<double>(i) / steps);
    if constexpr (requires { schedule.spread(t); }) t = schedule.spread(t);
    nodes.push_back(node_at(schedule, t));
  }
  return nodes;
}

/// The same levels, told at times rounded half to even: for networks whose time is an integer, which
/// would truncate 893.8 to 893. Levels stay, as in k-diffusion's `quantize`, so that a network is told
/// at most half an index off; `at_times` of the rounded times moves the levels instead.
inline grid rounded(grid nodes) {
  for (node& n : nodes) n.time = round_half_even(n.time);
  return nodes;
}

/// The level at fraction u of a Karras grid, (highest^(1/rho) + u (lowest^(1/rho) -
/// highest^(1/rho)))^rho, u = 0 ... 1 (Karras et al. 2022, eq. 5). The ends may come in either order.
inline double karras_level(double u, double highest, double lowest, double rho = 7) {
  const double high = std::pow(highest, 1 / rho);
  const double low = std::pow(lowest, 1 / rho);
  return std::pow(high + u * (low - high), rho);
}

/// count levels of a Karras grid, both ends exact.
inline std::vector<double> karras_levels(int count, double highest, double lowest, double rho = 7) {
  detail::require_levels("karras_levels", count, highest, lowest);
  detail::require(rho > 0 && std::isfinite(rho), "karras_levels", "rho", rho,
                  "valid: 0 < rho < inf");
  return detail::ramp(count, highest, lowest,
                      [&](double u) { return karras_level(1 - u, highest, lowest, rho); });
}

/// exp of values that fall from log highest to log lowest as u^rho, u = 1 ... 0; rho = 1 is the
/// exponential grid, uniform in log-SNR.
inline std::vector<double> poly_exponential_levels(int count, double highest, double lowest,
                                                   double rho) {
  detail::require_levels("poly_exponential_levels", count, highest, lowest);
  detail::require(lowest > 0, "poly_exponential_levels", "lowest", lowest, "valid: lowest > 0");
  detail::require(rho > 0 && std::isfinite(rho), "poly_exponential_levels", "rho", rho,
                  "valid: 0 < rho < inf");
  const double range = std::log(highest / lowest);
  return detail::ramp(count, highest, lowest, [&](double u) {
    return lowest * std::exp(range * (rho == 1 ? u : std::pow(u, rho)));
  });
}

/// Uniform in log-SNR.
inline std::vector<double> exponential_levels(int count, double highest, double lowest) {
  return poly_exponential_levels(count, highest, lowest, 1);
}

/// s tan(theta), theta uniform between atan(highest/s) and atan(lowest/s): the grid on which DDIM
/// makes the least error on data N(m, s^2) (Sabour et al. 2024, theorem 3.1). lowest = 0 is allowed.
inline std::vector<double> tangent_levels(int count, double highest, double lowest,
                                          double data_deviation = 1) {
  detail::require_levels("tangent_levels", count, highest, lowest);
  detail::require(data_deviation > 0, "tangent_levels", "data_deviation", data_deviation,
                  "valid: data_deviation > 0");
  const double high = std::atan(highest / data_deviation);
  const double low = std::atan(lowest / data_deviation);
  return detail::ramp(count, highest, lowest,
                      [&](double u) { return data_deviation * std::tan(low + u * (high - low)); });
}

/// lowest + (highest - lowest) * Q(u), Q the quantile function of the Beta(a, b) distribution,
/// u = 1 ... 0 (Lee et al. 2024, "Beta sampling is all you need": a = b = 0.6).
inline std::vector<double> beta_levels(int count, double highest, double lowest, double a = 0.6,
                                       double b = 0.6) {
  detail::require_levels("beta_levels", count, highest, lowest);
  return detail::ramp(count, highest, lowest, [&](double u) {
    return lowest + (highest - lowest) * beta_quantile(u, a, b);
  });
}

/// Nodes of `schedule` at noise levels sigma/alpha in [0, inf], with the levels taken exactly.
/// \throws std::invalid_argument beyond the levels of the schedule.
template <invertible_schedule Schedule>
grid at_levels(const Schedule& schedule, std::span<const double> levels) {
  grid nodes;
  nodes.reserve(levels.size() + 1);
  for (const double level : levels) {
    detail::require(level >= 0, "at_levels", "level", level, "valid: 0 <= level <= inf");
    const double time = schedule.time_of(-std::log(level));
    const signal_noise reached = schedule(time);
    nodes.push_back(
        {time, std::isinf(level) ? reached : signal_noise{reached.alpha, level * reached.alpha}});
  }
  return nodes;
}

namespace detail {

/// Least noise level of a schedule, of a table that of its first entry.
template <noise_schedule Schedule>
double least_level(const Schedule& schedule) {
  if constexpr (std::is_same_v<Schedule, discrete_schedule>)
    return noise_level(schedule(0));
  else
    return noise_level(schedule(schedule.clean_time()));
}

}  // namespace detail

/// The whole range of `schedule` on a grid of levels: N levels and clean data, for example
/// over_levels(schedule, karras_levels, 30).
/// \throws std::invalid_argument if the noisiest level has no signal (its level is infinite).
template <invertible_schedule Schedule, class Levels, class... Options>
grid over_levels(const Schedule& schedule, const Levels& levels, int steps, Options... options) {
  const double highest = noise_level(schedule(schedule.noisy_time()));
  const double lowest = detail::least_level(schedule);
  detail::require(lowest > 0, "over_levels", "lowest level", lowest,
                  "valid: a schedule with a least noise; give the levels yourself with at_levels");
  const std::vector<double> values = levels(steps, highest, lowest, options...);
  return ending_clean(schedule, at_levels(schedule, values));
}

/// Karras grid over the whole schedule.
template <invertible_schedule Schedule>
grid karras(const Schedule& schedule, int steps, double rho = 7) {
  return over_levels(schedule, karras_levels, steps, rho);
}

/// Uniform log-SNR over the whole schedule.
template <invertible_schedule Schedule>
grid exponential(const Schedule& schedule, int steps) {
  return over_levels(schedule, exponential_levels, steps);
}

/// Tangent law over the whole schedule, for data of the given standard deviation.
template <invertible_schedule Schedule>
grid kl_optimal(const Schedule& schedule, int steps, double data_deviation = 1) {
  return over_levels(schedule, tangent_levels, steps, data_deviation);
}

}  // namespace tweedie
