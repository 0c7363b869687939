// Low-rank updates of weights: LoRA and DoRA, applied beside a network or merged into its weights.
//
//   W' = W + s (a / r) B A                           LoRA, Hu et al. 2022, eq. 3
//   W' = diag(m) N^-1 (W + s (a / r) B A)            DoRA, Liu et al. 2024, eq. 5
//
// W is d x k, outputs by inputs; A ("down") r x k, B ("up") d x r; a is the file's alpha, s the
// user's strength. m holds one magnitude per output and N the norms of the rows of W + ..., as
// implementations do (the paper prints W with outputs as columns).
//
// A convolution (out, in, height, width) is the d x (in height width) matrix of its memory, where A
// is the convolution of the same window and B the 1 x 1 one: map row-major memory with
// Eigen::Map<Eigen::Matrix<float, -1, -1, Eigen::RowMajor>>.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// B A with its scale a / r. Invariant, checked where it is used: up.cols() = down.rows() = r > 0.
template <class S>
struct low_rank_update {
  Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic> down;  ///< A, r x k
  Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic> up;    ///< B, d x r
  double alpha = 1;                                       ///< a; with a = r the scale is 1

  double scale() const { return alpha / static_cast<double>(down.rows()); }
};

namespace detail {

template <class S>
S checked_scale(const char* function, const low_rank_update<S>& update, double strength,
                Eigen::Index outputs, Eigen::Index inputs) {
  const auto fits = [&](Eigen::Index is, Eigen::Index wanted, const char* what) {
    require_equal(function, what, static_cast<std::size_t>(is), static_cast<std::size_t>(wanted));
  };
  if (update.down.rows() == 0) fail(function, "down.rows()", 0, "valid: a rank of at least 1");
  fits(update.up.cols(), update.down.rows(), "up.cols()");
  fits(update.up.rows(), outputs, "up.rows()");
  fits(update.down.cols(), inputs, "down.cols()");
  const double scale = strength * update.scale();
  require(std::isfinite(scale), function, "strength * alpha / rank", scale, "valid: finite");
  return static_cast<S>(scale);
}

}  // namespace detail

/// W += strength (a / r) B A. Several updates are merged one after the other, in any order; strength
/// 0 leaves the bits of W.
/// \throws std::invalid_argument if the shapes do not fit; W is then as it was.
template <class W, class S>
void merge_update(Eigen::MatrixBase<W>& weights, const low_rank_update<S>& update,
                  double strength = 1) {
  const S scale =
      detail::checked_scale("merge_update", update, strength, weights.rows(), weights.cols());
  if (scale != 0) weights.derived().noalias() += (scale * update.up) * update.down;
}

/// Takes a merged update out again, to rounding: W - strength (a / r) B A.
/// \throws std::invalid_argument if the shapes do not fit; W is then as it was.
template <class W, class S>
void unmerge_update(Eigen::MatrixBase<W>& weights, const low_rank_update<S>& update,
                    double strength = 1) {
  const S scale =
      detail::checked_scale("unmerge_update", update, strength, weights.rows(), weights.cols());
  if (scale != 0) weights.derived().noalias() -= (scale * update.up) * update.down;
}

/// y += strength (a / r) B (A x): the update beside an unmerged layer whose output is y, at the cost
/// of r (d + k) products a column instead of d k.
/// \throws std::invalid_argument if the shapes do not fit; y is then as it was.
template <class Y, class X, class S>
void add_update(Eigen::MatrixBase<Y>& y, const low_rank_update<S>& update,
                const Eigen::MatrixBase<X>& x, double strength = 1) {
  const S scale = detail::checked_scale("add_update", update, strength, y.rows(), x.rows());
  detail::require_equal("add_update", "x.cols()", static_cast<std::size_t>(x.cols()),
                        static_cast<std::size_t>(y.cols()));
  if (scale == 0) return;
  const Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic> reduced = scale * (update.down * x);
  y.derived().noalias() += update.up * reduced;
}

/// Norms of the rows: the magnitudes with which DoRA starts, so that B = 0 changes nothing.
template <class W>
Eigen::Matrix<typename W::Scalar, Eigen::Dynamic, 1> row_magnitudes(
    const Eigen::MatrixBase<W>& weights) {
  return weights.rowwise().norm();
}

/// Merges a weight-decomposed update (DoRA): rows of W + strength (a / r) B A, rescaled to
/// `magnitudes`. It cannot be taken out again; keep W.
/// \throws std::invalid_argument if the shapes do not fit, or if a row to be rescaled is 0; W is then
///   as it was.
template <class W, class S, class M>
void merge_decomposed(Eigen::MatrixBase<W>& weights, const low_rank_update<S>& update,
                      const Eigen::MatrixBase<M>& magnitudes, double strength = 1) {
  constexpr const char* name = "merge_decomposed";
  const S scale = detail::checked_scale(name, update, strength, weights.rows(), weights.cols());
  detail::require_equal(name, "magnitudes.size()", static_cast<std::size_t>(magnitudes.size()),
                        static_cast<std::size_t>(weights.rows()));
  Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic> merged = weights;
  merged.noalias() += (scale * update.up) * update.down;
  for (Eigen::Index i = 0; i < merged.rows(); ++i) {
    const S norm = merged.row(i).norm();
    detail::require(norm > 0 && std::isfinite(norm), name, "norm of a merged row",
                    static_cast<double>(norm), "valid: positive and finite");
    merged.row(i) *= magnitudes(i) / norm;
  }
  weights.derived() = merged;
}

}  // namespace tweedie
