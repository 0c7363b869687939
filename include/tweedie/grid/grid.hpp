// Grids: the times at which a sampler stops, each with its (alpha, sigma).
//
// A grid of N steps is N + 1 nodes from the noisy end to the clean end; the last one is the
// sample. Inversion is the same planner on `reversed` nodes. Planners take its N legs; a walk whose
// steps do not end where the next one starts is legs of its own.
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// Nodes in the order in which a sampler visits them.
using grid = std::vector<node>;

/// One step of a sampler: the network is asked at `from`, the state is left at `to`.
struct leg {
  node from;
  node to;
};

/// The steps in the order in which a sampler takes them. A grid converts to the legs between its
/// neighbours; a grid of one node to none, a walk that stays there: its program leaves x as it is.
struct legs : std::vector<leg> {
  using std::vector<leg>::vector;
  legs(const grid& nodes) {
    for (std::size_t i = 0; i + 1 < nodes.size(); ++i) push_back({nodes[i], nodes[i + 1]});
    if (nodes.size() == 1) stays_at = nodes[0];
  }

  /// Where a walk of at least one leg, or one that stays, begins.
  const node& start() const { return empty() ? *stays_at : front().from; }

  std::optional<node> stays_at;
};

/// Clean data, at time `time` (by convention -1 in discrete schedules).
inline node clean_node(double time) { return {time, {1, 0}}; }

/// The nodes of `schedule` at `times`.
template <noise_schedule Schedule>
grid at_times(const Schedule& schedule, std::span<const double> times) {
  grid nodes;
  nodes.reserve(times.size() + 1);
  for (const double t : times) nodes.push_back(node_at(schedule, t));
  return nodes;
}

/// The same nodes, ending in clean data at the schedule's clean time.
template <noise_schedule Schedule>
grid ending_clean(const Schedule& schedule, grid nodes) {
  nodes.push_back(clean_node(schedule.clean_time()));
  return nodes;
}

/// Throws unless alpha and sigma of node `index` are finite, not negative and not both 0.
void check_level(const char* function, std::size_t index, signal_noise level);

/// Throws unless there is a step, or one node to stay at, and every level passes `check_level`;
/// levels may rise and repeat. Leg i goes from node i to node i + 1.
void check_levels(const char* function, const legs& steps);

/// The same; throws unless every step goes to a strictly lower noise level, too.
void check_descending(const char* function, const legs& steps);

/// The same as `check_levels`; throws if a step stays where it is, too.
void check_walk(const char* function, const legs& steps);

/// Throws if a step starts from pure noise, which has no finite noise level sigma / alpha.
void check_signal(const char* function, const legs& steps);

/// Throws unless a walk that passes `check_levels` ends in clean data.
void check_ends_clean(const char* function, const legs& steps);

/// The nodes (or times, or levels) in opposite order: a walk from data to noise.
template <class Element>
std::vector<Element> reversed(const std::vector<Element>& falling) {
  return {falling.rbegin(), falling.rend()};
}

/// The last nodes from index `first` on: what image-to-image starts in the middle of. The last node
/// alone, strength 0, is a grid on which every sampler leaves the picture as it is.
/// \throws std::invalid_argument if no node would remain.
inline grid starting_at(const grid& nodes, std::size_t first) {
  if (first >= nodes.size())
    detail::fail("starting_at", "first", static_cast<double>(first),
                 "valid: at most number of steps = " +
                     std::to_string(static_cast<long long>(nodes.size()) - 1));
  return {nodes.begin() + static_cast<std::ptrdiff_t>(first), nodes.end()};
}

/// The same grid started just below pure noise, for samplers in sigma/alpha, which is infinite there:
/// a first node with alpha = 0 moves to the noise level `level` on the straight line to the second
/// node, in (alpha, sigma) and in time. On a flow that is s = level / (1 + level); 1e4 is s = 0.9999,
/// where ComfyUI starts such samplers. Any other grid is returned as it is.
///
/// What it costs: x = sigma z leaves alpha x0 out. For data N(m, s^2) the exact flow then ends in mean
/// m - m s / sqrt(level^2 + s^2) and deviation s / sqrt(1 + s^2 / level^2): 1e-4 of the data's scale by
/// default. A larger level costs less and makes the first step longer in log-SNR.
/// \throws std::invalid_argument if the second node has no signal either, or not a lower noise level.
inline grid below_pure_noise(grid nodes, double level = 1e4) {
  constexpr const char* name = "below_pure_noise";
  detail::require(level > 0 && std::isfinite(level), name, "level", level,
                  "valid: 0 < level < inf");
  if (nodes.empty() || nodes[0].level.alpha > 0) return nodes;
  const double next = nodes.size() > 1 ? nodes[1].level.alpha : 0;
  detail::require(next > 0, name, "alpha of node 1", next, "valid: alpha > 0");
  detail::require(noise_level(nodes[1].level) < level, name, "level", level,
                  "valid: above the noise level of node 1");
  const auto [noise_time, noise] = nodes[0];
  const auto [time, at] = nodes[1];
  const double way = noise.sigma / (level * at.alpha + noise.sigma - at.sigma);
  nodes[0] = {std::lerp(noise_time, time, way),
              {way * at.alpha, std::lerp(noise.sigma, at.sigma, way)}};
  return nodes;
}

/// The same noise levels with alpha = 1 (the gauge of EDM and k-diffusion).
inline grid variance_exploding(grid nodes) {
  for (node& n : nodes) n.level = to_variance_exploding(n.level);
  return nodes;
}

/// The same noise levels with alpha^2 + sigma^2 = 1.
inline grid variance_preserving(grid nodes) {
  for (node& n : nodes) n.level = to_variance_preserving(n.level);
  return nodes;
}

/// Noise levels sigma/alpha of the nodes.
inline std::vector<double> noise_levels(const grid& nodes) {
  std::vector<double> levels;
  for (const node& n : nodes) levels.push_back(noise_level(n.level));
  return levels;
}

#if defined(TWEEDIE_DEFINES_ENGINE)

TWEEDIE_INLINE void check_level(const char* function, std::size_t index, signal_noise level) {
  const auto [alpha, sigma] = level;
  if (alpha >= 0 && sigma >= 0 && alpha + sigma > 0 && std::isfinite(alpha + sigma)) return;
  const bool bad_alpha = !(alpha >= 0 && std::isfinite(alpha));
  detail::fail(function, detail::numbered(bad_alpha ? "alpha of node" : "sigma of node", index),
               bad_alpha ? alpha : sigma, "valid: alpha, sigma finite, >= 0 and not both 0");
}

TWEEDIE_INLINE void check_levels(const char* function, const legs& steps) {
  if (steps.stays_at) check_level(function, 0, steps.stays_at->level);
  detail::require(!steps.empty() || steps.stays_at, function, "steps", 0,
                  "valid: at least 1, a grid of 2 nodes");
  for (std::size_t i = 0; i < steps.size(); ++i) {
    check_level(function, i, steps[i].from.level);
    check_level(function, i + 1, steps[i].to.level);
  }
}

TWEEDIE_INLINE void check_descending(const char* function, const legs& steps) {
  check_levels(function, steps);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const signal_noise a = steps[i].from.level;
    const signal_noise b = steps[i].to.level;
    // sigma_b / alpha_b < sigma_a / alpha_a without division by alpha = 0.
    if (!(b.sigma * a.alpha < a.sigma * b.alpha))
      detail::fail(function, detail::numbered("noise level of node", i + 1), noise_level(b),
                   detail::numbered("valid: strictly below that of node", i) + ", " +
                       detail::number(noise_level(a)));
  }
}

TWEEDIE_INLINE void check_walk(const char* function, const legs& steps) {
  check_levels(function, steps);
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (steps[i].from.level == steps[i].to.level)
      detail::fail(function, detail::numbered("sigma of node", i + 1), steps[i].to.level.sigma,
                   "valid: different from the node before");
}

TWEEDIE_INLINE void check_signal(const char* function, const legs& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (!(steps[i].from.level.alpha > 0))
      detail::fail(function, detail::numbered("alpha of node", i), steps[i].from.level.alpha,
                   "valid: alpha > 0; below_pure_noise(grid) starts where there is signal");
}

TWEEDIE_INLINE void check_ends_clean(const char* function, const legs& steps) {
  const double sigma = steps.empty() ? steps.stays_at->level.sigma : steps.back().to.level.sigma;
  detail::require(sigma == 0, function, "last sigma", sigma, "valid: 0, clean data");
}

#endif

}  // namespace tweedie
