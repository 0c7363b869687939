// Embedded pairs: one step with two solutions of different order, whose difference measures its error
// (solve/adaptive.hpp). The program of a step has x_low at its one mark and x_high as its result.
#pragma once

#include <functional>
#include <utility>

#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/sampler/runge_kutta.hpp"

namespace tweedie {

/// Plans one step; levels may rise.
using embedded_method = std::function<program(const node& from, const node& to)>;

namespace detail {

template <class NodeMaker>
embedded_method embedded_dpm_solver(NodeMaker between, const dpm_solver_rule& rule, int order) {
  const exponential_tableau high = dpm_solver_tableau(order, rule.weights);
  const exponential_tableau low =
      dpm_solver_tableau(order - 1, rule.weights, order == 3 ? 1.0 / 3 : 0.5);
  return
      [between = std::move(between), row = rule.row, high, low](const node& from, const node& to) {
        recorder r(from);
        const linear x = r.state();
        const exponential_stages stages(r, x, {from, to}, high, between, {.row = row});
        linear lower = stages.end(low);
        r.mark(lower, to);
        return r.finish(stages.end(high));
      };
}

}  // namespace detail

/// DPM-Solver-12 (Lu et al. 2022a, appendix C): order one for the error, two for the step.
/// `between(level)` makes the node of a noise level.
template <class NodeMaker>
embedded_method dpm_solver_12(NodeMaker between, const dpm_solver_rule& rule = {}) {
  return detail::embedded_dpm_solver(std::move(between), rule, 2);
}

/// DPM-Solver-23, sharing the point at a third of the step.
template <class NodeMaker>
embedded_method dpm_solver_23(NodeMaker between, const dpm_solver_rule& rule = {}) {
  return detail::embedded_dpm_solver(std::move(between), rule, 3);
}

/// A Butcher tableau with embedded weights (sampler/butcher_tableau.hpp).
/// \throws std::invalid_argument for a tableau without.
template <class NodeMaker>
embedded_method embedded_runge_kutta(const butcher_tableau& method, NodeMaker between,
                                     plane_row row = noise_row) {
  detail::require(order_of(method, method.embedded) > 0, "embedded_runge_kutta", "embedded", 0,
                  "valid: a tableau with embedded weights");
  return [method, between = std::move(between), row](const node& from, const node& to) {
    recorder r(from);
    const auto step =
        detail::chart_stages(r, r.state(), from, to, method, method.stages, between, row);
    linear lower = step.end(method.embedded);
    r.mark(lower, to);
    return r.finish(step.end(method.b));
  };
}

}  // namespace tweedie
