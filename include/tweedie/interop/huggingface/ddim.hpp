// DDIM as Hugging Face runs it: DDIMScheduler, DDIMParallelScheduler, DDIMInverseScheduler,
// CogVideoXDDIMScheduler.
//
// With s = t - T//N, not the next listed timestep (Song et al. 2021, eq. 12 and 16):
//   x_s = sqrt(a_s) x0 + sqrt(1 - a_s - d^2) z + d e,   d^2 = eta^2 (1 - a_s)/(1 - a_t) (1 - a_t/a_s)
// z stays the network's noise after x0 was clipped, unless use_clipped_model_output is set.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"

namespace tweedie::huggingface {

/// One DDIM step from `from` to alpha_bar `a_s`, recorded.
inline linear ddim_step(recorder& r, linear& x, const node& from, double a_t, double a_s, double eta,
                        bool noise_from_clipped) {
  const estimate e = r.evaluate(x, from);
  const double variance = (1 - a_s) / (1 - a_t) * (1 - a_t / a_s);
  const double d = eta * std::sqrt(variance);
  const linear z = noise_from_clipped
                       ? (x - std::sqrt(a_t) * e.clean) / std::sqrt(1 - a_t)
                       : e.noise;
  linear next = std::sqrt(a_s) * e.clean + std::sqrt(std::max(1 - a_s - d * d, 0.0)) * z;
  if (eta > 0) next += d * r.draw();
  return next;
}

inline loaded_sampler load_ddim(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2"},
                                           zero_terminal_snr::exact);
  const int train_steps = table.steps();
  const int steps = read_steps(c, how.num_inference_steps, train_steps);
  const double final_alpha_bar = c.flag("set_alpha_to_one", true) ? 1.0 : table.at(0);
  const double eta = how.step.number("eta", 0);
  if (!(eta >= 0)) how.step.refuse("eta", "eta >= 0");
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
    const node from = table_node(c, table, t);
    const int s = static_cast<int>(t) - train_steps / steps;
    const double a_s = s >= 0 ? table.at(s) : final_alpha_bar;
    x = ddim_step(r, x, from, table.at(static_cast<int>(t)), a_s, eta, clipped);
    r.mark(x, {static_cast<double>(std::max(s, -1)), alpha_bar_table::level_of(a_s)});
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
