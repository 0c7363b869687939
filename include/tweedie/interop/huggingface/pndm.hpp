// PNDMScheduler: PLMS, with (PRK) or without (pseudo Heun) Runge-Kutta start; see
// sampler/pndm.hpp for the method.
//
// Departures: steps go to t - T//N, midpoints are T//N//2 below, whatever the listed timesteps are;
// network outputs are averaged before a v prediction is converted to noise, at the level and sample
// of the step's start.
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"
#include "tweedie/sampler/pndm.hpp"

namespace tweedie::huggingface {

/// The timesteps of all calls, and how many of them are the Runge-Kutta start (four per step).
inline std::pair<std::vector<double>, std::size_t> read_pndm_timesteps(const config& c,
                                                                       int train_steps, int steps) {
  std::vector<double> listed = read_spacing(c, train_steps, steps);  // falling
  if (c.flag("skip_prk_steps", false)) {
    if (listed.size() > 1) listed.insert(listed.begin() + 1, listed[1]);
    return {listed, 0};
  }
  if (steps < 4)
    c.fail("num_inference_steps",
           std::to_string(steps) + "; valid with skip_prk_steps = false: at least 4");
  std::vector<double> t;
  for (std::size_t k = 0; k < 3; ++k) {
    const double middle = listed[k + 1] + train_steps / steps / 2;
    t.insert(t.end(), {listed[k], middle, middle, listed[k + 1]});
  }
  t.insert(t.end(), listed.begin() + 3, listed.end());
  return {t, 12};
}

inline loaded_sampler load_pndm(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::unsupported);
  const int train_steps = table.steps();
  const int steps = read_steps(c, how, 1, train_steps);
  const int stride = train_steps / steps;
  const int half_stride = stride / 2;
  const double final_alpha_bar = c.flag("set_alpha_to_one", false) ? 1.0 : table.at(0);
  const network_description network = read_prediction(c, {"epsilon", "v_prediction"});
  const bool velocity = c.text("prediction_type", "epsilon", {"epsilon", "v_prediction"})[0] == 'v';
  const auto listed = read_pndm_timesteps(c, train_steps, steps);
  const std::size_t starting = listed.second;
  loaded_sampler out = on_table(table, listed.first, network);

  const auto node_of = [&](double t) {
    return t >= 0 ? table_node(c, table, t) : node{t, alpha_bar_table::level_of(final_alpha_bar)};
  };
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  legs walked;
  for (std::size_t i = 0; i < visited.size(); ++i) {
    const double t = visited[i];
    double to = t - stride;
    if (i < starting) to = i % 2 ? t : t - half_stride;
    if (i == 1 && starting == 0) to = t;
    walked.push_back({table_node(c, table, t), node_of(to)});
  }
  linear start, average;  // sample and running mean of the step under way
  std::vector<linear> history;
  out.plan = walk_anywhere("PNDM", walked, [&](recorder& r, linear x, const leg& l, std::size_t i) {
    const linear y = r.evaluate(x, l.from).output;
    // The step along a mixture of network outputs from timestep `from`.
    const auto step = [&](const linear& state, const linear& output, double from) {
      const signal_noise level = node_of(from).level;
      return transfer(state, velocity ? level.alpha * output + level.sigma * state : output, level,
                      l.to.level);
    };
    if (i < starting) {
      const std::size_t part = i % 4;
      if (part == 0) {
        history.push_back(y);
        start = x;
        average = linear();
      }
      average += (part == 1 || part == 2 ? 2.0 : 1.0) / 6 * y;
      return step(start, part == 3 ? average : y, out.timesteps[i - part]);
    }
    if (i == 1)  // second half of the pseudo Heun start
      return step(start, (y + history.back()) / 2, l.from.time + stride);
    if (history.empty()) start = x;
    tweedie::detail::remember(history, y);
    return step(x, plms_noise(history), l.from.time);
  });
  return out;
}

}  // namespace tweedie::huggingface
