// Wasserstein distances between samples.
//
//   on the line   W_p^p = int |F^-1(u) - G^-1(u)|^p du, exact for samples of any sizes
//   sliced        (mean over directions of W_p^p of the projections)^(1/p)   Bonneel et al. 2015
//   in space      W_p^p = min over permutations of mean |x_i - y_pi(i)|^p, by optimal_assignment
//   entropic      S = OT(x, y) - (OT(x, x) + OT(y, y))/2,
//                 OT = min_P <P, |x - y|^2> + epsilon KL(P || p q^T)         Feydy et al. 2019, eq. 3
//
// S is >= 0, 0 for equal sets only, goes to W_2^2 as epsilon -> 0 and to |E x - E y|^2 as epsilon ->
// inf. Columns are points, which must be finite. Cost n d per direction, n^3, n^2 per iteration.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <vector>

#include "tweedie/metric/pairs.hpp"
#include "tweedie/metric/transport.hpp"

namespace tweedie {

/// W_p^p between two one-dimensional samples.
inline double wasserstein_power(std::vector<double> first, std::vector<double> second, double p) {
  constexpr const char* name = "wasserstein_power";
  detail::require(!first.empty() && !second.empty(), name, "points", 0, "valid: at least one");
  detail::require(p >= 1 && std::isfinite(p), name, "p", p, "valid: 1 <= p < inf");
  for (const std::vector<double>* points : {&first, &second})
    for (const double x : *points)
      detail::require(std::isfinite(x), name, "point", x, "valid: finite");
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  const auto n = static_cast<double>(first.size()), m = static_cast<double>(second.size());
  double sum = 0, at = 0;
  std::size_t i = 0, j = 0;
  while (i < first.size() && j < second.size()) {
    // Both quantile functions are constant up to the nearer of their next steps.
    const double end_first = static_cast<double>(i + 1) / n;
    const double end_second = static_cast<double>(j + 1) / m;
    const double end = (std::min)(end_first, end_second);
    sum += (end - at) * std::pow(std::abs(first[i] - second[j]), p);
    at = end;
    // Compared as integers: (i + 1)/n against (j + 1)/m.
    const std::size_t a = (i + 1) * second.size(), b = (j + 1) * first.size();
    if (a <= b) ++i;
    if (b <= a) ++j;
  }
  return sum;
}

/// Directions are columns, scaled to length 1.
template <class First, class Second, class Directions>
double sliced_wasserstein(const Eigen::MatrixBase<First>& first,
                          const Eigen::MatrixBase<Second>& second,
                          const Eigen::MatrixBase<Directions>& directions, double p = 2) {
  constexpr const char* name = "sliced_wasserstein";
  const Eigen::MatrixXd x = first.template cast<double>(), y = second.template cast<double>(),
                        along = directions.template cast<double>();
  detail::require_points(name, x, y, 1);
  detail::require_points(name, x, along, 1);
  double sum = 0;
  for (Eigen::Index k = 0; k < along.cols(); ++k) {
    const Eigen::VectorXd v = along.col(k);
    const double length = v.norm();
    detail::require(length > 0, name, "length of a direction", length, "valid: > 0");
    const Eigen::VectorXd a = x.transpose() * v / length, b = y.transpose() * v / length;
    sum += wasserstein_power({a.begin(), a.end()}, {b.begin(), b.end()}, p);
  }
  return std::pow(sum / static_cast<double>(along.cols()), 1 / p);
}

/// W_p between two sets of as many points.
template <class First, class Second>
double wasserstein(const Eigen::MatrixBase<First>& first, const Eigen::MatrixBase<Second>& second,
                   double p = 2) {
  constexpr const char* name = "wasserstein";
  const Eigen::MatrixXd x = first.template cast<double>(), y = second.template cast<double>();
  detail::require_points(name, x, y, 1);
  detail::require(p >= 1 && std::isfinite(p), name, "p", p, "valid: 1 <= p < inf");
  if (x.cols() != y.cols())
    detail::fail(name, "points of the second", static_cast<double>(y.cols()),
                 "valid: as many as of the first, " + std::to_string(x.cols()));
  const Eigen::MatrixXd cost = squared_distances(x, y).array().pow(p / 2);
  const std::vector<Eigen::Index> partner = optimal_assignment(cost);
  double sum = 0;
  for (Eigen::Index i = 0; i < cost.rows(); ++i)
    sum += cost(i, partner[static_cast<std::size_t>(i)]);
  return std::pow(sum / static_cast<double>(cost.rows()), 1 / p);
}

/// The divergence S of two sets of points of equal weights.
/// \throws std::runtime_error where Sinkhorn's algorithm needs more than `max_iterations`.
template <class First, class Second>
double sinkhorn_divergence(const Eigen::MatrixBase<First>& first,
                           const Eigen::MatrixBase<Second>& second, double epsilon,
                           double tolerance = 1e-10, int max_iterations = 100000) {
  const Eigen::MatrixXd x = first.template cast<double>(), y = second.template cast<double>();
  detail::require_points("sinkhorn_divergence", x, y, 1);
  const auto cost = [&](const Eigen::MatrixXd& a, const Eigen::MatrixXd& b) {
    return sinkhorn(squared_distances(a, b), epsilon, tolerance, max_iterations).cost;
  };
  return cost(x, y) - (cost(x, x) + cost(y, y)) / 2;
}

}  // namespace tweedie
