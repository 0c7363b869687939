// Ancestral sampling as Hugging Face runs it: DDPMScheduler, DDPMParallelScheduler,
// UnCLIPScheduler, DDPMWuerstchenScheduler.
//
// Steps go to the next listed timestep. The variance is one of: the posterior variance (fixed_small,
// at least 1e-20), b (fixed_large), the network's second output itself (learned), or between the
// logarithms of both (learned_range); noise is added in every step but that from timestep 0.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"
#include "tweedie/sampler/ddpm.hpp"

namespace tweedie::huggingface {

/// Posterior weights from the alpha_bars of a leg's timesteps, as the reference forms them: between
/// close levels, rounding decides what is left of 1 - a_t/a_s. UnCLIP goes back from there to a_t/a_s,
/// whose digits are lost at the noisy end.
inline auto posterior_in(const alpha_bar_table& table, bool back_from_beta = false) {
  return [&table, back_from_beta](const leg& l) -> posterior_weights {
    const double a_t = table.at(static_cast<int>(l.from.time));
    const double a_s = l.to.time >= 0 ? table.at(static_cast<int>(l.to.time)) : 1.0;
    const double b = 1 - a_t / a_s;
    const double ratio = back_from_beta ? 1 - b : a_t / a_s;
    return {std::sqrt(a_s) * b / (1 - a_t), std::sqrt(ratio) * (1 - a_s) / (1 - a_t),
            (1 - a_s) / (1 - a_t) * b, b};
  };
}

/// The program of the classes on a table: to the next listed timestep.
inline program plan_ddpm(const config& c, const request& how, const alpha_bar_table& table,
                         const loaded_sampler& sampler, const std::string& variance_type,
                         bool back_from_beta = false) {
  const legs steps =
      listed_legs(c, table, sampler.transform, remaining(c, sampler.timesteps, how.begin_index));
  const auto noise = [&](recorder& r, const posterior_weights& q, const leg& l) -> linear {
    if (!(l.from.time > 0)) return {};
    const double least = (std::max)(q.variance, 1e-20);
    if (variance_type == "learned")
      return r.draw({.learned = true, .log_lower = -1, .log_upper = 1});
    if (variance_type == "learned_range")
      return r.draw(
          {.learned = true, .log_lower = std::log(least), .log_upper = std::log(q.upper_variance)});
    return std::sqrt(variance_type == "fixed_large" ? q.upper_variance : least) * r.draw();
  };
  return ddpm_by("ddpm", steps, posterior_in(table, back_from_beta), noise);
}

inline loaded_sampler load_ddpm(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2", "laplace", "sigmoid"},
                 zero_terminal_snr::exact);
  const std::string variance_type =
      c.text("variance_type", "fixed_small",
             {"fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"});
  auto timesteps = read_list(how, "timesteps");
  if (timesteps)
    c.without_effect({"timestep_spacing", "steps_offset"});
  else
    timesteps = read_spacing(c, table.steps(), read_steps(c, how, 1, table.steps()));

  loaded_sampler out = on_table(table, *timesteps, read_prediction(c), read_clipping(c, true));
  if (variance_type == "learned") out.second_output = variance_output::variance;
  out.plan = plan_ddpm(c, how, table, out, variance_type);
  return out;
}

/// DDPMParallelScheduler: DDPM, and its noise-free steps of T//N for Picard iteration.
inline loaded_sampler load_ddpm_parallel(const config& c, const request& how) {
  loaded_sampler out = load_ddpm(c, how);
  const alpha_bar_table table = read_betas(
      c, {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"}, zero_terminal_snr::exact);
  const int stride = table.steps() / how.num_inference_steps.value_or(table.steps());
  constexpr auto nothing = [](auto&&...) { return linear(); };
  for (const leg& l : stride_legs(c, table, out.transform, out.timesteps, stride))
    out.parallel_steps.push_back(ddpm_by("ddpm", {l}, posterior_in(table), nothing));
  return out;
}

/// UnCLIPScheduler: DDPM on the cosine table, N points from T-1 to 0; the last step leaves level 0,
/// or, where it starts above, goes one level down.
inline loaded_sampler load_unclip(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, {"squaredcos_cap_v2"}, zero_terminal_snr::unsupported,
                                           0.0001, 0.02, "squaredcos_cap_v2");
  const std::string variance_type =
      c.text("variance_type", "fixed_small_log", {"fixed_small_log", "learned_range"});
  const int steps = read_steps(c, how, 2);
  const double ratio = static_cast<double>(table.steps() - 1) / (steps - 1);
  std::vector<double> timesteps;
  for (int k = steps; k-- > 0;) timesteps.push_back(round_half_even(k * ratio));

  loaded_sampler out = on_table(table, timesteps, read_prediction(c, {"epsilon", "sample"}),
                                read_clip_range(c, true));
  out.plan = plan_ddpm(c, how, table, out, variance_type, true);
  return out;
}

/// DDPMWuerstchenScheduler: DDPM with noise predictions on the continuous cosine schedule
///   a(t) = cos^2((t' + s)/(1 + s) pi/2) / cos^2(s/(1 + s) pi/2) in [0.0001, 0.9999],
/// t' = t warped by `scaler`. Noise is drawn, with weight 0, in the last step too.
inline loaded_sampler load_wuerstchen(const config& c, const request& how) {
  const double scaler = c.number("scaler", 1);
  if (!(scaler >= 0)) c.refuse("scaler", "scaler >= 0");
  const double s = c.number("s", 0.008);
  const auto squared_cosine = [s](double t) {
    const double value = std::cos((t + s) / (1 + s) * std::numbers::pi * 0.5);
    return value * value;
  };
  loaded_sampler out;
  out.forward = [=](double t) {
    if (scaler > 1)
      t = 1 - std::pow(1 - t, scaler);
    else if (scaler < 1)
      t = std::pow(t, scaler);
    return alpha_bar_table::level_of(
        std::clamp(squared_cosine(t) / squared_cosine(0), 0.0001, 0.9999));
  };
  if (const auto custom = how.set_timesteps.numbers("timesteps")) {
    for (std::size_t i = 0; i < custom->size(); ++i)
      if (!((*custom)[i] >= 0 && (*custom)[i] <= (i == 0 ? 1 : (*custom)[i - 1])))
        how.set_timesteps.refuse("timesteps", "falling times in [0, 1]");
    out.timesteps = *custom;
  } else {
    out.timesteps = linspace(1, 0, read_steps(c, how) + 1);
  }
  grid nodes;
  for (const double t : remaining(c, out.timesteps, how.begin_index))
    nodes.push_back({t, out.forward(t)});
  if (nodes.size() < 2) how.set_timesteps.refuse("timesteps", "at least a start and an end");
  out.plan = ddpm_by(
      "ddpm", nodes, [](const leg& l) { return posterior(l.from.level, l.to.level); },
      [](recorder& r, const posterior_weights& q, const leg& l) {
        return (l.to.time != 0 ? std::sqrt(q.variance) : 0.0) * r.draw();
      });
  return out;
}

}  // namespace tweedie::huggingface
