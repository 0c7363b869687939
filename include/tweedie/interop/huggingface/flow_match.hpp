// Flow-matching classes: FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler,
// FlowMatchLCMScheduler, FlowMapEulerDiscreteScheduler, LTXEulerAncestralRFScheduler,
// MiniMaxH3Scheduler.
//
// x = (1 - s) x0 + s z, velocity z - x0, timestep s T. The reference shifts the lower end of s
// twice, at construction and in set_timesteps, unless the shift is dynamic.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/euler.hpp"
#include "tweedie/interop/huggingface/exponential_adams.hpp"
#include "tweedie/sampler/consistency.hpp"
#include "tweedie/sampler/flow.hpp"

namespace tweedie::huggingface {

/// The point s of the straight path.
inline constexpr auto straight = [](double s) { return signal_noise{1 - s, s}; };

/// The point s of a run, which shifts and single precision may have rounded past 0 or 1.
/// \throws std::invalid_argument for flow times outside [0, 1] by more than that
inline signal_noise straight_level(const config& c, double s) {
  constexpr double rounding = 1e-6;
  if (!(s >= -rounding && s <= 1 + rounding))
    c.fail("sigmas", tweedie::detail::number(s) +
                         "; valid: 0 <= sigma <= 1 after shift, mu, shift_terminal, sigma_min and "
                         "sigma_max; timesteps are sigma num_train_timesteps");
  return {(std::max)(1 - s, 0.0), (std::max)(s, 0.0)};
}

/// Nodes of the steps from begin_index on; there is one flow time more than timesteps.
inline grid straight_nodes(const config& c, const request& how, const loaded_sampler& sampler) {
  const std::vector<double>& t = sampler.timesteps;
  remaining(c, t, how.begin_index);
  const double end = sampler.sigmas[t.size()] == 0 ? 0 : t.back();
  return listed_nodes(c, how, t, sampler.sigmas, end,
                      [&](double s) { return straight_level(c, s); });
}

/// Flow times or timesteps given to set_timesteps: as many as num_inference_steps, if that is given.
struct flow_lists {
  std::optional<std::vector<double>> sigmas;
  std::optional<std::vector<double>> timesteps;

  explicit flow_lists(const request& how)
      : sigmas(how.set_timesteps.numbers("sigmas")),
        timesteps(how.set_timesteps.numbers("timesteps")) {
    for (const auto* list : {&sigmas, &timesteps}) {
      if (!*list) continue;
      const int size = static_cast<int>((*list)->size());
      if (size == 0 || size != how.num_inference_steps.value_or(size))
        how.set_timesteps.refuse(list == &sigmas ? "sigmas" : "timesteps",
                                 "as many values as num_inference_steps");
    }
    if (sigmas && timesteps && sigmas->size() != timesteps->size())
      how.set_timesteps.refuse("sigmas", "as many values as timesteps");
  }
};

/// Timesteps and flow times of FlowMatchEulerDiscrete and, with `keeps_timesteps`, FlowMatchLCM.
inline void read_flow_times(const config& c, const request& how, bool keeps_timesteps,
                            loaded_sampler& out) {
  const int train_steps = read_train_steps(c);
  const double shift = c.number("shift", 1);
  const bool dynamic = c.flag("use_dynamic_shifting", false);
  const auto mu = how.set_timesteps.maybe_number("mu");
  if (dynamic && !mu)
    how.set_timesteps.refuse(
        "mu",
        "a number, with use_dynamic_shifting; flow_pipeline makes it of the size "
        "of the image");
  c.text("time_shift_type", "exponential", {"exponential", "linear"});
  c.without_effect({"base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len"});

  const flow_lists given(how);
  std::vector<double> s;
  if (given.sigmas) {
    s = *given.sigmas;
  } else {
    const double low = dynamic ? 1.0 / train_steps : shifted(1.0 / train_steps, shift);
    s = given.timesteps ? *given.timesteps
                        : linspace(train_steps, low * train_steps, read_steps(c, how));
    for (double& v : s) v /= train_steps;
  }
  for (double& v : s) v = dynamic ? time_shifted(c, "exponential", *mu, v) : shifted(v, shift);
  stretch_to(s, c.number("shift_terminal", 0));
  const spacing_switches switches = read_switches(c);
  if (switches.flow) c.fail("use_flow_sigmas", "true; not supported by this class");
  if (switches.any())
    s = respaced_levels(c, switches, {s.back(), s.front()}, static_cast<int>(s.size()));

  const bool inverted = c.flag("invert_sigmas", false);
  if (inverted)
    for (double& v : s) v = 1 - v;
  out.timesteps = keeps_timesteps && given.timesteps && !inverted
                      ? *given.timesteps
                      : mapped(s, [=](double v) { return v * train_steps; });
  s.push_back(inverted ? 1 : 0);
  out.sigmas = s;
  out.network.prediction = predicts_rectified_velocity;
}

inline loaded_sampler load_flow_match_euler(const config& c, const request& how) {
  loaded_sampler out;
  read_flow_times(c, how, false, out);
  how.step.without_effect({"s_churn", "s_tmin", "s_tmax", "s_noise"});
  const grid nodes = straight_nodes(c, how, out);
  out.plan = c.flag("stochastic_sampling", false)
                 ? renoised_estimates("FlowMatchEuler", nodes, {.always_draws = true})
                 : flow_euler(nodes);
  out.forward = listed_forward(out, how, straight);
  return out;
}

inline loaded_sampler load_flow_match_lcm(const config& c, const request& how) {
  loaded_sampler out;
  read_flow_times(c, how, true, out);
  if (const auto factors = c.numbers("scale_factors"); factors && !factors->empty())
    c.refuse("scale_factors", "null; resizing between steps is left to the caller");
  // How pipelines enlarge latents between its resolutions; the sampler never does.
  c.text("upscale_mode", "bicubic",
         {"nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact"});
  out.plan =
      renoised_estimates("FlowMatchLCM", straight_nodes(c, how, out), {.always_draws = true});
  out.forward = listed_forward(out, how, straight);
  return out;
}

/// Heun's method in flow time. Churn is added after the network was asked, at both stages (the
/// second time without effect), and the first slope is s/s^ of the velocity.
inline loaded_sampler load_flow_match_heun(const config& c, const request& how) {
  const int train_steps = read_train_steps(c);
  const double shift = c.number("shift", 1);
  loaded_sampler once;  // the lists without their second stages
  for (const double t :
       linspace(train_steps, shifted(1.0 / train_steps, shift) * train_steps, read_steps(c, how))) {
    once.sigmas.push_back(shifted(t / train_steps, shift));
    once.timesteps.push_back(once.sigmas.back() * train_steps);
  }
  once.sigmas.push_back(0);
  loaded_sampler out;
  out.timesteps = interleaved(once.timesteps, {once.timesteps.begin() + 1, once.timesteps.end()});
  out.sigmas = doubled(once.sigmas);
  const grid nodes = straight_nodes(c, how, once);
  const churn noise = read_churn(how, out.sigmas.size() - 1, nodes.size() - 1);
  out.plan = walk_anywhere("FlowMatchHeun", nodes, [&](recorder& r, linear x, const leg& l) {
    const double from = l.from.level.sigma;
    const double to = l.to.level.sigma;
    const double raised = noise.raised(from, nodes.size() - 1);
    const linear velocity = from / raised * r.evaluate(x, l.from).output;
    if (raised > from)
      x += noise.noise_scale * tweedie::detail::raising_noise(from, raised) * r.draw();
    linear next = x + (to - raised) * velocity;
    if (to > 0) {
      const linear second = r.evaluate(next, l.to).output;
      if (raised > from) r.draw();
      next = x + (to - raised) / 2 * (velocity + second);
    }
    return next;
  });
  out.network.prediction = predicts_rectified_velocity;
  // "scale_noise" takes the level of the step the scheduler stands at.
  out.forward = [level = out.plan.start.level](double) { return level; };
  return out;
}

inline loaded_sampler load_flow_map_euler(const config& c, const request& how) {
  const int train_steps = read_train_steps(c);
  const double shift = c.number("shift", 1);
  const flow_lists given(how);
  loaded_sampler out;
  if (given.sigmas) {
    out.sigmas = *given.sigmas;
  } else if (given.timesteps) {
    out.sigmas = mapped(*given.timesteps, [=](double t) { return t / train_steps; });
  } else {
    out.sigmas = linspace(1, 0, read_steps(c, how) + 1);
    out.sigmas.pop_back();
  }
  for (double& v : out.sigmas) v = shifted(v, shift);
  out.timesteps = mapped(out.sigmas, [=](double v) { return v * train_steps; });
  out.sigmas.push_back(0);
  out.network.prediction = predicts_rectified_velocity;
  out.forward = [train_steps](double t) { return straight(t / train_steps); };
  if (!how.step.has("pairs")) {
    out.plan = flow_euler(straight_nodes(c, how, out));
    return out;
  }
  // Pairs (t, r) of timesteps in place of the schedule's: jumps to any time.
  legs jumps;
  for (const std::vector<double>& pair : how.step.number_lists("pairs")) {
    const auto in_range = [&](double t) { return t >= 0 && t <= train_steps; };
    if (pair.size() != 2 || !std::ranges::all_of(pair, in_range))
      how.step.refuse("pairs", "pairs of timesteps, each 0 ... num_train_timesteps");
    jumps.push_back({{pair[0], out.forward(pair[0])}, {pair[1], out.forward(pair[1])}});
  }
  if (jumps.empty()) how.step.refuse("pairs", "at least one pair of timesteps");
  out.plan = flow_map(jumps);
  return out;
}

/// flow_ancestral, but for the reference's guard against division by zero, for levels below 1e-8,
/// which are clean, and for s_noise = 0, which leaves the state where it went down to.
inline loaded_sampler load_ltx_euler_ancestral(const config& c, const request& how) {
  const double eta = c.number("eta", 1);
  const double noise_scale = c.number("s_noise", 1);
  loaded_sampler out;
  out.network.prediction = predicts_rectified_velocity;
  auto sigmas = how.set_timesteps.numbers("sigmas");
  const auto timesteps = how.set_timesteps.numbers("timesteps");
  if (!sigmas) sigmas = timesteps;
  if (sigmas) {
    // The list is the whole walk, its end included; a step from there would do nothing.
    if (sigmas->size() < 2) how.set_timesteps.refuse("sigmas", "at least two values");
    const int train_steps = read_train_steps(c);
    out.sigmas = *sigmas;
    out.timesteps = mapped(*sigmas, [=](double v) { return v * train_steps; });
  } else {
    read_flow_times(c, how, false, out);
  }
  loaded_sampler walked = out;
  walked.timesteps.resize(out.sigmas.size() - 1);
  const grid nodes = straight_nodes(c, how, walked);
  out.plan = walk_anywhere("LTXEulerAncestralRF", nodes, [&](recorder& r, linear x, const leg& l) {
    const double from = l.from.level.sigma;
    const double to = l.to.level.sigma;
    const linear clean = r.evaluate(x, l.from).clean;
    if (std::abs(to) < 1e-8) return clean;
    if (!(from > 0))
      c.fail("sigmas", tweedie::detail::number(from) +
                           "; valid: above 0 where a step does not end at 0, which excludes "
                           "invert_sigmas = true");
    const double down = to * (1 + (to / from - 1) * eta);
    x = down / from * x + (1 - down / from) * clean;
    if (eta > 0 && noise_scale > 0) {
      constexpr double guard = 1e-12;
      const double variance =
          to * to - down * down * (1 - to) * (1 - to) / ((1 - down) * (1 - down) + guard);
      x = (1 - to) / (1 - down + guard) * x +
          noise_scale * std::sqrt((std::max)(variance, 0.0)) * r.draw();
    }
    return x;
  });
  return out;
}

/// The network is told 1 - s and predicts x0 - z.
inline loaded_sampler load_minimax_h3(const config& c, const request& how) {
  const double shift = c.number("shift", 12);
  if (!(shift > 0)) c.refuse("shift", "shift > 0");
  loaded_sampler out;
  if (const auto sigmas = how.set_timesteps.numbers("sigmas")) {
    if (sigmas->size() < 2 || sigmas->back() != 0 ||
        std::ranges::adjacent_find(*sigmas, std::less_equal<>()) != sigmas->end())
      how.set_timesteps.refuse("sigmas", "at least two strictly decreasing values ending at 0");
    out.sigmas = *sigmas;
  } else {
    for (const double v : linspace(1, 0, read_steps(c, how, 2))) {
      const double s = shifted(v, shift);
      if (out.sigmas.empty() || s != out.sigmas.back()) out.sigmas.push_back(s);
    }
  }
  out.timesteps = mapped(out.sigmas, [](double s) { return 1 - s; });
  out.timesteps.pop_back();
  out.plan = flow_euler(straight_nodes(c, how, out));
  out.network.prediction = predicts_velocity_to_data;
  out.forward = [](double t) { return straight(1 - t); };
  return out;
}

}  // namespace tweedie::huggingface
