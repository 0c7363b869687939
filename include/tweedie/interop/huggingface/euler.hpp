// EulerDiscreteScheduler, EulerAncestralDiscreteScheduler and EDMEulerScheduler.
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
  out.plan = late_churn_euler(nodes, noise, estimate_from);
  int draw = 0;
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const double u = noise_level(nodes[i].level);
    const double v = (1 + noise.raise(u, nodes.size() - 1)) * u;
    const state_output w = estimate_from(u, v);
    preview shown{w.x, 0, 0, w.y, 0, 0};
    if (v > u) {
      shown.draw = w.x * noise.noise_scale * tweedie::detail::raising_noise(u, v);
      shown.draw_index = draw++;
    }
    out.previews.push_back(shown);
  }
}

/// N timesteps and levels from custom noise levels, the last of which is where the run ends.
inline noise_level_list custom_levels(const config& c, const request& how,
                                      const alpha_bar_table& table,
                                      const std::vector<double>& sigmas) {
  if (how.num_inference_steps || how.set_timesteps.has("timesteps"))
    how.set_timesteps.refuse("sigmas", "without num_inference_steps and timesteps");
  if (sigmas.size() < 2) how.set_timesteps.refuse("sigmas", "at least two levels");
  noise_level_list out;
  out.table = table.noise_levels();
  for (const double level : out.table) out.table_logarithms.push_back(std::log(level));
  out.levels.assign(sigmas.begin(), sigmas.end() - 1);
  for (const double level : out.levels) out.timesteps.push_back(out.time_of(level));
  out.reaches_noise = read_spacing_name(c) != "leading";
  read_switches(c);
  c.without_effect(
      {"steps_offset", "sigma_min", "sigma_max", "interpolation_type", "final_sigmas_type"});
  return out;
}

inline loaded_sampler load_euler_discrete(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::nearly);
  const std::string kind = c.text("prediction_type", "epsilon",
                                  {"epsilon", "sample", "original_sample", "v_prediction"});
  const bool continuous =
      c.text("timestep_type", "discrete", {"discrete", "continuous"}) == "continuous" &&
      kind == "v_prediction";

  loaded_sampler out;
  noise_level_list list;
  double last = 0;
  if (const auto sigmas = how.set_timesteps.numbers("sigmas")) {
    list = custom_levels(c, how, table, *sigmas);
    last = sigmas->back();
    out.sigmas = *sigmas;
  } else {
    if (continuous && how.set_timesteps.has("timesteps"))
      how.set_timesteps.refuse("timesteps", "not together with continuous v_prediction");
    const std::string interpolation =
        c.text("interpolation_type", "linear", {"linear", "log_linear"});
    list = read_noise_levels(
        c, how, table, {.custom_timesteps = true, .spans_table = interpolation == "log_linear"});
    last = c.text("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero"
               ? 0
               : list.table.front();
    c.without_effect({"sigma_min", "sigma_max"});
    out.sigmas = list.levels;
    if (interpolation == "log_linear" && !read_switches(c).any()) {
      // One level more than there are steps: the run stops at the lowest of the table.
      const int steps =
          how.num_inference_steps ? *how.num_inference_steps : static_cast<int>(list.steps());
      out.sigmas = geometric_levels(list.table.back(), list.table.front(), steps + 1);
      list.levels = out.sigmas;
    }
    out.sigmas.push_back(last);
    last = out.sigmas[list.steps()];
    list.levels.resize(list.steps());
  }
  if (continuous)
    for (std::size_t i = 0; i < list.steps(); ++i)
      list.timesteps[i] = 0.25 * std::log(out.sigmas[i]);
  out.timesteps = list.timesteps;

  const grid nodes = list.nodes(c, how.begin_index, last);
  const churn noise = read_churn(how, out.sigmas.size() - 1, nodes.size() - 1);
  const bool falls = std::adjacent_find(out.sigmas.begin(), out.sigmas.end(),
                                        std::less_equal<>()) == out.sigmas.end();
  const bool plain = noise.amount == 0 && falls;
  if (!plain) {
    plan_late_churn(
        nodes, noise,
        [kind](double u, double v) -> state_output {
          if (kind == "epsilon") return {1, -v};
          if (kind == "v_prediction") return {1 / (u * u + 1), -u / std::sqrt(u * u + 1)};
          return {0, 1};
        },
        out);
  } else {
    out.plan = euler(nodes);
  }
  finish_noise_levels(c, how, list, {"epsilon", "sample", "original_sample", "v_prediction"}, out);
  if (kind == "original_sample") out.network.prediction = predicts_sample;
  return out;
}

inline loaded_sampler load_euler_ancestral(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::nearly);
  const noise_level_list list = read_noise_levels(c, how, table, {.respaces = false});
  loaded_sampler out;
  out.timesteps = list.timesteps;
  out.sigmas = list.levels;
  out.sigmas.push_back(0);
  out.plan = plan_with_repeats(
      list.nodes(c, how.begin_index), [](const grid& g) { return euler_ancestral(g); },
      [](const node& from) {
        return idle_step{{from}, 1};
      });
  out.plan.draws.emplace_back();  // the last step draws noise and multiplies it by zero
  finish_noise_levels(c, how, list, {"epsilon", "v_prediction"}, out);
  return out;
}

inline loaded_sampler load_edm_euler(const config& c, const request& how) {
  const auto [low, high] = read_sigma_range(c, 0.002, 80);
  const double data = c.number("sigma_data", 0.5);
  const double rho = c.number("rho", 7);
  if (!(data > 0)) c.refuse("sigma_data", "sigma_data > 0");
  c.without_effect({"num_train_timesteps"});
  const std::string kind = c.text("prediction_type", "epsilon", {"epsilon", "v_prediction"});
  const bool karras = c.text("sigma_schedule", "karras", {"karras", "exponential"}) == "karras";

  loaded_sampler out;
  const auto ramp = how.set_timesteps.numbers("sigmas");
  const int steps = ramp ? static_cast<int>(ramp->size()) : read_steps(c, how);
  if (!karras) {
    out.sigmas = reversed(geometric_levels(low, high, steps));
  } else {
    for (const double r : ramp ? *ramp : linspace(0, 1, steps))
      out.sigmas.push_back(std::pow(
          std::pow(high, 1 / rho) + r * (std::pow(low, 1 / rho) - std::pow(high, 1 / rho)), rho));
  }
  for (const double s : out.sigmas) out.timesteps.push_back(0.25 * std::log(s));
  const bool to_zero = c.text("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
  out.sigmas.push_back(to_zero ? 0 : out.sigmas.back());

  remaining(c, out.timesteps, how.begin_index);
  grid nodes;
  for (auto i = static_cast<std::size_t>(how.begin_index); i < out.timesteps.size(); ++i)
    nodes.push_back({out.timesteps[i], variance_exploding(out.sigmas[i])});
  nodes.push_back({nodes.back().time, variance_exploding(out.sigmas.back())});

  // F of Karras et al. 2022, eq. 7; with "v_prediction" the output has the opposite sign.
  const double sign = kind == "epsilon" ? 1 : -1;
  const auto estimate_from = [data, sign](double, double v) -> state_output {
    const double total = v * v + data * data;
    return {data * data / total, sign * v * data / std::sqrt(total)};
  };
  out.network.input_scale = [data](const node& n) {
    return 1 / std::hypot(noise_level(n.level), data);
  };
  out.network.prediction = [estimate_from](const node& n) {
    const double s = noise_level(n.level);
    const state_output w = estimate_from(s, s);
    return row_of_sample({1, s}, w.x, w.y);
  };
  plan_late_churn(nodes, read_churn(how, out.timesteps.size(), nodes.size() - 1), estimate_from,
                  out);
  out.init_noise_sigma = std::sqrt(high * high + 1);
  out.forward = [t = out.timesteps, s = out.sigmas, begin = how.begin_index,
                 start = out.plan.start.level](double timestep) {
    if (begin > 0) return start;
    return variance_exploding(s[index_for_timestep(t, timestep)]);
  };
  return out;
}

}  // namespace tweedie::huggingface
