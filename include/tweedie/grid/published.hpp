// Grids published as tables: Align Your Steps (Sabour, Fidler and Kreis 2024).
//
// The tables have ten steps; other numbers of steps interpolate the noise level log-linearly over
// the step index, as the authors advise. Times are array indices of the Stable Diffusion schedule.
#pragma once

#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "tweedie/grid/spacing.hpp"

namespace tweedie {

/// Times for Stable Diffusion 1.5.
inline constexpr std::array<int, 10> align_your_steps_sd15 = {999, 850, 736, 645, 545,
                                                              455, 343, 233, 124, 24};
/// Times for SDXL.
inline constexpr std::array<int, 10> align_your_steps_sdxl = {999, 845, 730, 587, 443,
                                                              310, 193, 116, 53,  13};
/// Noise levels for Stable Diffusion 1.5; the last node is clean data.
inline constexpr std::array<double, 11> align_your_steps_sd15_levels = {
    14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029};
/// Noise levels for SDXL.
inline constexpr std::array<double, 11> align_your_steps_sdxl_levels = {
    14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029};
/// Noise levels for Stable Video Diffusion.
inline constexpr std::array<double, 11> align_your_steps_svd_levels = {
    700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002};

/// `count` values spread evenly over the index of `table`, interpolated in the logarithm.
inline std::vector<double> log_linear_levels(std::span<const double> table, int count) {
  detail::require(count >= 1, "log_linear_levels", "count", count, "valid: count >= 1");
  detail::require(table.size() >= 2, "log_linear_levels", "table size",
                  static_cast<double>(table.size()), "valid: at least 2 levels");
  for (const double level : table)
    detail::require(level > 0, "log_linear_levels", "level", level, "valid: level > 0");
  const double last = static_cast<double>(table.size() - 1);
  return detail::collect(count, [&](int i) {
    const double at = count == 1 ? 0 : i * last / (count - 1);
    const auto below = std::min(static_cast<std::size_t>(at), table.size() - 2);
    const double rest = at - static_cast<double>(below);
    if (rest == 0) return table[below];
    if (rest == 1) return table[below + 1];
    return std::exp(std::lerp(std::log(table[below]), std::log(table[below + 1]), rest));
  });
}

/// A published table of noise levels brought to N steps, ending in clean data: its N + 1 levels, of
/// which the last is replaced by clean data. Levels beyond those of the schedule by the rounding of
/// the table are taken at its end.
template <invertible_schedule Schedule>
grid published_levels(const Schedule& schedule, std::span<const double> table, int steps) {
  std::vector<double> levels = log_linear_levels(table, steps + 1);
  levels.pop_back();
  const double highest = noise_level(schedule(schedule.noisy_time()));
  constexpr double rounding = 1e-3;
  for (double& level : levels)
    if (level > highest && level < highest * (1 + rounding)) level = highest;
  return ending_clean(schedule, at_levels(schedule, levels));
}

/// A published table of times, in descending order, ending in clean data.
inline grid published_times(const discrete_schedule& schedule, std::span<const int> table) {
  std::vector<double> times(table.begin(), table.end());
  return ending_clean(schedule, at_times(schedule, times));
}

}  // namespace tweedie
