// Linear multistep methods: Adams-Bashforth in a chart of the probability-flow ODE
// (sampler/chart.hpp), one evaluation a step.
//
//   x' / l' = x / l + (u' - u) sum_j w_j y_(n-j),    w_j: mean over the step of the polynomial that
//                                                    interpolates the last k slopes y
//
// In the noise level u = sigma/alpha this is LMS (Crowson, k-diffusion, order 4) and rho-DEIS of
// order k (Zhang and Chen 2023, rhoAB(k-1)); in u = sigma/(alpha + sigma) it is Adams-Bashforth on
// the velocity of a flow model. Order k from an exact history; the usual start with orders 1, 2,
// ... keeps the error of its first step, second order.
#pragma once

#include <cstddef>
#include <vector>

#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// What happens in a step onto clean data.
enum class last_step {
  keeps_order,  ///< the polynomial is integrated down to noise level zero
  denoises      ///< x' = D(x), as diff-sampler and ComfyUI end
};

/// How a step from pure noise is taken in the noise level, which is infinite there.
enum class pure_noise_start {
  uses_estimate,  ///< x' = alpha' D + sigma' z, the DDIM step
  drops_estimate  ///< x' = sigma' z: no data until the second step, as diffusers' IPNDM does
};

/// Ends of a multistep run.
struct multistep_ends {
  last_step last = last_step::keeps_order;
  pure_noise_start first = pure_noise_start::uses_estimate;
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

/// A multistep method with weights of the caller's: `weights(n, k)` are those of the newest k <=
/// order slopes, newest first, for the step from node n. Slopes without a weight are not used.
template <class Weights>
program weighted_multistep(const char* name, const legs& steps, int order, plane_row row,
                           const Weights& weights, multistep_ends ends = {}) {
  detail::require(order >= 1, name, "order", order, "valid: order >= 1");
  std::vector<linear> slopes;  // newest last
  return walk(name, steps, [&](recorder& r, linear x, const leg& l, std::size_t n) {
    const signal_noise from = l.from.level;
    const signal_noise to = l.to.level;
    const estimate e = r.evaluate(x, l.from);
    slopes.push_back(slope(row, x, e, l.from));
    if (slopes.size() > static_cast<std::size_t>(order)) slopes.erase(slopes.begin());
    if (to.sigma == 0 && ends.last == last_step::denoises) {
      x = to.alpha * e.clean;
    } else if (determinant(from, row) == 0) {
      x *= to.sigma / from.sigma;
      if (ends.first == pure_noise_start::uses_estimate) x += to.alpha * e.clean;
    } else {
      const double h = chart_coordinate(row, to) - chart_coordinate(row, from);
      const std::vector<double> w = weights(n, slopes.size());
      x /= determinant(from, row);
      for (std::size_t j = 0; j < w.size() && j < slopes.size(); ++j)
        x += h * w[j] * slopes[slopes.size() - 1 - j];
      x *= determinant(to, row);
    }
    return x;
  });
}

/// Adams-Bashforth of the given order in the chart of `row`, with weights for the actual steps.
inline program linear_multistep(const legs& steps, int order, plane_row row,
                                multistep_ends ends = {}, const char* caller = "linear_multistep") {
  const auto weights = [&](std::size_t n, std::size_t k) {
    std::vector<double> positions;
    for (std::size_t j = 0; j < k && determinant(steps[n - j].from.level, row) != 0; ++j)
      positions.push_back(chart_coordinate(row, steps[n - j].from.level));
    return adams_weights(positions, chart_coordinate(row, steps[n].to.level));
  };
  return weighted_multistep(caller, steps, order, row, weights, ends);
}

/// Linear multistep in the noise level.
inline program lms(const legs& steps, int order = 4) {
  return linear_multistep(steps, order, noise_row, {}, "lms");
}

/// Adams-Bashforth on the velocity of the straight path, in that path's time.
inline program flow_adams(const legs& steps, int order = 2) {
  return linear_multistep(steps, order, straight_row, {}, "flow_adams");
}

}  // namespace tweedie
