// Prompt-to-prompt editing (Hertz et al. 2022, section 3.2): the layout of a picture is in the maps of its
// cross-attention, so an edited prompt is given those of the source's run, at the same step and layer.
//
//   word swap    M' = A M                         A shares each source token's map among the tokens it became
//   refinement   M'_j = M_a(j), or own M'_j       where the new token j stands for the source's a(j), or is new
//   re-weighting M'_j = c_j M_j                   a word more or less; c may be negative
//
// Maps are m keys x n queries (`attention_maps`), one row a token; M is the source's, out = values' M' the attention
// of the edited prompt. Replace in the first steps only, a share tau of them, for geometry to follow the
// new words: `control_scale` (conditioning/control.hpp) says when. The columns of a swap add up to 1 as they were, those of
// refinement and re-weighting to what their rows have.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "tweedie/conditioning/attention.hpp"

namespace tweedie {

/// Maps of a prompt some of whose words were exchanged. `became` is new tokens x source tokens, its columns add up to 1: the
/// identity for words of one token each, 1/2 and 1/2 where one became two.
/// \throws std::invalid_argument if shapes do not fit, or unless columns of `became` are not negative and add up to 1 within
///   1e-5.
template <class M, class A>
matrix_of<M> swapped_maps(const Eigen::MatrixBase<M>& source, const Eigen::MatrixBase<A>& became) {
  constexpr const char* name = "swapped_maps";
  detail::require_equal(name, "became.cols()", static_cast<std::size_t>(became.cols()),
                        static_cast<std::size_t>(source.rows()));
  for (Eigen::Index i = 0; i < became.cols(); ++i) {
    double sum = 0;
    for (Eigen::Index j = 0; j < became.rows(); ++j) {
      const auto share = static_cast<double>(became.derived().coeff(j, i));
      detail::require(share >= 0, name, "became", share, "valid: shares >= 0");
      sum += share;
    }
    detail::require(std::abs(sum - 1) < 1e-5, name, "sum of a column of became", sum, "valid: 1");
  }
  return became * source;
}

/// Maps of a prompt to which words were added: rows of the source where source_of[j] names its token, the
/// edited prompt's own where it names none.
/// \throws std::invalid_argument if shapes do not fit or a token is beyond the source's.
template <class M, class E>
matrix_of<M> refined_maps(const Eigen::MatrixBase<M>& source, const Eigen::MatrixBase<E>& edited,
                          std::span<const std::optional<std::size_t>> source_of) {
  constexpr const char* name = "refined_maps";
  detail::require_equal(name, "source_of.size()", source_of.size(),
                        static_cast<std::size_t>(edited.rows()));
  detail::require_equal(name, "edited.cols()", static_cast<std::size_t>(edited.cols()),
                        static_cast<std::size_t>(source.cols()));
  matrix_of<M> out = edited;
  for (std::size_t j = 0; j < source_of.size(); ++j) {
    if (!source_of[j]) continue;
    if (*source_of[j] >= static_cast<std::size_t>(source.rows()))
      detail::fail(name, "source_of", static_cast<double>(*source_of[j]),
                   "valid: below the source's tokens, " + std::to_string(source.rows()));
    out.row(static_cast<Eigen::Index>(j)) = source.row(static_cast<Eigen::Index>(*source_of[j]));
  }
  return out;
}

/// Maps with each token's row times its factor; factors of 1 keep the bits.
/// \throws std::invalid_argument unless there is a finite factor for each token.
template <class M>
matrix_of<M> reweighted_maps(const Eigen::MatrixBase<M>& maps, std::span<const double> factors) {
  constexpr const char* name = "reweighted_maps";
  detail::require_equal(name, "factors.size()", factors.size(),
                        static_cast<std::size_t>(maps.rows()));
  matrix_of<M> out = maps;
  for (std::size_t j = 0; j < factors.size(); ++j) {
    detail::require(std::isfinite(factors[j]), name, "factor", factors[j], "valid: finite");
    out.row(static_cast<Eigen::Index>(j)) *= static_cast<typename M::Scalar>(factors[j]);
  }
  return out;
}

}  // namespace tweedie
