// iPNDM (Zhang and Chen 2023, eq. 36): Adams-Bashforth on the slope z in noise levels
// u = sigma/alpha, y = x/alpha, one evaluation a step,
//
//   y' = y + (u' - u) sum_j w_j z_(n-j),
//
// with the weights of equal steps, 1; (3, -1)/2; (23, -16, 5)/12; (55, -59, 37, -9)/24, whatever
// the grid. Global order: 2 on grids whose steps vary smoothly, 1 on others. iPNDM-v has weights
// for the actual steps; with exact integrals it is the linear multistep method
// (sampler/linear_multistep.hpp) but for the step onto clean data.
#pragma once

#include <vector>

#include "tweedie/sampler/linear_multistep.hpp"

namespace tweedie {

/// Weights of iPNDM-v.
enum class ipndm_v_weights {
  exact,     ///< Lagrange integrals over the actual steps
  published  ///< as in diff-sampler and ComfyUI, which differ from order 3 on: a bracket closed too
  ///< late (order 3: the same on equal steps, second order on others), a wrong sign and a
  ///< wrong ratio (order 4: the weights miss sum 1, no convergence on uneven steps)
};

/// iPNDM of order 1 to 4 (and above).
inline program ipndm(const legs& steps, int order = 4,
                     multistep_ends ends = {.last = last_step::denoises}) {
  const auto equal_steps = [](std::size_t, std::size_t k) {
    std::vector<double> positions;
    for (std::size_t j = 0; j < k; ++j) positions.push_back(-static_cast<double>(j));
    return adams_weights(positions, 1);
  };
  return weighted_multistep("ipndm", steps, order, noise_row, equal_steps, ends);
}

/// iPNDM-v, order 1 to 4. The step onto clean data is x' = D.
inline program ipndm_v(const legs& steps, int order = 4,
                       ipndm_v_weights how = ipndm_v_weights::exact);

namespace detail {

// The weights of diff-sampler's ipndm_v, in the steps h1 ... h4, newest first.
inline std::vector<double> published_ipndm_v(const std::vector<double>& h) {
  if (h.size() == 1) return {1};
  const double h1 = h[0], h2 = h[1];
  std::vector<double> w{1 + h1 / (2 * h2), -h1 / (2 * h2)};
  if (h.size() == 2) return w;
  const double h3 = h[2];
  const double second = (1 - h1 / (3 * (h1 + h2)) * (h1 * (h1 + h2)) / (h2 * (h2 + h3))) / 2;
  w[0] += second;
  w[1] -= (1 + h2 / h3) * second;
  w.push_back(second * h2 / h3);
  if (h.size() == 3) return w;
  const double h4 = h[3];
  const double third =
      ((1 - h1 / (3 * (h1 + h2))) / 2 + (1 - h1 / (2 * (h1 + h2))) * h1 / (6 * (h1 + h2 + h3))) *
      (h1 * (h1 + h2) * (h1 + h2 + h3)) / (h2 * (h2 + h3) * (h2 + h3 + h4));
  const double ratio = h2 * (h2 + h3) / (h3 * (h3 + h4));
  w[0] += third;
  w[1] -= (1 + h2 / h3 + ratio) * third;
  w[2] += (h2 / h3 + ratio * (1 + h3 / h4)) * third;
  w.push_back(-third * ratio * h2 / h3);
  return w;
}

}  // namespace detail

inline program ipndm_v(const legs& steps, int order, ipndm_v_weights how) {
  detail::require(order >= 1 && order <= 4, "ipndm_v", "order", order, "valid: 1 ... 4");
  const multistep_ends ends{.last = last_step::denoises};
  if (how == ipndm_v_weights::exact)
    return linear_multistep(steps, order, noise_row, ends, "ipndm_v");
  const auto weights = [&](std::size_t n, std::size_t k) {
    std::vector<double> lengths;
    for (std::size_t j = 0; j < k; ++j)
      lengths.push_back(chart_coordinate(noise_row, steps[n - j].to.level) -
                        chart_coordinate(noise_row, steps[n - j].from.level));
    return detail::published_ipndm_v(lengths);
  };
  return weighted_multistep("ipndm_v", steps, order, noise_row, weights, ends);
}

}  // namespace tweedie
