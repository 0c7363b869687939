// Flow matching: paths between data and noise, or between two data sets, and their velocities.
//
//   x_t = alpha x0 + sigma z,           target alpha' x0 + sigma' z          Lipman et al. 2023
//   x_t = a x0 + b x1 + gamma z,        target a' x0 + b' x1 + gamma' z      Albergo et al. 2023
//
// The first kind is a schedule: a training batch of the prediction `predicts_velocity(schedule)`
// with `regression` is conditional flow matching, whose gradient is that of the marginal velocity.
// Here time 0 is data and 1 is noise; Lipman et al. and Liu et al. count the other way, which
// changes t to 1 - t and the sign of the velocity. Conditional paths are straight, the flow they
// make is not: `straightness` measures it; training on pairs (z, flow of z) straightens it.
#pragma once

#include <cmath>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "tweedie/objective/batch.hpp"
#include "tweedie/objective/numeric.hpp"
#include "tweedie/objective/one_pass.hpp"
#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// alpha = 1 - t, sigma = sigma_min + (1 - sigma_min) t: the optimal-transport path of Lipman et al.
/// 2023, eq. 20, which keeps a little noise at the data; sigma_min = 0 is rectified flow.
class optimal_transport_path {
 public:
  explicit optimal_transport_path(double sigma_min) : sigma_min_(sigma_min) {
    detail::require(sigma_min >= 0 && sigma_min < 1, "optimal_transport_path", "sigma_min",
                    sigma_min, "valid: 0 <= sigma_min < 1");
  }
  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  signal_noise operator()(double t) const {
    detail::require(t >= 0 && t <= 1, "optimal_transport_path", "time", t, "valid: 0 <= time <= 1");
    return {1 - t, sigma_min_ + (1 - sigma_min_) * t};
  }
  signal_noise_rate rate(double) const { return {-1, 1 - sigma_min_}; }

 private:
  double sigma_min_;
};

/// Weights of (x0, x1, z), or of their sum's rate.
struct interpolant_weights {
  double first = 0;
  double second = 0;
  double noise = 0;
};
/// A path between two data sets at one time, with d/dt.
struct interpolant {
  interpolant_weights at;
  interpolant_weights rate;
};

/// (1 - t) x0 + t x1 + sqrt(2 t (1 - t)) z. The rate is unbounded at both ends and refused there.
inline interpolant linear_interpolant(double t) {
  detail::require(t > 0 && t < 1, "linear_interpolant", "t", t, "valid: 0 < t < 1");
  const double gamma = std::sqrt(2 * t * (1 - t));
  return {{1 - t, t, gamma}, {-1, 1, (1 - 2 * t) / gamma}};
}

/// cos(pi t/2) x0 + sin(pi t/2) x1 + sqrt(2 t (1 - t)) z.
inline interpolant trigonometric_interpolant(double t) {
  const interpolant line = linear_interpolant(t);
  const double angle = std::numbers::pi / 2 * t, c = std::cos(angle), s = std::sin(angle);
  return {{c, s, line.at.noise},
          {-std::numbers::pi / 2 * s, std::numbers::pi / 2 * c, line.rate.noise}};
}

/// x0 is encoded to pure noise at t = 1/2, then decoded to x1: cos^2(pi t) on either side,
/// gamma = sin^2(pi t).
inline interpolant encoding_decoding_interpolant(double t) {
  detail::require(t >= 0 && t <= 1, "encoding_decoding_interpolant", "t", t, "valid: 0 <= t <= 1");
  const double angle = std::numbers::pi * t, c = std::cos(angle), s = std::sin(angle);
  const double rate = -2 * std::numbers::pi * c * s;
  const bool encoding = t < 0.5;
  return {{encoding ? c * c : 0, encoding ? 0 : c * c, s * s},
          {encoding ? rate : 0, encoding ? 0 : rate, -rate}};
}

/// Writes states and velocity targets, one interpolant per item. The score of the path is
/// -E[z | x_t]/gamma. Reads three tensors, writes two.
template <tensor_like First, tensor_like Second, tensor_like Noise, writable_tensor State,
          writable_tensor Velocity>
void interpolate(const First& x0, const Second& x1, const Noise& z,
                 std::span<const interpolant> paths, State&& state, Velocity&& velocity) {
  constexpr const char* name = "interpolate";
  const std::size_t items = detail::checked_items(name, x0);
  detail::require_per_item(name, "paths", paths.size(), items);
  detail::require_same_batch(name, "x1", x0, x1);
  detail::require_same_batch(name, "z", x0, z);
  detail::require_same_batch(name, "state", x0, state);
  detail::require_same_batch(name, "velocity", x0, velocity);
  const std::size_t n = item_size(x0);
  for (std::size_t i = 0; i < items; ++i) {
    const interpolant_weights& at = paths[i].at;
    const interpolant_weights& rate = paths[i].rate;
    detail::one_pass(
        n,
        [=](const auto& a, const auto& b, const auto& e, auto& x, auto& v) {
          x = at.first * a + at.second * b + at.noise * e;
          v = rate.first * a + rate.second * b + rate.noise * e;
        },
        std::tuple(detail::scaled_gradient<scalar_t<State>>{elements(state).data() + i * n},
                   detail::scaled_gradient<scalar_t<Velocity>>{elements(velocity).data() + i * n}),
        elements(x0).data() + i * n, elements(x1).data() + i * n, elements(z).data() + i * n);
  }
}

/// int |(x_end - x_start) - v(t)|^2 dt of one trajectory, per item, over a time of length 1 (Liu et
/// al. 2023, eq. 5), by the trapezoidal rule on times from 0 to 1; velocities[k] is the velocity of
/// all items at times[k]. 0 for straight paths.
template <tensor_like Tensor>
std::vector<double> straightness(const Tensor& start, const Tensor& end,
                                 std::span<const double> times,
                                 std::span<const Tensor> velocities) {
  constexpr const char* name = "straightness";
  const std::size_t items = detail::checked_items(name, start);
  detail::require_same_batch(name, "end", start, end);
  detail::require(times.size() >= 2, name, "times", static_cast<double>(times.size()),
                  "valid: at least two");
  if (velocities.size() != times.size())
    detail::fail(name, "velocities", static_cast<double>(velocities.size()),
                 "valid: one per time, " + std::to_string(times.size()));
  detail::require(times.front() == 0, name, "times.front()", times.front(), "valid: 0");
  detail::require(times.back() == 1, name, "times.back()", times.back(), "valid: 1");
  const std::size_t n = item_size(start);
  std::vector<double> out(items);
  for (std::size_t k = 0; k < times.size(); ++k) {
    const double before = k == 0 ? 0 : times[k] - times[k - 1];
    const double after = k + 1 == times.size() ? 0 : times[k + 1] - times[k];
    detail::require(before >= 0 && after >= 0, name, "time", times[k], "valid: increasing times");
    detail::require_same_batch(name, "velocity", start, velocities[k]);
    for (std::size_t i = 0; i < items; ++i)
      out[i] += (before + after) / 2 *
                detail::one_pass_in<double>(
                    n,
                    [](const auto& a, const auto& b, const auto& v) {
                      return detail::squared(b - a - v);
                    },
                    std::tuple<>(), elements(start).data() + i * n, elements(end).data() + i * n,
                    elements(velocities[k]).data() + i * n);
  }
  return out;
}

}  // namespace tweedie
