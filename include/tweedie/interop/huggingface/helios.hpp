// HeliosScheduler and HeliosDMDScheduler: flow matching in stages of rising resolution, each with
// its own stretch of timesteps; Euler or UniPC steps, or redrawing with one fixed noise.
//
// With several stages the flow times of every stage run from 0.999 to 0 while its timesteps run
// over the stage's share of the schedule. The last level of UniPC is 1e-8 in place of 0.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/flow_match.hpp"

namespace tweedie::huggingface {

namespace detail {

// First and last timestep of a stage, as numbers that a run interpolates between.
struct helios_stage {
  double first = 0;
  double last = 0;
};

inline helios_stage read_helios_stage(const config& c, int train_steps, int stages, int index) {
  const double shift = c.number("shift", 1);
  const double gamma = c.number("gamma", 1.0 / 3);
  std::vector<double> range =
      c.numbers("stage_range").value_or(std::vector<double>{0, 1. / 3, 2. / 3, 1});
  if (static_cast<int>(range.size()) != stages + 1 || !std::is_sorted(range.begin(), range.end()) ||
      range.front() < 0 || range.back() > 1 || range[range.size() - 2] >= 1)
    c.refuse("stage_range", "stages + 1 rising numbers in [0, 1], only the last of which is 1");

  std::vector<double> table = flow_levels(shift, train_steps, train_steps);  // noisy to clean
  std::vector<double> distances;
  for (std::size_t i = 0; i + 1 < range.size(); ++i) {
    const auto start = static_cast<std::size_t>(range[i] * train_steps);
    const auto end = static_cast<std::size_t>(range[i + 1] * train_steps);
    double from = table.at(start);
    const double to = end < table.size() ? table[end] : 0;
    if (i > 0) {
      const double clean = 1 - from;
      from = 1 - clean / (std::sqrt(1 + 1 / gamma) * (1 - clean) + clean);
    }
    distances.push_back(from - to);
  }
  const double total = std::accumulate(distances.begin(), distances.end(), 0.0);
  const auto part = [&](int count) {
    return std::accumulate(distances.begin(), distances.begin() + count, 0.0) / total;
  };
  const auto entry = [&](double ratio) {
    if (!(ratio >= 0 && ratio <= 1))
      c.fail("shift", tweedie::detail::number(shift) +
                          ", gamma = " + tweedie::detail::number(gamma) +
                          ", num_train_timesteps = " + std::to_string(train_steps) +
                          "; valid: positive, finite, and stages of some length");
    const auto i = static_cast<std::size_t>(ratio * train_steps);
    return table[(std::min)(i, table.size() - 1)] * train_steps;
  };
  const double begin = entry(index == 0 ? 0 : part(index));
  const double end = entry(index == stages - 1 ? 0.9999999999999999 : part(index + 1));
  const std::vector<double> times = linspace((std::min)(begin, 999.0), end, train_steps + 1);
  return {times.front(), times[times.size() - 2]};
}

// Timesteps and flow times; `drops_last` leaves out the lowest nonzero level (few-step models).
inline void read_helios(const config& c, const request& how, const char* time_shift_default,
                        bool drops_last, loaded_sampler& out) {
  const int train_steps = read_train_steps(c);
  const int stages = c.integer("stages", 3);
  if (stages < 1) c.refuse("stages", "1 or more");
  const double shift = c.number("shift", 1);
  const bool dynamic = c.flag("use_dynamic_shifting", false);
  c.text("time_shift_type", time_shift_default, {"exponential", "linear"});
  c.maybe_number("gamma");
  c.numbers("stage_range");
  if (dynamic && shift != 1) c.refuse("use_dynamic_shifting", "true only with shift = 1");
  if (how.begin_index != 0)
    c.fail("begin_index", std::to_string(how.begin_index) + "; this class always begins at step 0");
  int steps = read_steps(c, how);
  const bool amplified = how.set_timesteps.flag("is_amplify_first_chunk", false);
  if (drops_last) steps = amplified ? 2 * steps + 1 : steps + 1;
  const int index = how.set_timesteps.integer("stage_index", 0);
  if (index < 0 || index >= stages) how.set_timesteps.refuse("stage_index", "0 ... stages - 1");
  const auto given = how.set_timesteps.numbers("sigmas");
  const auto mu = how.set_timesteps.maybe_number("mu");
  if (dynamic && !mu) how.set_timesteps.refuse("mu", "a number, with use_dynamic_shifting");

  helios_stage stage;
  if (stages > 1) {
    stage = read_helios_stage(c, train_steps, stages, index);
    out.timesteps = linspace(stage.first, stage.last, steps);
    const std::vector<double> all = linspace(0.999, 0, train_steps + 1);
    out.sigmas = linspace(all.front(), all[all.size() - 2], steps);
  } else if (given) {
    // A list of levels reaches the reference as numpy float32 and is multiplied as such.
    const auto single = [](double s) { return static_cast<double>(static_cast<float>(s)); };
    const bool rounds = std::ranges::all_of(*given, [&](double s) { return single(s) == s; });
    out.sigmas = *given;
    out.timesteps = mapped(*given, [&](double s) {
      return rounds ? single(static_cast<float>(s) * static_cast<float>(train_steps))
                    : s * train_steps;
    });
  } else {
    out.sigmas = linspace(1, 1.0 / train_steps, steps + 1);
    out.sigmas.pop_back();
    if (shift != 1)
      for (double& s : out.sigmas) s = time_shifted(c, time_shift_default, shift, s);
    out.timesteps = mapped(out.sigmas, [=](double s) { return s * train_steps; });
  }
  if (out.sigmas.empty()) how.set_timesteps.refuse("sigmas", "at least one value");
  if (drops_last) {
    out.timesteps.pop_back();
    out.sigmas.pop_back();
  }
  out.sigmas.push_back(0);
  if (!dynamic) return;
  for (double& s : out.sigmas) s = time_shifted(c, time_shift_default, *mu, s);
  const auto [low, high] = (std::minmax)(stage.first, stage.last);
  for (std::size_t i = 0; i < out.timesteps.size(); ++i)
    out.timesteps[i] =
        stages == 1 ? out.sigmas[i] * train_steps : low + out.sigmas[i] * (high - low);
}

}  // namespace detail

inline loaded_sampler load_helios(const config& c, const request& how) {
  loaded_sampler out;
  detail::read_helios(c, how, "exponential", false, out);
  const bool euler = c.text("scheduler_type", "unipc", {"euler", "unipc"}) == "euler";
  if (c.flag("thresholding", false)) c.refuse("thresholding", "false");
  if (c.has("solver_p")) c.refuse("solver_p", "null: a second scheduler as predictor is not read");
  const bool flow = c.flag("use_flow_sigmas", true);
  const bool data = c.flag("predict_x0", true);
  c.text("prediction_type", "flow_prediction",
         {"epsilon", "sample", "v_prediction", "flow_prediction"});
  c.without_effect({"solver_order", "lower_order_final", "solver_type", "disable_corrector"});
  if (euler) {
    out.plan = flow_euler(straight_nodes(c, how, out));
    out.network.prediction = predicts_rectified_velocity;
    return out;
  }
  out.network = read_dpm_solver_prediction(c, !data, flow, "flow_prediction");
  const grid nodes = listed_nodes(c, how, out.timesteps, out.sigmas, 0, [&](double s) {
    const double norm = std::sqrt(s * s + 1);
    return flow ? signal_noise{straight_level(c, s).alpha, (std::max)(s, 1e-8)}
                : signal_noise{1 / norm, s / norm};
  });
  out.plan = plan_unipc(c, nodes, 0, data ? clean_row : noise_row);
  return out;
}

/// Every step redraws the x0 estimate with the same noise: x' = (1 - s') D + s' z. Levels are
/// looked up by whole timesteps, as the reference does.
inline loaded_sampler load_helios_dmd(const config& c, const request& how) {
  loaded_sampler out;
  detail::read_helios(c, how, "linear", true, out);
  c.text("prediction_type", "flow_prediction", {"flow_prediction"});
  c.without_effect({"use_flow_sigmas"});
  if (out.timesteps.empty()) c.fail("num_inference_steps", "0; valid: 1 or more");
  grid nodes;
  for (const double t : out.timesteps)
    nodes.push_back(
        {t, straight_level(c, out.sigmas[nearest_timestep(out.timesteps, std::trunc(t))])});
  nodes.push_back(clean_node(0));
  linear z;
  out.plan = walk_anywhere(
      "HeliosDMD", nodes, [&](recorder& r, const linear& x, const leg& l, std::size_t i) {
        if (i == 0) z = r.draw();
        return l.to.level.alpha * r.evaluate(x, l.from).clean + l.to.level.sigma * z;
      });
  out.network.prediction = predicts_rectified_velocity;
  return out;
}

}  // namespace tweedie::huggingface
