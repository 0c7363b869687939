// What a linear measurement says about data that are known exactly: y = A x0 + s n, n ~ N(0, I).
//
//   data N(m, S), S = F F^T:   M = F^T A^T,   M M^T = U diag(d^2) U^T
//     x0 | y ~ N(m + F U diag(1/(d^2 + s^2)) U^T M (y - A m), F U diag(s^2/(d^2 + s^2)) U^T F^T)
//     y      ~ N(A m, A S A^T + s^2 I)                                        the evidence
//   data sum_k w_k N(m_k, S_k): the mixture of these, with weights w_k p_k(y)/p(y)
//
// which is Kalman's update in a form without subtraction of covariances; an axis with d = 0 is not measured
// and stays as it was. The posterior is an oracle as any other: its denoiser is E[x0 | x, y], its score
// what guidance by a measurement tries to reach.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/mixture.hpp"

namespace tweedie::oracle {

/// y = matrix x0 + deviation n, n ~ N(0, I). Coloured noise: multiply both by its inverse root.
template <class Scalar = double>
struct linear_measurement {
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> matrix;
  Eigen::Vector<Scalar, Eigen::Dynamic> value;
  Scalar deviation = 0;
};

/// log p(y) in nats. Needs deviation > 0.
/// \throws std::invalid_argument as `posterior`, and at deviation = 0.
template <class Scalar>
Scalar log_evidence(const gaussian<Scalar>& data, const linear_measurement<Scalar>& y);
template <class Scalar>
Scalar log_evidence(const mixture<Scalar>& data, const linear_measurement<Scalar>& y);

/// The data given y.
/// \throws std::invalid_argument for sizes that differ, what is not finite or a negative deviation;
///   std::domain_error at deviation = 0 for values that the data cannot have.
template <class Scalar>
gaussian<Scalar> posterior(const gaussian<Scalar>& data, const linear_measurement<Scalar>& y);

/// The data given y. Needs deviation > 0.
template <class Scalar>
mixture<Scalar> posterior(const mixture<Scalar>& data, const linear_measurement<Scalar>& y);

}  // namespace tweedie::oracle

namespace tweedie::detail {

template <class Scalar>
void check_measurement(const char* function, Eigen::Index dimension,
                       const oracle::linear_measurement<Scalar>& y, bool noisy) {
  if (y.matrix.cols() != dimension)
    fail(function, "columns of the matrix", static_cast<double>(y.matrix.cols()),
         "valid: the dimension of the data, " + std::to_string(dimension));
  require_equal(function, "values", static_cast<std::size_t>(y.value.size()),
                static_cast<std::size_t>(y.matrix.rows()));
  if (!y.matrix.allFinite() || !y.value.allFinite())
    fail(function, "matrix and values must be finite");
  require(y.deviation >= 0 && std::isfinite(y.deviation), function, "deviation",
          static_cast<double>(y.deviation), "valid: 0 <= deviation < inf");
  require(!noisy || y.deviation > 0, function, "deviation", static_cast<double>(y.deviation),
          "valid: > 0, for the density of y");
}

// Noiseless measurements: what the data do not explain has to be rounding.
template <class Scalar>
void require_seen(const Eigen::Vector<Scalar, Eigen::Dynamic>& unexplained,
                  const Eigen::Vector<Scalar, Eigen::Dynamic>& surprise) {
  const Scalar off = unexplained.cwiseAbs().maxCoeff();
  if (off > std::sqrt(Eigen::NumTraits<Scalar>::epsilon()) * surprise.cwiseAbs().maxCoeff())
    detail::raise(std::domain_error(describe("oracle::posterior", "distance of y from A x0",
                                             static_cast<double>(off), "valid: 0")));
}

}  // namespace tweedie::detail

namespace tweedie::detail {

// log of weight times evidence, of each component.
template <class Scalar>
Eigen::Vector<Scalar, Eigen::Dynamic> log_joint_evidence(
    const oracle::mixture<Scalar>& data, const oracle::linear_measurement<Scalar>& y) {
  Eigen::Vector<Scalar, Eigen::Dynamic> joint(static_cast<Eigen::Index>(data.components()));
  for (std::size_t k = 0; k < data.components(); ++k)
    joint[static_cast<Eigen::Index>(k)] =
        std::log(data.weight(k)) + oracle::log_evidence(data.law(k), y);
  return joint;
}

template <class Scalar>
Scalar log_of_summed(const Eigen::Vector<Scalar, Eigen::Dynamic>& logs) {
  const Scalar top = logs.maxCoeff();
  return top + std::log((logs.array() - top).exp().sum());
}

}  // namespace tweedie::detail

namespace tweedie::oracle {

template <class Scalar>
Scalar log_evidence(const gaussian<Scalar>& data, const linear_measurement<Scalar>& y) {
  detail::check_measurement("log_evidence", data.dimension(), y, true);
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  // A S A^T by a root of S, which is symmetric whatever cancels.
  const matrix root = y.matrix * data.factor();
  const gaussian<Scalar> clean(vector(y.matrix * data.mean()), root * root.transpose());
  return clean.log_density({1, static_cast<double>(y.deviation)}, y.value)[0];
}

template <class Scalar>
Scalar log_evidence(const mixture<Scalar>& data, const linear_measurement<Scalar>& y) {
  return detail::log_of_summed(detail::log_joint_evidence(data, y));
}

template <class Scalar>
gaussian<Scalar> posterior(const gaussian<Scalar>& data, const linear_measurement<Scalar>& y) {
  constexpr const char* name = "oracle::posterior";
  detail::check_measurement(name, data.dimension(), y, false);
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  const matrix factor = data.factor();
  const vector surprise = y.value - y.matrix * data.mean();
  if (surprise.size() == 0 || factor.cols() == 0) {
    if (y.deviation == 0 && surprise.size() > 0) detail::require_seen(surprise, surprise);
    return data;
  }
  // Axes of the unit Gaussian behind the data, each measured with a signal of variance d2.
  const matrix seen = factor.transpose() * y.matrix.transpose();
  const Eigen::SelfAdjointEigenSolver<matrix> eigen(seen * seen.transpose());
  const vector& d2 = eigen.eigenvalues();
  const Scalar noise = y.deviation * y.deviation;
  const Scalar none = 8 * Eigen::NumTraits<Scalar>::epsilon() *
                      static_cast<Scalar>((std::max)(seen.rows(), seen.cols())) * d2.maxCoeff();
  vector weight = vector::Zero(d2.size());
  vector left = vector::Ones(d2.size());  // deviation that remains
  for (Eigen::Index i = 0; i < d2.size(); ++i)
    if (d2[i] > none) {
      weight[i] = 1 / (d2[i] + noise);
      left[i] = y.deviation * std::sqrt(weight[i]);
    }
  const vector along = eigen.eigenvectors().transpose() * (seen * surprise);
  const vector z = eigen.eigenvectors() * weight.cwiseProduct(along);
  if (y.deviation == 0) detail::require_seen(vector(seen.transpose() * z - surprise), surprise);
  const matrix root = factor * eigen.eigenvectors() * left.asDiagonal();
  return {vector(data.mean() + factor * z), root * root.transpose()};
}

template <class Scalar>
mixture<Scalar> posterior(const mixture<Scalar>& data, const linear_measurement<Scalar>& y) {
  detail::check_measurement("oracle::posterior", data.dimension(), y, true);
  const Eigen::Vector<Scalar, Eigen::Dynamic> joint = detail::log_joint_evidence(data, y);
  const Scalar total = detail::log_of_summed(joint);
  std::vector<component<Scalar>> parts;
  for (std::size_t k = 0; k < data.components(); ++k) {
    const Scalar weight = std::exp(joint[static_cast<Eigen::Index>(k)] - total);
    // What cannot have given y has no weight that a number can hold.
    if (weight < (std::numeric_limits<Scalar>::min)()) continue;
    const gaussian<Scalar> law = posterior(data.law(k), y);
    parts.push_back({weight, law.mean(), law.covariance()});
  }
  return mixture<Scalar>(parts);
}

}  // namespace tweedie::oracle
