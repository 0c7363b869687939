// iPNDM (Zhang and Chen 2023, eq. 36): Adams-Bashforth on the slope z in noise levels
// u = sigma/alpha, y = x/alpha, one evaluation a step,
//
//   y' = y + (u' - u) sum_j w_j z_(n-j),
//
// with the weights of equal steps, 1; (3, -1)/2; (23, -16, 5)/12; (55, -59, 37, -9)/24, whatever the
// grid. Global order: 2 on grids whose steps vary smoothly, 1 on others. iPNDM-v has weights for the
// actual steps; with exact integrals it is the linear multistep method (sampler/linear_multistep.hpp)
// but for the step onto clean data.
#pragma once

#include <vector>

#include "tweedie/sampler/chart.hpp"

namespace tweedie {

/// What happens in a step onto clean data.
enum class last_step {
  keeps_order,  ///< the polynomial is integrated down to noise level zero
  denoises      ///< x' = D(x), as diff-sampler and ComfyUI end
};

/// How a start from pure noise (alpha = 0) is treated, where the noise level is infinite.
enum class pure_noise_start {
  uses_estimate,  ///< x' = alpha' D + sigma' z, the DDIM step
  drops_estimate  ///< x' = sigma' z: no data until the second step, as diffusers' IPNDM does
};

/// Weights of iPNDM-v.
enum class ipndm_v_weights {
  exact,     ///< Lagrange integrals over the actual steps
  published  ///< as in diff-sampler and ComfyUI, which differ from order 3 on: a bracket closed too
             ///< late (order 3, the same on equal steps), a wrong sign and ratio (order 4, where the
             ///< weights miss sum 1 on unequal steps)
};

/// Weights, newest first, of the mean over [positions[0], to] of the polynomial through values at
/// `positions`, newest first. They sum to 1.
inline std::vector<double> adams_weights(const std::vector<double>& positions, double to) {
  std::vector<double> fractions, means;
  for (const double u : positions) {
    fractions.push_back((u - positions[0]) / (to - positions[0]));
    means.push_back(1 / static_cast<double>(means.size() + 1));
  }
  return interpolation_weights(fractions, means);
}

/// Adams-Bashforth in the noise level with weights of the caller's: `weights(n, k)` are those of the
/// newest k <= order slopes, newest first, for the step from node n; further ones are ignored.
template <class Weights>
program adams_bashforth(const char* name, const grid& nodes, int order, const Weights& weights,
                        last_step end = last_step::keeps_order,
                        pure_noise_start start = pure_noise_start::uses_estimate) {
  check_descending(name, nodes);
  detail::require(order >= 1, name, "order", order, "valid: order >= 1");
  recorder r(nodes.front());
  linear x = r.state();
  std::vector<linear> slopes;  // newest first
  for (std::size_t n = 0; n + 1 < nodes.size(); ++n) {
    const signal_noise from = nodes[n].level;
    const signal_noise to = nodes[n + 1].level;
    const estimate e = r.evaluate(x, nodes[n]);
    slopes.insert(slopes.begin(), slope(noise_row, x, e, nodes[n]));
    if (slopes.size() > static_cast<std::size_t>(order)) slopes.pop_back();
    if (to.sigma == 0 && end == last_step::denoises) {
      x = to.alpha * e.clean;
    } else if (from.alpha == 0) {
      x *= to.sigma / from.sigma;
      if (start == pure_noise_start::uses_estimate) x += to.alpha * e.clean;
    } else {
      const double h = noise_level(to) - noise_level(from);
      const std::vector<double> w = weights(n, slopes.size());
      linear direction;
      for (std::size_t j = 0; j < slopes.size(); ++j) direction += w[j] * slopes[j];
      x = to.alpha * (x / from.alpha + h * direction);
    }
    r.mark(x, nodes[n + 1]);
  }
  return r.finish(x);
}

/// iPNDM of order 1 to 4 (and above).
inline program ipndm(const grid& nodes, int order = 4, last_step end = last_step::denoises,
                     pure_noise_start start = pure_noise_start::uses_estimate);

/// iPNDM-v, order 1 to 4. The step onto clean data is x' = D.
inline program ipndm_v(const grid& nodes, int order = 4,
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
  const double third = ((1 - h1 / (3 * (h1 + h2))) / 2 +
                        (1 - h1 / (2 * (h1 + h2))) * h1 / (6 * (h1 + h2 + h3))) *
                       (h1 * (h1 + h2) * (h1 + h2 + h3)) / (h2 * (h2 + h3) * (h2 + h3 + h4));
  const double ratio = h2 * (h2 + h3) / (h3 * (h3 + h4));
  w[0] += third;
  w[1] -= (1 + h2 / h3 + ratio) * third;
  w[2] += (h2 / h3 + ratio * (1 + h3 / h4)) * third;
  w.push_back(-third * ratio * h2 / h3);
  return w;
}

}  // namespace detail

inline program ipndm(const grid& nodes, int order, last_step end, pure_noise_start start) {
  const auto equal_steps = [](std::size_t, std::size_t k) {
    std::vector<double> positions;
    for (std::size_t j = 0; j < k; ++j) positions.push_back(-static_cast<double>(j));
    return adams_weights(positions, 1);
  };
  return adams_bashforth("ipndm", nodes, order, equal_steps, end, start);
}

inline program ipndm_v(const grid& nodes, int order, ipndm_v_weights how) {
  detail::require(order >= 1 && order <= 4, "ipndm_v", "order", order, "valid: 1 ... 4");
  const auto u = [&](std::size_t n) { return chart_coordinate(noise_row, nodes[n].level); };
  const auto weights = [&](std::size_t n, std::size_t k) {
    std::vector<double> positions, steps;
    for (std::size_t j = 0; j < k; ++j) {
      positions.push_back(u(n - j));
      steps.push_back(u(n + 1 - j) - u(n - j));
    }
    return how == ipndm_v_weights::exact ? adams_weights(positions, u(n + 1))
                                         : detail::published_ipndm_v(steps);
  };
  return adams_bashforth("ipndm_v", nodes, order, weights, last_step::denoises);
}

}  // namespace tweedie
