// Samplers of CogVideoX: CogVideoXDDIMScheduler, CogVideoXDPMScheduler.
//
// alpha_bar is shifted to lower SNR, a/(k + (1 - k) a), and rescaled to zero terminal SNR on
// alpha_bar itself. Both step to t - T//N and ignore clipping and eta.
//   DDIM        x_s = A x_t + (sqrt(a_s) - sqrt(a_t) A) x0,   A = sqrt((1 - a_s)/(1 - a_t))
//   DPM         second-order SDE-DPM-Solver++ with D = (1 + 1/2r) x0 - 1/2r x0_previous
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"

namespace tweedie::huggingface {

/// The shifted table and everything the two samplers share.
struct cogvideox {
  alpha_bar_table table;
  double final_alpha_bar = 1;
  int stride = 1;
  std::vector<double> visited;
  loaded_sampler out;

  double alpha_bar_after(double t) const {
    const int s = static_cast<int>(t) - stride;
    return s >= 0 ? table.at(s) : final_alpha_bar;
  }
  node node_after(double t) const {
    return {std::max(t - stride, -1.0), alpha_bar_table::level_of(alpha_bar_after(t))};
  }
};

inline cogvideox read_cogvideox(const config& c, const request& how) {
  cogvideox v;
  v.table = read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2"},
                       zero_terminal_snr::unsupported, 0.00085, 0.012, "scaled_linear");
  const double shift = c.number("snr_shift_scale", 3);
  if (!(shift > 0)) c.refuse("snr_shift_scale", "a positive number");
  for (double& a : v.table.alpha_bars) a /= shift + (1 - shift) * a;
  if (c.flag("rescale_betas_zero_snr", false)) {
    const double first = std::sqrt(v.table.alpha_bars.front());
    const double last = std::sqrt(v.table.alpha_bars.back());
    for (double& a : v.table.alpha_bars) {
      const double root = (std::sqrt(a) - last) * (first / (first - last));
      a = root * root;
    }
  }
  const int steps = read_steps(c, how.num_inference_steps, v.table.steps());
  v.stride = v.table.steps() / steps;
  v.final_alpha_bar = c.flag("set_alpha_to_one", true) ? 1.0 : v.table.at(0);
  v.out.network = read_prediction(c);
  v.out.timesteps = read_spacing(c, v.table.steps(), steps);
  v.out.forward = table_forward(v.table);
  v.visited = remaining(c, v.out.timesteps, how.begin_index);
  c.without_effect({"clip_sample", "clip_sample_range", "sample_max_value"});
  how.step.without_effect({"eta", "use_clipped_model_output"});
  return v;
}

inline loaded_sampler load_cogvideox_ddim(const config& c, const request& how) {
  cogvideox v = read_cogvideox(c, how);
  recorder r(table_node(c, v.table, v.visited.front()));
  linear x = r.state();
  for (const double t : v.visited) {
    const double a_t = v.table.at(static_cast<int>(t));
    const double a_s = v.alpha_bar_after(t);
    require_step(c, a_t);
    const estimate e = r.evaluate(x, table_node(c, v.table, t));
    const double kept = std::sqrt((1 - a_s) / (1 - a_t));
    x = kept * x + (std::sqrt(a_s) - std::sqrt(a_t) * kept) * e.clean;
    r.mark(x, v.node_after(t));
  }
  v.out.plan = r.finish(x);
  return v.out;
}

/// Two draws in every second-order step, of which the first is thrown away.
inline loaded_sampler load_cogvideox_dpm(const config& c, const request& how) {
  cogvideox v = read_cogvideox(c, how);
  recorder r(table_node(c, v.table, v.visited.front()));
  linear x = r.state();
  std::optional<linear> previous;
  std::optional<double> a_back;
  const auto half_log_snr_of = [](double a) { return std::log(std::sqrt(a / (1 - a))); };
  for (const double t : v.visited) {
    const double a_t = v.table.at(static_cast<int>(t));
    const double a_s = v.alpha_bar_after(t);
    require_step(c, a_t, a_s);
    const double now = half_log_snr_of(a_t);
    const double h = half_log_snr_of(a_s) - now;
    const estimate e = r.evaluate(x, table_node(c, v.table, t));
    linear noise = r.draw();
    linear clean = e.clean;
    if (previous && t - v.stride >= 0) {
      noise = r.draw();
      const double half_ratio = h / (now - half_log_snr_of(*a_back)) / 2;
      clean = (1 + half_ratio) * e.clean - half_ratio * *previous;
    }
    x = std::sqrt((1 - a_s) / (1 - a_t)) * std::exp(-h) * x -
        std::expm1(-2 * h) * std::sqrt(a_s) * clean +
        std::sqrt(1 - a_s) * std::sqrt(-std::expm1(-2 * h)) * noise;
    r.mark(x, v.node_after(t));
    previous = e.clean;
    a_back = a_t;
  }
  v.out.plan = r.finish(x);
  return v.out;
}

}  // namespace tweedie::huggingface
