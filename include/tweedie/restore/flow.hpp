// The sampler of FlowDPS (Kim et al. 2025, algorithm 1): x0 estimates moved towards the measurement, the noise estimate
// refreshed as far as it is done with.
//
//   x_s = (1 - s) x0' + s (sqrt(s) z' + sqrt(1 - s) w),   x0' by `flow_posterior`, z' of the network, w fresh
//
// on the straight path; any gauge is accepted.
//
//   sampling s(flow_dps(nodes), network, x, gaussian_noise{seed}, restored(flow_posterior(), a, y, deviation));
#pragma once

#include <cmath>

#include "tweedie/restore/posterior.hpp"
#include "tweedie/sampler/walk.hpp"
#include "tweedie/schedule/clock.hpp"

namespace tweedie {

/// The program of FlowDPS over a grid of falling noise. One draw a step but the one to clean data.
/// \throws std::invalid_argument unless the grid falls.
inline program flow_dps(const grid& nodes) {
  return walk("flow_dps", nodes, [](recorder& r, const linear& x, const leg& l) {
    const auto [alpha, sigma] = l.to.level;
    const estimate e = r.evaluate(x, l.from);
    linear next = alpha * e.clean;
    if (sigma == 0) return next;
    const double t = flow_time(l.to);
    next += sigma * std::sqrt(t) * e.noise;
    if (t < 1) next += sigma * std::sqrt(1 - t) * r.draw();
    return next;
  });
}

}  // namespace tweedie
