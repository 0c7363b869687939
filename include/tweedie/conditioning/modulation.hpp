// Feature-wise modulation: how a condition scales and shifts the features of a network.
//
//   FiLM            gamma h + beta                               Perez et al. 2018, eq. 2
//   layer norm      (h - mean) / sqrt(var + eps)                 Ba et al. 2016, eq. 4
//   adaptive norm   (1 + scale) norm(h) + shift                  Peebles and Xie 2023, section 3.2
//   zero            h + gate f((1 + scale) norm(h) + shift)      adaLN-zero, the same
//
// One column a token; gamma, beta, scale, shift and gate are one number per feature (row) or one per
// feature and token. All three of adaLN-zero start as 0, which makes the block the identity. The
// norm of one feature is 0, whatever it is.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

namespace detail {

// A vector per feature, repeated for each column, or a matrix as it is.
template <class H, class P>
auto per_feature(const char* function, const char* what, const Eigen::MatrixBase<H>& h,
                 const Eigen::MatrixBase<P>& parameter) {
  require_equal(function, what, static_cast<std::size_t>(parameter.rows()),
                static_cast<std::size_t>(h.rows()));
  const bool shared = parameter.cols() == 1;
  if (!shared && parameter.cols() != h.cols())
    fail(function, what, static_cast<double>(parameter.cols()),
         "valid: one column, or one for each token");
  return parameter.replicate(1, shared ? h.cols() : 1);
}

}  // namespace detail

/// gamma h + beta, feature by feature. gamma = 1 and beta = 0 give h.
/// \throws std::invalid_argument if the shapes do not fit.
template <class H, class G, class B>
Eigen::Matrix<typename H::Scalar, Eigen::Dynamic, Eigen::Dynamic> film(
    const Eigen::MatrixBase<H>& h, const Eigen::MatrixBase<G>& gamma,
    const Eigen::MatrixBase<B>& beta) {
  return detail::per_feature("film", "gamma", h, gamma).cwiseProduct(h) +
         detail::per_feature("film", "beta", h, beta);
}

/// Every token with mean 0 and variance 1 (divisor: the number of features).
/// \throws std::invalid_argument unless eps >= 0; with eps = 0 for a token of equal features.
template <class H>
Eigen::Matrix<typename H::Scalar, Eigen::Dynamic, Eigen::Dynamic> layer_norm(
    const Eigen::MatrixBase<H>& h, double eps = 1e-6) {
  using S = typename H::Scalar;
  detail::require(eps >= 0 && std::isfinite(eps), "layer_norm", "eps", eps,
                  "valid: 0 <= eps < inf");
  Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic> out = h;
  if (h.rows() == 0) return out;
  for (Eigen::Index j = 0; j < out.cols(); ++j) {
    auto token = out.col(j);
    token.array() -= token.mean();
    const double variance =
        static_cast<double>(token.squaredNorm()) / static_cast<double>(h.rows()) + eps;
    detail::require(variance > 0, "layer_norm", "variance + eps", variance, "valid: above 0");
    token /= static_cast<S>(std::sqrt(variance));
  }
  return out;
}

/// (1 + scale) norm(h) + shift.
/// \throws std::invalid_argument if the shapes do not fit.
template <class H, class A, class B>
Eigen::Matrix<typename H::Scalar, Eigen::Dynamic, Eigen::Dynamic> adaptive_layer_norm(
    const Eigen::MatrixBase<H>& h, const Eigen::MatrixBase<A>& scale,
    const Eigen::MatrixBase<B>& shift, double eps = 1e-6) {
  const auto factor = detail::per_feature("adaptive_layer_norm", "scale", h, scale);
  const auto offset = detail::per_feature("adaptive_layer_norm", "shift", h, shift);
  const auto normal = layer_norm(h, eps);
  return normal + factor.cwiseProduct(normal) + offset;
}

/// h + gate f(adaptive_layer_norm(h, scale, shift)): a residual block that is the identity, bit for
/// bit, while gate = 0 and f is finite.
/// \throws std::invalid_argument if the shapes do not fit.
template <class H, class A, class B, class G, class Block>
Eigen::Matrix<typename H::Scalar, Eigen::Dynamic, Eigen::Dynamic> adaptive_block(
    const Eigen::MatrixBase<H>& h, const Eigen::MatrixBase<A>& scale,
    const Eigen::MatrixBase<B>& shift, const Eigen::MatrixBase<G>& gate, const Block& f,
    double eps = 1e-6) {
  using matrix = Eigen::Matrix<typename H::Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  const auto opening = detail::per_feature("adaptive_block", "gate", h, gate);
  const matrix inner = f(adaptive_layer_norm(h, scale, shift, eps));
  detail::require_equal("adaptive_block", "size of f's result",
                        static_cast<std::size_t>(inner.size()), static_cast<std::size_t>(h.size()));
  return h + opening.cwiseProduct(inner);
}

}  // namespace tweedie
