// DPM-Solver singlestep on the nodes of a grid: blocks of up to three steps, each block a one-step
// method whose intermediate points are the grid's own nodes.
//
// In a block that starts at s with sample x_s, the i-th step extends the polynomial by the newest
// output and takes the whole way from s to the i-th next node (Lu et al. 2022a, algorithms 1 and 2;
// 2022b, section 4.1, with r_1, r_2 given by the grid):
//
//   order 1   x_1 = state x_s + gain P_s
//   order 2   x_2 = state x_s + gain (P_s + c_1 (P_1 - P_s))
//   order 3   x_3 = state x_s + gain (P_s + c_1 (P_1 - P_s) + c_2 (P_2 - P_s))
//
// One network call a step. After k steps of a block the sample has order k.
#pragma once

#include "tweedie/sampler/multistep.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// How the third step of a block uses its three outputs.
enum class singlestep_third {
  quadratic,     ///< exact integral of the quadratic through all three: "heun", "taylor"
  newest_slope,  ///< exact integral of the line through the first and the newest: "midpoint"
  published_sde  ///< quadratic with the second moment m replaced by m - 2, as coded in diffusers for
                 ///< SDE-DPM-Solver++: weak order 1
};

/// Orders 1, 2, ..., order, 1, 2, ..., order, cut off at the end.
inline std::vector<int> block_orders(const legs& steps, int order) {
  detail::require(order >= 1, "block_orders", "order", order, "valid: order >= 1");
  std::vector<int> orders;
  for (int i = 0; i < static_cast<int>(steps.size()); ++i) orders.push_back(i % order + 1);
  return orders;
}

/// The singlestep planner. orders[i] = 1 starts a block at node i; orders[i] = k > 1 goes back to the
/// block's start over k outputs. An order above the number of known outputs is lowered to it.
/// Stochastic models draw fresh noise at every step and use only the newest: what the intermediate
/// points contribute is a bias of weak order 1.
inline program singlestep(const legs& steps, std::span<const int> orders,
                          const multistep_model& model = {},
                          singlestep_third third = singlestep_third::quadratic) {
  const char* const name = model.caller ? model.caller : "singlestep";
  detail::check_row(name, model.row, steps);
  if (orders.size() != steps.size())
    detail::fail(name, "orders", static_cast<double>(orders.size()),
                 "valid: one for each step, steps = " + std::to_string(steps.size()));
  const detail::lambda_polynomial polynomial{model};
  linear start;
  detail::output_history outputs;
  return walk_anywhere(name, steps, [&](recorder& r, linear x, const leg& l, std::size_t i) {
    const node& to = l.to;
    const estimate e = r.evaluate(x, l.from);
    outputs.push_back({l.from, detail::output_of(e, x, l.from, model.row, model.noise)});
    detail::require(orders[i] >= 1 && orders[i] <= 3, name, "order", orders[i], "valid: 1, 2, 3");
    const auto order = static_cast<std::size_t>(orders[i]);
    const std::size_t known = order < outputs.size() ? order : outputs.size();
    if (known == 1) start = x;

    const detail::known_output& first = newest(outputs, known - 1);
    const double tau = model.stochasticity ? model.stochasticity(first.at) : 0;
    const exponential_step step = step_between(first.at.level, to.level, model.row, tau);
    std::vector<double> positions{0};
    std::vector<double> means{1};
    std::vector<const linear*> values{&first.value};
    const auto use = [&](std::size_t back) {
      const detail::known_output& output = newest(outputs, back);
      positions.push_back(polynomial.position(output.at, first.at, to, step));
      means.push_back(exponential_mean_power(static_cast<int>(means.size()), step.exponent));
      values.push_back(&output.value);
    };
    if (to.level.sigma > 0 && first.at.level.alpha > 0 && step.length != 0) {
      if (known > 1) use(0);
      if (known == 2) means = polynomial.mean_powers(first.at, to, step, 2);
      if (known == 3 && third != singlestep_third::newest_slope) use(1);
      if (known == 3 && third == singlestep_third::published_sde)
        means[2] -= 2 * to.level.alpha / step.gain;
    }
    const std::vector<double> weights = interpolation_weights(positions, means);
    x = step.state * start;
    for (std::size_t j = 0; j < weights.size(); ++j) x += step.gain * weights[j] * *values[j];
    if (model.stochasticity) x += step.noise * r.draw(detail::increment(first.at, to));
    return x;
  });
}

}  // namespace tweedie
