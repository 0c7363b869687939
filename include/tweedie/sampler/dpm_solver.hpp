// DPM-Solver-1, -2, -3 as one-step methods with their own intermediate points (Lu et al. 2022a,
// algorithms 1, 2 and 5; 2022b for the data prediction).
//
// From s to t with step h in half log-SNR and points s_i at s + r_i h:
//
//   u_1 = state_1 x + gain_1 P_s                                P_1 = P(u_1, s_1)
//   u_2 = state_2 x + gain_2 (P_s + m_2 (r_2/r_1) (P_1 - P_s))  P_2 = P(u_2, s_2)
//   order 2: x_t = state x + gain (P_s + c (P_1 - P_s)/r_1),    c = 1/2 (half) or m (exact)
//   order 3: x_t = state x + gain (P_s + m (P_2 - P_s)/r_2), or the exact integral of the quadratic
//
// P is the noise or the data prediction, m the mean position under the exponential weight
// (sampler/exponential.hpp). sampler/singlestep.hpp is the form whose points are a grid's own
// nodes.
#pragma once

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/singlestep.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// What is interpolated and how: the published default, or the exact integrals ("taylor").
struct dpm_solver_rule {
  plane_row row = noise_row;
  second_order_term second = second_order_term::halved;
  singlestep_third third = singlestep_third::newest_slope;
};

/// The exact integrals of the interpolating polynomials ("taylor").
inline dpm_solver_rule exact_dpm_solver(plane_row row = noise_row) {
  return {row, second_order_term::exact, singlestep_third::quadratic};
}

/// half log-SNR -> node.
using node_maker = std::function<node(double half_log_snr)>;

/// Nodes of a schedule by half log-SNR.
template <invertible_schedule Schedule>
node_maker nodes_by_half_log_snr(Schedule schedule) {
  return [schedule = std::move(schedule)](double h) {
    return node_of_level(schedule, noise_level_of(h));
  };
}

/// Nodes with alpha = 1 whose time is the noise level.
inline node_maker noise_levels_by_half_log_snr() {
  return [](double h) { return node{std::exp(-h), {1, std::exp(-h)}}; };
}

/// The outputs of one step: P_s and those at the points.
class dpm_solver_step {
 public:
  /// Evaluates at x, which stands at `from`, and at the 0, 1 or 2 points between.
  dpm_solver_step(recorder& r, linear& x, const node& from, std::span<const node> points,
                  const dpm_solver_rule& rule)
      : from_(from), rule_(rule) {
    detail::require(points.size() <= 2, "dpm_solver_step", "points",
                    static_cast<double>(points.size()), "valid: at most 2");
    outputs_.push_back(output(r, x, from));
    start_ = x;
    places_.push_back(0);
    for (const node& point : points) {
      const double length = step_between(from.level, point.level, rule.row, 0).length;
      linear u = combine(point, second_order_term::exact);
      outputs_.push_back(output(r, u, point));
      places_.push_back(length);
    }
  }

  /// The state at `to` from the first `order` outputs.
  linear state(const node& to, std::size_t order) const {
    if (order < 3) return combine(to, rule_.second, order);
    const exponential_step step = step_between(from_.level, to.level, rule_.row, 0);
    const double m = exponential_mean_power(1, step.exponent);
    if (rule_.third == singlestep_third::newest_slope) {
      const double c = m * step.length / places_[2];
      return step.state * start_ + step.gain * (outputs_[0] + c * (outputs_[2] - outputs_[0]));
    }
    const std::array<double, 3> places{0, places_[1] / step.length, places_[2] / step.length};
    const std::array<double, 3> means{1, m, exponential_mean_power(2, step.exponent)};
    const std::vector<double> w = interpolation_weights(places, means);
    linear mean;
    for (std::size_t j = 0; j < w.size(); ++j) mean += w[j] * outputs_[j];
    return step.state * start_ + step.gain * mean;
  }

 private:
  linear output(recorder& r, linear& x, const node& at) const {
    const estimate e = r.evaluate(x, at);
    return rule_.row.x0 * e.clean + rule_.row.z * e.noise;
  }

  // First order from one output, else the line through the first two.
  linear combine(const node& to, second_order_term second, std::size_t order = 2) const {
    const exponential_step step = step_between(from_.level, to.level, rule_.row, 0);
    linear mean = outputs_[0];
    if (order == 2 && outputs_.size() > 1) {
      const double c = second == second_order_term::halved ? 0.5
                       : second == second_order_term::leading
                           ? 0.5 / phi(1, step.exponent)
                           : exponential_mean_power(1, step.exponent);
      mean += c * step.length / places_[1] * (outputs_[1] - outputs_[0]);
    }
    return step.state * start_ + step.gain * mean;
  }

  node from_;
  dpm_solver_rule rule_;
  linear start_;
  std::vector<linear> outputs_;
  std::vector<double> places_;  // distances from `from`, in half log-SNR
};

/// One step of a singlestep method: where it ends and where it evaluates on the way, which fixes
/// its order: the number of points plus one.
struct singlestep_leg {
  std::vector<node> points;
  node to;
};

namespace detail {

inline linear dpm_solver_along(recorder& r, linear& x, const node& from, const singlestep_leg& leg,
                               const dpm_solver_rule& rule) {
  return dpm_solver_step(r, x, from, leg.points, rule).state(leg.to, leg.points.size() + 1);
}

// h, the length in half log-SNR of a step with points on the way.
inline void require_finite_length(const char* function, double h) {
  require(std::isfinite(h), function, "length", h,
          "valid: finite with order > 1; from pure noise or to clean data take order 1");
}

}  // namespace detail

/// A leg of the given order with points at 1/2 (order 2) or 1/3 and 2/3 (order 3) of the step.
/// \throws std::invalid_argument for other orders than 1, 2 and 3, or above 1 if an end is pure
///   noise or clean data: half log-SNR is infinite there.
inline singlestep_leg even_leg(const node& from, const node& to, int order, const node_maker& at) {
  detail::require(order >= 1 && order <= 3, "even_leg", "order", order, "valid: 1, 2, 3");
  singlestep_leg leg{{}, to};
  const double start = half_log_snr(from.level);
  const double h = half_log_snr(to.level) - start;
  if (order > 1) detail::require_finite_length("even_leg", h);
  for (int i = 1; i < order; ++i) leg.points.push_back(at(start + h * i / order));
  return leg;
}

/// Runs the legs one after another.
/// \throws std::invalid_argument for levels that are not finite or negative, and for points in a leg
///   from pure noise or to clean data.
inline program dpm_solver(const node& start, std::span<const singlestep_leg> legs,
                          const dpm_solver_rule& rule = {}) {
  constexpr const char* name = "dpm_solver";
  check_level(name, 0, start.level);
  for (std::size_t i = 0; i < legs.size(); ++i) check_level(name, i + 1, legs[i].to.level);
  recorder r(start);
  linear x = r.state();
  node from = start;
  for (const singlestep_leg& leg : legs) {
    if (!leg.points.empty())
      detail::require_finite_length(name, half_log_snr(leg.to.level) - half_log_snr(from.level));
    x = detail::dpm_solver_along(r, x, from, leg, rule);
    r.mark(x, leg.to);
    from = leg.to;
  }
  return r.finish(x);
}

namespace detail {

// The order of a step: one where an end is pure noise or clean data.
inline int order_between(signal_noise from, signal_noise to, int order) {
  return from.alpha == 0 || to.sigma == 0 ? 1 : order;
}

}  // namespace detail

/// DPM-Solver of one order over a grid, with points at even fractions of each step. A step from
/// pure noise (data prediction only) or onto clean data is of order one.
inline program dpm_solver(const legs& steps, int order, const node_maker& at,
                          const dpm_solver_rule& rule = {}) {
  if (rule.row == noise_row) check_signal("dpm_solver", steps);
  return walk("dpm_solver", steps, [&](recorder& r, linear x, const leg& l) {
    const int now = detail::order_between(l.from.level, l.to.level, order);
    return detail::dpm_solver_along(r, x, l.from, even_leg(l.from, l.to, now, at), rule);
  });
}

/// A step that goes down to `down` on the ODE and is then scaled and renoised:
/// x_next = scale x_down + noise z.
struct ancestral_target {
  node down;
  double scale = 1;
  double noise = 0;
};

/// The ancestral way from `from` to `next`, going no further down than half log-SNR `end`.
inline ancestral_target ancestral_end(const node& from, const node& next, double end, double eta,
                                      const node_maker& at) {
  if (eta == 0 || next.level.sigma == 0) return {next, 1, 0};
  const double level = noise_level(next.level);
  const double below = ancestral_split(noise_level(from.level), level, eta).down;
  const node down = at(below > 0 ? std::fmin(end, -std::log(below)) : end);
  const double low = noise_level(down.level);
  return {down, next.level.alpha / down.level.alpha,
          next.level.alpha * std::sqrt((level - low) * (level + low))};
}

/// The ancestral form over a grid: each step goes to a lower level on the ODE and is renoised. With
/// order 2 and the data prediction this is k-diffusion's dpmpp_2s_ancestral. eta = 0 draws nothing.
inline program dpm_solver_ancestral(const legs& steps, int order, const node_maker& at,
                                    double eta = 1, double noise_scale = 1,
                                    const dpm_solver_rule& rule = {.row = clean_row}) {
  constexpr const char* name = "dpm_solver_ancestral";
  detail::require_noise_scale(name, noise_scale);
  if (rule.row == noise_row) check_signal(name, steps);
  return walk(name, steps, [&](recorder& r, linear x, const leg& l) {
    const double lowest = std::numeric_limits<double>::infinity();
    const ancestral_target target = ancestral_end(l.from, l.to, lowest, eta, at);
    const int now = detail::order_between(l.from.level, target.down.level, order);
    linear next =
        detail::dpm_solver_along(r, x, l.from, even_leg(l.from, target.down, now, at), rule);
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
inline program dpm_fast(double from, double to, int evaluations, const node_maker& at,
                        const dpm_fast_options& options = {}) {
  constexpr const char* name = "dpm_fast";
  detail::require(std::isfinite(from - to) && from != to, name, "to", to,
                  "valid: finite and different from the start");
  detail::require(options.eta == 0 || (options.eta > 0 && to > from), name, "eta", options.eta,
                  "valid: 0, or positive while the noise falls");
  detail::require_noise_scale(name, options.noise_scale);
  const std::vector<int> orders = fast_orders(evaluations);
  const auto steps = static_cast<double>(orders.size());
  grid nodes{at(from)};
  for (std::size_t i = 1; i <= orders.size(); ++i)
    nodes.push_back(
        at(i == orders.size() ? to : from + (to - from) * (static_cast<double>(i) / steps)));
  return walk_anywhere(name, nodes, [&](recorder& r, linear x, const leg& l, std::size_t i) {
    const ancestral_target target = ancestral_end(l.from, l.to, to, options.eta, at);
    linear next =
        detail::dpm_solver_along(r, x, l.from, even_leg(l.from, target.down, orders[i], at), {});
    next *= target.scale;
    if (target.noise > 0 || options.draws == churn_draws::every_step)
      next += options.noise_scale * target.noise * r.draw();
    return next;
  });
}

}  // namespace tweedie
