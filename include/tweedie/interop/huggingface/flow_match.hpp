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
#include "tweedie/sampler/flow.hpp"

namespace tweedie::huggingface {

/// The point s of the straight path.
inline signal_noise straight_level(double s) { return {1 - s, s}; }

/// The point s of a run, which shifts and single precision may have rounded past 0 or 1.
/// \throws std::invalid_argument for flow times outside [0, 1] by more than that
inline signal_noise straight_level(const config& c, double s) {
  constexpr double rounding = 1e-6;
  if (!(s >= -rounding && s <= 1 + rounding))
    c.fail("sigmas", tweedie::detail::number(s) +
                         "; valid: 0 <= sigma <= 1 after shift, mu, shift_terminal, sigma_min and "
                         "sigma_max; timesteps are sigma num_train_timesteps");
  return {std::max(1 - s, 0.0), std::max(s, 0.0)};
}

/// Nodes of timesteps and flow times from step `first` on; there is one time more.
inline grid straight_nodes(const config& c, const std::vector<double>& timesteps,
                           const std::vector<double>& sigmas, int first) {
  remaining(c, timesteps, first);
  grid out;
  for (auto i = static_cast<std::size_t>(first); i < timesteps.size(); ++i)
    out.push_back({timesteps[i], straight_level(c, sigmas[i])});
  out.push_back({sigmas[timesteps.size()] == 0 ? 0 : timesteps.back(),
                 straight_level(c, sigmas[timesteps.size()])});
  return out;
}

/// "scale_noise": the listed flow time of a listed timestep.
inline std::function<signal_noise(double)> straight_forward(const loaded_sampler& sampler,
                                                            int begin) {
  return [t = sampler.timesteps, s = sampler.sigmas, begin](double timestep) {
    return straight_level(
        s[begin > 0 ? static_cast<std::size_t>(begin) : index_for_timestep(t, timestep)]);
  };
}

/// Timesteps and flow times of FlowMatchEulerDiscrete and, with `keeps_timesteps`, FlowMatchLCM.
inline void read_flow_times(const config& c, const request& how, bool keeps_timesteps,
                            loaded_sampler& out) {
  const int train_steps = c.integer("num_train_timesteps", 1000);
  if (train_steps < 1) c.refuse("num_train_timesteps", "a positive integer");
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

  const auto sigmas = how.set_timesteps.numbers("sigmas");
  const auto timesteps = how.set_timesteps.numbers("timesteps");
  for (const auto* list : {&sigmas, &timesteps})
    if (*list &&
        ((*list)->empty() || (how.num_inference_steps &&
                              static_cast<int>((*list)->size()) != *how.num_inference_steps)))
      how.set_timesteps.refuse(list == &sigmas ? "sigmas" : "timesteps",
                               "as many values as num_inference_steps");
  if (sigmas && timesteps && sigmas->size() != timesteps->size())
    how.set_timesteps.refuse("sigmas", "as many values as timesteps");

  std::vector<double> s;
  if (sigmas) {
    s = *sigmas;
  } else {
    const double low = dynamic ? 1.0 / train_steps : shifted(1.0 / train_steps, shift);
    s = timesteps ? *timesteps : linspace(train_steps, low * train_steps, read_steps(c, how));
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
  for (const double v : s) out.timesteps.push_back(v * train_steps);
  if (keeps_timesteps && timesteps && !inverted) out.timesteps = *timesteps;
  s.push_back(inverted ? 1 : 0);
  out.sigmas = s;
}

namespace detail {

// Every step draws the x0 estimate anew: x' = (1 - s') D + s' z, also where s' = 0.
inline program redrawn_estimates(const grid& nodes) {
  recorder r(nodes.front());
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const auto [alpha, sigma] = nodes[i + 1].level;
    const estimate e = r.evaluate(x, nodes[i]);
    x = alpha * e.clean + sigma * r.draw();
    r.mark(x, nodes[i + 1]);
  }
  return r.finish(x);
}

}  // namespace detail

inline loaded_sampler load_flow_match_euler(const config& c, const request& how) {
  loaded_sampler out;
  read_flow_times(c, how, false, out);
  how.step.without_effect({"s_churn", "s_tmin", "s_tmax", "s_noise"});
  const grid nodes = straight_nodes(c, out.timesteps, out.sigmas, how.begin_index);
  out.plan =
      c.flag("stochastic_sampling", false) ? detail::redrawn_estimates(nodes) : flow_euler(nodes);
  out.network.prediction = predicts_rectified_velocity;
  out.forward = straight_forward(out, how.begin_index);
  return out;
}

inline loaded_sampler load_flow_match_lcm(const config& c, const request& how) {
  loaded_sampler out;
  read_flow_times(c, how, true, out);
  if (const auto factors = c.numbers("scale_factors"); factors && !factors->empty())
    c.refuse("scale_factors", "null; resizing between steps is left to the caller");
  c.without_effect({"upscale_mode"});
  out.plan =
      detail::redrawn_estimates(straight_nodes(c, out.timesteps, out.sigmas, how.begin_index));
  out.network.prediction = predicts_rectified_velocity;
  out.forward = straight_forward(out, how.begin_index);
  return out;
}

/// Heun's method in flow time. Churn is added after the network was asked, at both stages (the
/// second time without effect), and the first slope is s/s^ of the velocity.
inline loaded_sampler load_flow_match_heun(const config& c, const request& how) {
  const int train_steps = c.integer("num_train_timesteps", 1000);
  if (train_steps < 1) c.refuse("num_train_timesteps", "a positive integer");
  const double shift = c.number("shift", 1);
  const int steps = read_steps(c, how);
  std::vector<double> s;
  std::vector<double> times;
  for (const double t :
       linspace(train_steps, shifted(1.0 / train_steps, shift) * train_steps, steps)) {
    s.push_back(shifted(t / train_steps, shift));
    times.push_back(s.back() * train_steps);
  }
  loaded_sampler out;
  out.timesteps = interleaved(times, {times.begin() + 1, times.end()});
  s.push_back(0);
  out.sigmas = doubled(s);
  const grid nodes = straight_nodes(c, times, s, how.begin_index);
  const churn noise = read_churn(how, out.sigmas.size() - 1, nodes.size() - 1);

  recorder r(nodes.front());
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const double from = nodes[i].level.sigma;
    const double to = nodes[i + 1].level.sigma;
    const double raised = (1 + noise.raise(from, nodes.size() - 1)) * from;
    const linear velocity = from / raised * r.evaluate(x, nodes[i]).output;
    if (raised > from)
      x += noise.noise_scale * tweedie::detail::raising_noise(from, raised) * r.draw();
    linear next = x + (to - raised) * velocity;
    if (to > 0) {
      const linear second = r.evaluate(next, nodes[i + 1]).output;
      if (raised > from) r.draw();
      next = x + (to - raised) / 2 * (velocity + second);
    }
    x = next;
    r.mark(x, nodes[i + 1]);
  }
  out.plan = r.finish(x);
  out.network.prediction = predicts_rectified_velocity;
  // "scale_noise" takes the level of the step the scheduler stands at.
  out.forward = [level = out.plan.start.level](double) { return level; };
  return out;
}

inline loaded_sampler load_flow_map_euler(const config& c, const request& how) {
  const int train_steps = c.integer("num_train_timesteps", 1000);
  if (train_steps < 1) c.refuse("num_train_timesteps", "a positive integer");
  const double shift = c.number("shift", 1);
  const auto sigmas = how.set_timesteps.numbers("sigmas");
  const auto timesteps = how.set_timesteps.numbers("timesteps");
  if (sigmas && timesteps && sigmas->size() != timesteps->size())
    how.set_timesteps.refuse("sigmas", "as many values as timesteps");
  loaded_sampler out;
  if (sigmas) {
    out.sigmas = *sigmas;
  } else if (timesteps) {
    for (const double t : *timesteps) out.sigmas.push_back(t / train_steps);
  } else {
    out.sigmas = linspace(1, 0, read_steps(c, how) + 1);
    out.sigmas.pop_back();
  }
  if (out.sigmas.empty()) how.set_timesteps.refuse("sigmas", "at least one value");
  if (how.num_inference_steps && static_cast<int>(out.sigmas.size()) != *how.num_inference_steps)
    how.set_timesteps.refuse(sigmas ? "sigmas" : "timesteps",
                             "as many values as num_inference_steps");
  for (double& v : out.sigmas) v = shifted(v, shift);
  for (const double v : out.sigmas) out.timesteps.push_back(v * train_steps);
  out.sigmas.push_back(0);
  out.network.prediction = predicts_rectified_velocity;
  out.forward = [train_steps](double t) { return straight_level(t / train_steps); };

  if (how.step.has("pairs")) {
    // Pairs (t, r) of timesteps in place of the schedule's: jumps to any time.
    legs jumps;
    for (const std::vector<double>& pair : how.step.number_lists("pairs")) {
      const auto in_range = [&](double t) { return t >= 0 && t <= train_steps; };
      if (pair.size() != 2 || !std::ranges::all_of(pair, in_range))
        how.step.refuse("pairs", "pairs of timesteps, each 0 ... num_train_timesteps");
      const auto at = [&](double t) { return node{t, straight_level(t / train_steps)}; };
      jumps.push_back({at(pair[0]), at(pair[1])});
    }
    if (jumps.empty()) how.step.refuse("pairs", "at least one pair of timesteps");
    out.plan = flow_map(jumps);
  } else {
    out.plan = flow_euler(straight_nodes(c, out.timesteps, out.sigmas, how.begin_index));
  }
  return out;
}

inline loaded_sampler load_ltx_euler_ancestral(const config& c, const request& how) {
  const double eta = c.number("eta", 1);
  const double noise_scale = c.number("s_noise", 1);
  loaded_sampler out;
  auto sigmas = how.set_timesteps.numbers("sigmas");
  const auto timesteps = how.set_timesteps.numbers("timesteps");
  if (!sigmas) sigmas = timesteps;
  if (sigmas) {
    // The list is the whole walk, its end included; a step from there would do nothing.
    if (sigmas->size() < 2) how.set_timesteps.refuse("sigmas", "at least two values");
    out.sigmas = *sigmas;
    const int train_steps = c.integer("num_train_timesteps", 1000);
    for (const double v : out.sigmas) out.timesteps.push_back(v * train_steps);
  } else {
    read_flow_times(c, how, false, out);
  }
  std::vector<double> times = out.timesteps;
  times.resize(out.sigmas.size() - 1);
  const grid nodes = straight_nodes(c, times, out.sigmas, how.begin_index);
  recorder r(nodes.front());
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const double from = nodes[i].level.sigma;
    const double to = nodes[i + 1].level.sigma;
    const estimate e = r.evaluate(x, nodes[i]);
    if (std::abs(to) < 1e-8) {
      x = e.clean;
    } else {
      if (!(from > 0))
        c.fail("sigmas", tweedie::detail::number(from) +
                             "; valid: above 0 where a step does not end at 0, which excludes "
                             "invert_sigmas = true");
      const double down = to * (1 + (to / from - 1) * eta);
      x = down / from * x + (1 - down / from) * e.clean;
      if (eta > 0 && noise_scale > 0) {
        constexpr double guard = 1e-12;  // the reference's, against division by zero
        const double variance =
            to * to - down * down * (1 - to) * (1 - to) / ((1 - down) * (1 - down) + guard);
        x = (1 - to) / (1 - down + guard) * x +
            noise_scale * std::sqrt(std::max(variance, 0.0)) * r.draw();
      }
    }
    r.mark(x, nodes[i + 1]);
  }
  out.plan = r.finish(x);
  out.network.prediction = predicts_rectified_velocity;
  return out;
}

/// The network is told 1 - s and predicts x0 - z.
inline loaded_sampler load_minimax_h3(const config& c, const request& how) {
  const double shift = c.number("shift", 12);
  if (!(shift > 0)) c.refuse("shift", "shift > 0");
  loaded_sampler out;
  if (const auto sigmas = how.set_timesteps.numbers("sigmas")) {
    for (std::size_t i = 0; i + 1 < sigmas->size(); ++i)
      if (!((*sigmas)[i + 1] < (*sigmas)[i]))
        how.set_timesteps.refuse("sigmas", "strictly decreasing values ending at 0");
    if (sigmas->size() < 2 || sigmas->back() != 0)
      how.set_timesteps.refuse("sigmas", "at least two strictly decreasing values ending at 0");
    out.sigmas = *sigmas;
  } else {
    const int points = read_steps(c, how);
    if (points < 2) c.fail("num_inference_steps", std::to_string(points) + "; valid: 2 or more");
    for (const double v : linspace(1, 0, points)) {
      const double s = shifted(v, shift);
      if (out.sigmas.empty() || s != out.sigmas.back()) out.sigmas.push_back(s);
    }
  }
  for (std::size_t i = 0; i + 1 < out.sigmas.size(); ++i)
    out.timesteps.push_back(1 - out.sigmas[i]);
  out.plan = flow_euler(straight_nodes(c, out.timesteps, out.sigmas, how.begin_index));
  out.network.prediction = [](const node&) { return plane_row{1, -1}; };
  out.forward = [](double t) { return straight_level(1 - t); };
  return out;
}

}  // namespace tweedie::huggingface
