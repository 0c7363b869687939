// Samplers of flow models: straight paths x_t = (1 - t) x0 + t z, networks that predict the
// velocity v = z - x0 (Liu et al. 2023; Lipman et al. 2023), t falling from 1 to 0.
//
//   flow_euler        x_s = x_t + (s - t) v, the same as DDIM
//   flow_ancestral    Euler to r = s (1 - eta (1 - s/t)), then renoised to s
//   flow_map          x_r = x_t + (r - t) u(x_t, t, r) for any pairs (t, r) (Boffi et al. 2025)
//
// Heun, midpoint and others are runge_kutta(nodes, method, between, straight_row); Adams methods
// flow_adams (sampler/linear_multistep.hpp); the few-step form x_s = (1 - s) D + s z is `consistency`
// (sampler/consistency.hpp).
//
// Any gauge is accepted: t = sigma/(alpha + sigma), and x/(alpha + sigma) moves.
#pragma once

#include <cmath>

#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

namespace detail {

// Euler step of the velocity. It needs no division by alpha or sigma, so that velocity networks may
// start from clean data (inversion) as well as from pure noise.
inline linear straight_step(const linear& x, const linear& velocity, signal_noise from,
                            signal_noise to) {
  const double h = chart_coordinate(straight_row, to) - chart_coordinate(straight_row, from);
  return determinant(to, straight_row) * (x / determinant(from, straight_row) + h * velocity);
}
inline linear straight_step(const linear& x, const estimate& e, signal_noise from,
                            signal_noise to) {
  return straight_step(x, e.noise - e.clean, from, to);
}

inline linear straight_leg(recorder& r, const linear& x, const leg& l) {
  return straight_step(x, r.evaluate(x, l.from), l.from.level, l.to.level);
}

}  // namespace detail

/// Euler's method on the velocity along any walk of nodes, falling or rising.
inline program flow_euler(const legs& steps) {
  return walk_anywhere("flow_euler", steps, detail::straight_leg);
}

/// Ancestral Euler steps in flow time (ComfyUI's euler_ancestral for rectified flows; Lightricks'
/// LTX): with eta = 0 plain Euler without draws, with eta = 1 down to r = s^2/t.
inline program flow_ancestral(const legs& steps, double eta = 1, double noise_scale = 1) {
  detail::require(eta >= 0 && eta <= 1, "flow_ancestral", "eta", eta, "valid: 0 <= eta <= 1");
  detail::require_noise_scale("flow_ancestral", noise_scale);
  return walk("flow_ancestral", steps, [&](recorder& r, linear x, const leg& l) {
    const signal_noise to = l.to.level;
    const double t = chart_coordinate(straight_row, l.from.level);
    const double s = chart_coordinate(straight_row, to);
    const double down = s * (1 - eta * (1 - s / t));
    const double scale = determinant(to, straight_row);
    const signal_noise below{1 - down, down};
    const estimate e = r.evaluate(x, l.from);
    x = detail::straight_step(x, e, l.from.level, below);
    if (eta > 0 && s > 0) {
      const transition_kernel up = transition(below, {1 - s, s});
      x = up.mean * x + std::sqrt(up.variance) * noise_scale * r.draw();
    }
    x *= scale;
    return x;
  });
}

/// Jumps of a flow-map network, whose output is the mean velocity between the ends of a leg. How the
/// network is told the end of the jump is its caller's: it is the level of the next mark.
inline program flow_map(const legs& jumps) {
  return walk_anywhere("flow_map", jumps, detail::straight_leg);
}

}  // namespace tweedie
