// RePaintScheduler: the resampling walk of sampler/resampling.hpp, the known part of the picture
// pasted after every step down. One draw serves both the unknown and the known part; going up by
// T//N levels takes one draw per training level.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"
#include "tweedie/sampler/resampling.hpp"

namespace tweedie::huggingface {

inline loaded_sampler load_repaint(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"},
                 zero_terminal_snr::unsupported);
  const int train_steps = table.steps();
  const double configured_eta = c.number("eta", 0);
  const double eta = how.step.number("eta", configured_eta);
  if (!(eta >= 0 && eta <= 1))
    how.step.fail("eta", tweedie::detail::number(eta) + "; valid: 0 <= eta <= 1");
  const int steps = std::min(train_steps, how.num_inference_steps.value_or(0));
  if (steps < 1) c.fail("num_inference_steps", std::to_string(steps) + "; valid: at least 1");
  const int stride = train_steps / steps;

  loaded_sampler out;
  if (c.flag("clip_sample", true)) out.transform = clip_range{1};
  const int jump = how.set_timesteps.integer("jump_length", 10);
  const int times = how.set_timesteps.integer("jump_n_sample", 10);
  if (jump < 1) how.set_timesteps.refuse("jump_length", "a positive integer");
  if (times < 1) how.set_timesteps.refuse("jump_n_sample", "a positive integer");
  for (const int to_go : resampling_walk(steps, jump, times))
    out.timesteps.push_back(to_go * stride);
  out.forward = table_forward(table);

  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(table_node(c, table, visited.front()));
  linear x = r.state();
  int draws = 0;
  double last = visited.front() + 1;
  for (std::size_t i = 0; i < visited.size(); ++i) {
    const double t = visited[i];
    if (t < last) {
      const node from = table_node(c, table, t);
      const int s = static_cast<int>(t) - stride;
      const double a_t = table.at(static_cast<int>(t));
      const double a_s = s >= 0 ? table.at(s) : 1.0;
      require_step(c, a_t, a_s);
      const double d = eta * std::sqrt((1 - a_s) / (1 - a_t) * (1 - a_t / a_s));
      const estimate e = r.evaluate(x, from);
      const linear noise = r.draw();
      x = std::sqrt(a_s) * e.clean + std::sqrt(std::max(1 - a_s - d * d, 0.0)) * e.output;
      if (t > 0 && eta > 0) x += d * noise;
      const node to{static_cast<double>(std::max(s, -1)), alpha_bar_table::level_of(a_s)};
      r.mark(x, to);
      out.masked.push_back({i, to.level, draws++});
    } else {
      for (int k = 0; k < stride; ++k, ++draws) {
        const double beta =
            table.betas.at(static_cast<std::size_t>(last) + static_cast<std::size_t>(k));
        x = std::sqrt(1 - beta) * x + std::sqrt(beta) * r.draw();
      }
      r.mark(x, table_node(c, table, t));
    }
    last = t;
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
