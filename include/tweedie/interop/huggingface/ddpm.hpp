// Ancestral sampling as Hugging Face runs it: DDPMScheduler, DDPMParallelScheduler.
//
// With s the next listed timestep (Ho et al. 2020, eq. 7), b = 1 - a_t/a_s:
//   x_s = sqrt(a_s) b/(1 - a_t) x0 + sqrt(a_t/a_s) (1 - a_s)/(1 - a_t) x_t + sd e
// sd^2 is one of: the posterior variance (fixed_small, at least 1e-20), b (fixed_large), the
// network's second output itself (learned), or between the logarithms of both (learned_range).
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"

namespace tweedie::huggingface {

/// The noise term of one ancestral step. `posterior` is (1 - a_s)/(1 - a_t) b.
inline linear ddpm_noise(recorder& r, const std::string& variance_type, double posterior, double b) {
  const double small = std::max(posterior, 1e-20);
  if (variance_type == "learned") return r.draw({.learned = true, .log_lower = -1, .log_upper = 1});
  if (variance_type == "learned_range")
    return r.draw({.learned = true, .log_lower = std::log(small), .log_upper = std::log(b)});
  return std::sqrt(variance_type == "fixed_large" ? b : small) * r.draw();
}

inline loaded_sampler load_ddpm(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2", "laplace", "sigmoid"},
                 zero_terminal_snr::exact);
  const int train_steps = table.steps();
  const std::string variance_type =
      c.text("variance_type", "fixed_small",
             {"fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"});

  loaded_sampler out;
  out.network = read_prediction(c);
  out.transform = read_clipping(c, true);
  if (variance_type == "learned") out.second_output = variance_output::variance;
  out.forward = table_forward(table);
  if (const auto custom = how.set_timesteps.numbers("timesteps")) {
    if (how.num_inference_steps)
      c.fail("num_inference_steps", "given together with timesteps; valid: one of the two");
    if (custom->empty()) how.set_timesteps.refuse("timesteps", "at least one timestep");
    for (std::size_t i = 1; i < custom->size(); ++i)
      if (!((*custom)[i] < (*custom)[i - 1])) how.set_timesteps.refuse("timesteps", "descending");
    out.timesteps = *custom;
    c.without_effect({"timestep_spacing", "steps_offset"});
  } else {
    out.timesteps =
        read_spacing(c, train_steps, read_steps(c, how.num_inference_steps, train_steps));
  }

  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(table_node(c, table, visited.front()));
  linear x = r.state();
  for (std::size_t i = 0; i < visited.size(); ++i) {
    const node from = table_node(c, table, visited[i]);
    const bool last = i + 1 == visited.size();
    const double a_t = table.at(static_cast<int>(visited[i]));
    const double a_s = last ? 1.0 : table.at(static_cast<int>(visited[i + 1]));
    const double ratio = a_t / a_s;
    const double b = 1 - ratio;
    const estimate e = r.evaluate(x, from);
    linear next = (std::sqrt(a_s) * b / (1 - a_t)) * e.clean +
                  (std::sqrt(ratio) * (1 - a_s) / (1 - a_t)) * x;
    if (visited[i] > 0) next += ddpm_noise(r, variance_type, (1 - a_s) / (1 - a_t) * b, b);
    x = next;
    r.mark(x, {last ? -1.0 : visited[i + 1], alpha_bar_table::level_of(a_s)});
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
