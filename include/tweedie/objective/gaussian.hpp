// The multivariate normal N(m, S) with full covariance: density, sampling, entropy, divergence,
// transport, marginals and conditionals, in nats.
//
//   log N(x; m, S) = -1/2 |L^-1 (x - m)|^2 - sum log L_ii - d/2 log 2 pi,   S = L L^T
//
// The determinant is never formed (it underflows from d = 100 on), S is never inverted. S may be
// singular: then a pivoted factor S = A A^T of lower rank takes the place of L; such a distribution
// can be sampled, transported, marginalised and conditioned, but has no density. Variances count as
// 0 where no more is left of S_ii than 16 d of its own roundings, so that the rank does not depend
// on the units of the coordinates. d = 0 is legal: one point of probability 1. Columns are points.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/objective/numeric.hpp"
#include "tweedie/schedule/error.hpp"

namespace tweedie {

template <class Scalar = double>
class multivariate_normal {
 public:
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

  /// \throws std::invalid_argument unless the covariance is finite, symmetric and semidefinite.
  multivariate_normal(vector mean, matrix covariance);
  /// N(mean, diag(variances)).
  static multivariate_normal diagonal(vector mean, const vector& variances) {
    return {std::move(mean), matrix(variances.asDiagonal())};
  }
  /// N(mean, variance I).
  static multivariate_normal isotropic(vector mean, Scalar variance) {
    const vector variances = vector::Constant(mean.size(), variance);
    return diagonal(std::move(mean), variances);
  }

  Eigen::Index dimension() const { return mean_.size(); }
  const vector& mean() const { return mean_; }
  const matrix& covariance() const { return covariance_; }
  /// A with S = A A^T: lower triangular if S is definite, d x rank otherwise.
  const matrix& factor() const { return factor_; }
  Eigen::Index rank() const { return factor_.cols(); }
  /// True where S is singular and no density exists.
  bool degenerate() const { return rank() < dimension(); }

  /// log det S; -inf if degenerate.
  Scalar log_determinant() const {
    if (degenerate()) return -std::numeric_limits<Scalar>::infinity();
    return 2 * factor_.diagonal().array().log().sum();
  }

  /// Log-density of each column. \throws std::domain_error if degenerate.
  vector log_density(const matrix& x) const {
    const matrix z = standardised("log_density", x);
    return (z.colwise().squaredNorm().array() * Scalar(-0.5) - log_determinant() / 2 -
            static_cast<Scalar>(dimension()) * Scalar(half_log_two_pi))
        .matrix()
        .transpose();
  }
  /// Gradient of the log-density, -S^-1 (x - m), of each column.
  matrix score(const matrix& x) const {
    return -factor_.template triangularView<Eigen::Lower>().transpose().solve(
        standardised("score", x));
  }
  /// m + A z for each column of standard normals; z has rank() rows.
  matrix sample(const matrix& z) const {
    if (z.rows() != rank())
      detail::fail("multivariate_normal::sample", "rows of z", static_cast<double>(z.rows()),
                   "valid: the rank of the covariance, " + std::to_string(rank()));
    return (factor_ * z).colwise() + mean_;
  }
  /// 1/2 log det(2 pi e S); -inf if degenerate.
  Scalar entropy() const {
    return log_determinant() / 2 + static_cast<Scalar>(dimension()) * Scalar(half_log_two_pi + 0.5);
  }

  /// Distribution of the coordinates `kept`, in that order.
  multivariate_normal marginal(const std::vector<Eigen::Index>& kept) const {
    check("marginal", kept);
    return {mean_(kept), covariance_(kept, kept)};
  }
  /// Distribution of the other coordinates, in order, given that those in `known` have `values`.
  /// \throws std::domain_error if the values are impossible (off the support of a singular S).
  multivariate_normal conditional(const std::vector<Eigen::Index>& known,
                                  const vector& values) const;

 private:
  matrix standardised(const char* function, const matrix& x) const {
    if (x.rows() != dimension())
      detail::fail("multivariate_normal", "rows of x", static_cast<double>(x.rows()),
                   "valid: the dimension, " + std::to_string(dimension()));
    if (degenerate())
      throw std::domain_error("multivariate_normal::" + std::string(function) +
                              ": rank = " + std::to_string(rank()) +
                              "; a density needs full rank, " + std::to_string(dimension()));
    return factor_.template triangularView<Eigen::Lower>().solve(x.colwise() - mean_);
  }
  void check(const char* function, const std::vector<Eigen::Index>& coordinates) const {
    std::vector<bool> seen(static_cast<std::size_t>(dimension()));
    for (const Eigen::Index i : coordinates) {
      if (i < 0 || i >= dimension())
        throw std::out_of_range(detail::describe(function, "coordinate", static_cast<double>(i),
                                                 "valid: 0 <= coordinate < dimension"));
      if (seen[static_cast<std::size_t>(i)])
        detail::fail(function, "coordinate", static_cast<double>(i), "valid: each at most once");
      seen[static_cast<std::size_t>(i)] = true;
    }
  }

  vector mean_;
  matrix covariance_;
  matrix factor_;
};

/// KL(p || q). With M = L_q^-1 L_p it is 1/2 sum_i (M_ii^2 - 1 - log M_ii^2) + 1/2 sum_{i>j} M_ij^2
/// + 1/2 |L_q^-1 (m_p - m_q)|^2, a sum of terms >= 0: nothing cancels. +inf where p is degenerate
/// and q is not. \throws std::domain_error if q is degenerate.
template <class Scalar>
Scalar divergence(const multivariate_normal<Scalar>& p, const multivariate_normal<Scalar>& q);

/// Squared 2-Wasserstein distance |m_p - m_q|^2 + tr(S_p + S_q - 2 (S_p^1/2 S_q S_p^1/2)^1/2), the
/// Frechet distance of FID; singular covariances are fine. Computed as |A_p - A_q U|^2 with the
/// best rotation U (Bhatia et al. 2019, theorem 1).
template <class Scalar>
Scalar squared_transport_distance(const multivariate_normal<Scalar>& p,
                                  const multivariate_normal<Scalar>& q);

/// The symmetric matrix T of the optimal map x -> m_q + T (x - m_p) from p, of full rank, to q.
template <class Scalar>
typename multivariate_normal<Scalar>::matrix transport_matrix(const multivariate_normal<Scalar>& p,
                                                              const multivariate_normal<Scalar>& q);

template <class Scalar>
multivariate_normal<Scalar>::multivariate_normal(vector mean, matrix covariance)
    : mean_(std::move(mean)), covariance_(std::move(covariance)) {
  constexpr const char* name = "multivariate_normal";
  if (covariance_.rows() != mean_.size() || covariance_.cols() != mean_.size())
    detail::fail(name, "rows of covariance", static_cast<double>(covariance_.rows()),
                 "valid: the size of the mean, " + std::to_string(mean_.size()));
  if (!mean_.allFinite() || !covariance_.allFinite())
    detail::fail(name, "mean and covariance must be finite");
  if (mean_.size() == 0) return;
  const auto d = static_cast<Scalar>(mean_.size());
  const Scalar scale = covariance_.cwiseAbs().maxCoeff();
  const Scalar rounding = 16 * d * Eigen::NumTraits<Scalar>::epsilon() * scale;
  const Scalar asymmetry = (covariance_ - covariance_.transpose()).cwiseAbs().maxCoeff();
  detail::require(asymmetry <= rounding, name, "asymmetry of covariance",
                  static_cast<double>(asymmetry), "valid: a symmetric matrix");
  const Eigen::LLT<matrix> definite(covariance_);
  const vector negligible =
      16 * d * Eigen::NumTraits<Scalar>::epsilon() * covariance_.diagonal().cwiseMax(0);
  if (definite.info() == Eigen::Success) {
    factor_ = definite.matrixL();
    if ((factor_.diagonal().cwiseAbs2().array() > negligible.array()).all()) return;
  }
  // Cholesky's method with the largest of the variances left over that are not negligible as pivots.
  factor_.setZero(mean_.size(), mean_.size());
  matrix left_over = covariance_;
  Eigen::Index rank = 0;
  for (; rank < mean_.size(); ++rank) {
    Eigen::Index pivot = 0;
    const Scalar variance = (left_over.diagonal().array() > negligible.array())
                                .select(left_over.diagonal(), vector::Zero(mean_.size()))
                                .maxCoeff(&pivot);
    if (variance == 0) break;
    factor_.col(rank) = left_over.col(pivot) / std::sqrt(variance);
    left_over.noalias() -= factor_.col(rank) * factor_.col(rank).transpose();
    left_over.row(pivot).setZero();
    left_over.col(pivot).setZero();
  }
  factor_ = factor_.leftCols(rank).eval();
  const Scalar indefinite = left_over.cwiseAbs().maxCoeff();
  detail::require(indefinite <= 64 * rounding, name, "indefinite part of covariance",
                  static_cast<double>(indefinite), "valid: a positive semidefinite matrix");
}

template <class Scalar>
multivariate_normal<Scalar> multivariate_normal<Scalar>::conditional(
    const std::vector<Eigen::Index>& known, const vector& values) const {
  check("conditional", known);
  if (values.size() != static_cast<Eigen::Index>(known.size()))
    detail::fail("multivariate_normal::conditional", "values", static_cast<double>(values.size()),
                 "valid: one per known coordinate, " + std::to_string(known.size()));
  std::vector<Eigen::Index> open;
  for (Eigen::Index i = 0; i < dimension(); ++i)
    if (std::find(known.begin(), known.end(), i) == known.end()) open.push_back(i);
  if (known.empty()) return *this;
  // Gain K = S_ok S_kk^+ in units of the known deviations; the pseudo-inverse agrees with the inverse
  // where S_kk is definite.
  const vector known_variances = covariance_.diagonal()(known);
  const vector units = (known_variances.array() > 0)
                           .select(known_variances.array().sqrt(), Scalar(1))
                           .inverse()
                           .matrix();
  const matrix correlation = units.asDiagonal() * covariance_(known, known) * units.asDiagonal();
  const Eigen::CompleteOrthogonalDecomposition<matrix> inverse(correlation);
  const vector surprise = units.asDiagonal() * (values - mean_(known));
  const vector explained = correlation * inverse.solve(surprise);
  const Scalar scale = surprise.cwiseAbs().maxCoeff();
  const Scalar off = (explained - surprise).cwiseAbs().maxCoeff();
  if (off > std::sqrt(Eigen::NumTraits<Scalar>::epsilon()) * scale)
    throw std::domain_error(detail::describe("multivariate_normal::conditional",
                                             "distance from the support", static_cast<double>(off),
                                             "valid: 0"));
  const matrix cross = units.asDiagonal() * covariance_(known, open);
  const matrix gain = inverse.solve(cross).transpose();
  matrix left = covariance_(open, open) - gain * cross;
  left = (left + left.transpose()).eval() / 2;
  // What rounding leaves of variances that are 0.
  const vector negligible = 64 * static_cast<Scalar>(dimension()) *
                            Eigen::NumTraits<Scalar>::epsilon() *
                            covariance_.diagonal()(open).cwiseMax(0);
  for (Eigen::Index i = 0; i < left.rows(); ++i)
    if (left(i, i) <= negligible[i]) {
      left.row(i).setZero();
      left.col(i).setZero();
    }
  return {mean_(open) + gain * surprise, left};
}

template <class Scalar>
Scalar divergence(const multivariate_normal<Scalar>& p, const multivariate_normal<Scalar>& q) {
  if (p.dimension() != q.dimension())
    detail::fail("divergence", "dimension of q", static_cast<double>(q.dimension()),
                 "valid: the dimension of p, " + std::to_string(p.dimension()));
  if (q.degenerate())
    throw std::domain_error("divergence: rank of q = " + std::to_string(q.rank()) +
                            "; valid: full rank");
  if (p.dimension() == 0) return 0;
  if (p.degenerate()) return std::numeric_limits<Scalar>::infinity();
  using matrix = typename multivariate_normal<Scalar>::matrix;
  const auto lower = q.factor().template triangularView<Eigen::Lower>();
  const matrix m = lower.solve(p.factor());
  Scalar sum = lower.solve(p.mean() - q.mean()).squaredNorm();
  for (Eigen::Index i = 0; i < m.rows(); ++i) {
    sum +=
        static_cast<Scalar>(exp_minus_linear(2 * std::log(static_cast<double>(p.factor()(i, i)) /
                                                          static_cast<double>(q.factor()(i, i)))));
    sum += m.row(i).head(i).squaredNorm();
  }
  return sum / 2;
}

namespace detail {

/// A_q U with the rotation U that brings it closest to A_p; both padded to d x d.
template <class Scalar>
auto aligned_factors(const char* function, const multivariate_normal<Scalar>& p,
                     const multivariate_normal<Scalar>& q) {
  using matrix = typename multivariate_normal<Scalar>::matrix;
  if (p.dimension() != q.dimension())
    fail(function, "dimension of q", static_cast<double>(q.dimension()),
         "valid: the dimension of p, " + std::to_string(p.dimension()));
  const Eigen::Index d = p.dimension();
  matrix a = matrix::Zero(d, d), b = matrix::Zero(d, d);
  a.leftCols(p.rank()) = p.factor();
  b.leftCols(q.rank()) = q.factor();
  if (d > 0) {
    const Eigen::BDCSVD<matrix> svd(b.transpose() * a, Eigen::ComputeFullU | Eigen::ComputeFullV);
    b = b * svd.matrixU() * svd.matrixV().transpose();
  }
  return std::pair(a, b);
}

}  // namespace detail

template <class Scalar>
Scalar squared_transport_distance(const multivariate_normal<Scalar>& p,
                                  const multivariate_normal<Scalar>& q) {
  const auto [a, b] = detail::aligned_factors("squared_transport_distance", p, q);
  return (p.mean() - q.mean()).squaredNorm() + (a - b).squaredNorm();
}

template <class Scalar>
typename multivariate_normal<Scalar>::matrix transport_matrix(
    const multivariate_normal<Scalar>& p, const multivariate_normal<Scalar>& q) {
  if (p.degenerate())
    throw std::domain_error("transport_matrix: rank of p = " + std::to_string(p.rank()) +
                            "; valid: full rank");
  const auto [a, b] = detail::aligned_factors("transport_matrix", p, q);
  using matrix = typename multivariate_normal<Scalar>::matrix;
  const matrix t = a.transpose().template triangularView<Eigen::Upper>().solve(b.transpose());
  return (t + t.transpose()) / 2;
}

}  // namespace tweedie
