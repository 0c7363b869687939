// Batches of integer tokens and the logits a network gives for them.
//
// Tokens of an item lie side by side; row r of the logits belongs to token r. Both are views: the
// memory is the caller's, and the logits are read where the engine wrote them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie::discrete {

using token = std::int32_t;

/// items x length tokens, row-major.
struct token_batch {
  std::span<token> tokens;
  std::size_t items = 1;

  std::size_t length() const { return items == 0 ? 0 : tokens.size() / items; }
};

/// rows x vocabulary logits, row-major, in float, double, half or bfloat16.
template <storage_scalar S>
class logits_view {
 public:
  /// \throws std::invalid_argument for an empty vocabulary or a size that is no multiple of it.
  logits_view(std::span<const S> values, std::size_t vocabulary)
      : data_(values.data()), vocabulary_(vocabulary) {
    if (vocabulary == 0) detail::fail("logits_view", "vocabulary", 0, "valid: at least 1");
    rows_ = values.size() / vocabulary;
    if (rows_ * vocabulary != values.size())
      detail::fail("logits_view", "size", static_cast<double>(values.size()),
                   "valid: a multiple of the vocabulary, " + std::to_string(vocabulary));
  }

  std::size_t rows() const { return rows_; }
  std::size_t vocabulary() const { return vocabulary_; }
  const S* row(std::size_t r) const { return data_ + r * vocabulary_; }

 private:
  const S* data_;
  std::size_t rows_ = 0;
  std::size_t vocabulary_;
};

template <class Range>
logits_view(const Range&, std::size_t) -> logits_view<typename Range::value_type>;

namespace detail {

using tweedie::detail::fail;
using tweedie::detail::number;
using tweedie::detail::require;
using tweedie::detail::require_equal;

/// Throws std::invalid_argument unless every token is below the vocabulary or `mask`.
inline void require_tokens(const char* function, std::span<const token> tokens,
                           std::size_t vocabulary, token mask = -1) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if ((tokens[i] < 0 || static_cast<std::size_t>(tokens[i]) >= vocabulary) &&
        (tokens[i] != mask || mask < 0))
      fail(function, "token at " + std::to_string(i), tokens[i],
           "valid: 0 ... " + std::to_string(vocabulary - 1) +
               (mask < 0 ? "" : ", or the mask token " + std::to_string(mask)));
}

}  // namespace detail

}  // namespace tweedie::discrete
