// Samplers of CogVideoX: CogVideoXDDIMScheduler, CogVideoXDPMScheduler.
//
// alpha_bar is shifted to lower SNR, a/(k + (1 - k) a), and rescaled to zero terminal SNR on
// alpha_bar itself. Both step to t - T//N and ignore clipping and eta.
//   DDIM        DDIM
//   DPM         second-order SDE-DPM-Solver++ with D = (1 + 1/2r) x0 - 1/2r x0_previous
#pragma once

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "tweedie/interop/huggingface/ddim.hpp"
#include "tweedie/sampler/exponential.hpp"

namespace tweedie::huggingface {

/// Everything but the plan, and the legs of the run.
inline std::pair<loaded_sampler, legs> read_cogvideox(const config& c, const request& how) {
  alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::unsupported, 0.00085,
                                     0.012, "scaled_linear");
  const double shift = c.number("snr_shift_scale", 3);
  if (!(shift > 0)) c.refuse("snr_shift_scale", "a positive number");
  for (double& a : table.alpha_bars) a /= shift + (1 - shift) * a;
  if (c.flag("rescale_betas_zero_snr", false))
    table.alpha_bars = mapped(tweedie::detail::zero_terminal_alphas(
                                  mapped(table.alpha_bars, [](double a) { return std::sqrt(a); })),
                              [](double alpha) { return alpha * alpha; });
  const int steps = read_steps(c, how, 1, table.steps());
  const double last = c.flag("set_alpha_to_one", true) ? 1.0 : table.at(0);
  loaded_sampler out = on_table(table, read_spacing(c, table.steps(), steps), read_prediction(c));
  c.without_effect({"clip_sample", "clip_sample_range", "sample_max_value"});
  how.step.without_effect({"eta", "use_clipped_model_output"});
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  return {out, stride_legs(c, table, {}, visited, table.steps() / steps, last)};
}

inline loaded_sampler load_cogvideox_ddim(const config& c, const request& how) {
  auto [out, steps] = read_cogvideox(c, how);
  out.plan = ddim_along(steps, 0, noise_estimate::from_clean);
  return out;
}

/// Two draws in every second-order step, of which the first is thrown away. A step that ends below
/// timestep 0 is of first order.
inline loaded_sampler load_cogvideox_dpm(const config& c, const request& how) {
  auto [out, steps] = read_cogvideox(c, how);
  std::optional<linear> previous;
  std::optional<double> behind;  // half log-SNR of the node before
  out.plan = walk_anywhere("CogVideoXDPM", steps, [&](recorder& r, linear x, const leg& l) {
    const exponential_step step = step_between(l.from.level, l.to.level, clean_row, 1);
    const double now = half_log_snr(l.from.level);
    const linear clean = r.evaluate(x, l.from).clean;
    linear noise = r.draw();
    linear mean = clean;
    if (previous && l.to.time >= 0) {
      noise = r.draw();
      mean += step.length / (now - *behind) / 2 * (clean - *previous);
    }
    previous = clean;
    behind = now;
    return step.state * x + step.gain * mean + step.noise * noise;
  });
  return out;
}

}  // namespace tweedie::huggingface
