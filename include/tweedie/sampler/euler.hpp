// Euler's method on the probability-flow ODE in the noise level (Karras et al. 2022, eq. 4):
// with y = x/alpha and u = sigma/alpha,
//
//   dy/du = (y - D)/u,      y_s = y + (u_s - u) (y - D)/u.
//
// In terms of x this is DDIM with eta = 0, in every gauge; it is kept under its own name because
// users look for it. At u_s = 0 it returns D; alpha = 0 has no noise level and is handled by the
// x0 form of ddim_step.
#pragma once

#include "tweedie/sampler/ddim.hpp"

namespace tweedie {

/// N steps, N evaluations, no noise, first order.
inline program euler(const legs& steps) {
  return walk("euler", steps,
              [](recorder& r, const linear& x, const leg& l) { return ddim_step(r, x, l, 0); });
}

}  // namespace tweedie
