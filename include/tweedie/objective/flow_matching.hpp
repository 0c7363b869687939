// Flow matching: paths between data and noise, or between two data sets, and their velocities.
//
//   x_t = alpha x0 + sigma z,           target alpha' x0 + sigma' z          Lipman et al. 2023
//   x_t = a x0 + b x1 + gamma z,        target a' x0 + b' x1 + gamma' z      Albergo et al. 2023
//
// The first kind is a schedule: a training batch of the prediction `predicts_velocity(schedule)`
// with `regression` is conditional flow matching, whose gradient is that of the marginal velocity.
// Here time 0 is data and 1 is noise; Lipman et al. and Liu et al. count the other way, which
// changes t to 1 - t and the sign of the velocity. Conditional paths are straight, the flow they
// make is not: `straightness` (metric/trajectory.hpp) measures it; training on pairs (z, flow of z) straightens it.
//
// That flows need fewer steps is not in the path: from the same data all paths have one probability-flow ODE up
// to the scale of x and the clock, x/alpha as a function of sigma/alpha. Fewer steps come from the grid, from
// what the network predicts, and from straightening.
#pragma once

#include <cmath>
#include <numbers>
#include <span>

#include "tweedie/schedule/schedule.hpp"
#include "tweedie/tensor/per_item.hpp"

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
  detail::require_per_item(name, "paths", paths.size(), traits_of<First>::items(x0));
  const auto kernel = [&](std::size_t i) {
    return detail::item_kernel{[at = paths[i].at, rate = paths[i].rate](
                                   const auto& a, const auto& b, const auto& e, auto& x, auto& v) {
      x = at.first * a + at.second * b + at.noise * e;
      v = rate.first * a + rate.second * b + rate.noise * e;
    }};
  };
  detail::per_item(
      name, reduction::sum_over_dimensions, kernel,
      std::tuple(detail::named("x0", x0), detail::named("x1", x1), detail::named("z", z)),
      std::tuple(detail::named("state", state), detail::named("velocity", velocity)));
}

}  // namespace tweedie
