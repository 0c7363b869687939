// Grids that ComfyUI, stable-diffusion.cpp and k-diffusion offer (their "simple" is strided, "normal"
// even_times, "beta" beta_quantiles).
//
// Over the times of a discrete schedule of T levels, i = 0 ... N-1, all ending in clean data:
//   strided        T - 1 - floor(i T/N)
//   sgm_uniform    (T-1) (1 - i/N)                        fractional times
//   even_times     (T-1) (1 - i/(N-1))                    fractional times, contains 0
//   ddim_uniform   1, 1 + n, 1 + 2n, ... with n = max(floor(T/N), 1), all that fit: not always N
//   beta_quantiles round((T-1) Q(1 - i/N)), Q the Beta(a, b) quantile function, repeats left out
//   smooth_step    round((T-1) s(1 - i/N)), s(u) = 3u^2 - 2u^3
// Over noise levels or over the time of a straight path:
//   linear_quadratic, bong_tangent, and karras, exponential, kl_optimal of grid/spacing.hpp.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "tweedie/grid/spacing.hpp"

namespace tweedie {

/// Integer strides from the noisy end.
inline grid strided(const discrete_schedule& schedule, int steps) {
  detail::require_count("strided", schedule, steps);
  const double stride = static_cast<double>(schedule.steps()) / steps;
  const auto times =
      detail::collect(steps, [&](int i) { return schedule.noisy_time() - std::floor(i * stride); });
  return ending_clean(schedule, at_times(schedule, times));
}

/// Equal strides of time, the last of which ends at time 0 and is left out.
inline grid sgm_uniform(const discrete_schedule& schedule, int steps) {
  detail::require_count("sgm_uniform", schedule, steps);
  const double last = schedule.noisy_time();
  const auto times = detail::collect(steps, [&](int i) { return last * (steps - i) / steps; });
  return ending_clean(schedule, at_times(schedule, times));
}

/// Equal strides of time, both ends included; one step starts at the noisy end.
inline grid even_times(const discrete_schedule& schedule, int steps) {
  detail::require_count("even_times", schedule, steps);
  const double last = schedule.noisy_time();
  const auto times = detail::collect(
      steps, [&](int i) { return i == 0 ? last : last * (steps - 1 - i) / (steps - 1); });
  return ending_clean(schedule, at_times(schedule, times));
}

/// Every n-th time from 1 on. Has ceil((T-1)/n) steps, which is `steps` only where it fits.
inline grid ddim_uniform(const discrete_schedule& schedule, int steps) {
  detail::require_count("ddim_uniform", schedule, steps);
  const int stride = steps < schedule.steps() ? schedule.steps() / steps : 1;
  std::vector<double> times;
  for (int t = 1; t < schedule.steps(); t += stride) times.insert(times.begin(), t);
  if (times.empty()) times.push_back(0);
  return ending_clean(schedule, at_times(schedule, times));
}

/// Times at quantiles of the Beta(a, b) distribution (Lee et al. 2024). Times that round to the one
/// before are left out, so the grid may be shorter than `steps`.
inline grid beta_quantiles(const discrete_schedule& schedule, int steps, double a = 0.6,
                           double b = 0.6) {
  detail::require_count("beta_quantiles", schedule, steps);
  std::vector<double> times;
  for (int i = 0; i < steps; ++i) {
    const double u = 1 - static_cast<double>(i) / steps;
    const double t = round_half_even(beta_quantile(u, a, b) * schedule.noisy_time());
    if (times.empty() || t < times.back()) times.push_back(t);
  }
  return ending_clean(schedule, at_times(schedule, times));
}

/// Times along a smooth step. Repeats are left out as in `beta_quantiles`.
inline grid smooth_step(const discrete_schedule& schedule, int steps) {
  detail::require_count("smooth_step", schedule, steps);
  std::vector<double> times;
  for (int i = 0; i < steps; ++i) {
    const double u = 1 - static_cast<double>(i) / steps;
    const double t = std::round(u * u * (3 - 2 * u) * schedule.noisy_time());
    if (times.empty() || t < times.back()) times.push_back(t);
  }
  return ending_clean(schedule, at_times(schedule, times));
}

/// N + 1 values from 1 to 0: `linear_steps` equal steps that cover the first `threshold`, then a
/// parabola that continues them smoothly (Polyak et al. 2024, Movie Gen, section 3.1.4; the grid of
/// Mochi and LTX). Times of a straight path, or fractions of the largest noise level.
/// linear_steps = 0 means half of the steps.
inline std::vector<double> linear_quadratic_levels(int steps, double threshold = 0.025,
                                                   int linear_steps = 0) {
  constexpr const char* name = "linear_quadratic_levels";
  detail::require(steps >= 1, name, "steps", steps, "valid: steps >= 1");
  if (steps == 1) return {1, 0};
  if (linear_steps == 0) linear_steps = steps / 2;
  detail::require(linear_steps > 0 && linear_steps < steps, name, "linear_steps", linear_steps,
                  "valid: 0 < linear_steps < steps");
  detail::require(threshold > 0 && threshold * steps <= linear_steps, name, "threshold", threshold,
                  "valid: 0 < threshold <= linear_steps / steps");
  const double m = linear_steps;
  const double rest = steps - linear_steps;
  const double excess = m - threshold * steps;
  const double square = excess / (m * rest * rest);
  const double slope = threshold / m - 2 * excess / (rest * rest);
  std::vector<double> values;
  for (int i = 0; i < steps; ++i) {
    const double covered =
        i < linear_steps ? i * threshold / m : square * i * i + slope * i + square * m * m;
    values.push_back(1 - covered);
  }
  values.push_back(0);
  return values;
}

/// steps + 1 times of a straight path from 1 to 0, t = 1 - (u + s (cos(pi u/2) - 1 + u)) for u = i/N:
/// sway sampling (Chen et al. 2024, F5-TTS, eq. 7). s < 0 puts more steps near the noise; s = 0 is
/// even, s = -1 is t = cos(pi u/2), the cosine times of CosyVoice.
/// \throws std::invalid_argument unless -1 <= s <= 2/(pi - 2), where the times fall.
inline std::vector<double> sway_times(int steps, double sway = -1) {
  constexpr const char* name = "sway_times";
  detail::require(steps >= 1, name, "steps", steps, "valid: steps >= 1");
  detail::require(sway >= -1 && sway <= 2 / (std::numbers::pi - 2), name, "sway", sway,
                  "valid: -1 <= sway <= 2/(pi - 2)");
  std::vector<double> times;
  for (int i = 0; i < steps; ++i) {
    const double u = static_cast<double>(i) / steps;
    times.push_back(1 - u - sway * (std::cos(std::numbers::pi / 2 * u) - 1 + u));
  }
  times.push_back(0);
  return times;
}

/// Two arctangent arcs joined at `middle` (RES4LYF's "bong tangent").
struct bong_tangent_shape {
  double start = 1;
  double middle = 0.5;
  double end = 0;
  double pivot = 0.6;  ///< place of the steepest descent, as a fraction of the steps
  double slope = 0.2;  ///< steepness at 40 steps
};

/// steps + 1 values from `start` to `end`: times of a straight path, or noise levels.
inline std::vector<double> bong_tangent_levels(int steps, const bong_tangent_shape& shape = {}) {
  constexpr const char* name = "bong_tangent_levels";
  detail::require(steps >= 2, name, "steps", steps, "valid: steps >= 2");
  detail::require(shape.slope > 0, name, "slope", shape.slope, "valid: slope > 0");
  detail::require(shape.start > shape.middle && shape.middle > shape.end, name, "middle",
                  shape.middle, "valid: start > middle > end");
  const int total = steps + 2;
  const int first = static_cast<int>(total * shape.pivot);
  detail::require(first >= 2 && first <= total - 2, name, "pivot", shape.pivot,
                  "valid: two steps on either side");
  const double slope = shape.slope * 40 / total;
  const auto arc = [slope](int count, double pivot, double from, double to) {
    const auto fall = [&](double i) { return std::atan(-slope * (i - pivot)); };
    const double high = fall(0);
    const double low = fall(count - 1);
    std::vector<double> values;
    for (int i = 0; i < count; ++i)
      values.push_back(to + (from - to) * (fall(i) - low) / (high - low));
    return values;
  };
  std::vector<double> values = arc(first, first, shape.start, shape.middle);
  values.pop_back();
  const std::vector<double> rest = arc(total - first, 0, shape.middle, shape.end);
  values.insert(values.end(), rest.begin(), rest.end());
  return values;
}

}  // namespace tweedie
