// Inversion of straight flows with a controller (RF-inversion, Rout et al. 2024, algorithms 1 and 2): the
// flow is mixed with the straight line to where the state should end.
//
//   up     dx/dt = (1 - gamma) v(x, t) + gamma (z - x) / (1 - t)     towards one draw z of noise
//   down   dx/dt = (1 - eta(t)) v(x, t) + eta(t) (x - x0) / t        towards the picture x0
//
// t is the time of the straight path, 0 at data. gamma = 1 noises the picture with z, gamma = 0 inverts the
// flow; eta = 1 in the last step returns the picture, eta = 0 forgets it. In between, `gamma` trades
// likely noise for faithful noise and eta(t), large at first, holds on to the picture's layout.
//
//   sampling s(rf_inversion(nodes, 0.5, [](double t) { return t > 0.75 ? 0.9 : 0.0; }), network, picture,
//              gaussian_noise{seed});
//   while (s.next()) (s.steps_done() < turn ? empty_prompt : new_prompt)(s.input(), ..., s.output());
#pragma once

#include <concepts>
#include <cstddef>

#include "tweedie/sampler/flow.hpp"
#include "tweedie/schedule/clock.hpp"

namespace tweedie {

/// From the picture, which is clean, up the falling `nodes` to the first and down again by Euler's method: 2 N
/// steps, the turn after N of them, one draw. Any gauge is accepted; the network must know its velocity
/// at clean data, as flow networks do.
/// \param gamma share of the controller on the way up, in [0, 1]
/// \param eta share on the way down at time t, in [0, 1]: a function of t in (0, 1]
/// \throws std::invalid_argument unless the grid falls to clean data and shares are within [0, 1].
template <std::invocable<double> Share>
program rf_inversion(const grid& nodes, double gamma, const Share& eta) {
  constexpr const char* name = "rf_inversion";
  check_descending(name, nodes);
  check_ends_clean(name, nodes);
  detail::require(gamma >= 0 && gamma <= 1, name, "gamma", gamma, "valid: 0 <= gamma <= 1");
  recorder r(nodes.back());
  linear x = r.state();
  const linear picture = x / determinant(nodes.back().level, straight_row);
  const linear noise = r.draw();
  // The flow, mixed with the straight line that is at `target` at time `end`.
  const auto step = [&](const node& from, const node& to, double share, const linear& target,
                        double end) {
    linear velocity;
    if (share < 1) {
      const estimate e = r.evaluate(x, from);
      velocity = (1 - share) * (e.noise - e.clean);
    }
    if (share > 0)
      velocity +=
          share * ((target - x / determinant(from.level, straight_row)) / (end - flow_time(from)));
    x = detail::straight_step(x, velocity, from.level, to.level);
    r.mark(x, to);
  };
  for (std::size_t i = nodes.size() - 1; i-- > 0;) step(nodes[i + 1], nodes[i], gamma, noise, 1);
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const double share = eta(flow_time(nodes[i]));
    detail::require(share >= 0 && share <= 1, name, "eta(t)", share, "valid: 0 <= eta <= 1");
    step(nodes[i], nodes[i + 1], share, picture, 0);
  }
  return r.finish(x);
}

}  // namespace tweedie
