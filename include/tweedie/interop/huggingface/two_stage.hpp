// Classes with two network calls per step: HeunDiscreteScheduler, KDPM2DiscreteScheduler,
// KDPM2AncestralDiscreteScheduler, DPMSolverSDEScheduler.
//
// Every call is a step() of the reference; its lists of levels and timesteps hold both stages.
// DPMSolverSDE draws its stages from a Brownian tree; recorded or freely chosen noise comes one
// draw per stage, with the interval of the tree it stands for.
#pragma once

#include <cmath>
#include <vector>

#include "tweedie/interop/huggingface/noise_levels.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/heun.hpp"
#include "tweedie/sampler/midpoint.hpp"

namespace tweedie::huggingface {

namespace detail {

// The program of a two-stage class, both stages of a step between equal levels included.
template <class Planner>
program plan_two_stages(const config& c, const request& how, const noise_level_list& list,
                        int draws, const Planner& plan) {
  return plan_with_repeats(list.nodes(c, how.begin_index), plan, [&](const node& from) {
    return idle_step{{from, {list.time_of(noise_level(from.level)), from.level}}, draws};
  });
}

}  // namespace detail

inline loaded_sampler load_heun_discrete(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2", "exp"},
                 zero_terminal_snr::unsupported, 0.00085, 0.012);
  const noise_level_list list =
      read_noise_levels(c, how, table, {.custom_timesteps = true, .train_steps_argument = true});
  loaded_sampler out;
  out.transform = read_clip_range(c, false);
  out.sigmas = doubled_levels(list.levels);
  out.timesteps = interleaved(list.timesteps, {list.timesteps.begin() + 1, list.timesteps.end()});
  out.plan = detail::plan_two_stages(c, how, list, 0, [](const grid& g) { return heun(g); });
  finish_noise_levels(c, how, list, {"epsilon", "sample", "v_prediction"}, out);
  return out;
}

namespace detail {

// s_0, then every later entry twice, then the last once more: the lists of KDPM2.
inline std::vector<double> kdpm_list(const std::vector<double>& values) {
  std::vector<double> out{values.front()};
  for (std::size_t i = 1; i < values.size(); ++i) out.insert(out.end(), 2, values[i]);
  out.push_back(values.back());
  return out;
}

// Levels and timesteps of KDPM2 whose steps end at `down(s, next)`.
template <class Down>
noise_level_list read_kdpm(const config& c, const request& how, const Down& down,
                           loaded_sampler& out) {
  const alpha_bar_table table =
      read_betas(c, table_schedules, zero_terminal_snr::unsupported, 0.00085, 0.012);
  noise_level_list list =
      read_noise_levels(c, how, table, {.rounds_karras = true, .train_steps_argument = true});
  std::vector<double> levels = list.levels;
  levels.push_back(0);
  std::vector<double> middle_times;
  for (std::size_t i = 0; i + 2 < levels.size(); ++i)
    middle_times.push_back(list.time_of(std::sqrt(levels[i] * down(levels[i], levels[i + 1]))));
  out.sigmas = kdpm_list(levels);
  out.timesteps = interleaved(list.timesteps, middle_times);
  return list;
}

}  // namespace detail

inline loaded_sampler load_kdpm2_discrete(const config& c, const request& how) {
  loaded_sampler out;
  const noise_level_list list = detail::read_kdpm(
      c, how, [](double, double next) { return next; }, out);
  out.plan = detail::plan_two_stages(c, how, list, 0,
                                     [&](const grid& g) { return dpm_2(g, list.between()); });
  finish_noise_levels(c, how, list, {"epsilon", "v_prediction"}, out);
  return out;
}

inline loaded_sampler load_kdpm2_ancestral(const config& c, const request& how) {
  loaded_sampler out;
  // The difference as the reference forms it: down = next^2/s, but for what cancels.
  const auto split = [](double s, double next) -> ancestral_levels {
    const double up = std::sqrt(next * next * (s * s - next * next) / (s * s));
    return {std::sqrt(next * next - up * up), up};
  };
  const noise_level_list list = detail::read_kdpm(
      c, how, [&](double s, double next) { return split(s, next).down; }, out);
  out.plan = detail::plan_two_stages(
      c, how, list, 1, [&](const grid& g) { return dpm_2_ancestral(g, list.between(), split); });
  finish_noise_levels(c, how, list, {"epsilon", "v_prediction"}, out);
  return out;
}

inline loaded_sampler load_dpm_solver_sde(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, table_schedules, zero_terminal_snr::unsupported, 0.00085, 0.012);
  const noise_level_list list =
      read_noise_levels(c, how, table, {.karras_has_ends = false, .train_steps_argument = true});
  c.without_effect({"noise_sampler_seed"});
  loaded_sampler out;
  std::vector<double> middle_times;
  for (std::size_t i = 0; i + 1 < list.steps(); ++i)
    middle_times.push_back(list.time_of(std::sqrt(list.levels[i] * list.levels[i + 1])));
  out.sigmas = doubled_levels(list.levels);
  out.timesteps = interleaved(list.timesteps, middle_times);
  const sde_options options{.noise_scale = how.step.number("s_noise", 1),
                            .noise = stage_noise::independent};
  out.plan = detail::plan_two_stages(
      c, how, list, 2, [&](const grid& g) { return dpmpp_sde(g, list.between(), options); });
  finish_noise_levels(c, how, list, {"epsilon", "v_prediction"}, out);
  return out;
}

}  // namespace tweedie::huggingface
