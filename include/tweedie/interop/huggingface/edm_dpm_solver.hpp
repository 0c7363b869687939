// EDMDPMSolverMultistepScheduler and CosineDPMSolverMultistepScheduler: SDE- and ODE-DPM-Solver++ on
// noise levels with EDM's preconditioning (Karras et al. 2022, table 1):
//
//   x0 = c_skip x + c_out F(c_in x),   c_skip = d^2 / (s^2 + d^2),   c_in = 1 / sqrt(s^2 + d^2),
//   c_out = +-s d / sqrt(s^2 + d^2), minus for v_prediction.
//
// Kept from the reference: the initial scale sqrt(sigma_max^2 + 1), the third-order term of half the
// size, lowered orders at the end of runs of fewer than 15 steps.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/dpm_solver.hpp"

namespace tweedie::huggingface {

namespace detail {

// With final_sigmas_type = sigma_min the last level occurs twice, up to rounding. The noise of that
// last step, sigma sqrt(1 - e^(-2h)) with h of the size of a rounding error, is then decided by how
// it is computed; this is how the reference computes it.
inline void round_last_noise_as_the_reference(program& plan, double from, double to) {
  const double h = std::log(from) - std::log(to);
  linear_pass& pass = plan.stages.back().pass;
  const operand last{operand_kind::draw, static_cast<int>(plan.draws.size()) - 1};
  for (std::size_t i = 0; i < pass.inputs.size(); ++i)
    if (pass.inputs[i] == last)
      pass.weights[i] = to * std::sqrt(1 - std::exp(-2 * std::max(h, 0.0)));
}

// What the two classes share; `told` is the time the network is told at a level.
inline loaded_sampler load_preconditioned(const config& c, const request& how, double sigma_min,
                                          double sigma_max, double data, const char* schedule,
                                          const char* prediction,
                                          const std::function<double(double)>& told,
                                          const dpm_solver_kind& kind) {
  multistep_model model = model_of(kind, std::monostate{});
  // The reference has no third-order stochastic update here.
  if (kind.stochastic) model.third = third_order_term::exact;
  const auto [low, high] = read_sigma_range(c, sigma_min, sigma_max);
  const double d = c.number("sigma_data", data);
  if (!(d > 0)) c.refuse("sigma_data", "sigma_data > 0");
  const double rho = c.number("rho", 7);
  const int steps = read_steps(c, how);
  const bool karras = c.text("sigma_schedule", schedule, {"karras", "exponential"}) == "karras";
  const bool zero = c.text("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
  const bool euler_end = c.flag("euler_at_final", false);
  const double sign =
      c.text("prediction_type", prediction, {"epsilon", "v_prediction"}) == "epsilon" ? 1 : -1;
  c.without_effect({"num_train_timesteps"});

  loaded_sampler out;
  out.sigmas = karras ? rounded_karras_levels(low, high, steps, rho)
                      : reversed(geometric_levels(low, high, steps));
  grid nodes;
  for (const double s : out.sigmas) {
    out.timesteps.push_back(told(s));
    nodes.push_back({out.timesteps.back(), {1, s}});
  }
  out.sigmas.push_back(zero ? 0 : low);
  nodes.push_back({zero ? 0 : told(low), {1, out.sigmas.back()}});
  remaining(c, out.timesteps, how.begin_index);

  out.network.prediction = [d, sign](const node& n) {
    const double s = noise_level(n.level);
    const double total = s * s + d * d;
    return row_of_sample({1, s}, d * d / total, sign * s * d / std::sqrt(total));
  };
  out.network.input_scale = [d](const node& n) { return 1 / std::hypot(noise_level(n.level), d); };
  out.init_noise_sigma = std::sqrt(high * high + 1);
  out.transform = read_thresholding(c);
  // Timesteps are real numbers here: the listed one that is nearest is meant.
  out.forward = [times = out.timesteps, sigmas = out.sigmas](double t) {
    std::size_t nearest = 0;
    for (std::size_t i = 1; i < times.size(); ++i)
      if (std::abs(times[i] - t) < std::abs(times[nearest] - t)) nearest = i;
    return signal_noise{1, sigmas[nearest]};
  };
  out.plan = multistep(starting_at(nodes, static_cast<std::size_t>(how.begin_index)),
                       lowered_orders(steps, how.begin_index, read_solver_order(c),
                                      c.flag("lower_order_final", true), euler_end || zero),
                       model);
  if (kind.stochastic && !zero)
    round_last_noise_as_the_reference(out.plan, out.sigmas[out.sigmas.size() - 2], low);
  return out;
}

}  // namespace detail

inline loaded_sampler load_edm_dpm_solver_multistep(const config& c, const request& how) {
  const dpm_solver_kind kind = read_dpm_solver_kind(c, {"dpmsolver++", "sde-dpmsolver++", "deis"});
  return detail::load_preconditioned(
      c, how, 0.002, 80, 0.5, "karras", "epsilon", [](double s) { return 0.25 * std::log(s); },
      kind);
}

inline loaded_sampler load_cosine_dpm_solver_multistep(const config& c, const request& how) {
  const std::string solver =
      c.text("solver_type", "midpoint", {"midpoint", "heun", "logrho", "bh1", "bh2"});
  return detail::load_preconditioned(c, how, 0.3, 500, 1, "exponential", "v_prediction",
                                     [](double s) { return std::atan(s) / std::numbers::pi * 2; },
                                     {.stochastic = true, .midpoint = solver != "heun"});
}

}  // namespace tweedie::huggingface
