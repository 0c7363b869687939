// Targets for networks that learn jumps of a flow x_t -> x_r over any interval.
//
//   average velocity   u(x, t, r) = (x - Phi_{t->r} x)/(t - r)
//   MeanFlow           u = v - (t - r) du/dt, du/dt = d_t u + v . grad u       Geng et al. 2025, eq. 6
//   shortcut           u over 2h = mean of the two u over h on the way         Frans et al. 2025, eq. 4
//   consistency trajectory  G(x, t, s) = (s/t) x + (1 - s/t) g(x, t, s)        Kim et al. 2024, eq. 5
//
// Functions are per element and take any scalar or Eigen array; the losses are `regression`.
#pragma once

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// MeanFlow target from the instantaneous (conditional) velocity and the total derivative of the
/// network along it, a Jacobian-vector product with direction (v, 1, 0) that is not differentiated.
template <class S>
S mean_flow_target(const S& velocity, const S& total_derivative, double t, double r) {
  return velocity - (t - r) * total_derivative;
}

/// Where an average velocity leads: x_r = x_t - (t - r) u.
template <class S>
S jump(const S& x, const S& average_velocity, double t, double r) {
  return x - (t - r) * average_velocity;
}

/// Average velocity over two intervals t -> m -> r from those over each.
template <class S>
S composed_velocity(const S& first, const S& second, double t, double middle, double r) {
  detail::require(t != r, "composed_velocity", "t - r", t - r, "valid: a non-empty interval");
  return ((t - middle) * first + (middle - r) * second) / (t - r);
}

/// The trajectory network in terms of an inner network g on noise levels t > 0, 0 <= s <= t: the
/// identity at s = t, the consistency function at s = 0.
template <class S>
S trajectory_jump(const S& x, const S& inner, double t, double s) {
  detail::require(t > 0 && s >= 0 && s <= t, "trajectory_jump", "s", s,
                  "valid: 0 <= s <= t, t > 0");
  const double kept = s / t;
  return kept * x + (1 - kept) * inner;
}

}  // namespace tweedie
