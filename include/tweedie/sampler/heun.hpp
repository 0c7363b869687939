// Heun's method on the probability-flow ODE in the noise level (Karras et al. 2022, algorithm 1):
// with y = x/alpha, u = sigma/alpha and d = (y - D)/u,
//
//   y' = y + (u_s - u) d,    y_s = y + (u_s - u) (d + d')/2,   d' taken at y' and u_s.
//
// Second order, two evaluations a step; a step to clean data (u_s = 0) is an Euler step, since d'
// does not exist there. N steps ending in clean data: 2N - 1 evaluations. alpha > 0 is required:
// with no signal there is no noise level.
#pragma once

#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

inline program heun(const legs& steps) {
  check_signal("heun", steps);
  return walk("heun", steps, [&](recorder& r, linear x, const leg& l) {
    const auto [alpha, sigma] = l.from.level;
    const auto [alpha_s, sigma_s] = l.to.level;
    const double u = sigma / alpha;
    const double u_s = sigma_s / alpha_s;
    const double ratio = u_s / u;
    const linear clean = r.evaluate(x, l.from).clean;
    linear next = alpha_s * (ratio / alpha * x + (1 - ratio) * clean);
    if (u_s > 0) {
      linear predicted = next;  // the stored tensor; `next` stays the formula
      const linear clean_s = r.evaluate(predicted, l.to).clean;
      const linear slope = (x / alpha - clean) / u;
      const linear slope_s = (next / alpha_s - clean_s) / u_s;
      next = alpha_s * (x / alpha + (u_s - u) / 2 * (slope + slope_s));
    }
    return next;
  });
}

}  // namespace tweedie
