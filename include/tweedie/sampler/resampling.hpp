// Resampling walks (RePaint, Lugmayr et al. 2022, section 4.2 and algorithm 1): go down `jump`
// steps, noise the sample back up by as many, and do so `times` times before going on, so that
// what is pasted at the marks can be harmonised.
//
//   down   x_s = ddim(x_t, eta)                         (the paper: eta = 1, ancestral)
//   up     x_t = (alpha_t/alpha_s) x_s + sqrt(sigma_t^2 - ...) z      (renoising, one draw a level)
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// Positions visited by the walk, as numbers of levels still to go: steps - 1, ..., 0 with every
/// jump-th position visited `times` times. Starts after the first step down.
/// \throws std::invalid_argument unless all three are positive
inline std::vector<int> resampling_walk(int steps, int jump, int times) {
  detail::require(steps >= 1, "resampling_walk", "steps", steps, "valid: at least 1");
  detail::require(jump >= 1, "resampling_walk", "jump", jump, "valid: at least 1");
  detail::require(times >= 1, "resampling_walk", "times", times, "valid: at least 1");
  std::vector<int> left(static_cast<std::size_t>(steps), 0);  // jumps back to make from there
  for (int at = 0; at < steps - jump; at += jump) left[static_cast<std::size_t>(at)] = times - 1;
  std::vector<int> walk;
  for (int at = steps; at >= 1;) {
    walk.push_back(--at);
    int& jumps = left[static_cast<std::size_t>(at)];
    if (jumps > 0) {
      --jumps;
      for (int k = 0; k < jump; ++k) walk.push_back(++at);
    }
  }
  return walk;
}

/// DDIM down and renoising up along `resampling_walk(N, jump, times)` over a grid of falling noise
/// with N steps. Every move ends in a mark.
/// \throws std::invalid_argument if the grid does not fall, `jump` or `times` is not positive, or eta
///   is outside [0, 1].
inline program resampled(const grid& nodes, int jump, int times, double eta = 1) {
  constexpr const char* name = "resampled";
  check_descending(name, nodes);
  detail::require(jump >= 1, name, "jump", jump, "valid: at least 1");
  detail::require(times >= 1, name, "times", times, "valid: at least 1");
  detail::require(eta >= 0 && eta <= 1, name, "eta", eta, "valid: 0 <= eta <= 1");
  const int steps = static_cast<int>(nodes.size()) - 1;
  const auto at = [&](int to_go) { return nodes[static_cast<std::size_t>(steps - to_go)]; };
  grid visited{nodes.front()};
  if (steps > 0)
    for (const int to_go : resampling_walk(steps, jump, times)) visited.push_back(at(to_go));
  return walk_anywhere(name, visited, [&](recorder& r, const linear& x, const leg& l) {
    if (noise_level(l.to.level) < noise_level(l.from.level)) return ddim_step(r, x, l, eta);
    return renoised(r, x, l.from.level, l.to.level);
  });
}

}  // namespace tweedie
