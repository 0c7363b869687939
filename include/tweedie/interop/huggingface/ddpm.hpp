// Ancestral sampling as Hugging Face runs it: DDPMScheduler, DDPMParallelScheduler,
// UnCLIPScheduler, DDPMWuerstchenScheduler.
//
// With s the next listed timestep (Ho et al. 2020, eq. 7), b = 1 - a_t/a_s:
//   x_s = sqrt(a_s) b/(1 - a_t) x0 + sqrt(a_t/a_s) (1 - a_s)/(1 - a_t) x_t + sd e
// sd^2 is one of: the posterior variance (fixed_small, at least 1e-20), b (fixed_large), the
// network's second output itself (learned), or between the logarithms of both (learned_range).
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"

namespace tweedie::huggingface {

/// The noise term of one ancestral step. `posterior` is (1 - a_s)/(1 - a_t) b.
inline linear ddpm_noise(recorder& r, const std::string& variance_type, double posterior,
                         double b) {
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
    const node from = limit_node(table_node(c, table, visited[i]), out.transform);
    const bool last = i + 1 == visited.size();
    const double a_t = alpha_bar_at(c, table, visited[i]);
    const double a_s = last ? 1.0 : alpha_bar_at(c, table, visited[i + 1]);
    require_step(c, a_t, a_s);
    const double ratio = a_t / a_s;
    const double b = 1 - ratio;
    const estimate e = r.evaluate(x, from);
    linear next =
        (std::sqrt(a_s) * b / (1 - a_t)) * e.clean + (std::sqrt(ratio) * (1 - a_s) / (1 - a_t)) * x;
    if (visited[i] > 0) next += ddpm_noise(r, variance_type, (1 - a_s) / (1 - a_t) * b, b);
    x = next;
    r.mark(x, {last ? -1.0 : visited[i + 1], alpha_bar_table::level_of(a_s)});
  }
  out.plan = r.finish(x);
  return out;
}

/// DDPMParallelScheduler: DDPM, and its noise-free steps of T//N for Picard iteration.
inline loaded_sampler load_ddpm_parallel(const config& c, const request& how) {
  loaded_sampler out = load_ddpm(c, how);
  const alpha_bar_table table = read_betas(
      c, {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"}, zero_terminal_snr::exact);
  const int stride = table.steps() / how.num_inference_steps.value_or(table.steps());
  for (const double t : out.timesteps) {
    const node from = limit_node(table_node(c, table, t), out.transform);
    const int s = static_cast<int>(t) - stride;
    const double a_t = table.at(static_cast<int>(t));
    const double a_s = s >= 0 ? table.at(s) : 1.0;
    require_step(c, a_t, a_s);
    recorder r(from);
    linear x = r.state();
    const estimate e = r.evaluate(x, from);
    x = (std::sqrt(a_s) * (1 - a_t / a_s) / (1 - a_t)) * e.clean +
        (std::sqrt(a_t / a_s) * (1 - a_s) / (1 - a_t)) * x;
    out.parallel_steps.push_back(r.finish(x));
  }
  return out;
}

/// UnCLIPScheduler: DDPM on the cosine table, N points from T-1 to 0; the last step leaves level 0.
inline loaded_sampler load_unclip(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, {"squaredcos_cap_v2"}, zero_terminal_snr::unsupported,
                                           0.0001, 0.02, "squaredcos_cap_v2");
  const std::string variance_type =
      c.text("variance_type", "fixed_small_log", {"fixed_small_log", "learned_range"});
  const int steps = how.num_inference_steps.value_or(0);
  if (steps < 2) c.fail("num_inference_steps", std::to_string(steps) + "; valid: at least 2");

  loaded_sampler out;
  out.network = read_prediction(c, {"epsilon", "sample"});
  out.transform = read_clip_range(c, true);
  out.forward = table_forward(table);
  const double ratio = static_cast<double>(table.steps() - 1) / (steps - 1);
  for (int k = steps; k-- > 0;) out.timesteps.push_back(round_half_even(k * ratio));

  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(table_node(c, table, visited.front()));
  linear x = r.state();
  for (std::size_t i = 0; i < visited.size(); ++i) {
    const node from = limit_node(table_node(c, table, visited[i]), out.transform);
    const double s = i + 1 < visited.size() ? visited[i + 1] : visited[i] - 1;
    const double a_t = table.at(static_cast<int>(visited[i]));
    const double a_s = s >= 0 ? table.at(static_cast<int>(s)) : 1.0;
    const double b = 1 - a_t / a_s;
    const estimate e = r.evaluate(x, from);
    linear next =
        (std::sqrt(a_s) * b / (1 - a_t)) * e.clean + (std::sqrt(1 - b) * (1 - a_s) / (1 - a_t)) * x;
    if (visited[i] > 0) next += ddpm_noise(r, variance_type, (1 - a_s) / (1 - a_t) * b, b);
    x = next;
    r.mark(x, {s, alpha_bar_table::level_of(a_s)});
  }
  out.plan = r.finish(x);
  return out;
}

/// DDPMWuerstchenScheduler: DDPM with noise predictions on the continuous cosine schedule
///   a(t) = cos^2((t' + s)/(1 + s) pi/2) / cos^2(s/(1 + s) pi/2) in [0.0001, 0.9999],
/// t' = t warped by `scaler`. Noise is drawn, with weight 0, in the last step too.
inline loaded_sampler load_wuerstchen(const config& c, const request& how) {
  const double scaler = c.number("scaler", 1);
  if (!(scaler >= 0)) c.refuse("scaler", "scaler >= 0");
  const double s = c.number("s", 0.008);
  const auto squared_cosine = [s](double t) {
    const double value = std::cos((t + s) / (1 + s) * std::numbers::pi * 0.5);
    return value * value;
  };
  const auto alpha_bar = [=](double t) {
    if (scaler > 1)
      t = 1 - std::pow(1 - t, scaler);
    else if (scaler < 1)
      t = std::pow(t, scaler);
    return std::clamp(squared_cosine(t) / squared_cosine(0), 0.0001, 0.9999);
  };
  loaded_sampler out;
  out.forward = [=](double t) { return alpha_bar_table::level_of(alpha_bar(t)); };
  if (const auto custom = how.set_timesteps.numbers("timesteps")) {
    for (std::size_t i = 0; i < custom->size(); ++i)
      if (!((*custom)[i] >= 0 && (*custom)[i] <= (i == 0 ? 1 : (*custom)[i - 1])))
        how.set_timesteps.refuse("timesteps", "falling times in [0, 1]");
    out.timesteps = *custom;
  } else {
    const int steps = how.num_inference_steps.value_or(0);
    if (steps < 1) c.fail("num_inference_steps", std::to_string(steps) + "; valid: at least 1");
    out.timesteps = linspace(1, 0, steps + 1);
  }
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  if (visited.size() < 2) how.set_timesteps.refuse("timesteps", "at least a start and an end");
  const auto node_of = [&](double t) { return node{t, out.forward(t)}; };
  recorder r(node_of(visited.front()));
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < visited.size(); ++i) {
    const double a_t = alpha_bar(visited[i]);
    const double a_s = alpha_bar(visited[i + 1]);
    const double ratio = a_t / a_s;
    const estimate e = r.evaluate(x, node_of(visited[i]));
    const double sd = std::sqrt((1 - ratio) * (1 - a_s) / (1 - a_t));
    x = std::sqrt(1 / ratio) * (x - (1 - ratio) / std::sqrt(1 - a_t) * e.output) +
        (visited[i + 1] != 0 ? sd : 0.0) * r.draw();
    r.mark(x, node_of(visited[i + 1]));
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
