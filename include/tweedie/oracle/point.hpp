// Data that is a single point: the denoiser knows the answer. q(x_t) = N(alpha x0, sigma^2 I).
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "tweedie/oracle/sample_key.hpp"
#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie::oracle {

/// All mass at one point of R^d. Points are columns.
class point {
 public:
  /// \throws std::invalid_argument unless x0 is finite.
  explicit point(Eigen::VectorXd x0) : x0_(std::move(x0)) {
    if (!x0_.allFinite()) detail::fail("oracle::point", "x0 must be finite");
  }

  Eigen::Index dimension() const { return x0_.size(); }
  const Eigen::VectorXd& mean() const { return x0_; }

  /// log N(x; alpha x0, sigma^2 I), for each column. Needs sigma > 0, as the score does.
  Eigen::VectorXd log_density(signal_noise level, const Eigen::MatrixXd& x) const {
    const double variance = checked_variance("point::log_density", level, x.rows());
    return ((x.colwise() - level.alpha * x0_).colwise().squaredNorm().array() / (-2 * variance) -
            static_cast<double>(x.rows()) / 2 * std::log(2 * std::numbers::pi * variance))
        .matrix()
        .transpose();
  }

  /// grad log p_t(x) = -(x - alpha x0)/sigma^2, for each column.
  Eigen::MatrixXd score(signal_noise level, const Eigen::MatrixXd& x) const {
    const double variance = checked_variance("point::score", level, x.rows());
    return (-(x.colwise() - level.alpha * x0_)) / variance;
  }

  /// E[x0 | x] = x0, whatever x.
  Eigen::MatrixXd denoise(signal_noise, const Eigen::MatrixXd& x) const {
    check("point::denoise", x.rows());
    return x0_.replicate(1, x.cols());
  }

  /// Cov[x0 | x] = 0.
  Eigen::MatrixXd posterior_covariance(signal_noise) const {
    return Eigen::MatrixXd::Zero(dimension(), dimension());
  }

  /// The point, `count` times.
  Eigen::MatrixXd sample(Eigen::Index count, sample_key) const {
    detail::require_count("point::sample", count);
    return x0_.replicate(1, count);
  }

 private:
  void check(const char* function, Eigen::Index rows) const {
    if (rows != dimension())
      detail::fail(function, "rows of x", static_cast<double>(rows),
                   "valid: the dimension of the data, " + std::to_string(dimension()));
  }
  double checked_variance(const char* function, signal_noise level, Eigen::Index rows) const {
    check(function, rows);
    detail::require(level.sigma > 0, function, "sigma", level.sigma, "valid: sigma > 0");
    return level.sigma * level.sigma;
  }
  Eigen::VectorXd x0_;
};

}  // namespace tweedie::oracle
