// Predictors of the reverse SDE (Song et al. 2021, appendices E and G):
//
//   reverse diffusion   x_s = (2 - a) x + b score + sqrt(b) z        (eq. 46; VP eq. 49, VE eq. 47)
//     with the forward kernel x_t = a x_s + sqrt(b) z between neighbouring levels
//   Euler-Maruyama      x_s = x + (f x - g^2 score) dt + g sqrt(|dt|) z,   dt = s - t < 0
//   probability flow    half the score, no noise
//
// score = -z_hat/sigma. Their ancestral predictor is `ddpm`: with posterior variance for VE, with
// beta ("fixed large") for VP. All are of weak order one; reverse diffusion differs from ddpm in
// second order of the step, and it alone depends on the gauge (2 - a for 1/a). Like ddpm, a step
// onto clean data adds no noise. The Langevin corrector is solve/langevin.hpp.
#pragma once

#include <cmath>

#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// The reverse-time process that is discretised.
enum class reverse_process {
  sde,              ///< full score and fresh noise
  probability_flow  ///< half the score, no noise
};

namespace detail {

// state x - score (z_hat / sigma) + noise z
struct reverse_weights {
  double state = 1;
  double squared_diffusion = 0;
};

inline linear reverse_step(recorder& r, const linear& x, const leg& l, const reverse_weights& w,
                           reverse_process process) {
  require(l.from.level.sigma > 0, "reverse_step", "sigma", l.from.level.sigma, "valid: sigma > 0");
  const double share = process == reverse_process::sde ? 1 : 0.5;
  const estimate e = r.evaluate(x, l.from);
  linear next = w.state * x - share * w.squared_diffusion / l.from.level.sigma * e.noise;
  if (process == reverse_process::sde && l.to.level.sigma > 0)
    next += std::sqrt(w.squared_diffusion) * r.draw();
  return next;
}

}  // namespace detail

/// The forward kernels between neighbouring nodes, run backwards.
inline program reverse_diffusion(const legs& steps,
                                 reverse_process process = reverse_process::sde) {
  return walk("reverse_diffusion", steps, [&](recorder& r, linear x, const leg& l) {
    const transition_kernel forward = transition(l.to.level, l.from.level);
    return detail::reverse_step(r, x, l, {2 - forward.mean, forward.variance}, process);
  });
}

/// Euler-Maruyama in the time of `schedule`, on its own nodes.
template <differentiable_schedule Schedule>
program euler_maruyama(const Schedule& schedule, const legs& steps,
                       reverse_process process = reverse_process::sde) {
  check_signal("euler_maruyama", steps);
  return walk("euler_maruyama", steps, [&](recorder& r, linear x, const leg& l) {
    const diffusion_coefficients c = forward_sde(schedule, l.from.time);
    const double dt = l.from.time - l.to.time;
    return detail::reverse_step(r, x, l, {1 - c.drift * dt, c.squared_diffusion * dt}, process);
  });
}

}  // namespace tweedie
