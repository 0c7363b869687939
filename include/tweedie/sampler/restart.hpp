// Restart sampling (Xu et al. 2023, algorithm 1): ODE steps down the grid, and on reaching the
// lower end of an interval, several times back up to its upper end with fresh noise and down again,
//
//   x_max = a x_min + sqrt(sigma_max^2 - a^2 sigma_min^2) z,   then ODE steps to sigma_min
//
// The noise contracts the errors the ODE has made, as an SDE does, while the steps keep the order
// of the ODE method. Costs steps * repeats more evaluations per interval (times the stages).
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/process/renoise.hpp"
#include "tweedie/sampler/runge_kutta.hpp"

namespace tweedie {

/// Noise levels sigma/alpha between which to go back and forth.
struct restart_interval {
  double lowest = 0;
  double highest = 0;
  int steps = 1;  ///< down again, on a Karras grid
  int repeats = 1;
};

/// One-step method along `nodes`, with restarts at the node whose level is nearest (in log) to each
/// interval's lowest. `between(level)` makes the nodes that are not in the grid.
/// \throws std::invalid_argument for an interval that is empty or has no node with noise near it.
template <class NodeMaker>
program restart(const grid& nodes, const NodeMaker& between,
                std::span<const restart_interval> intervals,
                const butcher_tableau& method = heun_tableau) {
  constexpr const char* name = "restart";
  check_descending(name, nodes);
  check_signal(name, nodes);
  if (nodes.size() == 1) intervals = {};
  std::vector<std::size_t> at;  // node of each interval
  for (const restart_interval& i : intervals) {
    detail::require(i.lowest > 0, name, "lowest", i.lowest, "valid: lowest > 0");
    detail::require(i.highest > i.lowest && std::isfinite(i.highest), name, "highest", i.highest,
                    "valid: lowest < highest < inf");
    detail::require(i.steps >= 1, name, "steps", i.steps, "valid: steps >= 1");
    detail::require(i.repeats >= 0, name, "repeats", i.repeats, "valid: repeats >= 0");
    std::size_t nearest = 0;
    double distance = std::numeric_limits<double>::infinity();
    for (std::size_t n = 1; n < nodes.size(); ++n) {
      const double away = std::abs(std::log(noise_level(nodes[n].level) / i.lowest));
      if (away < distance) nearest = n, distance = away;
    }
    detail::require(nearest > 0 && noise_level(nodes[nearest].level) < i.highest, name, "lowest",
                    i.lowest, "valid: near a node below the interval's highest level");
    at.push_back(nearest);
  }

  grid visited{nodes.front()};
  for (std::size_t n = 1; n < nodes.size(); ++n) {
    visited.push_back(nodes[n]);
    for (std::size_t k = 0; k < intervals.size(); ++k) {
      if (at[k] != n) continue;
      std::vector<double> levels =
          karras_levels(intervals[k].steps + 1, intervals[k].highest, noise_level(nodes[n].level));
      levels.pop_back();
      for (int repeat = 0; repeat < intervals[k].repeats; ++repeat) {
        for (const double level : levels) visited.push_back(between(level));
        visited.push_back(nodes[n]);
      }
    }
  }
  return walk_anywhere(name, visited, [&](recorder& r, const linear& x, const leg& l) {
    if (noise_level(l.to.level) > noise_level(l.from.level))
      return renoised(r, x, l.from.level, l.to.level);
    return runge_kutta_step(r, x, l.from, l.to, method, between);
  });
}

}  // namespace tweedie
