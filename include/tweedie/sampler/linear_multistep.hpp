// Linear multistep methods: Adams-Bashforth in a chart of the probability-flow ODE
// (sampler/chart.hpp), one evaluation a step.
//
//   x' / l' = x / l + integral over the step of the polynomial through the last k slopes, in u
//
// In the noise level u = sigma/alpha this is LMS (Crowson, k-diffusion, order 4) and rho-DEIS of
// order k (Zhang and Chen 2023, rhoAB(k-1)); in u = sigma/(alpha + sigma) it is Adams-Bashforth on
// the velocity of a flow model. Order k from an exact history; the usual start with orders 1, 2, ...
// keeps the error of its first step, second order.
#pragma once

#include <deque>
#include <vector>

#include "tweedie/sampler/chart.hpp"

namespace tweedie {

/// Adams-Bashforth of the given order in the chart of `row`, with weights for the actual steps. The
/// step from pure noise, where the noise-level chart is infinite, is x' = alpha' D + sigma' z.
inline program linear_multistep(const grid& nodes, int order, plane_row row) {
  constexpr const char* name = "linear_multistep";
  check_descending(name, nodes);
  detail::require(order >= 1, name, "order", order, "valid: order >= 1");
  recorder r(nodes.front());
  linear x = r.state();
  std::deque<linear> slopes;      // newest first
  std::deque<double> coordinates;
  for (std::size_t n = 0; n + 1 < nodes.size(); ++n) {
    const node& from = nodes[n];
    const signal_noise to = nodes[n + 1].level;
    const estimate e = r.evaluate(x, from);
    if (determinant(from.level, row) == 0) {
      x = to.alpha * e.clean + to.sigma * e.noise;
    } else {
      slopes.push_front(slope(row, x, e, from));
      coordinates.push_front(chart_coordinate(row, from.level));
      if (slopes.size() > static_cast<std::size_t>(order)) {
        slopes.pop_back();
        coordinates.pop_back();
      }
      const double h = chart_coordinate(row, to) - coordinates.front();
      std::vector<double> positions, means;
      for (const double u : coordinates) {
        positions.push_back((u - coordinates.front()) / h);
        means.push_back(1 / static_cast<double>(means.size() + 1));
      }
      const std::vector<double> w = interpolation_weights(positions, means);
      x /= determinant(from.level, row);
      for (std::size_t j = 0; j < w.size(); ++j) x += h * w[j] * slopes[j];
      x *= determinant(to, row);
    }
    r.mark(x, nodes[n + 1]);
  }
  return r.finish(x);
}

/// Linear multistep in the noise level.
inline program lms(const grid& nodes, int order = 4) {
  return linear_multistep(nodes, order, noise_row);
}

/// Adams-Bashforth on the velocity of the straight path, in that path's time.
inline program flow_adams(const grid& nodes, int order = 2) {
  return linear_multistep(nodes, order, straight_row);
}

}  // namespace tweedie
