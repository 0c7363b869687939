// UniPC with varying coefficients as its authors coded it (wl-zhao/UniPC, variant "vary_coeff").
//
// With D_j = (P_j - P_0)/r_j over the nodes r_1, ..., r_(K-1), 1 and A the inverse of the matrix
// r_j^k/(k+1)!, the derivatives are a = A D and the correction is sum_k w_k a_k (Zhao et al. 2023,
// appendix C, eq. 25). The code keeps of the new node only w_K A_(K-1)K D_K, so that from two
// outputs on its corrector is inconsistent: order 1 whatever the predictor. `unipc` with
// second_order_term::exact is the formula of the paper, order p + 1.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/sampler/corrector.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

namespace detail {

// Inverse of the matrix r_j^k / (k + 1)! for distinct nonzero r.
inline std::vector<std::vector<double>> derivative_weights(std::span<const double> r) {
  const std::size_t n = r.size();
  std::vector<std::vector<double>> m(n, std::vector<double>(2 * n, 0.0));
  for (std::size_t j = 0; j < n; ++j) {
    double entry = 1;
    for (std::size_t k = 0; k < n; ++k) {
      m[j][k] = entry;
      entry *= r[j] / static_cast<double>(k + 2);
    }
    m[j][n + j] = 1;
  }
  for (std::size_t p = 0; p < n; ++p) {
    std::size_t best = p;
    for (std::size_t j = p + 1; j < n; ++j)
      if (std::abs(m[j][p]) > std::abs(m[best][p])) best = j;
    std::swap(m[p], m[best]);
    require(m[p][p] != 0, "derivative_weights", "pivot", m[p][p], "valid: distinct noise levels");
    for (std::size_t j = 0; j < n; ++j) {
      if (j == p) continue;
      const double factor = m[j][p] / m[p][p];
      for (std::size_t k = p; k < 2 * n; ++k) m[j][k] -= factor * m[p][k];
    }
  }
  std::vector<std::vector<double>> inverse(n);
  for (std::size_t p = 0; p < n; ++p)
    for (std::size_t k = 0; k < n; ++k) inverse[p].push_back(m[p][n + k] / m[p][p]);
  return inverse;
}

}  // namespace detail

/// The published code. Steps as in `predictor_corrector`; a corrector of any number of outputs
/// means correction with the predictor's outputs and the new one. As in `multistep`, outputs at pure
/// noise do not enter polynomials: the step from there is not corrected.
/// \throws std::invalid_argument if the grid does not fall, or a predictor is below 1.
inline program unipc_published_varying(const legs& steps, std::span<const adams_step> orders,
                                       plane_row row = clean_row) {
  constexpr const char* name = "unipc_published_varying";
  detail::require(orders.size() == steps.size(), name, "steps", static_cast<double>(orders.size()),
                  "valid: one for each step of the grid");
  detail::output_history outputs;
  exponential_step last;
  linear base;                 // the last step to first order
  std::vector<double> places;  // of the older outputs, in units of the last step
  std::vector<linear> slopes;  // D_j
  constexpr auto reaches = detail::lambda_polynomial::reaches;
  return walk(name, steps, [&](recorder& r, linear x, const leg& l, std::size_t i) {
    const node& from = l.from;
    const node& to = l.to;
    detail::require(orders[i].predictor >= 1, name, "predictor", orders[i].predictor,
                    "valid: predictor >= 1");
    const estimate e = r.evaluate(x, from);
    const linear output = row.x0 * e.clean + row.z * e.noise;
    const auto weight = [&last](std::size_t k) {  // of the derivative k + 1
      double factorial = 1;
      for (std::size_t j = 2; j <= k + 1; ++j) factorial *= static_cast<double>(j);
      return last.gain * exponential_mean_power(static_cast<int>(k) + 1, last.exponent) / factorial;
    };
    if (i > 0 && orders[i - 1].corrector > 0 && reaches(steps[i - 1].from, from)) {
      std::vector<double> all = places;
      all.push_back(1);
      const auto a = detail::derivative_weights(all);
      const std::size_t n = all.size();
      x = base;
      for (std::size_t k = 0; k + 1 < n; ++k)
        for (std::size_t j = 0; j + 1 < n; ++j) x += weight(k) * a[k][j] * slopes[j];
      x += weight(n - 1) * a[n >= 2 ? n - 2 : 0][n - 1] * (output - outputs.back().value);
    }
    outputs.push_back({from, output});

    last = step_between(from.level, to.level, row, 0);
    base = last.state * x + last.gain * output;
    places.clear();
    slopes.clear();
    const auto order = static_cast<std::size_t>(orders[i].predictor);
    const std::size_t known = order < outputs.size() ? order : outputs.size();
    for (std::size_t j = 1; j < known && reaches(newest(outputs, j).at, to); ++j) {
      places.push_back((half_log_snr(newest(outputs, j).at.level) - half_log_snr(from.level)) /
                       last.length);
      slopes.push_back((newest(outputs, j).value - output) / places.back());
    }
    x = base;
    if (!places.empty()) {
      const auto a = detail::derivative_weights(places);
      for (std::size_t k = 0; k < places.size(); ++k)
        for (std::size_t j = 0; j < places.size(); ++j) x += weight(k) * a[k][j] * slopes[j];
    }
    return x;
  });
}

}  // namespace tweedie
