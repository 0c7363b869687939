// How straight the trajectories of a flow are.
//
//   straightness      int |(x_end - x_start) - v(t)|^2 dt                    Liu et al. 2023, eq. 5
//   total curvature   int |dT/ds| ds, T the unit tangent, s the arc length: the angle a trajectory
//                     turns by on its way, 0 for straight ones whatever their speed
//
// Both are 0 for paths that one Euler step follows exactly; a path that is straight but of varying
// speed has no curvature and some straightness left. Items are the trajectories of a batch.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "tweedie/tensor/numeric.hpp"
#include "tweedie/tensor/per_item.hpp"

namespace tweedie {

/// int |(x_end - x_start) - v(t)|^2 dt of one trajectory, per item, over a time of length 1, by the
/// trapezoidal rule on times from 0 to 1; velocities[k] is the velocity of all items at times[k].
template <tensor_like Tensor>
std::vector<double> straightness(const Tensor& start, const Tensor& end,
                                 std::span<const double> times,
                                 std::span<const Tensor> velocities) {
  constexpr const char* name = "straightness";
  detail::require(times.size() >= 2, name, "times", static_cast<double>(times.size()),
                  "valid: at least two");
  if (velocities.size() != times.size())
    detail::fail(name, "velocities", static_cast<double>(velocities.size()),
                 "valid: one per time, " + std::to_string(times.size()));
  detail::require(times.front() == 0, name, "times.front()", times.front(), "valid: 0");
  detail::require(times.back() == 1, name, "times.back()", times.back(), "valid: 1");
  const auto deviation = [](const auto& a, const auto& b, const auto& v) {
    return detail::squared(b - a - v);
  };
  std::vector<double> out(detail::checked_items(name, start));
  for (std::size_t k = 0; k < times.size(); ++k) {
    const double before = k == 0 ? 0 : times[k] - times[k - 1];
    const double after = k + 1 == times.size() ? 0 : times[k + 1] - times[k];
    detail::require(before >= 0 && after >= 0, name, "time", times[k], "valid: increasing times");
    const std::vector<double> squares = detail::per_item<double>(
        name, reduction::sum_over_dimensions, detail::item_kernel{deviation},
        std::tuple(detail::named("start", start), detail::named("end", end),
                   detail::named("velocity", velocities[k])));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += (before + after) / 2 * squares[i];
  }
  return out;
}

/// Sum of the angles between successive segments of the polygon through `states`, in radians, per
/// item: a lower bound of the curve's total curvature that rises to it as points are added (Milnor
/// 1950, theorem 3.1). A point that repeats the one before it is passed over.
/// \throws std::invalid_argument for less than two states and for distances that are not finite.
template <tensor_like Tensor>
std::vector<double> total_curvature(std::span<const Tensor> states) {
  constexpr const char* name = "total_curvature";
  detail::require(states.size() >= 2, name, "states", static_cast<double>(states.size()),
                  "valid: at least two");
  const auto value = [&](std::size_t i, std::size_t n, auto*) {
    // |p (x_t - x_s) + q (x_u - x_t)|^2 of the item.
    const auto squares = [&](std::size_t s, std::size_t t, std::size_t u, double p, double q) {
      const auto at = [&](std::size_t k) { return elements(states[k]).data() + i * n; };
      return detail::one_pass_in<double>(
          n,
          [=](const auto& x, const auto& y, const auto& z) {
            return detail::squared(p * (y - x) + q * (z - y));
          },
          std::tuple<>(), at(s), at(t), at(u));
    };
    double sum = 0,
           incoming = 0;  // length of the last segment, which led from `before` to `corner`
    std::size_t before = 0, corner = 0;
    for (std::size_t k = 1; k < states.size(); ++k) {
      const double length = std::sqrt(squares(corner, k, k, 1, 0));
      detail::require(std::isfinite(length), name, "distance of two states", length,
                      "valid: finite");
      if (length == 0) continue;
      if (incoming > 0) {
        // The angle between unit vectors e and f is 2 atan(|e - f|/|e + f|), also where it is small.
        const double p = 1 / incoming, q = 1 / length;
        sum += 2 * std::atan2(std::sqrt(squares(before, corner, k, p, -q)),
                              std::sqrt(squares(before, corner, k, p, q)));
      }
      before = corner;
      corner = k;
      incoming = length;
    }
    return sum;
  };
  for (const Tensor& state : states) detail::require_same_batch(name, "state", states[0], state);
  return detail::each_item(name, value, detail::named("states", states[0]));
}

}  // namespace tweedie
