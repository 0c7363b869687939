// How many different things a set of points holds.
//
//   Vendi score    exp(-sum l_i log l_i), l the eigenvalues of K/n, K_ij = k(x_i, x_j), k(x, x) = 1
//                  Friedman and Dieng 2023, eq. 2; of order q (sum l_i^q)^(1/(1 - q)),
//                  Pasarkar and Dieng 2024, eq. 2
//   mode coverage  modes that have a point near them, and the share of points near a mode
//                  Srivastava et al. 2017, section 4.1: within three standard deviations
//
// The score is 1 for equal points, n for n points without likeness, and exp of the entropy of their
// sizes for groups of equal points without likeness. Columns are points, which must be finite.
#pragma once

#include <Eigen/Eigenvalues>
#include <cmath>
#include <concepts>
#include <limits>
#include <vector>

#include "tweedie/metric/pairs.hpp"

namespace tweedie {

/// x.y/(|x| |y|), a kernel for `vendi_score` of features.
struct cosine_kernel {};

/// Vendi score of order q in (0, inf]. `kernel` is a function of a point_pair with k(x, x) = 1.
/// \throws std::invalid_argument where k(x, x) is not 1 or the order is none.
template <class Points, class Kernel>
double vendi_score(const Eigen::MatrixBase<Points>& points, const Kernel& kernel, double order = 1);

/// Points near modes, columns of `modes`.
struct mode_coverage {
  std::vector<std::size_t> counts;  ///< per mode, of the points that are nearest to it and near
  std::size_t covered = 0;          ///< modes with a count
  double share_near = 0;            ///< share of points within `radius` of a mode
};

/// \throws std::invalid_argument for no point, points of another dimension than the modes, and a negative
///   radius.
template <class Points, class Modes>
mode_coverage coverage_of_modes(const Eigen::MatrixBase<Points>& points,
                                const Eigen::MatrixBase<Modes>& modes, double radius) {
  constexpr const char* name = "coverage_of_modes";
  const Eigen::MatrixXd x = points.template cast<double>(), centres = modes.template cast<double>();
  detail::require_points(name, x, centres, 1);
  detail::require(radius >= 0, name, "radius", radius, "valid: radius >= 0");
  std::vector<double> nearest(static_cast<std::size_t>(x.cols()),
                              std::numeric_limits<double>::infinity());
  std::vector<std::size_t> mode(nearest.size());
  detail::visit_pairs(x, centres, false, [&](Eigen::Index i, Eigen::Index j, const point_pair& p) {
    const auto at = static_cast<std::size_t>(i);
    if (!(p.squared_distance < nearest[at])) return;
    nearest[at] = p.squared_distance;
    mode[at] = static_cast<std::size_t>(j);
  });
  mode_coverage out;
  out.counts.resize(static_cast<std::size_t>(centres.cols()));
  for (std::size_t i = 0; i < nearest.size(); ++i)
    if (std::sqrt(nearest[i]) <= radius) {
      if (out.counts[mode[i]]++ == 0) ++out.covered;
      out.share_near += 1 / static_cast<double>(nearest.size());
    }
  return out;
}

template <class Points, class Kernel>
double vendi_score(const Eigen::MatrixBase<Points>& points, const Kernel& kernel, double order) {
  constexpr const char* name = "vendi_score";
  Eigen::MatrixXd x = points.template cast<double>();
  detail::require_points(name, x, x, 1);
  detail::require(order > 0, name, "order", order, "valid: order > 0");
  const auto n = static_cast<double>(x.cols());
  Eigen::MatrixXd likeness;
  if constexpr (std::same_as<Kernel, cosine_kernel>) {
    for (auto column : x.colwise()) {
      const double length = column.norm();
      detail::require(length > 0, name, "length of a point", length, "valid: > 0");
      column /= length;
    }
    // X X^T has the eigenvalues of X^T X that are not 0.
    if (x.rows() < x.cols())
      likeness = x * x.transpose() / n;
    else
      likeness = x.transpose() * x / n;
  } else {
    likeness.resize(x.cols(), x.cols());
    detail::visit_pairs(x, x, true, [&](Eigen::Index i, Eigen::Index j, const point_pair& p) {
      likeness(i, j) = kernel(p) / n;
    });
    for (Eigen::Index i = 0; i < x.cols(); ++i) {
      const double own = kernel(point_pair{x.col(i).squaredNorm(), 0, x.rows()});
      detail::require(std::abs(own - 1) <= 1e-12, name, "k(x, x)", own, "valid: 1");
      likeness(i, i) = own / n;
    }
  }
  const Eigen::ArrayXd shares =
      Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(likeness, Eigen::EigenvaluesOnly)
          .eigenvalues()
          .cwiseMax(0);
  if (std::isinf(order)) return 1 / shares.maxCoeff();
  double sum = 0;
  for (const double l : shares)
    if (l > 0) sum += order == 1 ? -l * std::log(l) : std::pow(l, order);
  return order == 1 ? std::exp(sum) : std::pow(sum, 1 / (1 - order));
}

}  // namespace tweedie
