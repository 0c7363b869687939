// EDMEulerScheduler, EDMDPMSolverMultistepScheduler and CosineDPMSolverMultistepScheduler: Euler's
// method with churn and SDE- and ODE-DPM-Solver++ on noise levels with EDM's preconditioning
// (Karras et al. 2022, table 1), where c_out has the opposite sign with v_prediction.
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
#include "tweedie/interop/huggingface/euler.hpp"
#include "tweedie/schedule/precondition.hpp"

namespace tweedie::huggingface {

namespace detail {

/// Defaults of a class, and the time the network is told at a level.
struct edm_class {
  double low = 0.002;
  double high = 80;
  double data = 0.5;
  const char* schedule = "karras";
  const char* prediction = "epsilon";
  double (*told)(double level) = [](double s) { return 0.25 * std::log(s); };
};

/// A sampler without its last level and its plan; `ramp` replaces the even spacing of Karras levels.
inline loaded_sampler read_edm(const config& c, const request& how, const edm_class& defaults,
                               const std::optional<std::vector<double>>& ramp = {}) {
  const sigma_range range = read_sigma_range(c, defaults.low, defaults.high);
  const double data = c.number("sigma_data", defaults.data);
  if (!(data > 0)) c.refuse("sigma_data", "sigma_data > 0");
  const double rho = c.number("rho", 7);
  c.without_effect({"num_train_timesteps"});
  const double sign =
      c.text("prediction_type", defaults.prediction, {"epsilon", "v_prediction"}) == "epsilon" ? 1
                                                                                               : -1;
  const bool karras =
      c.text("sigma_schedule", defaults.schedule, {"karras", "exponential"}) == "karras";
  const int steps = ramp ? static_cast<int>(ramp->size()) : read_steps(c, how);
  loaded_sampler out;
  out.sigmas = karras
                   ? mapped(ramp ? *ramp : linspace(0, 1, steps),
                            [&](double u) { return karras_level(u, range.high, range.low, rho); })
                   : reversed(geometric_levels(range.low, range.high, steps));
  out.timesteps = mapped(out.sigmas, defaults.told);
  out.init_noise_sigma = std::sqrt(range.high * range.high + 1);
  out.network.input_scale = edm_input(data);
  out.network.prediction = [row = predicts_edm(data), sign](const node& n) {
    const plane_row f = row(n);
    return plane_row{sign * f.x0, sign * f.z};
  };
  return out;
}

// With final_sigmas_type = sigma_min the last level occurs twice, up to rounding. The noise of that
// last step, sigma sqrt(1 - e^(-2h)) with h of the size of a rounding error, is then decided by how
// it is computed; this is how the reference computes it.
inline void round_last_noise_as_the_reference(program& plan, double from, double to) {
  const double h = std::log(from) - std::log(to);
  linear_pass& pass = plan.stages.back().pass;
  const operand last{operand_kind::draw, static_cast<int>(plan.draws.size()) - 1};
  for (std::size_t i = 0; i < pass.inputs.size(); ++i)
    if (pass.inputs[i] == last)
      pass.weights[i] = to * std::sqrt(1 - std::exp(-2 * (std::max)(h, 0.0)));
}

inline loaded_sampler load_edm_multistep(const config& c, const request& how,
                                         const edm_class& defaults, const dpm_solver_kind& kind) {
  loaded_sampler out = read_edm(c, how, defaults);
  const double low = c.number("sigma_min", defaults.low);
  const bool zero = ends_at_zero(c);
  const bool euler_end = c.flag("euler_at_final", false);
  multistep_model model = model_of(kind, std::monostate{});
  // The reference has no third-order stochastic update here.
  if (kind.stochastic) model.third = third_order_term::exact;
  out.sigmas.push_back(zero ? 0 : low);
  const grid nodes =
      listed_nodes(c, how, out.timesteps, out.sigmas, zero ? 0 : defaults.told(low), exploding);
  out.transform = read_thresholding(c);
  // Timesteps are real numbers here: the listed one that is nearest is meant.
  out.forward = [times = out.timesteps, sigmas = out.sigmas](double t) {
    return signal_noise{1, sigmas[nearest_timestep(times, t)]};
  };
  out.plan = multistep(
      nodes, read_orders(c, how, static_cast<int>(out.timesteps.size()), euler_end || zero), model);
  if (kind.stochastic && !zero)
    round_last_noise_as_the_reference(out.plan, out.sigmas[out.sigmas.size() - 2], low);
  return out;
}

}  // namespace detail

inline loaded_sampler load_edm_dpm_solver_multistep(const config& c, const request& how) {
  const dpm_solver_kind kind = read_dpm_solver_kind(c, {"dpmsolver++", "sde-dpmsolver++", "deis"});
  return detail::load_edm_multistep(c, how, {}, kind);
}

inline loaded_sampler load_cosine_dpm_solver_multistep(const config& c, const request& how) {
  const std::string solver =
      c.text("solver_type", "midpoint", {"midpoint", "heun", "logrho", "bh1", "bh2"});
  const auto told = [](double s) { return std::atan(s) / std::numbers::pi * 2; };
  return detail::load_edm_multistep(c, how, {0.3, 500, 1, "exponential", "v_prediction", told},
                                    {.stochastic = true, .midpoint = solver != "heun"});
}

inline loaded_sampler load_edm_euler(const config& c, const request& how) {
  loaded_sampler out = detail::read_edm(c, how, {}, how.set_timesteps.numbers("sigmas"));
  out.sigmas.push_back(ends_at_zero(c) ? 0 : out.sigmas.back());
  const grid nodes =
      listed_nodes(c, how, out.timesteps, out.sigmas, out.timesteps.back(), exploding);
  // Churn comes after the network was asked, and x0 is converted at the churned level.
  const auto estimate_from = [row = out.network.prediction](double, double v) {
    const node at = noise_level_nodes(v);
    return sample_from(at.level, row(at));
  };
  plan_late_churn(nodes, read_churn(how, out.timesteps.size(), nodes.size() - 1), estimate_from,
                  out);
  out.forward = listed_forward(out, how, exploding);
  return out;
}

}  // namespace tweedie::huggingface
