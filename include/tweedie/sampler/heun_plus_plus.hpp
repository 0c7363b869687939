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
#pragma once

#include <algorithm>
#include <vector>

#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

inline program heun_plus_plus(const legs& steps) {
  constexpr const char* name = "heun_plus_plus";
  check_descending(name, steps);
  check_signal(name, steps);
  const double highest = noise_level(steps.front().from.level);
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

}  // namespace tweedie
