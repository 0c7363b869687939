// The Frechet distance between two sets of points (or features), taken as Gaussians:
//
//   |m_1 - m_2|^2 + tr(S_1 + S_2 - 2 (S_1^1/2 S_2 S_1^1/2)^1/2)       (Dowson and Landau 1982;
//   Heusel et al. 2017: FID, on the features of an Inception network)
//
// It is the squared 2-Wasserstein distance of the Gaussians. Singular covariances, that is fewer
// points than dimensions, are fine; the estimate is biased upwards by a term of order 1/n. Columns
// are points.
#pragma once

#include <Eigen/Dense>
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

/// Squared Frechet distance of two Gaussians.
inline double frechet_distance(const point_moments& first, const point_moments& second) {
  constexpr const char* name = "frechet_distance";
  const Eigen::Index d = first.mean.size();
  if (second.mean.size() != d)
    detail::fail(name, "dimension of the second", static_cast<double>(second.mean.size()),
                 "valid: that of the first, " + std::to_string(d));
  if (d == 0) return 0;
  using solver = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;
  const Eigen::MatrixXd root = [&] {
    const solver eigen(first.covariance);
    const Eigen::VectorXd values = eigen.eigenvalues().cwiseMax(0).cwiseSqrt();
    return Eigen::MatrixXd(eigen.eigenvectors() * values.asDiagonal() *
                           eigen.eigenvectors().transpose());
  }();
  const solver product(root * second.covariance * root, Eigen::EigenvaluesOnly);
  const double overlap = product.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
  return (first.mean - second.mean).squaredNorm() + first.covariance.trace() +
         second.covariance.trace() - 2 * overlap;
}

/// Squared Frechet distance of two sets of points.
template <class First, class Second>
double frechet_distance(const Eigen::MatrixBase<First>& first,
                        const Eigen::MatrixBase<Second>& second) {
  return frechet_distance(moments_of(first), moments_of(second));
}

}  // namespace tweedie
