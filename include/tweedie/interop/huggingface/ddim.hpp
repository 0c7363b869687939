// DDIM as Hugging Face runs it: DDIMScheduler, DDIMParallelScheduler, DDIMInverseScheduler.
//
// With s = t - T//N, not the next listed timestep (Song et al. 2021, eq. 12 and 16):
//   x_s = sqrt(a_s) x0 + sqrt(1 - a_s - d^2) z + d e
//   d^2 = eta^2 (1 - a_s)/(1 - a_t) (1 - a_t/a_s)
// z stays the network's noise after x0 was clipped, unless use_clipped_model_output is set.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"

namespace tweedie::huggingface {

/// One DDIM step from `from` to alpha_bar `a_s`, recorded; 0 <= eta <= 1.
inline linear quirky_ddim_step(const config& c, recorder& r, linear& x, const node& from,
                               double a_t, double a_s, double eta, bool noise_from_clipped) {
  require_step(c, a_t, a_s);
  const estimate e = r.evaluate(x, from);
  const double variance = (1 - a_s) / (1 - a_t) * (1 - a_t / a_s);
  const double d = eta * std::sqrt(variance);
  const linear z =
      noise_from_clipped ? (x - std::sqrt(a_t) * e.clean) / std::sqrt(1 - a_t) : e.noise;
  linear next = std::sqrt(a_s) * e.clean + std::sqrt(std::max(1 - a_s - d * d, 0.0)) * z;
  if (eta > 0) next += d * r.draw();
  return next;
}

inline loaded_sampler load_ddim(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2"}, zero_terminal_snr::exact);
  const int train_steps = table.steps();
  const int steps = read_steps(c, how.num_inference_steps, train_steps);
  const double final_alpha_bar = c.flag("set_alpha_to_one", true) ? 1.0 : table.at(0);
  const double eta = how.step.number("eta", 0);
  if (!(eta >= 0 && eta <= 1)) how.step.refuse("eta", "0 <= eta <= 1");
  const bool clipped = how.step.flag("use_clipped_model_output", false);

  loaded_sampler out;
  out.network = read_prediction(c);
  out.transform = read_clipping(c, true);
  out.timesteps = read_spacing(c, train_steps, steps);
  out.forward = table_forward(table);

  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(table_node(c, table, visited.front()));
  linear x = r.state();
  for (const double t : visited) {
    const node from = limit_node(table_node(c, table, t), out.transform);
    const int s = static_cast<int>(t) - train_steps / steps;
    const double a_s = s >= 0 ? table.at(s) : final_alpha_bar;
    x = quirky_ddim_step(c, r, x, from, table.at(static_cast<int>(t)), a_s, eta, clipped);
    r.mark(x, {static_cast<double>(std::max(s, -1)), alpha_bar_table::level_of(a_s)});
  }
  out.plan = r.finish(x);
  return out;
}

/// DDIMParallelScheduler: DDIM, and its noise-free steps for Picard iteration. Those end in clean
/// data whatever set_alpha_to_one says, and keep use_clipped_model_output off.
inline loaded_sampler load_ddim_parallel(const config& c, const request& how) {
  loaded_sampler out = load_ddim(c, how);
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2"}, zero_terminal_snr::exact);
  for (const double t : out.timesteps) {
    const node from = limit_node(table_node(c, table, t), out.transform);
    const int s = static_cast<int>(t) - table.steps() / *how.num_inference_steps;
    const double a_s = s >= 0 ? table.at(s) : 1.0;
    recorder r(from);
    linear x = r.state();
    x = quirky_ddim_step(c, r, x, from, table.at(static_cast<int>(t)), a_s, 0, false);
    out.parallel_steps.push_back(r.finish(x));
  }
  return out;
}

/// DDIMInverseScheduler: from data to noise. The state stands T//N below the timestep the network
/// is told, which is where the step ends.
inline loaded_sampler load_ddim_inverse(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2"}, zero_terminal_snr::exact);
  const int train_steps = table.steps();
  const int steps = read_steps(c, how.num_inference_steps, train_steps);
  const bool deprecated = c.flag("set_alpha_to_zero", true);
  const bool from_clean =
      c.has("set_alpha_to_zero") ? deprecated : c.flag("set_alpha_to_one", true);

  loaded_sampler out;
  out.network = read_prediction(c);
  out.transform = read_clip_range(c, true);
  const std::string spacing = c.text("timestep_spacing", "leading", {"leading", "trailing"});
  const int offset = c.integer("steps_offset", 0);
  out.timesteps = reversed(spacing == "leading" ? leading_timesteps(train_steps, steps, offset)
                                                : trailing_timesteps(train_steps, steps));

  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  const auto state_at = [&](double t) {
    const int s = std::min(static_cast<int>(t) - train_steps / steps, train_steps - 1);
    return s >= 0 ? table.at(s) : from_clean ? 1.0 : table.at(0);
  };
  recorder r({visited.front(), alpha_bar_table::level_of(state_at(visited.front()))});
  linear x = r.state();
  for (const double t : visited) {
    const node to = table_node(c, table, t);
    const node from{t, alpha_bar_table::level_of(state_at(t))};
    const estimate e = r.evaluate(x, limit_node(from, out.transform));
    x = to.level.alpha * e.clean + to.level.sigma * e.noise;
    r.mark(x, to);
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
