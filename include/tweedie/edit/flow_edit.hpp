// FlowEdit (Kulikov et al. 2024, algorithm 1): from a picture to its edit without passing through noise.
//
//   dx/dt = E_z[v(x + (a x0 + t z - x0), t | new) - v(a x0 + t z, t | old)],    a = 1 - t,  x = x0 at the start
//
// The picture moves by the difference of two velocities, asked about the noised picture under the old prompt and
// about the noised picture moved along under the new one. With prompts that agree nothing moves. Where they are
// Gaussians N(m, s^2) and N(m', s^2), the picture is shifted by (1 - t)(m' - m) at time t, which is a straight
// line: any grid from pure noise ends in x0 + m' - m.
//
// The network is asked in pairs, first under the old prompt, then under the new one:
//
//   sampling s(flow_edit(starting_at(nodes, 5), 1), network, picture, gaussian_noise{seed});
//   for (int call = 0; s.next(); ++call) (call % 2 == 0 ? old_prompt : new_prompt)(s.input(), ..., s.output());
#pragma once

#include <cstddef>

#include "tweedie/sampler/flow.hpp"

namespace tweedie {

/// The edit over a grid of falling noise that ends clean; a grid that starts in the middle keeps more of
/// the picture. The state is clean at every mark, so each is a preview. Any gauge is accepted.
/// \param averages draws a step over which the difference is averaged
/// \throws std::invalid_argument unless the grid falls to clean data and averages is positive.
inline program flow_edit(const grid& nodes, int averages = 1) {
  constexpr const char* name = "flow_edit";
  check_descending(name, nodes);
  check_ends_clean(name, nodes);
  detail::require(averages >= 1, name, "averages", averages, "valid: at least 1");
  recorder r(nodes.back());
  const linear picture = r.state();
  linear x = picture;
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const auto [alpha, sigma] = nodes[i].level;
    const double h = chart_coordinate(straight_row, nodes[i + 1].level) -
                     chart_coordinate(straight_row, nodes[i].level);
    linear change;
    for (int k = 0; k < averages; ++k) {
      const linear noised = alpha * picture + sigma * r.draw();
      // Moved along by x - x0 on the straight path, that is alpha + sigma times it in this gauge.
      const linear moved = noised + (alpha + sigma) * (x - picture);
      const estimate before = r.evaluate(noised, nodes[i]);
      const estimate after = r.evaluate(moved, nodes[i]);
      change += ((after.noise - after.clean) - (before.noise - before.clean)) / averages;
    }
    x += h * change;
    r.mark(x, nodes.back());
  }
  return r.finish(x);
}

}  // namespace tweedie
