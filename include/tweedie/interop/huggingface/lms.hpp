// LMSDiscreteScheduler and IPNDMScheduler.
//
// A run that begins in the middle gets the weights of the order its position would allow from the
// start, of which only as many are used as there are slopes: LMS is then not consistent until
// enough of them are known.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "tweedie/interop/huggingface/noise_levels.hpp"
#include "tweedie/sampler/ipndm.hpp"

namespace tweedie::huggingface {

inline loaded_sampler load_lms_discrete(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::unsupported);
  const noise_level_list list = read_noise_levels(c, how, table, {.karras_has_ends = false});
  const int order = how.step.integer("order", 4);
  if (order < 1) how.step.refuse("order", "order >= 1");
  loaded_sampler out;
  out.timesteps = list.timesteps;
  out.sigmas = list.levels;
  const auto weights = [&](std::size_t n, std::size_t) {
    const std::size_t at = n + static_cast<std::size_t>(how.begin_index);
    std::vector<double> positions;
    for (std::size_t j = 0; j < (std::min)(at + 1, static_cast<std::size_t>(order)); ++j)
      positions.push_back(out.sigmas[at - j]);
    return adams_weights(positions, out.sigmas[at + 1]);
  };
  out.plan = weighted_multistep("huggingface::LMSDiscreteScheduler", list.nodes(c, how), order,
                                noise_row, weights);
  finish_noise_levels(c, how, list, {"epsilon", "sample", "v_prediction"}, out);
  return out;
}

/// x = a x0 + s z with s = sin^2(pi u / 2) or `trained_betas`, a = sqrt(1 - s^2); v predictions;
/// the network is told 2/pi times the angle of (a, s). The first step from a = 0 carries no data.
inline loaded_sampler load_ipndm(const config& c, const request& how) {
  const int steps = read_steps(c, how);
  c.without_effect({"num_train_timesteps"});
  loaded_sampler out;
  std::vector<double> betas;
  if (const auto trained = c.numbers("trained_betas")) {
    betas = *trained;
  } else {
    for (const double u : linspace(1, 0, steps + 1)) {
      const double root = std::sin(u * std::numbers::pi / 2);
      betas.push_back(root * root);
    }
  }
  if (betas.size() < 2) c.refuse("trained_betas", "at least two levels");
  grid nodes;
  for (const double s : betas) {
    if (!(s >= 0 && s <= 1)) c.refuse("trained_betas", "0 <= beta <= 1");
    const double a = std::sqrt(1 - s * s);
    nodes.push_back({std::atan2(s, a) / std::numbers::pi * 2, {a, s}});
    out.tables["betas"].push_back(s);
    out.tables["alphas"].push_back(a);
  }
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) out.timesteps.push_back(nodes[i].time);
  remaining(c, out.timesteps, how.begin_index);
  nodes = starting_at(nodes, static_cast<std::size_t>(how.begin_index));
  out.plan = ipndm(nodes, 4, {.first = pure_noise_start::drops_estimate});
  out.network.prediction = predicts_v;
  return out;
}

}  // namespace tweedie::huggingface
