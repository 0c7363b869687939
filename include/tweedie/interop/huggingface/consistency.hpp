// Consistency samplers: LCMScheduler, TCDScheduler, CMStochasticIterativeScheduler,
// ConsistencyDecoderScheduler, SCMScheduler; see sampler/consistency.hpp for the methods.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"
#include "tweedie/sampler/consistency.hpp"
#include "tweedie/schedule/precondition.hpp"

namespace tweedie::huggingface {

/// Timesteps of LCM and TCD, and the step after which no noise is added.
struct distilled_timesteps {
  std::vector<double> listed;
  int last_step = 0;  ///< counted without cropping by `strength`
};

/// A custom list cropped by strength, or N of the timesteps of the distillation, spaced by floor:
/// those are k (T // original) - 1 for k = 1 ... original x strength or, in a class that takes
/// original_inference_steps of set_timesteps for all (TCD), 0 ... T x strength - 1 where it is given.
inline distilled_timesteps read_distilled(const config& c, const request& how, int train_steps,
                                          bool asked_means_all) {
  const int configured = c.integer("original_inference_steps", 50);
  const auto asked = how.set_timesteps.maybe_integer("original_inference_steps");
  const double strength = how.set_timesteps.number("strength", 1);
  const int original = asked.value_or(configured);
  std::vector<double> origin;
  if (asked && asked_means_all) {
    for (int k = 0; k < static_cast<int>(train_steps * strength); ++k) origin.push_back(k);
  } else {
    if (original < 1 || original > train_steps)
      c.fail("original_inference_steps",
             std::to_string(original) + "; valid: 1 ... num_train_timesteps");
    for (int k = 1; k <= static_cast<int>(original * strength); ++k)
      origin.push_back(k * (train_steps / original) - 1);
  }
  if (const auto custom = read_list(how, "timesteps")) {
    const int count = static_cast<int>(custom->size());
    const int kept = (std::min)(static_cast<int>(count * strength), count);
    if (kept < 1) how.set_timesteps.refuse("timesteps", "at least one, after cropping by strength");
    return {{custom->end() - kept, custom->end()}, count - 1};
  }
  const int available = static_cast<int>(origin.size());
  const int steps = read_steps(c, how, 1, (std::min)({train_steps, available, original}));
  distilled_timesteps t{{}, steps - 1};
  for (int k = 0; k < steps; ++k) {
    const double position = std::floor(k * (static_cast<double>(available) / steps));
    t.listed.push_back(
        origin[static_cast<std::size_t>(available - 1 - static_cast<int>(position))]);
  }
  return t;
}

/// The table of latent consistency models.
inline alpha_bar_table read_distilled_betas(const config& c) {
  c.without_effect({"set_alpha_to_one", "steps_offset", "timestep_spacing"});
  return read_betas(c, table_schedules, zero_terminal_snr::exact, 0.00085, 0.012, "scaled_linear");
}

/// LCM: f noised to the next listed timestep; the last step returns f. The boundary scaling has a
/// standard deviation of 0.5 built in.
inline loaded_sampler load_lcm(const config& c, const request& how) {
  const alpha_bar_table table = read_distilled_betas(c);
  const distilled_timesteps t = read_distilled(c, how, table.steps(), false);
  const double time_scale = c.number("timestep_scaling", 10);

  loaded_sampler out = on_table(table, t.listed, read_prediction(c), read_clipping(c, false));
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  legs steps;
  for (std::size_t i = 0; i < visited.size(); ++i) {
    const bool noised = static_cast<int>(i) + how.begin_index != t.last_step;
    const double next = visited[(std::min)(i + 1, visited.size() - 1)];
    steps.push_back({limit_node(table_node(c, table, visited[i]), out.transform),
                     noised ? table_node(c, table, next) : clean_node(-1)});
  }
  const auto scaling = [&](const node& n) {
    const consistency_scaling f = latent_consistency_scaling(n.time, time_scale);
    out.previews.push_back({.state = f.skip, .clean = f.out});
    return f;
  };
  out.plan = renoised_estimates("LCM", steps, {.scaling = scaling});
  return out;
}

/// TCD: a DDIM step to floor((1 - eta) s), then noise up to s; the last step goes to timestep 0.
inline loaded_sampler load_tcd(const config& c, const request& how) {
  const alpha_bar_table table = read_distilled_betas(c);
  const distilled_timesteps t = read_distilled(c, how, table.steps(), true);
  const double eta = how.step.number("eta", 0.3);
  if (!(eta >= 0 && eta <= 1)) how.step.refuse("eta", "0 <= eta <= 1");
  c.without_effect({"timestep_scaling", "clip_sample", "clip_sample_range", "thresholding",
                    "dynamic_thresholding_ratio", "sample_max_value"});

  loaded_sampler out = on_table(table, t.listed, read_prediction(c));
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  legs steps;
  for (std::size_t i = 0; i < visited.size(); ++i)
    steps.push_back({table_node(c, table, visited[i]),
                     table_node(c, table, i + 1 < visited.size() ? visited[i + 1] : 0)});
  out.plan = trajectory_consistency_by("TCD", steps, [&](const leg& l) {
    const signal_noise below = table_node(c, table, std::floor((1 - eta) * l.to.time)).level;
    out.previews.push_back({.clean = below.alpha, .noise = below.sigma});
    return below;
  });
  // Noise is drawn up to the last step that is listed without cropping, also where its weight is 0.
  out.plan.draws.resize(
      eta > 0 ? (std::min)(steps.size(), static_cast<std::size_t>(t.last_step - how.begin_index))
              : 0);
  return out;
}

/// CMStochasticIterativeScheduler: noise levels of Karras et al. 2022, time 250 log(sigma), data at
/// level sigma_min. Draws in the last step too.
inline loaded_sampler load_consistency_models(const config& c, const request& how) {
  const int train_steps = read_train_steps(c, 40, 2);
  const sigma_range range = read_sigma_range(c, 0.002, 80);
  const double low = range.low;
  const double high = range.high;
  const double data = c.number("sigma_data", 0.5);
  const double s_noise = c.number("s_noise", 1);
  const double rho = c.number("rho", 7);
  auto indices = read_list(how, "timesteps");
  if (indices && (indices->front() >= train_steps || indices->back() < 0))
    how.set_timesteps.refuse("timesteps", "descending, 0 ... num_train_timesteps - 1");
  if (!indices) indices = leading_timesteps(train_steps, read_steps(c, how, 1, train_steps), 0);

  loaded_sampler out;
  for (const double k : reversed(*indices)) {
    out.sigmas.push_back(karras_level(k / (train_steps - 1), high, low, rho));
    out.timesteps.push_back(250 * std::log(out.sigmas.back() + 1e-44));
  }
  out.sigmas.push_back(low);
  out.init_noise_sigma = high;
  out.forward = [timesteps = out.timesteps, sigmas = out.sigmas](double t) {
    return variance_exploding(sigmas[index_for_timestep(timesteps, t)]);
  };
  if (c.flag("clip_denoised", true)) out.transform = clip_range{1};
  out.network.input_scale = edm_input(data);
  // At sigma_min x0 = x whatever F is: the row of a noise prediction of unbounded size.
  out.network.prediction = [inside = predicts_consistency(data, low), low](const node& n) {
    return noise_level(n.level) > low ? inside(n) : plane_row{0, -1e300};
  };

  legs steps = listed_nodes(c, how, out.timesteps, out.sigmas, 250 * std::log(low),
                            [](double s) { return variance_exploding(s); });
  for (leg& l : steps) l.to.level.sigma = std::clamp(l.to.level.sigma, low, high);
  out.plan =
      walk_anywhere("CMStochasticIterative", steps, [&](recorder& r, linear x, const leg& l) {
        const double next = l.to.level.sigma;
        x = r.evaluate(x, l.from).clean;
        // Where next = low up to rounding, rounding decides the noise: the reference's difference.
        if (out.timesteps.size() > 1) x += s_noise * std::sqrt(next * next - low * low) * r.draw();
        return x;
      });
  return out;
}

/// ConsistencyDecoderScheduler: two steps, from timesteps 1008 and 512 of the cosine table.
inline loaded_sampler load_consistency_decoder(const config& c, const request& how) {
  const int train_steps = read_train_steps(c, 1024, 1009);
  const double data = c.number("sigma_data", 0.5);
  read_steps(c, how, 2, 2);
  const alpha_bar_table table =
      read_betas(config{{{"num_train_timesteps", train_steps}}}, {"squaredcos_cap_v2"},
                 zero_terminal_snr::unsupported, 0, 0, "squaredcos_cap_v2");
  loaded_sampler out = on_table(table, {1008, 512}, {});
  out.init_noise_sigma = table.level(1008).sigma;
  out.network.input_scale = edm_input(data);
  out.network.prediction = predicts_edm(data);
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  out.plan = renoised_estimates("ConsistencyDecoder", listed_legs(c, table, {}, visited));
  return out;
}

/// SCMScheduler: TrigFlow, x = cos(t) x0 + sin(t) sigma_data z, network output
/// -sin(t) x0 + cos(t) sigma_data z. Draws, with weight 0, in the last step too.
inline loaded_sampler load_scm(const config& c, const request& how) {
  const int train_steps = read_train_steps(c);
  c.text("prediction_type", "trigflow", {"trigflow"});
  const double data = c.number("sigma_data", 0.5);
  if (!(data > 0)) c.refuse("sigma_data", "a positive number");
  const options& set = how.set_timesteps;
  const int steps = read_steps(c, how, 1, train_steps);
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
  out.forward = [data](double t) { return signal_noise{std::cos(t), std::sin(t) * data}; };
  // Not a walk: 1.5708 is past pi/2, where the level of the first node, cos t, is below 0.
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r({visited.front(), out.forward(visited.front())});
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < visited.size(); ++i) {
    const node to{visited[i + 1], out.forward(visited[i + 1])};
    const estimate e = r.evaluate(x, {visited[i], out.forward(visited[i])});
    x = to.level.alpha * e.clean + to.level.sigma * r.draw();
    r.mark(x, to);
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
