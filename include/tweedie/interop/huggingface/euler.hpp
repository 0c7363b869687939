// EulerDiscreteScheduler and EulerAncestralDiscreteScheduler.
//
// The reference adds churn after the network was asked, so that the estimate does not see it
// (late_churn_euler); with v predictions EulerDiscrete converts at the level without churn. Both
// are kept here; sampler/stochastic_edm.hpp has the published algorithm.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/noise_levels.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/euler.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"

namespace tweedie::huggingface {

/// Reads s_churn, s_tmin, s_tmax and s_noise of step(). S_churn is spread over `divisor` steps, of
/// which the program takes `steps`.
inline churn read_churn(const request& how, std::size_t divisor, std::size_t steps) {
  churn out;
  out.amount =
      how.step.number("s_churn", 0) * static_cast<double>(steps) / static_cast<double>(divisor);
  out.lowest = how.step.number("s_tmin", 0);
  out.highest = how.step.number("s_tmax", std::numeric_limits<double>::infinity());
  out.noise_scale = how.step.number("s_noise", 1);
  return out;
}

/// The churned program and what the reference shows as x0: the estimate at the churned state.
template <class Conversion>
void plan_late_churn(const grid& nodes, const churn& noise, const Conversion& estimate_from,
                     loaded_sampler& out) {
  int draw = 0;
  out.plan = late_churn_euler(nodes, noise, [&](double u, double v) {
    const state_output w = estimate_from(u, v);
    preview shown{w.x, 0, 0, w.y, 0, 0};
    if (v > u) {
      shown.draw = w.x * noise.noise_scale * tweedie::detail::raising_noise(u, v);
      shown.draw_index = draw++;
    }
    out.previews.push_back(shown);
    return w;
  });
}

/// Custom noise levels, the last of which is where the run ends.
inline noise_level_list custom_levels(const config& c, const request& how,
                                      const alpha_bar_table& table,
                                      const std::vector<double>& sigmas) {
  if (how.set_timesteps.has("timesteps"))
    how.set_timesteps.refuse("sigmas", "without num_inference_steps and timesteps");
  noise_level_list out(c, table);
  out.levels = sigmas;
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i)
    out.timesteps.push_back(out.time_of(sigmas[i]));
  read_switches(c);
  c.without_effect(
      {"steps_offset", "sigma_min", "sigma_max", "interpolation_type", "final_sigmas_type"});
  return out;
}

/// Levels of EulerDiscrete; out.sigmas are those it lists.
inline noise_level_list euler_levels(const config& c, const request& how,
                                     const alpha_bar_table& table, bool continuous,
                                     loaded_sampler& out) {
  if (const auto sigmas = read_list(how, "sigmas", false, 2)) {
    out.sigmas = *sigmas;
    return custom_levels(c, how, table, *sigmas);
  }
  if (continuous && how.set_timesteps.has("timesteps"))
    how.set_timesteps.refuse("timesteps", "not together with continuous v_prediction");
  const bool log_linear =
      c.text("interpolation_type", "linear", {"linear", "log_linear"}) == "log_linear";
  noise_level_list list =
      read_noise_levels(c, how, table, {.custom_timesteps = true, .spans_table = log_linear});
  list.levels.back() = ends_at_zero(c) ? 0 : list.table.front();
  c.without_effect({"sigma_min", "sigma_max"});
  out.sigmas = list.levels;
  if (log_linear && !read_switches(c).any()) {
    // One level more than there are steps: the run stops at the lowest of the table.
    const int steps = how.num_inference_steps.value_or(static_cast<int>(list.steps()));
    out.sigmas = geometric_levels(list.table.back(), list.table.front(), steps + 1);
    out.sigmas.push_back(list.levels.back());
    list.levels = out.sigmas;
  }
  return list;
}

inline loaded_sampler load_euler_discrete(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::nearly);
  const std::string kind = c.text("prediction_type", "epsilon",
                                  {"epsilon", "sample", "original_sample", "v_prediction"});
  const bool continuous =
      c.text("timestep_type", "discrete", {"discrete", "continuous"}) == "continuous" &&
      kind == "v_prediction";

  loaded_sampler out;
  noise_level_list list = euler_levels(c, how, table, continuous, out);
  if (continuous)
    for (std::size_t i = 0; i < list.steps(); ++i)
      list.timesteps[i] = 0.25 * std::log(out.sigmas[i]);
  out.timesteps = list.timesteps;

  const grid nodes = list.nodes(c, how);
  const churn noise = read_churn(how, out.sigmas.size() - 1, nodes.size() - 1);
  const bool falls = std::adjacent_find(out.sigmas.begin(), out.sigmas.end(),
                                        std::less_equal<>()) == out.sigmas.end();
  const auto estimate_from = [kind](double u, double v) -> state_output {
    if (kind == "epsilon") return {1, -v};
    if (kind == "v_prediction") return {1 / (u * u + 1), -u / std::sqrt(u * u + 1)};
    return {0, 1};
  };
  if (noise.amount == 0 && falls)
    out.plan = euler(nodes);
  else
    plan_late_churn(nodes, noise, estimate_from, out);
  finish_noise_levels(c, how, list, {"epsilon", "sample", "original_sample", "v_prediction"}, out);
  return out;
}

inline loaded_sampler load_euler_ancestral(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::nearly);
  const noise_level_list list = read_noise_levels(c, how, table, {.respaces = false});
  loaded_sampler out;
  out.timesteps = list.timesteps;
  out.sigmas = list.levels;
  const auto step = [](recorder& r, const linear& x, const leg& l) {
    return euler_ancestral_step(r, x, l);
  };
  out.plan = walk_with_repeats(list, list.nodes(c, how), 1, 1, step);
  out.plan.draws.emplace_back();  // the last step draws noise and multiplies it by zero
  finish_noise_levels(c, how, list, {"epsilon", "v_prediction"}, out);
  return out;
}

}  // namespace tweedie::huggingface
