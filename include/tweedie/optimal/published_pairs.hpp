// Pairs of grid and multistep sampler as published: what fits start from and are held against.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/grid/beta_quantile.hpp"
#include "tweedie/optimal/grid.hpp"
#include "tweedie/sampler/corrector.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ipndm.hpp"
#include "tweedie/sampler/linear_multistep.hpp"

namespace tweedie {

/// A pair of grid and sampler by name, for example "karras, DPM-Solver++(2M)".
struct named_program {
  std::string name;
  program plan;
};

/// Multistep samplers on grids in use, all from the noisy end of the schedule to clean data: those
/// that `optimal_program` starts from.
template <invertible_schedule Schedule>
std::vector<named_program> published_pairs(const Schedule& schedule, int steps) {
  detail::require(steps >= 2, "published_pairs", "steps", steps, "valid: at least 2");
  const double noisy = schedule.noisy_time();
  const level_range range = searched_levels(schedule);
  const double least = schedule.time_of(-std::log(range.lowest));
  // Times at fractions u = 1 ... of the way from `last` to the noisy end, then clean data.
  const auto by_time = [&](double last, const auto& fraction) {
    grid nodes{node_at(schedule, noisy)};
    for (int i = 1; i < steps; ++i)
      nodes.push_back(node_at(schedule, std::lerp(last, noisy, fraction(i))));
    return ending_clean(schedule, std::move(nodes));
  };
  std::vector<std::pair<const char*, grid>> grids = {
      {"uniform", uniform(schedule, steps)},
      {"linspace", by_time(least, [&](int i) { return 1 - i / (steps - 1.0); })},
      {"beta", by_time(schedule.clean_time(), [&](int i) {
         return beta_quantile(1 - i / static_cast<double>(steps), 0.6, 0.6);
       })}};
  for (const auto& [name, levels] : detail::starting_levels(range, steps))
    grids.emplace_back(name, from_noise(schedule, levels));
  std::vector<named_program> out;
  for (const auto& named : grids) {
    const std::string grid_name = named.first;
    const grid& nodes = named.second;
    const auto add = [&](const char* sampler, program plan) {
      out.push_back({grid_name + ", " + sampler, std::move(plan)});
    };
    add("DDIM", ddim(nodes));
    add("DPM-Solver++(2M)", dpm_solver_plus_plus(nodes, 2));
    add("DPM-Solver++(3M)", dpm_solver_plus_plus(nodes, 3));
    add("UniPC-2", unipc(nodes, 2));
    add("UniPC-3", unipc(nodes, 3));
    if (!(nodes.front().level.alpha > 0)) continue;
    add("DEIS-3", deis(nodes, 3));
    add("iPNDM", ipndm(nodes, 4));
    add("LMS", lms(nodes, 4));
  }
  return out;
}

}  // namespace tweedie
