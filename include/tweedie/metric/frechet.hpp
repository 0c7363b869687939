// Distances between Gaussians, and between sets of points taken as Gaussians.
//
//   Frechet   |m_1 - m_2|^2 + tr(S_1 + S_2 - 2 (S_1^1/2 S_2 S_1^1/2)^1/2)    (Dowson and Landau 1982;
//             Heusel et al. 2017: FID, on the features of an Inception network)
//   KL        1/2 (tr(S_2^-1 S_1) - d - log det(S_2^-1 S_1) + |S_2^-1/2 (m_1 - m_2)|^2)
//
// The first is the squared 2-Wasserstein distance. With S_i = A_i A_i^T it is |m_1 - m_2|^2 +
// |A_1 - A_2 R|^2 for the best rotation R (Bhatia et al. 2019, theorem 1): a sum of squares, in which
// nothing cancels, and no root of what rounding leaves of eigenvalues that are 0. Singular
// covariances, that is fewer points than dimensions, are fine; between sets of points the estimate is
// biased upwards by a term of order 1/n. Columns are points.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <utility>

#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/process/log1p_minus.hpp"

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

/// A_1 V and A_2 U, whose first columns are as near to each other as rotations of the factors can be;
/// those that only one of the factors has are behind.
template <class Scalar>
auto aligned_factors(const char* function, const oracle::gaussian<Scalar>& first,
                     const oracle::gaussian<Scalar>& second) {
  using matrix = typename oracle::gaussian<Scalar>::matrix;
  if (second.dimension() != first.dimension())
    fail(function, "dimension of the second", static_cast<double>(second.dimension()),
         "valid: that of the first, " + std::to_string(first.dimension()));
  std::pair<matrix, matrix> factors(first.factor(), second.factor());
  auto& [a, b] = factors;
  if (a.cols() > 0 && b.cols() > 0) {
    const Eigen::BDCSVD<matrix> svd(a.transpose() * b, Eigen::ComputeFullU | Eigen::ComputeFullV);
    a *= svd.matrixU();
    b *= svd.matrixV();
  }
  return factors;
}

}  // namespace detail

/// Squared Frechet distance of two Gaussians, >= 0.
template <class Scalar>
Scalar frechet_distance(const oracle::gaussian<Scalar>& first,
                        const oracle::gaussian<Scalar>& second) {
  const auto [a, b] = detail::aligned_factors("frechet_distance", first, second);
  const Eigen::Index both = (std::min)(a.cols(), b.cols());
  return (first.mean() - second.mean()).squaredNorm() +
         (a.leftCols(both) - b.leftCols(both)).squaredNorm() +
         a.rightCols(a.cols() - both).squaredNorm() + b.rightCols(b.cols() - both).squaredNorm();
}

/// Squared Frechet distance of moments, which may come from single precision. A template, since only
/// who calls it is to compile Eigen's decompositions.
/// \throws std::invalid_argument for sizes that differ, and covariances that are not finite, symmetric
/// and semidefinite.
template <std::same_as<point_moments> Moments = point_moments>
double frechet_distance(const Moments& first, const Moments& second) {
  const auto of = [](const point_moments& m) {
    return oracle::gaussian<double>(
        m.mean, m.covariance,
        std::numeric_limits<float>::epsilon() * std::sqrt(static_cast<double>(m.mean.size())));
  };
  return frechet_distance(of(first), of(second));
}

/// Squared Frechet distance of two sets of points.
template <class First, class Second>
double frechet_distance(const Eigen::MatrixBase<First>& first,
                        const Eigen::MatrixBase<Second>& second) {
  return frechet_distance(moments_of(first), moments_of(second));
}

/// The symmetric matrix T of the optimal map x -> m_q + T (x - m_p) from p, of full rank, to q.
/// \throws std::domain_error if p is singular.
template <class Scalar>
typename oracle::gaussian<Scalar>::matrix transport_matrix(const oracle::gaussian<Scalar>& p,
                                                           const oracle::gaussian<Scalar>& q) {
  using matrix = typename oracle::gaussian<Scalar>::matrix;
  const auto [a, b] = detail::aligned_factors("transport_matrix", p, q);
  if (a.cols() < p.dimension())
    detail::raise(std::domain_error("transport_matrix: rank of p = " + std::to_string(a.cols()) +
                                    "; valid: full rank"));
  if (b.cols() == 0) return matrix::Zero(p.dimension(), p.dimension());
  // T a = b on the columns that both have, and 0 on the others.
  matrix image = matrix::Zero(p.dimension(), p.dimension());
  image.leftCols(b.cols()) = b;
  const matrix t = a.transpose().partialPivLu().solve(image.transpose());
  return (t + t.transpose()) / 2;
}

/// KL(p || q) in nats, from the singular values of S_q^-1/2 S_p^1/2 one by one: a sum of terms >= 0.
/// +inf where p is singular and q is not. \throws std::domain_error if q is singular.
template <class Scalar>
Scalar kl_divergence(const oracle::gaussian<Scalar>& p, const oracle::gaussian<Scalar>& q) {
  using matrix = typename oracle::gaussian<Scalar>::matrix;
  constexpr const char* name = "kl_divergence";
  if (p.dimension() != q.dimension())
    detail::fail(name, "dimension of q", static_cast<double>(q.dimension()),
                 "valid: the dimension of p, " + std::to_string(p.dimension()));
  if (p.dimension() == 0) return 0;
  if (q.rank() < q.dimension())
    detail::raise(std::domain_error("kl_divergence: rank of q = " + std::to_string(q.rank()) +
                                    "; valid: full rank"));
  if (p.rank() < p.dimension()) return std::numeric_limits<Scalar>::infinity();
  const auto whiten = [&](const matrix& x) -> matrix {
    return q.variances().cwiseSqrt().cwiseInverse().asDiagonal() * (q.axes().transpose() * x);
  };
  const matrix ratio = whiten(p.axes() * p.variances().cwiseSqrt().asDiagonal());
  double sum = static_cast<double>(whiten(p.mean() - q.mean()).squaredNorm());
  const Eigen::BDCSVD<matrix> svd(ratio);
  for (const Scalar s : svd.singularValues()) {
    const auto root = static_cast<double>(s);
    sum -= log1p_minus((root - 1) * (root + 1));
  }
  return static_cast<Scalar>(sum / 2);
}

}  // namespace tweedie
