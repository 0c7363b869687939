// Explicit Runge-Kutta methods on the probability-flow ODE, in any chart (sampler/chart.hpp).
//
//   k_i = y(X_i),  X_i / l_i = x / l + h sum_j a_ij k_j  at u + c_i h,
//   x' / l' = x / l + h sum_i b_i k_i
//
// Methods are data (sampler/butcher_tableau.hpp). In the noise-level chart this is Karras et al. 2022,
// algorithm 1, for any method; in the rectified chart it integrates the velocity of a straight path.
//
// The last step onto clean data is an Euler step, as in Karras et al.: x' = D(x).
#pragma once

#include <vector>

#include "tweedie/sampler/butcher_tableau.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

namespace detail {

// The slopes of one step in the chart of `row`, and the states they lead to.
struct chart_step {
  linear start;
  double h;
  std::vector<linear> slopes;
  double scale;  // determinant at the end

  linear end(const butcher_tableau::row& weights) const {
    return scale * runge_kutta_end(start, h, weights, slopes);
  }
};

template <class NodeMaker>
chart_step chart_stages(recorder& r, linear x, const node& from, const node& to,
                        const butcher_tableau& method, std::size_t stages, const NodeMaker& between,
                        plane_row row) {
  const double u = chart_coordinate(row, from.level);
  const double h = chart_coordinate(row, to.level) - u;
  const estimate first = r.evaluate(x, from);  // x is one tensor from here on
  const linear start = x / determinant(from.level, row);
  return {start, h,
          runge_kutta_slopes(method, stages, start, h,
                             [&](std::size_t i, linear& stage) {
                               if (i == 0) return slope(row, x, first, from);
                               const double c = method.c[i];
                               const node at = c == 0   ? from
                                               : c == 1 ? to
                                                        : between(noise_level_at(row, u + c * h));
                               stage *= determinant(at.level, row);
                               const estimate e = r.evaluate(stage, at);
                               return slope(row, stage, e, at);
                             }),
          determinant(to.level, row)};
}

}  // namespace detail

/// One step of `method`: the state at `to` from x, which stands at `from`. `between(level)` makes the
/// node of a noise level that is neither; methods with c_i = 0 and 1 only never ask for one.
template <class NodeMaker>
linear runge_kutta_step(recorder& r, linear x, const node& from, const node& to,
                        const butcher_tableau& method, const NodeMaker& between,
                        plane_row row = noise_row) {
  if (to.level.sigma == 0) return to.level.alpha * r.evaluate(x, from).clean;
  return detail::chart_stages(r, x, from, to, method, method.weighted_stages(), between, row)
      .end(method.b);
}

/// Integrates from node to node of a descending grid. Trailing stages with zero weight are
/// skipped: Bogacki-Shampine costs 3 evaluations per step, Dormand-Prince and Tsitouras 6.
/// \throws std::invalid_argument if the grid does not descend or leaves the chart of `row`
template <class NodeMaker>
program runge_kutta(const legs& steps, const butcher_tableau& method, const NodeMaker& between,
                    plane_row row = noise_row) {
  if (row.x0 == 0) check_signal("runge_kutta", steps);
  return walk("runge_kutta", steps, [&](recorder& r, linear x, const leg& l) {
    return runge_kutta_step(r, x, l.from, l.to, method, between, row);
  });
}

/// The same for methods that stay on the grid (Euler, Heun).
/// \throws std::invalid_argument if the method has stages between the nodes.
inline program runge_kutta(const legs& steps, const butcher_tableau& method,
                           plane_row row = noise_row) {
  return runge_kutta(
      steps, method,
      [](double level) -> node {
        detail::fail("runge_kutta", "noise level", level,
                     "this method evaluates between the nodes; pass a schedule or a node maker");
      },
      row);
}

}  // namespace tweedie
