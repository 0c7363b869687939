// Scaled dot-product attention, as self-attention, cross-attention and decoupled cross-attention.
//
//   out = V softmax(K^T Q / sqrt(d) + bias)          Vaswani et al. 2017, eq. 1
//   out = A(Q, K, V) + s A(Q, K', V')                IP-Adapter, Ye et al. 2023, eq. 5
//
// One column a token: queries d x n, keys d x m, values e x m, out e x n; the softmax runs over the
// m keys of each query. bias is m x n, 0 where a query may look, -inf where not, or any finite
// preference. Scores are shifted by each query's largest, so that none overflows; they are held for
// a block of queries at a time, m x 64 numbers.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// What a query gets that may look at no key.
enum class masked_query {
  refused,  ///< std::invalid_argument
  zero      ///< a column of zeros: it adds nothing to a residual stream
};

/// 0 where `allowed`, -inf elsewhere: the bias of a mask.
template <class S, class Allowed>
Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic> mask_bias(
    const Eigen::DenseBase<Allowed>& allowed) {
  Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic> bias(allowed.rows(), allowed.cols());
  for (Eigen::Index j = 0; j < bias.cols(); ++j)
    for (Eigen::Index i = 0; i < bias.rows(); ++i)
      bias(i, j) = allowed.derived().coeff(i, j) ? S(0) : -std::numeric_limits<S>::infinity();
  return bias;
}

/// A matrix of its own with the scalars of an expression.
template <class Derived>
using matrix_of = Eigen::Matrix<typename Derived::Scalar, Eigen::Dynamic, Eigen::Dynamic>;

namespace detail {

// use(first query, its columns of softmax(K^T Q / sqrt(d) + bias)) for blocks of queries.
template <class Q, class K, class B, class Use>
void for_each_attention_block(const char* function, const Eigen::MatrixBase<Q>& queries,
                              const Eigen::MatrixBase<K>& keys, const Eigen::MatrixBase<B>& bias,
                              masked_query masked, const Use& use) {
  using S = typename Q::Scalar;
  constexpr Eigen::Index block = 64;
  const Eigen::Index n = queries.cols(), m = keys.cols();
  require_equal(function, "keys.rows()", static_cast<std::size_t>(keys.rows()),
                static_cast<std::size_t>(queries.rows()));
  require_equal(function, "bias.rows()", static_cast<std::size_t>(bias.rows()),
                static_cast<std::size_t>(m));
  require_equal(function, "bias.cols()", static_cast<std::size_t>(bias.cols()),
                static_cast<std::size_t>(n));
  if (m == 0 && n > 0 && masked == masked_query::refused)
    fail(function, "keys.cols()", 0, "valid: at least one key, or masked_query::zero");
  if (m == 0) return;
  const S scale = queries.rows() > 0 ? S(1) / std::sqrt(static_cast<S>(queries.rows())) : S(1);
  for (Eigen::Index first = 0; first < n; first += block) {
    const Eigen::Index count = (std::min)(block, n - first);
    matrix_of<Q> scores(m, count);
    scores.noalias() = keys.transpose() * (scale * queries.middleCols(first, count));
    scores += bias.middleCols(first, count);
    for (Eigen::Index j = 0; j < count; ++j) {
      auto column = scores.col(j);
      const S highest = column.template maxCoeff<Eigen::PropagateNaN>();
      if (!(highest < std::numeric_limits<S>::infinity()))
        fail(function, "score", static_cast<double>(highest),
             "valid: finite queries and keys, bias finite or -inf");
      if (highest == -std::numeric_limits<S>::infinity()) {
        if (masked == masked_query::refused)
          fail(function, "query", static_cast<double>(first + j),
               "every key is masked; valid: at least one, or masked_query::zero");
        column.setZero();
        continue;
      }
      column = (column.array() - highest).exp();
      column /= column.sum();
    }
    use(first, scores);
  }
}

}  // namespace detail

/// Attention with a bias on the scores.
/// \throws std::invalid_argument if shapes do not fit, if a score is NaN or +inf, and for a query
///   without keys (none given, or all masked) under masked_query::refused.
template <class Q, class K, class V, class B>
matrix_of<Q> attention(const Eigen::MatrixBase<Q>& queries, const Eigen::MatrixBase<K>& keys,
                       const Eigen::MatrixBase<V>& values, const Eigen::MatrixBase<B>& bias,
                       masked_query masked = masked_query::refused) {
  detail::require_equal("attention", "values.cols()", static_cast<std::size_t>(values.cols()),
                        static_cast<std::size_t>(keys.cols()));
  matrix_of<Q> out = matrix_of<Q>::Zero(values.rows(), queries.cols());
  detail::for_each_attention_block("attention", queries, keys, bias, masked,
                                   [&](Eigen::Index first, const auto& maps) {
                                     out.middleCols(first, maps.cols()).noalias() = values * maps;
                                   });
  return out;
}

/// Attention in which every query may look at every key.
template <class Q, class K, class V>
matrix_of<Q> attention(const Eigen::MatrixBase<Q>& queries, const Eigen::MatrixBase<K>& keys,
                       const Eigen::MatrixBase<V>& values) {
  return attention(queries, keys, values, matrix_of<Q>::Zero(keys.cols(), queries.cols()));
}

/// The maps themselves, m keys x n queries, with which `attention` weighs the values: values * maps. Columns add up
/// to 1, or are 0 where masked_query::zero says so. For prompt-to-prompt editing (conditioning/attention_control.hpp).
/// \throws std::invalid_argument as `attention`.
template <class Q, class K, class B>
matrix_of<Q> attention_maps(const Eigen::MatrixBase<Q>& queries, const Eigen::MatrixBase<K>& keys,
                            const Eigen::MatrixBase<B>& bias,
                            masked_query masked = masked_query::refused) {
  matrix_of<Q> out(keys.cols(), queries.cols());
  detail::for_each_attention_block(
      "attention_maps", queries, keys, bias, masked,
      [&](Eigen::Index first, const auto& maps) { out.middleCols(first, maps.cols()) = maps; });
  return out;
}
template <class Q, class K>
matrix_of<Q> attention_maps(const Eigen::MatrixBase<Q>& queries, const Eigen::MatrixBase<K>& keys) {
  return attention_maps(queries, keys, matrix_of<Q>::Zero(keys.cols(), queries.cols()));
}

/// Decoupled cross-attention: text and image have keys and values of their own, `scale` weighs the
/// image. 0 gives the text's attention, bit for bit.
/// \throws std::invalid_argument as `attention`, and for a scale that is not finite.
template <class Q, class K, class V, class K2, class V2>
matrix_of<Q> decoupled_attention(const Eigen::MatrixBase<Q>& queries,
                                 const Eigen::MatrixBase<K>& keys,
                                 const Eigen::MatrixBase<V>& values,
                                 const Eigen::MatrixBase<K2>& image_keys,
                                 const Eigen::MatrixBase<V2>& image_values, double scale) {
  detail::require(std::isfinite(scale), "decoupled_attention", "scale", scale, "valid: finite");
  detail::require_equal("decoupled_attention", "image_values.rows()",
                        static_cast<std::size_t>(image_values.rows()),
                        static_cast<std::size_t>(values.rows()));
  auto out = attention(queries, keys, values);
  if (scale != 0)
    out += static_cast<typename Q::Scalar>(scale) * attention(queries, image_keys, image_values);
  return out;
}

}  // namespace tweedie
