// The multistep planner in the half log-SNR: one network call a step, a polynomial through the last
// outputs, integrated exactly.
//
//   x_{i+1} = state * x_i + gain * sum_j c_j P_j + noise * w,    P = x0 or z estimates
//
// with the exact step of sampler/exponential.hpp and c_j the exponentially weighted means of the
// Lagrange polynomials in lambda = log(alpha / sigma). Methods with a name are choices of output,
// order and stochasticity:
//
//   DPM-Solver-k, multistep     z, tau = 0    Lu et al. 2022a, appendix C
//   DPM-Solver++(2M), (3M)      x0, tau = 0   Lu et al. 2022b, algorithm 2
//   SDE-DPM-Solver++(2M)        x0, tau = 1   Lu et al. 2022b, appendix E
//   DEIS                        z, tau = 0    Zhang and Chen 2023, eq. 15, in log(sigma/alpha); or in t
//
// (sampler/linear_multistep.hpp has polynomials in sigma/alpha and in the time of a straight path.)
// Order k after k exact outputs; the usual start with orders 1, 2, ... leaves a second-order error.
// Order 1 is DDIM. A step to sigma = 0 is taken at order 1: it returns the last x0 estimate. Outputs
// at alpha = 0 do not enter polynomials.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tweedie/sampler/exponential.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// Weight of the slope in a two-point formula; all three give order 2 and agree to O(h^3).
enum class second_order_term {
  exact,   ///< exact integral: "heun", "taylor", vary-coefficient UniPC
  halved,  ///< half the weight of the constant: "midpoint", UniPC bh2
  leading  ///< leading term of the exact weight in h: UniPC bh1, few-step SA-Solver
};

/// Weight of the second difference in a three-point formula in half log-SNR.
enum class third_order_term {
  exact,         ///< order 3
  published,     ///< half of it, as printed in DPM-Solver(++) and coded in k-diffusion: order 2
  published_sde  ///< half of (weight - 1), as coded in diffusers for SDE-DPM-Solver++: weak order 1
};

/// What is interpolated, with which weights, and how much noise replaces determinism.
struct multistep_model {
  plane_row row = clean_row;
  second_order_term second = second_order_term::exact;
  third_order_term third = third_order_term::exact;
  noise_estimate noise = noise_estimate::from_output;
  /// tau at the start of a step; empty for the ODE, which draws nothing.
  std::function<double(const node& from)> stochasticity = {};
  const char* caller = nullptr;  ///< whom errors name; the planner by default
};

/// Orders 1, 2, ..., order, order, ...: a multistep method starting from nothing. Errors name
/// `function`.
/// \throws std::invalid_argument unless the noise falls along the grid and order >= 1.
inline std::vector<int> ramped_orders(const legs& steps, int order,
                                      const char* function = "ramped_orders") {
  check_descending(function, steps);
  detail::require(order >= 1, function, "order", order, "valid: order >= 1");
  std::vector<int> orders;
  for (int i = 1; i <= static_cast<int>(steps.size()); ++i) orders.push_back(i < order ? i : order);
  return orders;
}

/// The multistep planner with one order per step. An order above the number of known outputs is
/// lowered to it. Without noise the grid may rise, which inverts the sampler, and a level that is
/// repeated is a step that does nothing.
/// \throws std::invalid_argument for levels that are not finite or negative, or orders below 1.
inline program multistep(const legs& steps, std::span<const int> orders,
                         const multistep_model& model);

/// DPM-Solver++ in data prediction, orders 1, 2 (2M), 3 (3M) and above (Lu et al. 2022b).
inline program dpm_solver_plus_plus(const legs& steps, int order,
                                    second_order_term second = second_order_term::halved,
                                    third_order_term third = third_order_term::exact) {
  constexpr const char* name = "dpm_solver_plus_plus";
  return multistep(steps, ramped_orders(steps, order, name),
                   {.second = second, .third = third, .caller = name});
}

/// DPM-Solver in noise prediction, multistep (Lu et al. 2022a; 2022b, appendix B).
inline program dpm_solver_multistep(const legs& steps, int order,
                                    second_order_term second = second_order_term::halved,
                                    third_order_term third = third_order_term::exact) {
  constexpr const char* name = "dpm_solver_multistep";
  return multistep(steps, ramped_orders(steps, order, name),
                   {.row = noise_row, .second = second, .third = third, .caller = name});
}

/// SDE-DPM-Solver++ of orders 1 to 3. eta scales the variance: 0 is the ODE, 1 the reverse SDE.
/// Weak order 2 from order 2 on.
inline program sde_dpm_solver_plus_plus(const legs& steps, int order, double eta = 1,
                                        second_order_term second = second_order_term::halved,
                                        third_order_term third = third_order_term::exact) {
  constexpr const char* name = "sde_dpm_solver_plus_plus";
  detail::require(eta >= 0 && std::isfinite(eta), name, "eta", eta, "valid: 0 <= eta < inf");
  multistep_model model{.second = second, .third = third, .caller = name};
  if (eta > 0) model.stochasticity = [tau = std::sqrt(eta)](const node&) { return tau; };
  return multistep(steps, ramped_orders(steps, order, name), model);
}

/// Exponential Adams-Bashforth of any order in the half log-SNR: exact integrals of the polynomial.
inline program exponential_adams(const legs& steps, int order, plane_row row = clean_row) {
  constexpr const char* name = "exponential_adams";
  return multistep(steps, ramped_orders(steps, order, name), {.row = row, .caller = name});
}

/// DEIS with the polynomial in the schedule's time (tAB); integrals by 32-point Gauss quadrature.
template <noise_schedule Schedule>
program deis_in_time(const Schedule& schedule, const legs& steps, int order);

/// DEIS with the polynomial in log(sigma / alpha), the variable most implementations use.
inline program deis(const legs& steps, int order = 3) {
  constexpr const char* name = "deis";
  return multistep(steps, ramped_orders(steps, order, name), {.row = noise_row, .caller = name});
}

namespace detail {

// Throws where a step cannot start with outputs of `row`: at pure noise for the noise row, at clean
// data for the data row.
inline void check_row(const char* function, plane_row row, const legs& steps) {
  check_levels(function, steps);
  if (row == noise_row) return check_signal(function, steps);
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (!(steps[i].from.level.sigma > 0))
      fail(function, "sigma of node " + std::to_string(i), steps[i].from.level.sigma,
           "valid: sigma > 0; start above clean data");
}

// The outputs of the steps so far, newest last.
struct known_output {
  node at;
  linear value;
};
using output_history = std::vector<known_output>;

// The last output for back = 0, the one before for 1, ...
inline const known_output& newest(const output_history& outputs, std::size_t back) {
  return outputs[outputs.size() - 1 - back];
}

inline linear output_of(const estimate& e, const linear& x, const node& at, plane_row row,
                        noise_estimate kind) {
  linear out = row.x0 * e.clean;
  if (row.z == 0) return out;
  if (kind == noise_estimate::from_output || at.level.sigma == 0) return out + row.z * e.noise;
  return out + (row.z / at.level.sigma) * (x - at.level.alpha * e.clean);
}

// Normalised Brownian increment over the step, in the clock sigma / alpha.
inline draw_kind increment(const node& from, const node& to) {
  if (from.level.alpha == 0 || to.level.alpha == 0) return {};
  return {noise_level(from.level), noise_level(to.level)};
}

// Where outputs stand in the polynomial's variable, in units of the step, and the means of its powers.
struct lambda_polynomial {
  const multistep_model& model;

  // Polynomials in lambda cannot use levels at infinity: outputs at alpha = 0 behind the step, or
  // anything but the last output for a step to sigma = 0.
  static bool reaches(const node& at, const node& to) {
    return at.level.alpha > 0 && at.level.sigma > 0 && to.level.sigma > 0;
  }

  double position(const node& at, const node& from, const node&,
                  const exponential_step& step) const {
    return (half_log_snr(at.level) - half_log_snr(from.level)) / step.length;
  }

  std::vector<double> mean_powers(const node&, const node& to, const exponential_step& step,
                                  std::size_t count) const {
    std::vector<double> means;
    for (int k = 0; k < static_cast<int>(count); ++k)
      means.push_back(exponential_mean_power(k, step.exponent));
    if (count == 2 && model.second == second_order_term::halved) means[1] = 0.5;
    if (count == 2 && model.second == second_order_term::leading)
      means[1] = 0.5 / phi(1, step.exponent);
    if (count == 3 && model.third != third_order_term::exact) means[2] /= 2;
    if (count == 3 && model.third == third_order_term::published_sde)
      means[2] -= to.level.alpha / step.gain;
    return means;
  }
};

// Polynomials in the time of a schedule. Integration by parts leaves only levels, no derivatives:
// with v(s) = (u(s) - u(0)) / (u(1) - u(0)), the mean of s^k is 1 - k * integral of s^(k-1) v(s) ds.
template <class Schedule>
struct time_polynomial {
  const Schedule& schedule;

  bool reaches(const node&, const node& to) const { return to.level.sigma > 0; }

  double position(const node& at, const node& from, const node& to, const exponential_step&) const {
    return (at.time - from.time) / (to.time - from.time);
  }

  std::vector<double> mean_powers(const node& from, const node& to, const exponential_step&,
                                  std::size_t count) const {
    const auto u = [&](signal_noise l) { return noise_level(l) - noise_level(from.level); };
    std::vector<double> means{1};
    for (std::size_t k = 1; k < count; ++k) {
      double integral = 0;
      for (const auto [s, weight] : gauss_legendre<32>())
        integral += weight * std::pow(s, static_cast<double>(k - 1)) *
                    u(schedule(std::lerp(from.time, to.time, s)));
      means.push_back(1 - static_cast<double>(k) * integral / u(to.level));
    }
    return means;
  }
};

// sum_j c_j P_j through the newest `count` of `outputs`, the last of which stands at `from`, and,
// where `ahead` is given, through that output at `to`, which counts as one of them.
template <class Polynomial>
linear mean_output(const Polynomial& polynomial, const output_history& outputs, int count,
                   const node& from, const node& to, const exponential_step& step,
                   const linear* ahead = nullptr) {
  std::vector<double> positions;
  const bool uses_ahead = ahead && step.length != 0 && polynomial.reaches(from, to);
  if (uses_ahead) positions.push_back(1);
  std::size_t used = 0;
  for (; used < outputs.size() && static_cast<int>(positions.size()) < count; ++used) {
    const node& at = newest(outputs, used).at;
    if (used > 0 && (step.length == 0 || !polynomial.reaches(at, to))) break;
    positions.push_back(used == 0 ? 0 : polynomial.position(at, from, to, step));
  }
  const std::vector<double> weights =
      interpolation_weights(positions, polynomial.mean_powers(from, to, step, positions.size()));
  linear sum;
  const std::size_t first = uses_ahead ? 1 : 0;
  if (uses_ahead) sum += weights[0] * *ahead;
  for (std::size_t j = 0; j < used; ++j) sum += weights[first + j] * newest(outputs, j).value;
  return sum;
}

template <class Polynomial>
program multistep(const legs& steps, std::span<const int> orders, const multistep_model& model,
                  const Polynomial& polynomial) {
  const char* const name = model.caller ? model.caller : "multistep";
  if (orders.size() != steps.size())
    fail(name, "orders", static_cast<double>(orders.size()),
         "valid: one order for each step, steps = " + std::to_string(steps.size()));
  if (model.row != clean_row && model.row != noise_row)
    fail(name, "row.x0", model.row.x0, "valid: data (1, 0) or noise (0, 1)");
  check_row(name, model.row, steps);
  output_history outputs;
  return walk_anywhere(name, steps, [&](recorder& r, linear x, const leg& l, std::size_t i) {
    const node& from = l.from;
    const node& to = l.to;
    const estimate e = r.evaluate(x, from);
    outputs.push_back({from, output_of(e, x, from, model.row, model.noise)});
    require(orders[i] >= 1, name, "order", orders[i], "valid: order >= 1");
    const double tau = model.stochasticity ? model.stochasticity(from) : 0;
    const exponential_step step = step_between(from.level, to.level, model.row, tau);
    x *= step.state;
    if (step.gain != 0)
      x += step.gain * mean_output(polynomial, outputs, orders[i], from, to, step);
    if (model.stochasticity) x += step.noise * r.draw(increment(from, to));
    return x;
  });
}

}  // namespace detail

template <noise_schedule Schedule>
program deis_in_time(const Schedule& schedule, const legs& steps, int order) {
  constexpr const char* name = "deis_in_time";
  return detail::multistep(steps, ramped_orders(steps, order, name),
                           {.row = noise_row, .caller = name},
                           detail::time_polynomial<Schedule>{schedule});
}

inline program multistep(const legs& steps, std::span<const int> orders,
                         const multistep_model& model) {
  return detail::multistep(steps, orders, model, detail::lambda_polynomial{model});
}

}  // namespace tweedie
