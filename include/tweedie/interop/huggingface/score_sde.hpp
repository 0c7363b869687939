// Samplers of the score-SDE and EDM papers: ScoreSdeVeScheduler, ScoreSdeVpScheduler,
// KarrasVeScheduler.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tweedie/interop/huggingface/variance_preserving.hpp"

namespace tweedie::huggingface {

/// ScoreSdeVeScheduler (Song et al. 2021, algorithms 2 and 4): before each predictor step,
/// `correct_steps` Langevin steps. The network is told sigma and predicts the score; the predictor
/// takes its noise levels from a second table, by truncation of t (N - 1).
inline loaded_sampler load_score_sde_ve(const config& c, const request& how) {
  c.without_effect({"num_train_timesteps"});
  const auto [low, high] = read_sigma_range(c, 0.01, 1348);
  const double configured_end = c.number("sampling_eps", 1e-5);
  const double end = how.set_timesteps.number("sampling_eps", configured_end);
  if (!(end >= 0 && end <= 1))
    c.fail("sampling_eps", tweedie::detail::number(end) + "; valid: 0 <= sampling_eps <= 1");
  const int steps = read_steps(c, how);

  loaded_sampler out;
  out.correction = langevin_correction{c.integer("correct_steps", 1), c.number("snr", 0.15)};
  out.timesteps = linspace(1, end, steps);
  for (const double t : out.timesteps) out.sigmas.push_back(low * std::pow(high / low, t));
  const std::vector<double> discrete = geometric_levels(low, high, steps);
  out.tables["discrete_sigmas"] = discrete;
  out.init_noise_sigma = high;
  out.network.prediction = predicts_score;

  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  const auto first = static_cast<std::size_t>(how.begin_index);
  const auto node_of = [&](std::size_t i) {
    return node{out.sigmas[i], variance_exploding(out.sigmas[i])};
  };
  recorder r(node_of(first));
  linear x = r.state();
  for (std::size_t i = first; i < out.timesteps.size(); ++i) {
    const auto k = static_cast<std::size_t>(out.timesteps[i] * (steps - 1));
    const double below = k == 0 ? 0 : discrete[k - 1];
    const double variance = discrete[k] * discrete[k] - below * below;
    const estimate e = r.evaluate(x, node_of(i));
    x += variance * e.output;
    out.previews.push_back({.state = 1, .clean = 0, .output = variance});
    x += std::sqrt(variance) * r.draw();
    r.mark(x, {below, variance_exploding(below)});
  }
  out.plan = r.finish(x);
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

  loaded_sampler out;
  out.timesteps = linspace(1, end, steps);
  const auto node_of = [=](double t) {
    const double log_alpha = -0.25 * t * t * (fast - slow) - 0.5 * t * slow;
    return node{t, {std::exp(log_alpha), std::sqrt(-std::expm1(2 * log_alpha))}};
  };
  out.forward = [=](double t) { return node_of(t).level; };
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(node_of(visited.front()));
  linear x = r.state();
  const double dt = 1.0 / steps;
  for (const double t : visited) {
    const node at = node_of(t);
    const double beta = slow + t * (fast - slow);
    const estimate e = r.evaluate(x, at);
    const double gain = 1 + 0.5 * beta * dt;
    const double pull = -beta / at.level.sigma * dt;
    x = gain * x + pull * e.output;
    out.previews.push_back({.state = gain, .clean = 0, .output = pull});
    x += std::sqrt(beta * dt) * r.draw();
    r.mark(x, node_of(std::max(t - dt, 0.0)));
  }
  out.plan = r.finish(x);
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
  const double s_noise = c.number("s_noise", 1.007);
  const double s_churn = c.number("s_churn", 80);
  if (!(s_churn >= 0)) c.refuse("s_churn", "s_churn >= 0");
  const double s_min = c.number("s_min", 0.05);
  const double s_max = c.number("s_max", 50);
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

  const auto node_of = [](double sigma) { return node{sigma, variance_exploding(sigma)}; };
  const std::vector<double> visited = remaining(c, out.timesteps, how.begin_index);
  recorder r(node_of(schedule[static_cast<std::size_t>(visited.front())]));
  linear x = r.state();
  for (const double t : visited) {
    const auto k = static_cast<std::size_t>(t);
    const double sigma = schedule[k];
    const double next = k > 0 ? schedule[k - 1] : 0;
    const bool churned = s_min <= sigma && sigma <= s_max;
    const double gamma = churned ? std::min(s_churn / steps, std::sqrt(2.0) - 1) : 0;
    const double hat = sigma + gamma * sigma;
    linear start = x + std::sqrt(hat * hat - sigma * sigma) * s_noise * r.draw();
    r.mark(start, node_of(hat));
    const linear y = r.evaluate(start, node_of(hat)).output;
    x = start - (next - hat) * y;
    r.mark(x, node_of(next));
    if (next == 0) continue;
    const linear corrected = r.evaluate(x, node_of(next)).output;
    x = start - (next - hat) * (y + corrected) / 2;
    r.mark(x, node_of(next));
  }
  out.plan = r.finish(x);
  return out;
}

}  // namespace tweedie::huggingface
