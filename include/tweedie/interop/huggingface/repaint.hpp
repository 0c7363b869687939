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
  const double configured_eta = c.number("eta", 0);
  const double eta = how.step.number("eta", configured_eta);
  if (!(eta >= 0 && eta <= 1))
    how.step.fail("eta", tweedie::detail::number(eta) + "; valid: 0 <= eta <= 1");
  const int steps = (std::min)(table.steps(), read_steps(c, how));
  const int stride = table.steps() / steps;
  const int jump = how.set_timesteps.integer("jump_length", 10);
  const int times = how.set_timesteps.integer("jump_n_sample", 10);
  if (jump < 1) how.set_timesteps.refuse("jump_length", "a positive integer");
  if (times < 1) how.set_timesteps.refuse("jump_n_sample", "a positive integer");
  std::vector<double> timesteps;
  for (const int to_go : resampling_walk(steps, jump, times)) timesteps.push_back(to_go * stride);

  loaded_sampler out = on_table(table, timesteps, {});
  if (c.flag("clip_sample", true)) out.transform = clip_range{1};
  legs walked;
  double last = table.steps();
  for (const double t : remaining(c, out.timesteps, how.begin_index)) {
    if (t < last)
      walked.push_back(table_leg(c, table, {}, t, t - stride));
    else  // up from the node of `last`, as the reference counts, not from where the state stands
      walked.push_back({table_node(c, table, last), table_node(c, table, t)});
    last = t;
  }
  int draws = 0;
  out.plan =
      walk_anywhere("RePaint", walked, [&](recorder& r, linear x, const leg& l, std::size_t i) {
        if (l.to.time < l.from.time) {
          const auto [fresh, direction] =
              tweedie::detail::ddim_split(l.from.level, l.to.level, eta);
          const estimate e = r.evaluate(x, l.from);
          const linear noise = r.draw();
          x = l.to.level.alpha * e.clean + direction * e.output;
          if (l.from.time > 0) x += fresh * noise;
          out.masked.push_back({i, l.to.level, draws++});
          return x;
        }
        for (int k = 0; k < stride; ++k, ++draws) {
          const double beta =
              table.betas.at(static_cast<std::size_t>(l.from.time) + static_cast<std::size_t>(k));
          x = std::sqrt(1 - beta) * x + std::sqrt(beta) * r.draw();
        }
        return x;
      });
  return out;
}

}  // namespace tweedie::huggingface
