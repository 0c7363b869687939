// The exact reverse kernel of a mixture, and how far from Gaussian it is.
//
//   p(x_s | x_t) ~ p_s(x_s) N(x_t; a x_s, b I):  the mixture p_s after a measurement of a x_s
//
// Reverse steps are drawn from Gaussians. For small steps that is right: the divergence of the kernel from
// the Gaussian of its moments falls as the third power of b (its skewness as b^(3/2)), which is what is
// meant by "removing a little noise is easy"; for large ones the kernel has the modes of the data.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <numbers>

#include "tweedie/oracle/linear_inverse.hpp"
#include "tweedie/process/forward.hpp"

namespace tweedie::oracle {

/// p(x_to | x_from) at one x, a mixture again.
/// \throws std::invalid_argument for another dimension, or unless `from` is noisier than `to`.
template <class Scalar>
mixture<Scalar> reverse_kernel(const mixture<Scalar>& data, signal_noise from, signal_noise to,
                               const Eigen::Vector<Scalar, Eigen::Dynamic>& x) {
  constexpr const char* name = "reverse_kernel";
  const transition_kernel forward = transition(to, from);
  detail::require(forward.variance > 0, name, "variance of the step", forward.variance,
                  "valid: > 0, `from` noisier than `to`");
  detail::require(x.size() == data.dimension(), name, "size of x", static_cast<double>(x.size()),
                  "valid: the dimension of the data");
  using matrix = typename mixture<Scalar>::matrix;
  const matrix seen = static_cast<Scalar>(forward.mean) * matrix::Identity(x.size(), x.size());
  return posterior(data.noised(to), linear_measurement<Scalar>{
                                        seen, x, static_cast<Scalar>(std::sqrt(forward.variance))});
}

/// KL(p(x_to | x_from) || N of its mean and variance) in nats at one x of data on the line: 0 for
/// Gaussian data. By the trapezoidal rule, to about 1e-12.
/// \throws std::invalid_argument as `reverse_kernel`, and for data of another dimension than 1.
template <class Scalar>
double reverse_kernel_gaussianity(const mixture<Scalar>& data, signal_noise from, signal_noise to,
                                  Scalar x) {
  constexpr const char* name = "reverse_kernel_gaussianity";
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  detail::require(data.dimension() == 1, name, "dimension", static_cast<double>(data.dimension()),
                  "valid: 1");
  const mixture<Scalar> kernel = reverse_kernel(data, from, to, vector(vector::Constant(1, x)));
  const auto [mean, covariance] = kernel.moments();
  const Scalar deviation = std::sqrt(covariance(0, 0));
  detail::require(deviation > 0, name, "deviation of the kernel", static_cast<double>(deviation),
                  "valid: > 0");
  constexpr int half = 2000;
  constexpr double step = 12.0 / half;
  double sum = 0;
  for (int i = -half; i <= half; ++i) {
    const double u = i * step;
    const vector at = vector::Constant(1, mean[0] + deviation * static_cast<Scalar>(u));
    const auto log_p = static_cast<double>(kernel.log_density({1, 0}, at) + std::log(deviation));
    const double log_normal = -(u * u + std::log(2 * std::numbers::pi)) / 2;
    // p - p log(p/g) - g: the divergence without the first order, which cancels.
    const double ratio = log_normal - log_p;
    sum += step * std::exp(log_p) * (std::expm1(ratio) - ratio);
  }
  return sum;
}

}  // namespace tweedie::oracle
