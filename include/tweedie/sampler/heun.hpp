// Methods in the noise level that stay on the nodes of a grid, beyond Euler's: `heun`, `heun_plus_plus`
// and `gradient_estimation`. Throughout u = sigma/alpha, y = x/alpha and d(y, u) = (y - D)/u.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

// Heun's method on the probability-flow ODE in the noise level (Karras et al. 2022, algorithm 1):
// with y = x/alpha, u = sigma/alpha and d = (y - D)/u,
//
//   y' = y + (u_s - u) d,    y_s = y + (u_s - u) (d + d')/2,   d' taken at y' and u_s.
//
// Second order, two evaluations a step; a step to clean data (u_s = 0) is an Euler step, since d'
// does not exist there. N steps ending in clean data: 2N - 1 evaluations. alpha > 0 is required:
// with no signal there is no noise level.

/// One step.
inline linear heun_step(recorder& r, const linear& x, const leg& l) {
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
}

/// \throws std::invalid_argument if the grid does not fall or starts from pure noise.
inline program heun(const legs& steps) {
  check_signal("heun", steps);
  return walk("heun", steps, heun_step);
}

// Heun++ ("heunpp2" of ComfyUI and of the web UI samplers): up to three slopes along two Euler
// steps, mixed with weights proportional to their noise levels. In noise levels u_n =
// sigma_n/alpha_n and with k the number of slopes, d_1 at u_n, d_2 at u_(n+1), d_3 at u_(n+2):
//
//   y_(n+1) = y_n + (u_(n+1) - u_n) (w_1 d_1 + w_2 d_2 + w_3 d_3),
//   w_2 = u_(n+1)/(k u_0),  w_3 = u_(n+2)/(k u_0),  w_1 = 1 - w_2 - w_3
//
// Two slopes in the last step but one, one in the last. The weights do not depend on the step size
// as a method of second order would need: it is of first order, with a small constant at high
// noise.

/// \throws std::invalid_argument if the grid does not fall or starts from pure noise.
inline program heun_plus_plus(const legs& steps) {
  constexpr const char* name = "heun_plus_plus";
  check_descending(name, steps);
  check_signal(name, steps);
  const double highest = noise_level(steps.start().level);
  return walk(name, steps, [&](recorder& r, const linear& x, const leg& l, std::size_t n) {
    const std::size_t slopes = std::min<std::size_t>(steps.size() - n, 3);
    const linear y = x / l.from.level.alpha;
    linear at = x;
    linear probe = y;
    double weight_left = 1;
    std::vector<linear> d;
    std::vector<double> weights;
    for (std::size_t k = 0; k < slopes; ++k) {
      const auto& [here, next] = steps[n + k];
      const double u = noise_level(here.level);
      d.push_back(slope(noise_row, at, r.evaluate(at, here), here));
      weights.push_back(k == 0 ? 0 : u / (static_cast<double>(slopes) * highest));
      weight_left -= weights.back();
      probe += (noise_level(next.level) - u) * d.back();
      at = next.level.alpha * probe;
    }
    weights.front() = weight_left;
    linear direction;
    for (std::size_t k = 0; k < slopes; ++k) direction += weights[k] * d[k];
    const auto [alpha, sigma] = l.to.level;
    return alpha * (y + (sigma / alpha - noise_level(l.from.level)) * direction);
  });
}

// Gradient estimation (Permenter and Yuan 2023, algorithm 1): Euler steps along an extrapolated
// slope, in noise levels u = sigma/alpha, y = x/alpha, d = (y - D)/u:
//
//   y' = y + (u' - u) (gamma d_n + (1 - gamma) d_(n-1))
//
// gamma = 2 is the paper's; gamma = 1 is Euler; gamma = 3/2 is second-order Adams-Bashforth on
// equally spaced noise levels, any other value is of first order. A step onto clean data is x' = D.

/// \throws std::invalid_argument if the grid does not fall or starts from pure noise, or gamma is
///   not finite.
inline program gradient_estimation(const legs& steps, double gamma = 2) {
  constexpr const char* name = "gradient_estimation";
  check_signal(name, steps);
  detail::require(std::isfinite(gamma), name, "gamma", gamma, "valid: finite");
  linear last;
  return walk(name, steps, [&](recorder& r, linear x, const leg& l, std::size_t n) {
    const signal_noise to = l.to.level;
    const estimate e = r.evaluate(x, l.from);
    const linear d = slope(noise_row, x, e, l.from);
    const double h = noise_level(to) - chart_coordinate(noise_row, l.from.level);
    if (to.sigma == 0) {
      x = to.alpha * e.clean;
    } else {
      const linear direction = n == 0 ? d : gamma * d + (1 - gamma) * last;
      x = to.alpha * (x / l.from.level.alpha + h * direction);
    }
    last = d;
    return x;
  });
}

}  // namespace tweedie
