// DPM-Solver-1, -2, -3 as one-step methods with their own intermediate points (Lu et al. 2022a,
// algorithms 1, 2 and 5; 2022b for the data prediction): exponential Runge-Kutta methods with points
// at even fractions of each step in half log-SNR. sampler/singlestep.hpp is the form whose points are
// a grid's own nodes.
//
//   order 2: x_t = state x + gain (P_s + c (P_1 - P_s)/r_1),    c = 1/2, or exact
//   order 3: x_t = state x + gain (P_s + m (P_2 - P_s)/r_2), or the exact integral of the quadratic
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/exponential_runge_kutta.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"

namespace tweedie {

/// How the outputs of a step are weighted: as published, or by the exact integrals of the
/// interpolating polynomials ("taylor").
enum class dpm_solver_weights { published, exact };

/// What is interpolated and how.
struct dpm_solver_rule {
  plane_row row = noise_row;
  dpm_solver_weights weights = dpm_solver_weights::published;
};

/// The exact integrals of the interpolating polynomials ("taylor").
inline dpm_solver_rule exact_dpm_solver(plane_row row = noise_row) {
  return {row, dpm_solver_weights::exact};
}

/// The method of an order, with its first point at r_1 of the step, its second at r_2 (order 3).
/// \throws std::invalid_argument for other orders than 1, 2 and 3 and for points outside (0, 1].
inline exponential_tableau dpm_solver_tableau(int order, dpm_solver_weights weights, double r_1,
                                              double r_2 = 2.0 / 3) {
  detail::require(order >= 1 && order <= 3, "dpm_solver_tableau", "order", order, "valid: 1, 2, 3");
  const bool exact = weights == dpm_solver_weights::exact;
  if (order == 1) return etd1();
  if (order == 2) return exact ? etd2(r_1) : dpm_solver_2(r_1);
  return exact ? dpm_solver_3_exact(r_1, r_2) : dpm_solver_3(r_1, r_2);
}
inline exponential_tableau dpm_solver_tableau(int order, dpm_solver_weights weights) {
  return dpm_solver_tableau(order, weights, order == 2 ? 0.5 : 1.0 / 3);
}

namespace detail {

template <class NodeMaker>
linear dpm_solver_step(recorder& r, const linear& x, const leg& l, int order,
                       const NodeMaker& between, const dpm_solver_rule& rule) {
  const exponential_tableau method = dpm_solver_tableau(order, rule.weights);
  return exponential_stages(r, x, l, method, between, {.row = rule.row}).end(method);
}

}  // namespace detail

/// DPM-Solver of one order over a descending grid. `between(level)` makes the node of a noise level
/// between those of the grid (sampler/chart.hpp: nodes_of(schedule), noise_level_nodes). A step from
/// pure noise (data prediction only) or onto clean data is of order one.
template <class NodeMaker>
program dpm_solver(const legs& steps, int order, const NodeMaker& between,
                   const dpm_solver_rule& rule = {}) {
  detail::require(order >= 1 && order <= 3, "dpm_solver", "order", order, "valid: 1, 2, 3");
  if (rule.row == noise_row) check_signal("dpm_solver", steps);
  return exponential_runge_kutta(steps, dpm_solver_tableau(order, rule.weights), between,
                                 {.row = rule.row, .caller = "dpm_solver"});
}

/// A step that goes down to `down` on the ODE and is then scaled and renoised:
/// x_next = scale x_down + noise z.
struct ancestral_target {
  node down;
  double scale = 1;
  double noise = 0;
};

/// The ancestral way from `from` to `next`, going no further down than the noise level `lowest`.
template <class NodeMaker>
ancestral_target ancestral_end(const node& from, const node& next, double lowest, double eta,
                               const NodeMaker& between) {
  if (eta == 0 || next.level.sigma == 0) return {next, 1, 0};
  const double level = noise_level(next.level);
  const double below = ancestral_split(noise_level(from.level), level, eta).down;
  const node down = between(std::fmax(lowest, below));
  const double low = noise_level(down.level);
  return {down, next.level.alpha / down.level.alpha,
          next.level.alpha * std::sqrt((level - low) * (level + low))};
}

/// The ancestral form over a grid: each step goes to a lower level on the ODE and is renoised. With
/// order 2 and the data prediction this is k-diffusion's dpmpp_2s_ancestral. eta = 0 draws nothing.
template <class NodeMaker>
program dpm_solver_ancestral(const legs& steps, int order, const NodeMaker& between, double eta = 1,
                             double noise_scale = 1,
                             const dpm_solver_rule& rule = {.row = clean_row}) {
  constexpr const char* name = "dpm_solver_ancestral";
  detail::require(order >= 1 && order <= 3, name, "order", order, "valid: 1, 2, 3");
  detail::require_noise_scale(name, noise_scale);
  if (rule.row == noise_row) check_signal(name, steps);
  return walk(name, steps, [&](recorder& r, const linear& x, const leg& l) {
    const ancestral_target target = ancestral_end(l.from, l.to, 0, eta, between);
    linear next = detail::dpm_solver_step(r, x, {l.from, target.down}, order, between, rule);
    next *= target.scale;
    if (target.noise > 0) next += noise_scale * target.noise * r.draw();
    return next;
  });
}

/// Orders of DPM-Solver-fast for a number of evaluations: as many steps of `order` as fit, then
/// lower ones that use the rest (Lu et al. 2022a, appendix D.2). For order 3 the last step is
/// always of lower order.
inline std::vector<int> fast_orders(int evaluations, int order = 3) {
  constexpr const char* name = "fast_orders";
  detail::require(order >= 1 && order <= 3, name, "order", order, "valid: 1, 2, 3");
  detail::require(evaluations >= order, name, "evaluations", evaluations, "valid: >= order");
  const auto full = static_cast<std::size_t>(evaluations / order);
  const int rest = evaluations % order;
  std::vector<int> orders(full, order);
  if (order == 3 && rest == 0) {
    orders.back() = 2;
    orders.push_back(1);
  } else if (rest > 0) {
    orders.push_back(rest);
  }
  return orders;
}

/// Options of dpm_fast.
struct dpm_fast_options {
  double eta = 0;          ///< ancestral noise; 0 is the ODE
  double noise_scale = 1;  ///< factor on that noise
  churn_draws draws = churn_draws::where_used;
};

/// DPM-Solver-fast with steps equal in half log-SNR from `from` to `to`.
/// With eta > 0 each step goes down too far on the ODE, never below `to`, and is renoised.
template <class NodeMaker>
program dpm_fast(double from, double to, int evaluations, const NodeMaker& between,
                 const dpm_fast_options& options = {}) {
  constexpr const char* name = "dpm_fast";
  detail::require(std::isfinite(from - to) && from != to, name, "to", to,
                  "valid: finite and different from the start");
  detail::require(options.eta == 0 || (options.eta > 0 && to > from), name, "eta", options.eta,
                  "valid: 0, or positive while the noise falls");
  detail::require_noise_scale(name, options.noise_scale);
  const std::vector<int> orders = fast_orders(evaluations);
  const auto steps = static_cast<double>(orders.size());
  grid nodes{between(noise_level_of(from))};
  for (std::size_t i = 1; i <= orders.size(); ++i) {
    const double reached = from + (to - from) * (static_cast<double>(i) / steps);
    nodes.push_back(between(noise_level_of(i == orders.size() ? to : reached)));
  }
  return walk_anywhere(name, nodes, [&](recorder& r, const linear& x, const leg& l, std::size_t i) {
    const ancestral_target target =
        ancestral_end(l.from, l.to, noise_level_of(to), options.eta, between);
    linear next = detail::dpm_solver_step(r, x, {l.from, target.down}, orders[i], between, {});
    next *= target.scale;
    if (target.noise > 0 || options.draws == churn_draws::every_step)
      next += options.noise_scale * target.noise * r.draw();
    return next;
  });
}

}  // namespace tweedie
