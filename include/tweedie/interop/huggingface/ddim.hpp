// DDIM as Hugging Face runs it: DDIMScheduler, DDIMParallelScheduler, DDIMInverseScheduler.
//
// Steps go to t - T//N, not to the next listed timestep. z stays the network's noise after x0 was
// clipped, unless use_clipped_model_output is set; with eta > 0 noise is drawn, with weight 0, in the
// last step too.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie::huggingface {

/// DDIM along any legs.
inline program ddim_along(const legs& steps, double eta, noise_estimate z) {
  return walk_anywhere("ddim", steps, [=](recorder& r, const linear& x, const leg& l) {
    return ddim_step(r, x, l, eta, z);
  });
}

inline loaded_sampler load_ddim(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::exact);
  const int steps = read_steps(c, how, 1, table.steps());
  const double last = c.flag("set_alpha_to_one", true) ? 1.0 : table.at(0);
  const double eta = how.step.number("eta", 0);
  if (!(eta >= 0 && eta <= 1)) how.step.refuse("eta", "0 <= eta <= 1");
  const bool clipped = how.step.flag("use_clipped_model_output", false);

  loaded_sampler out = on_table(table, read_spacing(c, table.steps(), steps), read_prediction(c),
                                read_clipping(c, true));
  const legs walked =
      stride_legs(c, table, out.transform, remaining(c, out.timesteps, how.begin_index),
                  table.steps() / steps, last);
  out.plan =
      ddim_along(walked, eta, clipped ? noise_estimate::from_clean : noise_estimate::from_output);
  if (eta > 0) out.plan.draws.resize(walked.size());
  return out;
}

/// DDIMParallelScheduler: DDIM, and its noise-free steps for Picard iteration. Those end in clean
/// data whatever set_alpha_to_one says, and keep use_clipped_model_output off.
inline loaded_sampler load_ddim_parallel(const config& c, const request& how) {
  loaded_sampler out = load_ddim(c, how);
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::exact);
  for (const leg& l : stride_legs(c, table, out.transform, out.timesteps,
                                  table.steps() / *how.num_inference_steps))
    out.parallel_steps.push_back(ddim_along({l}, 0, noise_estimate::from_output));
  return out;
}

/// DDIMInverseScheduler: from data to noise. The state stands T//N below the timestep the network
/// is told, which is where the step ends.
inline loaded_sampler load_ddim_inverse(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::exact);
  const int train_steps = table.steps();
  const int steps = read_steps(c, how, 1, train_steps);
  const bool deprecated = c.flag("set_alpha_to_zero", true);
  const bool from_clean =
      c.has("set_alpha_to_zero") ? deprecated : c.flag("set_alpha_to_one", true);
  const std::string spacing = c.text("timestep_spacing", "leading", {"leading", "trailing"});
  const int offset = c.integer("steps_offset", 0);
  const std::vector<double> falling = spacing == "leading"
                                          ? leading_timesteps(train_steps, steps, offset)
                                          : trailing_timesteps(train_steps, steps);

  loaded_sampler out =
      on_table(table, reversed(falling), read_prediction(c), read_clip_range(c, true));
  out.forward = nullptr;
  legs walked;
  for (const double t : remaining(c, out.timesteps, how.begin_index)) {
    const int s = (std::min)(static_cast<int>(t) - train_steps / steps, train_steps - 1);
    const double a_s = s >= 0 ? table.at(s) : from_clean ? 1.0 : table.at(0);
    walked.push_back(
        {limit_node({t, alpha_bar_table::level_of(a_s)}, out.transform), table_node(c, table, t)});
  }
  out.plan = ddim_along(walked, 0, noise_estimate::from_output);
  return out;
}

}  // namespace tweedie::huggingface
