// The cheapest way from the first to the last of many nodes in so many legs, by dynamic programming (Watson et al. 2021,
// algorithm 1), and two that are such: the grid with the least variational bound, and the times of unmasking at which
// tokens drawn side by side are least apart from the text.
//
//   bound of a grid, in nats   sum over legs (SNR_s - SNR_t)/2 E|x0 - x0_hat(x_t)|^2 + what its ends cost
//   KL(text | made), in nats   <= sum over legs L (alpha_s - alpha_t) h(t) - H(text)
//   h(t)                       E[-log p(x0^i | x_t)] of a masked token; L tokens, alpha = P(not masked)
//
// A leg's term depends on its own two nodes only: recorded errors of every node judge all grids, without the network.
// The second is the divergence of whole paths, an upper bound of that of their ends. Jump Your Steps (Park et al. 2025,
// algorithm 1) lowers it by one time after the other: a time u between t and s gains L (alpha_s - alpha_u)(h(t) - h(u)).
// They publish the search and no tables, since times depend on the text.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tweedie/grid/grid.hpp"

namespace tweedie {

/// Indices 0 = i_0 < ... < i_legs = nodes - 1 with the least sum of cost(before, from, to) over legs, `before` the node
/// that the leg before came from, or `from` in the first leg. Takes nodes^2 costs and O(legs nodes^2); where costs look
/// back, nodes^3 and O(legs nodes^3). Otherwise `before` is always `from`.
/// \throws std::invalid_argument unless 1 <= legs < nodes, or if no path has a finite cost.
template <class Cost>
std::vector<std::size_t> least_cost_path(std::size_t nodes, std::size_t legs, bool looks_back,
                                         const Cost& cost) {
  constexpr const char* name = "least_cost_path";
  detail::require(legs >= 1 && legs < nodes, name, "legs", static_cast<double>(legs),
                  "valid: 1 <= legs < nodes");
  // least[k][slot(b, i)]: of paths of k legs that end with the leg b -> i. Without looking back b is one for all.
  constexpr double never = std::numeric_limits<double>::infinity();
  const auto slot = [&](std::size_t b, std::size_t i) { return (looks_back ? b * nodes : 0) + i; };
  const std::size_t slots = looks_back ? nodes * nodes : nodes;
  std::vector<std::vector<std::size_t>> came(legs, std::vector<std::size_t>(slots, nodes));
  std::vector<std::vector<double>> least(legs + 1, std::vector<double>(slots, never));
  least[0][slot(0, 0)] = 0;
  const std::size_t last = nodes - 1;
  for (std::size_t i = 0; i < last; ++i)
    for (std::size_t b = 0; b <= (looks_back ? i : 0); ++b) {
      const auto from = slot(b, i);
      if (std::none_of(least.begin(), least.end() - 1,
                       [&](const auto& of_legs) { return of_legs[from] < never; }))
        continue;
      for (std::size_t j = i + 1; j <= last; ++j) {
        const double leg = cost(looks_back ? b : i, i, j);
        for (std::size_t k = 0; k < legs; ++k) {
          double& there = least[k + 1][slot(i, j)];
          if (least[k][from] + leg < there) {
            there = least[k][from] + leg;
            came[k][slot(i, j)] = looks_back ? b : i;
          }
        }
      }
    }
  std::size_t before = 0;
  for (std::size_t b = 0; looks_back && b < last; ++b)
    if (least.back()[slot(b, last)] < least.back()[slot(before, last)]) before = b;
  if (!(least.back()[slot(before, last)] < never)) detail::fail(name, "no path has a finite cost");
  std::vector<std::size_t> path{last};
  for (std::size_t k = legs; k-- > 0;) {
    const std::size_t earlier = came[k][slot(before, path.back())];
    path.push_back(looks_back ? before : earlier);
    before = looks_back ? earlier : 0;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

/// The grid of `steps` legs over `nodes`, from the first to the last, whose ancestral sampler with the posterior's
/// variance has the least bound.
/// \param errors of the network at every node but the last, E|x0 - x0_hat(x_t)|^2
/// \throws std::invalid_argument for another number of errors, errors that are negative or not finite, nodes that are
///   not of falling noise or reach clean data (whose SNR is no number), and as `least_cost_path`.
inline grid least_bound_grid(const grid& nodes, std::span<const double> errors, int steps) {
  constexpr const char* name = "least_bound_grid";
  detail::require(!nodes.empty(), name, "nodes", 0, "valid: at least 2");
  if (errors.size() + 1 != nodes.size())
    detail::fail(name, "errors", static_cast<double>(errors.size()),
                 "valid: one for each node but the last, " + std::to_string(nodes.size() - 1));
  for (const double e : errors)
    detail::require(e >= 0 && std::isfinite(e), name, "error", e, "valid: 0 <= error < inf");
  check_descending(name, nodes);
  std::vector<double> snr;
  for (const node& n : nodes) {
    snr.push_back(signal_to_noise_ratio(n.level));
    detail::require(std::isfinite(snr.back()), name, "SNR", snr.back(), "valid: < inf");
  }
  detail::require(steps >= 1, name, "steps", steps, "valid: >= 1");
  const auto term = [&](std::size_t, std::size_t i, std::size_t j) {
    return (snr[j] - snr[i]) * errors[i] / 2;
  };
  grid out;
  for (const std::size_t i :
       least_cost_path(nodes.size(), static_cast<std::size_t>(steps), false, term))
    out.push_back(nodes[i]);
  return out;
}

/// `steps` + 1 of falling `times`, from the first to the last, between which ancestral unmasking has the least bound.
/// \param survivals alpha at every time, rising; the last one is 1 where all is unmasked
/// \param losses h at every time but the last: what `discrete::masked_bound` of weight 1 is per masked token
/// \throws std::invalid_argument for other sizes, times that do not fall, survivals that do not rise or are no
///   probabilities, losses that are negative or not finite, and as `least_cost_path`.
inline std::vector<double> least_bound_times(std::span<const double> times,
                                             std::span<const double> survivals,
                                             std::span<const double> losses, int steps) {
  constexpr const char* name = "least_bound_times";
  detail::require(times.size() >= 2, name, "times", static_cast<double>(times.size()),
                  "valid: at least 2");
  detail::require_equal(name, "survivals", survivals.size(), times.size());
  detail::require_equal(name, "losses", losses.size(), times.size() - 1);
  for (std::size_t i = 0; i < times.size(); ++i) {
    detail::require(std::isfinite(times[i]) && (i == 0 || times[i] < times[i - 1]), name, "time",
                    times[i], "valid: finite and falling");
    detail::require(survivals[i] >= (i == 0 ? 0 : survivals[i - 1]) && survivals[i] <= 1, name,
                    "survival", survivals[i], "valid: rising from 0 to 1");
  }
  for (const double h : losses)
    detail::require(h >= 0 && std::isfinite(h), name, "loss", h, "valid: 0 <= loss < inf");
  detail::require(steps >= 1, name, "steps", steps, "valid: >= 1");
  const auto term = [&](std::size_t, std::size_t i, std::size_t j) {
    return (survivals[j] - survivals[i]) * losses[i];
  };
  std::vector<double> out;
  for (const std::size_t i :
       least_cost_path(times.size(), static_cast<std::size_t>(steps), false, term))
    out.push_back(times[i]);
  return out;
}

}  // namespace tweedie
