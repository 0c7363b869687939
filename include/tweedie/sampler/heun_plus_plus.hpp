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

#include "tweedie/sampler/chart.hpp"

namespace tweedie {

inline program heun_plus_plus(const grid& nodes) {
  check_descending("heun_plus_plus", nodes);
  check_signal("heun_plus_plus", nodes);
  recorder r(nodes.front());
  linear x = r.state();
  const double highest = chart_coordinate(noise_row, nodes.front().level);
  const std::size_t steps = nodes.size() - 1;
  for (std::size_t n = 0; n < steps; ++n) {
    const std::size_t slopes = steps - n < 3 ? steps - n : 3;
    const linear y = x / nodes[n].level.alpha;
    linear at = x;
    linear probe = y;
    linear direction;
    double weight_left = 1;
    std::vector<linear> d;
    std::vector<double> weights;
    for (std::size_t k = 0; k < slopes; ++k) {
      const node& here = nodes[n + k];
      const double u = noise_level(here.level);
      const estimate e = r.evaluate(k == 0 ? x : at, here);
      d.push_back(slope(noise_row, k == 0 ? x : at, e, here));
      weights.push_back(k == 0 ? 0 : u / (static_cast<double>(slopes) * highest));
      weight_left -= weights.back();
      if (k + 1 < slopes) {
        const node& next = nodes[n + k + 1];
        probe += (noise_level(next.level) - u) * d.back();
        at = next.level.alpha * probe;
      }
    }
    weights.front() = weight_left;
    for (std::size_t k = 0; k < slopes; ++k) direction += weights[k] * d[k];
    const signal_noise to = nodes[n + 1].level;
    x = to.alpha * (y + (noise_level(to) - noise_level(nodes[n].level)) * direction);
    r.mark(x, nodes[n + 1]);
  }
  return r.finish(x);
}

}  // namespace tweedie
