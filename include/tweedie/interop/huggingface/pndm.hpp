// PNDMScheduler: PLMS, with (PRK) or without (pseudo Heun) Runge-Kutta start; see
// sampler/pndm.hpp for the method.
//
// Departures: steps go to t - T//N, midpoints are T//N//2 below, whatever the listed timesteps are;
// network outputs are averaged before a v prediction is converted to noise, at the level and sample
// of the step's start.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"
#include "tweedie/sampler/pndm.hpp"

namespace tweedie::huggingface {

/// Timesteps of the Runge-Kutta start (four per step) and of the multistep part.
struct pndm_timesteps {
  std::vector<double> runge_kutta;
  std::vector<double> multistep;
};

inline pndm_timesteps read_pndm_timesteps(const config& c, int train_steps, int steps) {
  const std::vector<double> listed = read_spacing(c, train_steps, steps);  // falling
  pndm_timesteps t;
  if (c.flag("skip_prk_steps", false)) {
    t.multistep = listed;
    if (listed.size() > 1) t.multistep.insert(t.multistep.begin() + 1, listed[1]);
    return t;
  }
  if (steps < 4)
    c.fail("num_inference_steps",
           std::to_string(steps) + "; valid with skip_prk_steps = false: at least 4");
  const int half = train_steps / steps / 2;
  for (std::size_t k = 0; k < 3; ++k) {
    const double middle = listed[k + 1] + half;
    t.runge_kutta.insert(t.runge_kutta.end(), {listed[k], middle, middle, listed[k + 1]});
  }
  t.multistep.assign(listed.begin() + 3, listed.end());
  return t;
}

inline loaded_sampler load_pndm(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2"},
                                           zero_terminal_snr::unsupported);
  const int train_steps = table.steps();
  const int steps = read_steps(c, how.num_inference_steps, train_steps);
  const int stride = train_steps / steps;
  const int half_stride = stride / 2;
  const double final_alpha_bar = c.flag("set_alpha_to_one", false) ? 1.0 : table.at(0);
  loaded_sampler out;
  out.network = read_prediction(c, {"epsilon", "v_prediction"});
  const bool velocity = c.text("prediction_type", "epsilon", {"epsilon", "v_prediction"})[0] == 'v';
  const pndm_timesteps listed = read_pndm_timesteps(c, train_steps, steps);
  out.timesteps = listed.runge_kutta;
  out.timesteps.insert(out.timesteps.end(), listed.multistep.begin(), listed.multistep.end());
  out.forward = table_forward(table);

  const auto level_at = [&](double t) {
    return t >= 0 ? table_node(c, table, t).level : alpha_bar_table::level_of(final_alpha_bar);
  };
  // The step along a mixture of network outputs.
  const auto step = [&](const linear& x, const linear& output, double from, double to) {
    const signal_noise level = level_at(from);
    return transfer(x, velocity ? level.alpha * output + level.sigma * x : output, level,
                    level_at(to));
  };
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(table_node(c, table, visited.front()));
  linear x = r.state();
  linear start, average;  // sample and running mean of the step under way
  std::vector<linear> history;
  for (std::size_t i = 0; i < visited.size(); ++i) {
    const double t = visited[i];
    const linear y = r.evaluate(x, table_node(c, table, t)).output;
    double to = t - stride;
    if (i < listed.runge_kutta.size()) {
      const std::size_t part = i % 4;
      to = part % 2 ? t : t - half_stride;
      if (part == 0) {
        history.push_back(y);
        start = x;
        average = linear();
      }
      average += (part == 1 || part == 2 ? 2.0 : 1.0) / 6 * y;
      x = step(start, part == 3 ? average : y, listed.runge_kutta[i - part], to);
    } else if (i == 1 && !history.empty()) {  // second half of the pseudo Heun start
      x = step(start, (y + history.back()) / 2, t + stride, to = t);
    } else {
      if (history.empty()) start = x;
      history.push_back(y);
      if (history.size() > 4) history.erase(history.begin());
      x = step(x, plms_noise(history), t, to);
    }
    r.mark(x, {to, level_at(to)});
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
