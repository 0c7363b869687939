// Samplers of the score-SDE and EDM papers: ScoreSdeVeScheduler, ScoreSdeVpScheduler,
// KarrasVeScheduler.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tweedie/interop/huggingface/noise_levels.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"

namespace tweedie::huggingface {

/// ScoreSdeVeScheduler (Song et al. 2021, algorithms 2 and 4): before each predictor step,
/// `correct_steps` Langevin steps. The network is told sigma and predicts the score; the predictor
/// takes its noise levels from a second table, by truncation of t (N - 1).
inline loaded_sampler load_score_sde_ve(const config& c, const request& how) {
  c.without_effect({"num_train_timesteps"});
  const sigma_range range = read_sigma_range(c, 0.01, 1348);
  const double configured_end = c.number("sampling_eps", 1e-5);
  const double end = how.set_timesteps.number("sampling_eps", configured_end);
  if (!(end >= 0 && end <= 1))
    c.fail("sampling_eps", tweedie::detail::number(end) + "; valid: 0 <= sampling_eps <= 1");
  const int steps = read_steps(c, how);

  loaded_sampler out;
  out.correction = langevin_correction{c.integer("correct_steps", 1), c.number("snr", 0.15)};
  out.timesteps = linspace(1, end, steps);
  out.sigmas = mapped(out.timesteps,
                      [=](double t) { return range.low * std::pow(range.high / range.low, t); });
  const std::vector<double> discrete = geometric_levels(range.low, range.high, steps);
  out.tables["discrete_sigmas"] = discrete;
  out.init_noise_sigma = range.high;
  out.network.prediction = predicts_score;

  remaining(c, out.timesteps, how.begin_index);
  legs walked;
  std::vector<double> variances;
  for (auto i = static_cast<std::size_t>(how.begin_index); i < out.timesteps.size(); ++i) {
    const auto k = static_cast<std::size_t>(out.timesteps[i] * (steps - 1));
    const double below = k == 0 ? 0 : discrete[k - 1];
    variances.push_back(discrete[k] * discrete[k] - below * below);
    walked.push_back({noise_level_nodes(out.sigmas[i]), noise_level_nodes(below)});
    out.previews.push_back({.state = 1, .clean = 0, .output = variances.back()});
  }
  out.plan = walk_anywhere("ScoreSdeVe", walked,
                           [&](recorder& r, const linear& x, const leg& l, std::size_t i) {
                             linear next = x + variances[i] * r.evaluate(x, l.from).output;
                             next += std::sqrt(variances[i]) * r.draw();
                             return next;
                           });
  return out;
}

/// ScoreSdeVpScheduler: Euler-Maruyama with N steps of 1/N from the listed times; the network
/// predicts noise on the clock t in [eps, 1].
inline loaded_sampler load_score_sde_vp(const config& c, const request& how) {
  c.without_effect({"num_train_timesteps"});
  const double slow = c.number("beta_min", 0.1);
  const double fast = c.number("beta_max", 20);
  const double end = c.number("sampling_eps", 1e-3);
  if (!(end > 0 && end <= 1)) c.refuse("sampling_eps", "0 < sampling_eps <= 1");
  const int steps = read_steps(c, how);
  const double dt = 1.0 / steps;

  loaded_sampler out;
  out.timesteps = linspace(1, end, steps);
  out.forward = [=](double t) -> signal_noise {
    const double log_alpha = -0.25 * t * t * (fast - slow) - 0.5 * t * slow;
    return {std::exp(log_alpha), std::sqrt(-std::expm1(2 * log_alpha))};
  };
  legs walked;
  for (const double t : remaining(c, out.timesteps, how.begin_index)) {
    const double next = (std::max)(t - dt, 0.0);
    walked.push_back({{t, out.forward(t)}, {next, out.forward(next)}});
  }
  out.plan = walk_anywhere("ScoreSdeVp", walked, [&](recorder& r, linear x, const leg& l) {
    const double beta = slow + l.from.time * (fast - slow);
    const double gain = 1 + 0.5 * beta * dt;
    const double pull = -beta / l.from.level.sigma * dt;
    out.previews.push_back({.state = gain, .clean = 0, .output = pull});
    const linear output = r.evaluate(x, l.from).output;
    x = gain * x + pull * output;
    x += std::sqrt(beta * dt) * r.draw();
    return x;
  });
  return out;
}

/// KarrasVeScheduler (Karras et al. 2022, algorithm 2): churn, Euler, Heun correction. Its table of
/// noise levels holds their squares, from sigma_min^2 to sigma_max^2, and uses them as levels; the
/// network predicts -z. Every operation is a step; noise is drawn even where the churn is 0.
inline loaded_sampler load_karras_ve(const config& c, const request& how) {
  const double low = c.number("sigma_min", 0.02);
  const double high = c.number("sigma_max", 100);
  if (!(low > 0)) c.refuse("sigma_min", "sigma_min > 0");
  if (!(high > 0)) c.refuse("sigma_max", "sigma_max > 0");
  churn noise{.amount = c.number("s_churn", 80),
              .lowest = c.number("s_min", 0.05),
              .highest = c.number("s_max", 50),
              .noise_scale = c.number("s_noise", 1.007)};
  if (!(noise.amount >= 0)) c.refuse("s_churn", "s_churn >= 0");
  const int steps = read_steps(c, how, 2);

  loaded_sampler out;
  std::vector<double> schedule;  // rising
  for (int i = steps; i-- > 0;) {
    out.timesteps.push_back(i);
    schedule.push_back(high * high *
                       std::pow(low * low / (high * high), static_cast<double>(i) / (steps - 1)));
  }
  out.tables["schedule"] = schedule;
  out.init_noise_sigma = high;
  out.network.prediction = [](const node&) { return plane_row{0, -1}; };

  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(noise_level_nodes(schedule[static_cast<std::size_t>(visited.front())]));
  linear x = r.state();
  for (const double t : visited) {
    const auto k = static_cast<std::size_t>(t);
    const double sigma = schedule[k];
    const node next = noise_level_nodes(k > 0 ? schedule[k - 1] : 0);
    const node hat =
        noise_level_nodes(sigma + noise.raise(sigma, static_cast<std::size_t>(steps)) * sigma);
    const double h = next.level.sigma - hat.level.sigma;
    linear start = x + std::sqrt(hat.level.sigma * hat.level.sigma - sigma * sigma) *
                           noise.noise_scale * r.draw();
    r.mark(start, hat);
    const linear y = r.evaluate(start, hat).output;
    x = start - h * y;
    r.mark(x, next);
    if (next.level.sigma == 0) continue;
    const linear corrected = r.evaluate(x, next).output;
    x = start - h * (y + corrected) / 2;
    r.mark(x, next);
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
