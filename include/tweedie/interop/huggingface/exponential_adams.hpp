// DEISMultistepScheduler, UniPCMultistepScheduler, SASolverScheduler: exponential Adams methods.
//
// Kept from the reference: UniPC's two-point weights (bh1, bh2), SA-Solver's few-step weights for two
// outputs, last levels that are listed twice (a step of no length).
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "tweedie/interop/huggingface/dpm_solver.hpp"
#include "tweedie/sampler/sa_solver.hpp"

namespace tweedie::huggingface {

inline loaded_sampler load_deis_multistep(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::unsupported);
  const level_list levels = read_levels(
      c, how, table, {.shift = read_flow_shift(c, how), .clips = false, .reads_end = false});
  c.text("algorithm_type", "deis", {"deis", "dpmsolver", "dpmsolver++"});
  c.text("solver_type", "logrho", {"logrho", "midpoint", "heun", "bh1", "bh2"});

  loaded_sampler out = without_plan(c, how, levels, false);
  if (!levels.flow && c.has("prediction_type") &&
      c.values()["prediction_type"].get<std::string>() == "flow_prediction") {
    // The reference divides x - alpha x0 by the listed level s, not by sigma = s alpha.
    if (!std::holds_alternative<std::monostate>(out.transform))
      c.refuse("thresholding",
               "false where prediction_type is flow_prediction without "
               "use_flow_sigmas");
    out.network.prediction = [](const node& n) {
      return row_of_noise(n.level, (1 - n.level.alpha) / noise_level(n.level), n.level.alpha);
    };
  }
  out.plan = multistep(levels.nodes(c, how), read_orders(c, how, levels.steps(), false),
                       {.row = noise_row, .noise = noise_source_of(out.transform)});
  return out;
}

/// Reads time_shift_type: exp(mu) or mu as the shift of s.
inline double time_shifted(const config& c, const char* otherwise, double mu, double s) {
  const bool exponential =
      c.text("time_shift_type", otherwise, {"exponential", "linear"}) == "exponential";
  const double factor = exponential ? std::exp(mu) : mu;
  return factor / (factor + (1 / s - 1));
}

/// Stretches flow times so that they end at `terminal`, unless that is 0.
inline void stretch_to(std::vector<double>& times, double terminal) {
  if (terminal == 0) return;
  const double scale = (1 - times.back()) / (1 - terminal);
  for (double& s : times) s = 1 - (1 - s) / scale;
}

/// The flow times of UniPC: from 1 or as given, shifted, stretched to end at shift_terminal, the
/// first moved off 1 by 1e-6.
inline std::vector<double> unipc_flow_levels(const config& c, const request& how, int train_steps,
                                             int steps) {
  const bool dynamic = c.flag("use_dynamic_shifting", false);
  const double shift = c.number("flow_shift", 1);
  std::vector<double> levels = linspace(1, 1.0 / train_steps, steps + 1);
  levels.pop_back();
  if (const auto given = how.set_timesteps.numbers("sigmas")) levels = *given;
  for (double& s : levels)
    s = dynamic ? time_shifted(c, "exponential", *how.set_timesteps.maybe_number("mu"), s)
                : shifted(s, shift);
  stretch_to(levels, c.number("shift_terminal", 0));
  if (std::abs(levels.front() - 1) < 1e-6) levels.front() -= 1e-6;
  return levels;
}

/// Timesteps and levels of UniPC.
inline level_list unipc_levels(const config& c, const alpha_bar_table& table, const request& how) {
  const int train_steps = table.steps();
  const spacing_switches s = read_switches(c);
  const auto given = how.set_timesteps.numbers("sigmas");
  if (given && (!s.flow || given->empty()))
    how.set_timesteps.refuse("sigmas", "a list, and only with use_flow_sigmas");
  if (c.flag("use_dynamic_shifting", false) && !how.set_timesteps.has("mu"))
    how.set_timesteps.refuse("mu", "a number, which use_dynamic_shifting needs");
  how.set_timesteps.maybe_number("mu");
  if (c.has("shift_terminal") && !s.flow) c.refuse("shift_terminal", "only with use_flow_sigmas");
  const int steps = given ? static_cast<int>(given->size()) : read_steps(c, how);
  const std::vector<double> all = given ? *given : table.noise_levels();
  c.maybe_number("flow_shift");
  c.text("time_shift_type", "exponential", {"exponential", "linear"});

  level_list out;
  out.timesteps = spaced_timesteps(c, train_steps, train_steps, steps);
  const auto times_of_flow = [&](double v) { return v * train_steps; };
  if (s.flow && !s.respace()) {
    out.flow = true;
    out.sigmas = unipc_flow_levels(c, how, train_steps, steps);
    out.timesteps = mapped(out.sigmas, times_of_flow);
  } else if (s.flow) {
    out.flow = true;
    out.sigmas = respaced_levels(c, s, all, steps);
    if (s.karras) out.sigmas = mapped(out.sigmas, [](double v) { return v / (v + 1); });
    out.timesteps =
        s.karras ? mapped(out.sigmas, times_of_flow) : respaced_timesteps(out.sigmas, all, false);
  } else {
    place_levels(out, c, s, all, steps, 1, true);
  }
  out.timesteps = truncated(out.timesteps);
  out.sigmas.push_back(ends_at_zero(c) ? 0 : s.any() ? out.sigmas.back() : all.front());
  return out;
}

/// Reads solver_order, solver_type, lower_order_final and disable_corrector: UniPC from step `first`
/// of a run on.
inline program plan_unipc(const config& c, const grid& nodes, int first, plane_row row) {
  const int order = c.integer("solver_order", 2);
  if (order < 1) c.refuse("solver_order", "1 or more");
  const bool lowers = c.flag("lower_order_final", true);
  const bool leading =
      c.text("solver_type", "bh2", {"bh1", "bh2", "midpoint", "heun", "logrho"}) == "bh1";
  const std::vector<double> disabled =
      c.numbers("disable_corrector").value_or(std::vector<double>{});
  const int count = static_cast<int>(nodes.size()) - 1;
  std::vector<adams_step> steps;
  for (int i = 0; i < count; ++i) {
    const int p = (std::min)({order, i + 1, lowers ? count - i : order});
    const bool corrected = std::ranges::find(disabled, i + first) == disabled.end();
    steps.push_back({p, corrected ? p + 1 : 0});
  }
  return predictor_corrector(
      nodes, steps,
      {.row = row, .second = leading ? second_order_term::leading : second_order_term::halved});
}

inline loaded_sampler load_unipc_multistep(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::nearly);
  const level_list levels = unipc_levels(c, table, how);
  const bool noise_form = !c.flag("predict_x0", true);
  if (c.has("solver_p")) c.refuse("solver_p", "null: a second scheduler as predictor is not read");
  loaded_sampler out = without_plan(c, how, levels, noise_form);
  if (noise_form) out.transform = std::monostate{};  // the reference thresholds x0 predictions only
  out.plan =
      plan_unipc(c, levels.nodes(c, how), how.begin_index, noise_form ? noise_row : clean_row);
  return out;
}

/// tau_func: {"start", "end", "tau"} is tau between two timesteps and 0 outside; null is 1 between
/// timesteps 200 and 800.
inline std::function<double(const node&)> read_tau(const config& c) {
  if (!c.has("tau_func")) return stochastic_between(200, 800);
  const auto& f = c.values()["tau_func"];
  const auto is_number = [&](const char* key) { return f.contains(key) && f[key].is_number(); };
  if (!f.is_object() || !is_number("start") || !is_number("end") || !is_number("tau") ||
      f["tau"].get<double>() < 0 || f.size() != 3)
    c.refuse("tau_func", "null or {\"start\": timestep, \"end\": timestep, \"tau\": number >= 0}");
  return stochastic_between(f["start"].get<double>(), f["end"].get<double>(),
                            f["tau"].get<double>());
}

inline loaded_sampler load_sa_solver(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::unsupported);
  const level_list levels =
      read_levels(c, how, table, {.shift = c.number("flow_shift", 1), .reads_end = false});
  const bool noise_form = c.text("algorithm_type", "data_prediction",
                                 {"data_prediction", "noise_prediction"}) == "noise_prediction";
  const int predictor = c.integer("predictor_order", 2);
  const int corrector = c.integer("corrector_order", 2);
  if (predictor < 1 || predictor > 4) c.refuse("predictor_order", "1, 2, 3, 4");
  if (corrector < 1 || corrector > 4) c.refuse("corrector_order", "1, 2, 3, 4");
  const bool lowers = c.flag("lower_order_final", true);
  read_dropped_variance(c);

  loaded_sampler out = without_plan(c, how, levels, noise_form);
  out.forward = table_forward(table);
  const grid nodes = levels.nodes(c, how);
  const int count = static_cast<int>(nodes.size()) - 1;
  std::vector<adams_step> steps;
  for (int i = 0; i < count; ++i)
    steps.push_back({(std::min)({predictor, i + 1, lowers ? count - i : predictor}),
                     (std::min)({corrector, i + 2, lowers ? count - i + 1 : corrector})});
  multistep_model model;
  if (noise_form) model.row = noise_row;
  model.second = noise_form ? second_order_term::exact : second_order_term::leading;
  model.noise = noise_source_of(out.transform);
  model.stochasticity = read_tau(c);
  out.plan = predictor_corrector(nodes, steps, model);
  return out;
}

}  // namespace tweedie::huggingface
