// The Frechet distance between two sets of points (or features), taken as Gaussians:
//
//   |m_1 - m_2|^2 + tr(S_1 + S_2 - 2 (S_1^1/2 S_2 S_1^1/2)^1/2)       (Dowson and Landau 1982;
//   Heusel et al. 2017: FID, on the features of an Inception network)
//
// The trace of the last root is the sum of the singular values of A_1^T A_2, S_i = A_i A_i^T: without
// square roots of what rounding leaves of eigenvalues that are 0.
//
// It is the squared 2-Wasserstein distance of the Gaussians. Singular covariances, that is fewer
// points than dimensions, are fine; the estimate is biased upwards by a term of order 1/n. Columns
// are points.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// Mean and covariance of points.
struct point_moments {
  Eigen::VectorXd mean;
  Eigen::MatrixXd covariance;
};

/// Sample mean and covariance with divisor n - 1, of at least two points.
template <class Derived>
point_moments moments_of(const Eigen::MatrixBase<Derived>& points) {
  const Eigen::Index n = points.cols();
  detail::require(n >= 2, "moments_of", "points", static_cast<double>(n), "valid: at least two");
  if (!points.allFinite()) detail::fail("moments_of", "points must be finite");
  const Eigen::MatrixXd x = points.template cast<double>();
  const Eigen::VectorXd mean = x.rowwise().mean();
  const Eigen::MatrixXd centred = x.colwise() - mean;
  return {mean, centred * centred.transpose() / static_cast<double>(n - 1)};
}

namespace detail {

/// A with S = A A^T, one column per eigenvalue that is not 0. The lower triangle of S is read.
template <std::same_as<point_moments> Moments>
Eigen::MatrixXd covariance_factor(const char* function, const Moments& moments) {
  const Eigen::Index d = moments.mean.size();
  if (moments.covariance.rows() != d || moments.covariance.cols() != d)
    fail(function, "rows of covariance", static_cast<double>(moments.covariance.rows()),
         "valid: the size of the mean, " + std::to_string(d));
  if (!moments.mean.allFinite() || !moments.covariance.allFinite())
    fail(function, "mean and covariance must be finite");
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(moments.covariance);
  const Eigen::VectorXd& values = eigen.eigenvalues();  // increasing
  const double largest = values.cwiseAbs().maxCoeff();
  // Covariances may come from single precision.
  require(values[0] >=
              -std::numeric_limits<float>::epsilon() * std::sqrt(static_cast<double>(d)) * largest,
          function, "eigenvalue of covariance", values[0], "valid: a positive semidefinite matrix");
  const double rounding = std::numeric_limits<double>::epsilon() * static_cast<double>(d) * largest;
  const Eigen::Index rank = (values.array() > rounding).count();
  return eigen.eigenvectors().rightCols(rank) * values.tail(rank).cwiseSqrt().asDiagonal();
}

}  // namespace detail

/// Squared Frechet distance of two Gaussians, >= 0. A template, since only who calls it is to compile
/// Eigen's decompositions.
/// \throws std::invalid_argument for sizes that differ, and covariances that are not finite or not
/// semidefinite.
template <std::same_as<point_moments> Moments = point_moments>
double frechet_distance(const Moments& first, const Moments& second) {
  constexpr const char* name = "frechet_distance";
  const Eigen::Index d = first.mean.size();
  if (second.mean.size() != d)
    detail::fail(name, "dimension of the second", static_cast<double>(second.mean.size()),
                 "valid: that of the first, " + std::to_string(d));
  if (d == 0) return 0;
  const Eigen::MatrixXd a = detail::covariance_factor(name, first);
  const Eigen::MatrixXd b = detail::covariance_factor(name, second);
  const double overlap =
      a.cols() == 0 || b.cols() == 0
          ? 0
          : Eigen::BDCSVD<Eigen::MatrixXd>(a.transpose() * b).singularValues().sum();
  // Rounding may leave less than 0 of covariances that are equal.
  const double spread = (std::max)(0.0, a.squaredNorm() + b.squaredNorm() - 2 * overlap);
  return (first.mean - second.mean).squaredNorm() + spread;
}

/// Squared Frechet distance of two sets of points.
template <class First, class Second>
double frechet_distance(const Eigen::MatrixBase<First>& first,
                        const Eigen::MatrixBase<Second>& second) {
  return frechet_distance(moments_of(first), moments_of(second));
}

}  // namespace tweedie
