// Grids published as tables: Align Your Steps (Sabour, Fidler and Kreis 2024), GITS (Chen et al. 2024) and
// optimal steps (Pei et al. 2025).
//
// Numbers of steps that a table does not have interpolate its levels or times log-linearly over the step
// index, as the authors advise. Integer times are array indices of the Stable Diffusion schedule.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
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

/// Optimal steps for Flux, 10: times of a straight path, the last of them clean data.
inline constexpr std::array<double, 11> optimal_steps_flux = {
    0.9968, 0.9886, 0.9819, 0.975, 0.966, 0.9471, 0.9158, 0.8287, 0.5512, 0.2808, 0.001};
/// For Wan, 20.
inline constexpr std::array<double, 21> optimal_steps_wan = {
    1.0,   0.997, 0.995, 0.993, 0.991, 0.989, 0.987, 0.985, 0.98,  0.975, 0.973,
    0.968, 0.96,  0.946, 0.927, 0.902, 0.864, 0.776, 0.539, 0.208, 0.001};
/// For Chroma, 40.
inline constexpr std::array<double, 41> optimal_steps_chroma = {
    0.992, 0.99,  0.988, 0.985, 0.982, 0.978, 0.973, 0.968, 0.961, 0.953, 0.943,
    0.931, 0.917, 0.9,   0.881, 0.858, 0.832, 0.802, 0.769, 0.731, 0.69,  0.646,
    0.599, 0.55,  0.501, 0.451, 0.402, 0.355, 0.311, 0.27,  0.232, 0.199, 0.169,
    0.143, 0.12,  0.101, 0.084, 0.07,  0.058, 0.048, 0.001};

/// `count` values spread evenly over the index of `table`, interpolated in the logarithm.
inline std::vector<double> log_linear_levels(std::span<const double> table, int count) {
  detail::require(count >= 1, "log_linear_levels", "count", count, "valid: count >= 1");
  detail::require(table.size() >= 2, "log_linear_levels", "table size",
                  static_cast<double>(table.size()), "valid: at least 2 levels");
  for (const double level : table)
    detail::require(level > 0, "log_linear_levels", "level", level, "valid: level > 0");
  const auto last = static_cast<double>(table.size() - 1);
  return detail::collect(count, [&](int i) {
    const double at = count == 1 ? 0 : i * last / (count - 1);
    const std::size_t before_last = table.size() - 2;
    const std::size_t below =
        at < static_cast<double>(before_last) ? static_cast<std::size_t>(at) : before_last;
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

/// A published table of times of a continuous schedule, in descending order, brought to N steps: the last of its N +
/// 1 times is replaced by clean data.
/// \throws std::invalid_argument for a time that the schedule does not have.
template <noise_schedule Schedule>
grid published_times(const Schedule& schedule, std::span<const double> table, int steps) {
  std::vector<double> times = log_linear_levels(table, steps + 1);
  times.pop_back();
  return ending_clean(schedule, at_times(schedule, times));
}

namespace detail {

// Rows of n - 1 inner levels for n = 2 ... 20 steps, one after the other.
inline constexpr std::array<double, 190> gits_inner_levels = {
    0.803307,   1.56271636, 0.52423614, 2.36326075, 0.92192322, 0.36617002, 2.84484982, 1.24153244,
    0.59516323, 0.25053367, 5.85520077, 2.05039096, 0.95350921, 0.45573691, 0.17026083, 5.85520077,
    2.45070267, 1.24153244, 0.64427125, 0.29807833, 0.09824532, 5.85520077, 2.45070267, 1.36964464,
    0.803307,   0.45573691, 0.25053367, 0.09824532, 5.85520077, 2.84484982, 1.61558151, 0.95350921,
    0.59516323, 0.36617002, 0.19894916, 0.09824532, 5.85520077, 2.84484982, 1.67050016, 1.08895338,
    0.74807048, 0.50118381, 0.32104823, 0.19894916, 0.09824532, 5.85520077, 2.95596409, 1.84880662,
    1.24153244, 0.83188516, 0.59516323, 0.41087446, 0.27464288, 0.17026083, 0.09824532, 5.85520077,
    3.07277966, 1.98035145, 1.36964464, 0.95350921, 0.69515091, 0.50118381, 0.36617002, 0.25053367,
    0.17026083, 0.09824532, 6.77309084, 3.46139455, 2.36326075, 1.56271636, 1.08895338, 0.803307,
    0.59516323, 0.45573691, 0.34370604, 0.25053367, 0.17026083, 0.09824532, 6.77309084, 3.46139455,
    2.45070267, 1.61558151, 1.162866,   0.86115354, 0.64427125, 0.50118381, 0.38853383, 0.29807833,
    0.22545385, 0.17026083, 0.09824532, 7.49001646, 4.65472794, 3.07277966, 2.12350607, 1.51179266,
    1.08895338, 0.83188516, 0.64427125, 0.50118381, 0.38853383, 0.29807833, 0.22545385, 0.17026083,
    0.09824532, 7.49001646, 4.65472794, 3.07277966, 2.12350607, 1.51179266, 1.08895338, 0.83188516,
    0.64427125, 0.50118381, 0.41087446, 0.32104823, 0.25053367, 0.19894916, 0.13792117, 0.09824532,
    7.49001646, 4.65472794, 3.07277966, 2.12350607, 1.51179266, 1.08895338, 0.83188516, 0.64427125,
    0.50118381, 0.41087446, 0.34370604, 0.27464288, 0.22545385, 0.17026083, 0.13792117, 0.09824532,
    7.49001646, 4.65472794, 3.07277966, 2.19988537, 1.61558151, 1.20157266, 0.92192322, 0.72133851,
    0.57119018, 0.45573691, 0.36617002, 0.29807833, 0.25053367, 0.19894916, 0.17026083, 0.13792117,
    0.09824532, 7.49001646, 4.65472794, 3.07277966, 2.19988537, 1.61558151, 1.24153244, 0.95350921,
    0.74807048, 0.59516323, 0.4783645,  0.38853383, 0.32104823, 0.27464288, 0.22545385, 0.19894916,
    0.17026083, 0.13792117, 0.09824532, 7.49001646, 4.65472794, 3.07277966, 2.19988537, 1.61558151,
    1.24153244, 0.95350921, 0.74807048, 0.59516323, 0.50118381, 0.41087446, 0.34370604, 0.29807833,
    0.25053367, 0.22545385, 0.19894916, 0.17026083, 0.13792117, 0.09824532};

}  // namespace detail

/// GITS noise levels for Stable Diffusion, N + 1 of them: the table up to 20 steps, beyond it the
/// row of 20 interpolated log-linearly.
inline std::vector<double> gits_levels(int steps) {
  detail::require(steps >= 2, "gits_levels", "steps", steps, "valid: steps >= 2");
  const int row = steps < 20 ? steps : 20;
  const int first = (row - 1) * (row - 2) / 2;
  std::vector<double> levels{14.61464119};
  const auto inner = detail::gits_inner_levels.begin() + first;
  levels.insert(levels.end(), inner, inner + row - 1);
  levels.push_back(0.02916753);
  return row == steps ? levels : log_linear_levels(levels, steps + 1);
}

/// The GITS grid on a schedule, ending in clean data.
template <invertible_schedule Schedule>
grid gits(const Schedule& schedule, int steps) {
  return published_levels(schedule, gits_levels(steps), steps);
}

}  // namespace tweedie
