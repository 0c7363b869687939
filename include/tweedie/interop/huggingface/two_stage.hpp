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

inline loaded_sampler load_heun_discrete(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2", "exp"},
                 zero_terminal_snr::unsupported, 0.00085, 0.012);
  const noise_level_list list =
      read_noise_levels(c, how, table, {.custom_timesteps = true, .train_steps_argument = true});
  loaded_sampler out;
  out.transform = read_clip_range(c, false);
  out.sigmas = doubled(list.levels);
  out.timesteps = interleaved(list.timesteps, {list.timesteps.begin() + 1, list.timesteps.end()});
  out.plan = walk_with_repeats(list, list.nodes(c, how), 2, 0, heun_step);
  finish_noise_levels(c, how, list, {"epsilon", "sample", "v_prediction"}, out);
  return out;
}

namespace detail {

inline noise_level_list read_two_stages(const config& c, const request& how,
                                        const noise_level_rules& rules) {
  const alpha_bar_table table =
      read_betas(c, table_schedules, zero_terminal_snr::unsupported, 0.00085, 0.012);
  return read_noise_levels(c, how, table, rules);
}

// Times of the geometric means of every level but the last with down(s, next).
template <class Down>
std::vector<double> middle_times(const noise_level_list& list, const Down& down) {
  std::vector<double> times;
  for (std::size_t i = 0; i + 1 < list.steps(); ++i)
    times.push_back(
        list.time_of(std::sqrt(list.levels[i] * down(list.levels[i], list.levels[i + 1]))));
  return times;
}

// KDPM2, whose steps end at the levels of `split`; 0 is listed three times.
template <class Split>
loaded_sampler load_kdpm(const config& c, const request& how, int draws, const Split& split) {
  const noise_level_list list =
      read_two_stages(c, how, {.rounds_karras = true, .train_steps_argument = true});
  loaded_sampler out;
  out.sigmas = doubled(list.levels);
  out.sigmas.insert(out.sigmas.end(), 2, 0.0);
  out.timesteps =
      interleaved(list.timesteps,
                  middle_times(list, [&](double s, double next) { return split(s, next).down; }));
  const auto between = list.between();
  out.plan = walk_with_repeats(
      list, list.nodes(c, how), 2, draws, [&](recorder& r, const linear& x, const leg& l) {
        const auto [down, up] = split(l.from.level.sigma, l.to.level.sigma);
        linear next = dpm_2_step(r, x, l.from, down, 1, between);
        if (up > 0) next += up * r.draw();
        return next;
      });
  finish_noise_levels(c, how, list, {"epsilon", "v_prediction"}, out);
  return out;
}

}  // namespace detail

inline loaded_sampler load_kdpm2_discrete(const config& c, const request& how) {
  return detail::load_kdpm(c, how, 0, [](double, double next) {
    return ancestral_levels{next, 0};
  });
}

inline loaded_sampler load_kdpm2_ancestral(const config& c, const request& how) {
  // The difference as the reference forms it: down = next^2/s, but for what cancels.
  return detail::load_kdpm(c, how, 1, [](double s, double next) -> ancestral_levels {
    const double up = std::sqrt(next * next * (s * s - next * next) / (s * s));
    return {std::sqrt(next * next - up * up), up};
  });
}

inline loaded_sampler load_dpm_solver_sde(const config& c, const request& how) {
  const noise_level_list list =
      detail::read_two_stages(c, how, {.karras_has_ends = false, .train_steps_argument = true});
  c.without_effect({"noise_sampler_seed"});
  loaded_sampler out;
  out.sigmas = doubled(list.levels);
  out.timesteps = interleaved(list.timesteps,
                              detail::middle_times(list, [](double, double next) { return next; }));
  const sde_options options{.noise_scale = how.step.number("s_noise", 1),
                            .noise = stage_noise::independent};
  tweedie::detail::require_noise_scale("dpmpp_sde", options.noise_scale);
  const auto between = list.between();
  out.plan = walk_with_repeats(list, list.nodes(c, how), 2, 2,
                               [&](recorder& r, const linear& x, const leg& l) {
                                 return dpmpp_sde_step(r, x, l, between, options);
                               });
  finish_noise_levels(c, how, list, {"epsilon", "v_prediction"}, out);
  return out;
}

}  // namespace tweedie::huggingface
