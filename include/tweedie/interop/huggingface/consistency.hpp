// Consistency samplers: LCMScheduler, TCDScheduler, CMStochasticIterativeScheduler,
// ConsistencyDecoderScheduler, SCMScheduler; see sampler/consistency.hpp for the methods.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"
#include "tweedie/sampler/consistency.hpp"

namespace tweedie::huggingface {

/// Timesteps of LCM and TCD, and the step after which no noise is added.
struct distilled_timesteps {
  std::vector<double> listed;
  int last_step = 0;  ///< counted without cropping by `strength`
};

/// N of the rising `origin` timesteps, spaced by floor, or a custom list cropped by strength.
inline distilled_timesteps pick_distilled_timesteps(const config& c, const request& how,
                                                    const std::vector<double>& origin,
                                                    int train_steps, int original_steps) {
  const double strength = how.set_timesteps.number("strength", 1);
  distilled_timesteps t;
  if (const auto custom = how.set_timesteps.numbers("timesteps")) {
    if (how.num_inference_steps)
      c.fail("num_inference_steps", "given together with timesteps; valid: one of the two");
    for (std::size_t i = 1; i < custom->size(); ++i)
      if (!((*custom)[i] < (*custom)[i - 1])) how.set_timesteps.refuse("timesteps", "descending");
    const int count = static_cast<int>(custom->size());
    const int kept = std::min(static_cast<int>(count * strength), count);
    if (kept < 1) how.set_timesteps.refuse("timesteps", "at least one, after cropping by strength");
    t.listed.assign(custom->end() - kept, custom->end());
    t.last_step = count - 1;
    return t;
  }
  const int steps = read_steps(c, how.num_inference_steps, train_steps);
  const int available = static_cast<int>(origin.size());
  if (steps > available || steps > original_steps)
    c.fail("num_inference_steps", std::to_string(steps) +
                                      "; valid: 1 ... original_inference_steps x "
                                      "strength = " +
                                      std::to_string(std::min(available, original_steps)));
  for (int k = 0; k < steps; ++k) {
    const double position = std::floor(k * (static_cast<double>(available) / steps));
    t.listed.push_back(
        origin[static_cast<std::size_t>(available - 1) - static_cast<std::size_t>(position)]);
  }
  t.last_step = steps - 1;
  return t;
}

/// k (T // original) - 1 for k = 1 ... original x strength.
inline std::vector<double> distillation_grid(const config& c, int train_steps, int original_steps,
                                             double strength) {
  if (original_steps < 1 || original_steps > train_steps)
    c.fail("original_inference_steps",
           std::to_string(original_steps) + "; valid: 1 ... num_train_timesteps");
  const int stride = train_steps / original_steps;
  std::vector<double> origin;
  for (int k = 1; k <= static_cast<int>(original_steps * strength); ++k)
    origin.push_back(k * stride - 1);
  return origin;
}

/// LCM: x_s = sqrt(a_s) f + sqrt(1 - a_s) z; the last step returns f. The boundary scaling has a
/// standard deviation of 0.5 built in.
inline loaded_sampler load_lcm(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2"}, zero_terminal_snr::exact,
                 0.00085, 0.012, "scaled_linear");
  const int configured = c.integer("original_inference_steps", 50);
  const int original = how.set_timesteps.integer("original_inference_steps", configured);
  const std::vector<double> origin =
      distillation_grid(c, table.steps(), original, how.set_timesteps.number("strength", 1));
  const distilled_timesteps t = pick_distilled_timesteps(c, how, origin, table.steps(), original);
  const double time_scale = c.number("timestep_scaling", 10);
  c.without_effect({"set_alpha_to_one", "steps_offset", "timestep_spacing"});

  loaded_sampler out;
  out.network = read_prediction(c);
  out.transform = read_clipping(c, false);
  out.timesteps = t.listed;
  out.forward = table_forward(table);
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(table_node(c, table, visited.front()));
  linear x = r.state();
  for (std::size_t i = 0; i < visited.size(); ++i) {
    const node to = table_node(c, table, visited[std::min(i + 1, visited.size() - 1)]);
    const consistency_scaling f = latent_consistency_scaling(visited[i], time_scale);
    const estimate e = r.evaluate(x, limit_node(table_node(c, table, visited[i]), out.transform));
    x = f.skip * x + f.out * e.clean;
    out.previews.push_back({.state = f.skip, .clean = f.out});
    const bool noised = static_cast<int>(i) + how.begin_index != t.last_step;
    if (noised) x = to.level.alpha * x + to.level.sigma * r.draw();
    r.mark(x, noised ? to : node{-1, {1, 0}});
  }
  out.plan = r.finish(x);
  return out;
}

/// TCD: a DDIM step to floor((1 - eta) s), then noise up to s; the last step goes to timestep 0.
inline loaded_sampler load_tcd(const config& c, const request& how) {
  const alpha_bar_table table =
      read_betas(c, {"linear", "scaled_linear", "squaredcos_cap_v2"}, zero_terminal_snr::exact,
                 0.00085, 0.012, "scaled_linear");
  const int configured = c.integer("original_inference_steps", 50);
  const double strength = how.set_timesteps.number("strength", 1);
  const auto asked = how.set_timesteps.maybe_integer("original_inference_steps");
  std::vector<double> origin;
  if (asked)
    for (int k = 0; k < static_cast<int>(table.steps() * strength); ++k) origin.push_back(k);
  else
    origin = distillation_grid(c, table.steps(), configured, strength);
  const distilled_timesteps t =
      pick_distilled_timesteps(c, how, origin, table.steps(), asked.value_or(configured));
  const double eta = how.step.number("eta", 0.3);
  if (!(eta >= 0 && eta <= 1)) how.step.refuse("eta", "0 <= eta <= 1");
  c.without_effect({"set_alpha_to_one", "steps_offset", "timestep_spacing", "timestep_scaling",
                    "clip_sample", "clip_sample_range", "thresholding",
                    "dynamic_thresholding_ratio", "sample_max_value"});

  loaded_sampler out;
  out.network = read_prediction(c);
  out.timesteps = t.listed;
  out.forward = table_forward(table);
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(table_node(c, table, visited.front()));
  linear x = r.state();
  for (std::size_t i = 0; i < visited.size(); ++i) {
    const double s = i + 1 < visited.size() ? visited[i + 1] : 0;
    const node to = table_node(c, table, s);
    const node below = table_node(c, table, std::floor((1 - eta) * s));
    const estimate e = r.evaluate(x, table_node(c, table, visited[i]));
    x = below.level.alpha * e.clean + below.level.sigma * e.noise;
    out.previews.push_back({.clean = below.level.alpha, .noise = below.level.sigma});
    if (eta > 0 && static_cast<int>(i) + how.begin_index != t.last_step)
      x = renoised(r, x, below.level, to.level);
    r.mark(x, to);
  }
  out.plan = r.finish(x);
  return out;
}

/// Row of a network F with x0 = skip x + out F at `level`. Where out = 0, x0 = x whatever F is: the
/// row of a noise prediction of unbounded size.
inline plane_row scaled_row(double skip, double out, signal_noise level) {
  if (out == 0) return {0, -1e300};
  return {(1 - skip * level.alpha) / out, -skip * level.sigma / out};
}

/// CMStochasticIterativeScheduler: noise levels of Karras et al. 2022, time 250 log(sigma), data at
/// level sigma_min. Draws in the last step too.
inline loaded_sampler load_consistency_models(const config& c, const request& how) {
  const int train_steps = c.integer("num_train_timesteps", 40);
  if (train_steps < 2) c.refuse("num_train_timesteps", "2 or more");
  const sigma_range range = read_sigma_range(c, 0.002, 80);
  const double low = range.low;
  const double high = range.high;
  const double data = c.number("sigma_data", 0.5);
  const double s_noise = c.number("s_noise", 1);
  const double rho = c.number("rho", 7);
  std::vector<double> indices;
  if (const auto custom = how.set_timesteps.numbers("timesteps")) {
    if (how.num_inference_steps)
      c.fail("num_inference_steps", "given together with timesteps; valid: one of the two");
    for (std::size_t i = 0; i < custom->size(); ++i)
      if ((i > 0 && !((*custom)[i] < (*custom)[i - 1])) || (*custom)[i] >= train_steps ||
          (*custom)[i] < 0)
        how.set_timesteps.refuse("timesteps", "descending, 0 ... num_train_timesteps - 1");
    indices = *custom;
  } else {
    indices =
        leading_timesteps(train_steps, read_steps(c, how.num_inference_steps, train_steps), 0);
  }
  if (indices.empty()) how.set_timesteps.refuse("timesteps", "at least one timestep");

  loaded_sampler out;
  const double a = std::pow(high, 1 / rho);
  const double b = std::pow(low, 1 / rho);
  for (const double k : reversed(indices))
    out.sigmas.push_back(std::pow(a + k / (train_steps - 1) * (b - a), rho));
  for (const double sigma : out.sigmas) out.timesteps.push_back(250 * std::log(sigma + 1e-44));
  out.sigmas.push_back(low);
  out.init_noise_sigma = high;
  out.forward = [timesteps = out.timesteps, sigmas = out.sigmas](double t) {
    return variance_exploding(sigmas[index_for_timestep(timesteps, t)]);
  };
  if (c.flag("clip_denoised", true)) out.transform = clip_range{1};
  out.network.input_scale = [data](const node& n) { return 1 / std::hypot(n.level.sigma, data); };
  out.network.prediction = [=](const node& n) {
    const double sigma = n.level.sigma / n.level.alpha;  // the row is asked for in the scaled gauge
    const double above = sigma - low;
    return scaled_row(data * data / (above * above + data * data),
                      above * data / std::hypot(sigma, data), {1, sigma});
  };

  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  const auto first = static_cast<std::size_t>(how.begin_index);
  recorder r({visited.front(), variance_exploding(out.sigmas[first])});
  linear x = r.state();
  for (std::size_t i = first; i < out.timesteps.size(); ++i) {
    const double next = std::clamp(out.sigmas[i + 1], low, high);
    const estimate e = r.evaluate(x, {out.timesteps[i], variance_exploding(out.sigmas[i])});
    x = e.clean;
    if (out.timesteps.size() > 1) x += s_noise * std::sqrt(next * next - low * low) * r.draw();
    r.mark(x, {i + 1 < out.timesteps.size() ? out.timesteps[i + 1] : 250 * std::log(low),
               variance_exploding(next)});
  }
  out.plan = r.finish(x);
  return out;
}

/// ConsistencyDecoderScheduler: two steps, from timesteps 1008 and 512 of the cosine table.
inline loaded_sampler load_consistency_decoder(const config& c, const request& how) {
  const int train_steps = c.integer("num_train_timesteps", 1024);
  if (train_steps < 1009) c.refuse("num_train_timesteps", "at least 1009");
  const double data = c.number("sigma_data", 0.5);
  const int steps = how.num_inference_steps.value_or(0);
  if (steps != 2) c.fail("num_inference_steps", std::to_string(steps) + "; valid: 2");
  const alpha_bar_table table =
      read_betas(config{{{"num_train_timesteps", train_steps}}}, {"squaredcos_cap_v2"},
                 zero_terminal_snr::unsupported, 0, 0, "squaredcos_cap_v2");
  loaded_sampler out;
  out.timesteps = {1008, 512};
  out.init_noise_sigma = table.level(1008).sigma;
  out.forward = table_forward(table);
  // In the gauge alpha = 1: c_in x and c_skip x + c_out F of the scaled sample x/sqrt(a).
  out.network.input_scale = [data](const node& n) {
    return 1 / n.level.alpha / std::hypot(n.level.sigma / n.level.alpha, data);
  };
  out.network.prediction = [data](const node& n) {
    const signal_noise level = to_variance_preserving(n.level);
    const double sigma = noise_level(level);
    const double total = sigma * sigma + data * data;
    return scaled_row(data * data / (level.alpha * total), sigma * data / std::sqrt(total), level);
  };
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(table_node(c, table, visited.front()));
  linear x = r.state();
  for (std::size_t i = 0; i < visited.size(); ++i) {
    x = r.evaluate(x, table_node(c, table, visited[i])).clean;
    node to{-1, {1, 0}};
    if (i + 1 < visited.size()) {
      to = table_node(c, table, visited[i + 1]);
      x = renoised(r, x, {1, 0}, to.level);
    }
    r.mark(x, to);
  }
  out.plan = r.finish(x);
  return out;
}

/// SCMScheduler: TrigFlow, x = cos(t) x0 + sin(t) sigma_data z, network output
/// -sin(t) x0 + cos(t) sigma_data z. Draws, with weight 0, in the last step too.
inline loaded_sampler load_scm(const config& c, const request& how) {
  const int train_steps = c.integer("num_train_timesteps", 1000);
  c.text("prediction_type", "trigflow", {"trigflow"});
  const double data = c.number("sigma_data", 0.5);
  if (!(data > 0)) c.refuse("sigma_data", "a positive number");
  const options& set = how.set_timesteps;
  const int steps = read_steps(c, how.num_inference_steps, train_steps);
  const auto custom = set.numbers("timesteps");
  const auto highest = set.given("max_timesteps") ? set.maybe_number("max_timesteps") : 1.5708;
  const auto middle =
      set.given("intermediate_timesteps") ? set.maybe_number("intermediate_timesteps") : 1.3;
  if (custom && highest) set.refuse("max_timesteps", "null with timesteps");
  if (!custom && !highest) set.refuse("max_timesteps", "a number, or timesteps");
  if (middle && steps != 2)
    set.fail("intermediate_timesteps",
             tweedie::detail::number(*middle) + "; valid: null unless num_inference_steps = 2");
  loaded_sampler out;
  if (custom)
    out.timesteps = *custom;
  else if (middle)
    out.timesteps = {*highest, *middle, 0};
  else
    out.timesteps = linspace(*highest, 0, steps + 1);
  if (static_cast<int>(out.timesteps.size()) != steps + 1)
    set.refuse("timesteps", "num_inference_steps + 1 values");

  out.network.prediction = [data](const node& n) {
    return plane_row{-n.level.sigma / data, n.level.alpha * data};
  };
  const auto node_of = [data](double t) { return node{t, {std::cos(t), std::sin(t) * data}}; };
  out.forward = [=](double t) { return node_of(t).level; };
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(node_of(visited.front()));
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < visited.size(); ++i) {
    const node to = node_of(visited[i + 1]);
    const estimate e = r.evaluate(x, node_of(visited[i]));
    x = to.level.alpha * e.clean + to.level.sigma * r.draw();
    r.mark(x, to);
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
