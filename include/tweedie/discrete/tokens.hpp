// Batches of integer tokens and the logits a network gives for them.
//
// Tokens of an item lie side by side; row r of the logits belongs to token r. Both are views: the
// memory is the caller's, and the logits are read where the engine wrote them.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <string>

#include "tweedie/discrete/random.hpp"
#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie::discrete {

namespace detail {

using tweedie::detail::fail;
using tweedie::detail::number;
using tweedie::detail::require;
using tweedie::detail::require_equal;

}  // namespace detail

/// A token by itself. Batches may be of any signed integers, as `std::int64_t`.
using token = std::int32_t;

/// Tokens of 32 or 64 bits.
template <class T>
concept token_integer = std::signed_integral<T> && sizeof(T) >= sizeof(token);

/// Tokens side by side in memory: a vector, an array, a span.
template <class R>
concept token_range =
    std::ranges::contiguous_range<const R> && token_integer<std::ranges::range_value_t<const R>>;

/// items x length tokens, row-major: a view of the caller's memory.
template <token_integer T = token>
struct token_batch {
  std::span<T> tokens;
  std::size_t items;
  /// Number of the first item, where the batch is part of a larger one: an item's random numbers are
  /// those of its number.
  std::uint32_t first_item;

  /// \throws std::invalid_argument for no items or tokens that do not divide among them.
  token_batch(std::span<T> all, std::size_t item_count = 1, std::uint32_t first = 0)
      : tokens(all), items(item_count), first_item(first) {
    if (items == 0 || tokens.size() % items != 0)
      detail::fail("token_batch", "items", static_cast<double>(items),
                   "valid: a divisor of the number of tokens, " + std::to_string(tokens.size()));
  }

  std::size_t length() const { return tokens.size() / items; }
  /// The request for the number of the token at `place` of the batch.
  uniform_request request(std::size_t place, std::size_t step, draw_use use) const {
    return {static_cast<std::uint32_t>(step), use,
            first_item + static_cast<std::uint32_t>(place / length()), place % length()};
  }
  /// The request for a number of the item itself.
  uniform_request item_request(std::size_t item, std::size_t step, draw_use use) const {
    return {static_cast<std::uint32_t>(step), use, first_item + static_cast<std::uint32_t>(item),
            0};
  }
};

template <class Range>
token_batch(Range&, std::size_t = 1, std::uint32_t = 0) -> token_batch<typename Range::value_type>;

/// rows x vocabulary logits, row-major, in float, double, float16 or bfloat16.
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

/// Throws std::invalid_argument unless every token is below the vocabulary or `mask`.
template <token_integer T>
void require_tokens(const char* function, std::span<const T> tokens, std::size_t vocabulary,
                    token mask = -1) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if ((tokens[i] < 0 || static_cast<std::size_t>(tokens[i]) >= vocabulary) &&
        (mask < 0 || tokens[i] != mask))
      fail(function, "token at " + std::to_string(i), static_cast<double>(tokens[i]),
           "valid: 0 ... " + std::to_string(vocabulary - 1) +
               (mask < 0 ? "" : ", or the mask token " + std::to_string(mask)));
}
template <token_integer T>
void require_tokens(const char* function, std::span<T> tokens, std::size_t vocabulary,
                    token mask = -1) {
  require_tokens(function, std::span<const T>(tokens), vocabulary, mask);
}
inline void require_token(const char* function, token x, std::size_t vocabulary) {
  require_tokens(function, std::span<const token>(&x, 1), vocabulary);
}

/// Whether v is neither finite nor -inf.
inline bool is_no_logit(double v) { return std::isnan(v) || v == INFINITY; }
[[noreturn]] inline void refuse_logit(const char* function, std::size_t row_number, double logit) {
  fail(function, "a logit of row " + std::to_string(row_number), logit, "valid: finite or -inf");
}
[[noreturn]] inline void refuse_row(const char* function, std::size_t row_number) {
  fail(function, "row " + std::to_string(row_number) + " has nothing but -inf");
}

}  // namespace detail

}  // namespace tweedie::discrete
