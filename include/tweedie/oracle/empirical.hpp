// A training set as data distribution: the denoiser a network reaches by memorising it.
//
//   x0 ~ sum_i w_i delta(x_i),  x = alpha x0 + sigma z
//   E[x0|x] = sum_i softmax_i(log w_i - |x - alpha x_i|^2 / (2 sigma^2)) x_i
//   (Karras et al. 2022, appendix B.3)
//
// The limit of oracle/mixture.hpp for vanishing covariances. Every probability-flow trajectory ends
// in a training point. Points are columns; sigma > 0 everywhere; O(points * dimension) per column.
#pragma once

#include <Eigen/Dense>
#include <cmath>
#include <numbers>
#include <utility>

#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie::oracle {

/// Exact denoiser, score and density of a finite set of points (columns).
template <class Scalar>
class empirical {
 public:
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

  /// Equally likely points.
  explicit empirical(const matrix& points) : empirical(points, vector::Ones(points.cols())) {}

  /// Points with positive weights, which need not be normalised.
  /// \throws std::invalid_argument for no points, points that are not finite, a number of weights
  /// that differs, or weights that are not positive or whose sum is not finite.
  empirical(matrix points, const vector& weights) : points_(std::move(points)) {
    if (points_.size() == 0) detail::fail("empirical", "no points; valid: at least one");
    detail::require(weights.size() == points_.cols(), "empirical", "weights",
                    static_cast<double>(weights.size()), "valid: one for each point");
    if (!points_.allFinite()) detail::fail("empirical", "points must be finite");
    const Scalar total = weights.sum();
    detail::require(std::isfinite(total), "empirical", "sum of the weights",
                    static_cast<double>(total), "valid: finite");
    detail::require(weights.minCoeff() > 0, "empirical", "weight",
                    static_cast<double>(weights.minCoeff()), "valid: weight > 0");
    log_weights_ = (weights / total).array().log().matrix();
  }

  const matrix& points() const { return points_; }
  Eigen::Index dimension() const { return points_.rows(); }

  /// Probability of each point given x.
  vector responsibilities(signal_noise level, const vector& x) const {
    const vector logits = log_joint("empirical::responsibilities", level, x);
    const vector e = (logits.array() - logits.maxCoeff()).exp().matrix();
    return e / e.sum();
  }

  /// E[x0 | x], for each column of x.
  matrix denoise(signal_noise level, const matrix& x) const {
    matrix out(x.rows(), x.cols());
    for (Eigen::Index i = 0; i < x.cols(); ++i)
      out.col(i) = points_ * responsibilities(level, x.col(i));
    return out;
  }

  /// Gradient of log p, for each column of x, by Tweedie's formula.
  matrix score(signal_noise level, const matrix& x) const {
    const auto alpha = static_cast<Scalar>(level.alpha);
    const auto sigma = static_cast<Scalar>(level.sigma);
    return (alpha * denoise(level, x) - x) / (sigma * sigma);
  }

  /// log p(x).
  Scalar log_density(signal_noise level, const vector& x) const {
    const vector logits = log_joint("empirical::log_density", level, x);
    const Scalar top = logits.maxCoeff();
    const auto variance = static_cast<Scalar>(level.sigma * level.sigma);
    return top + std::log((logits.array() - top).exp().sum()) -
           static_cast<Scalar>(x.size()) * std::log(2 * std::numbers::pi_v<Scalar> * variance) / 2;
  }

  /// Cov[x0 | x].
  matrix posterior_covariance(signal_noise level, const vector& x) const {
    const vector r = responsibilities(level, x);
    const matrix off = points_.colwise() - points_ * r;
    return off * r.asDiagonal() * off.transpose();
  }

 private:
  vector log_joint(const char* function, signal_noise level, const vector& x) const {
    detail::require(x.size() == points_.rows(), function, "rows of x",
                    static_cast<double>(x.size()), "valid: the dimension of the points");
    detail::require(level.sigma > 0, function, "sigma", level.sigma, "valid: sigma > 0");
    const auto alpha = static_cast<Scalar>(level.alpha);
    const auto sigma = static_cast<Scalar>(level.sigma);
    return log_weights_ - ((alpha * points_).colwise() - x).colwise().squaredNorm().transpose() /
                              (2 * sigma * sigma);
  }

  matrix points_;
  vector log_weights_;
};

}  // namespace tweedie::oracle
