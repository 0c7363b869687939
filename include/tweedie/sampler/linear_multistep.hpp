// Linear multistep methods on the probability-flow ODE: Adams-Bashforth in a chart
// (sampler/chart.hpp), one evaluation a step, history of slopes.
//
//   x' / l' = x / l + h sum_j w_j y_(n-j),    w_j = 1/h * integral over the step of the Lagrange
//                                                    polynomial of u_(n-j)
//
// In the noise-level chart this is LMS (Crowson, k-diffusion: "linear multistep", order 4), in the
// rectified chart it is Adams-Bashforth on the velocity of a flow model. Order k from exact history;
// the usual start with orders 1, 2, ... leaves the error of the first Euler step, second order.
//
// iPNDM (Zhang and Chen 2023, eq. 36) uses the weights of equal steps on whatever grid it is given,
// so it is of first order unless the noise levels are equally spaced; iPNDM-v is the same with
// weights for the actual steps, that is, LMS.
#pragma once

#include <span>
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

/// Weights of the published iPNDM-v.
enum class ipndm_v_weights {
  exact,     ///< Lagrange integrals
  published  ///< as in diff-sampler and ComfyUI: the same on equal steps; on others a bracket closed
             ///< too late leaves order 2, and a wrong ratio lets the fourth-order weights miss sum 1
};

/// Weights w_j, newest first, of the mean of the interpolating polynomial over [history[0], to];
/// `history` are coordinates, newest first. They sum to 1.
inline std::vector<double> adams_weights(std::span<const double> history, double to) {
  std::vector<double> fractions, means;
  for (const double u : history) {
    fractions.push_back((u - history[0]) / (to - history[0]));
    means.push_back(1 / static_cast<double>(means.size() + 1));
  }
  return interpolation_weights(fractions, means);
}

/// Weights for equal steps: 1; (3, -1)/2; (23, -16, 5)/12; (55, -59, 37, -9)/24.
inline std::vector<double> equal_step_weights(std::size_t order) {
  std::vector<double> history;
  for (std::size_t j = 0; j < order; ++j) history.push_back(-static_cast<double>(j));
  return adams_weights(history, 1);
}

namespace detail {

// weights(n, k): of the last k slopes, newest first, for the step from node n; k <= order.
template <class Weights>
program multistep(const char* name, const grid& nodes, int order, plane_row row, last_step end,
                  pure_noise_start start, const Weights& weights) {
  check_descending(name, nodes);
  require(order >= 1, name, "order", order, "valid: order >= 1");
  recorder r(nodes.front());
  linear x = r.state();
  std::vector<linear> slopes;  // newest first
  for (std::size_t n = 0; n + 1 < nodes.size(); ++n) {
    const signal_noise from = nodes[n].level;
    const signal_noise to = nodes[n + 1].level;
    const estimate e = r.evaluate(x, nodes[n]);
    slopes.insert(slopes.begin(), slope(row, x, e, nodes[n]));
    if (slopes.size() > static_cast<std::size_t>(order)) slopes.pop_back();
    if (to.sigma == 0 && end == last_step::denoises) {
      x = to.alpha * e.clean;
    } else if (determinant(from, row) == 0) {
      x *= to.sigma / from.sigma;
      if (start == pure_noise_start::uses_estimate) x += to.alpha * e.clean;
    } else {
      const double h = chart_coordinate(row, to) - chart_coordinate(row, from);
      const std::vector<double> w = weights(n, slopes.size());
      x /= determinant(from, row);
      for (std::size_t j = 0; j < slopes.size(); ++j) x += h * w[j] * slopes[j];
      x *= determinant(to, row);
    }
    r.mark(x, nodes[n + 1]);
  }
  return r.finish(x);
}

}  // namespace detail

/// Adams-Bashforth of the given order with weights for the actual steps, in the chart of `row`.
inline program adams_bashforth(const grid& nodes, int order, plane_row row = noise_row,
                               last_step end = last_step::keeps_order) {
  const auto weights = [&](std::size_t n, std::size_t k) {
    std::vector<double> history;
    for (std::size_t j = 0; j < k; ++j)
      history.push_back(chart_coordinate(row, nodes[n - j].level));
    return adams_weights(history, chart_coordinate(row, nodes[n + 1].level));
  };
  return detail::multistep("adams_bashforth", nodes, order, row, end,
                           pure_noise_start::uses_estimate, weights);
}

/// Linear multistep in the noise level.
inline program lms(const grid& nodes, int order = 4) { return adams_bashforth(nodes, order); }

/// iPNDM: equal-step weights in the noise level.
inline program ipndm(const grid& nodes, int order = 4, last_step end = last_step::keeps_order,
                     pure_noise_start start = pure_noise_start::uses_estimate) {
  return detail::multistep("ipndm", nodes, order, noise_row, end, start,
                           [](std::size_t, std::size_t k) { return equal_step_weights(k); });
}

/// iPNDM with weights for the actual steps, order 1 to 4.
inline program ipndm_v(const grid& nodes, int order = 4,
                       ipndm_v_weights how = ipndm_v_weights::exact);

namespace detail {

// The weights of diff-sampler's ipndm_v, written with the steps h1 ... h4, newest first.
inline std::vector<double> published_ipndm_v(const std::vector<double>& h, std::size_t order) {
  if (order == 1) return {1};
  const double h1 = h[0], h2 = h[1];
  std::vector<double> w{1 + h1 / (2 * h2), -h1 / (2 * h2)};
  if (order == 2) return w;
  const double h3 = h[2];
  const double second = (1 - h1 / (3 * (h1 + h2)) * (h1 * (h1 + h2)) / (h2 * (h2 + h3))) / 2;
  w[0] += second;
  w[1] -= (1 + h2 / h3) * second;
  w.push_back(second * h2 / h3);
  if (order == 3) return w;
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

inline program ipndm_v(const grid& nodes, int order, ipndm_v_weights how) {
  detail::require(order >= 1 && order <= 4, "ipndm_v", "order", order, "valid: 1 ... 4");
  if (how == ipndm_v_weights::exact)
    return adams_bashforth(nodes, order, noise_row, last_step::denoises);
  return detail::multistep(
      "ipndm_v", nodes, order, noise_row, last_step::denoises, pure_noise_start::uses_estimate,
      [&](std::size_t n, std::size_t k) {
        std::vector<double> steps;
        for (std::size_t j = 0; j < k; ++j)
          steps.push_back(noise_level(nodes[n + 1 - j].level) - noise_level(nodes[n - j].level));
        return detail::published_ipndm_v(steps, k);
      });
}

}  // namespace tweedie
