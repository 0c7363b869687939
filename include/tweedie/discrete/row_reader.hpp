// Categorical distributions given by rows of logits: normaliser, best tokens, entropy and a sample
// from one reading of a row.
//
//   p(k) = exp(x_k / T) / sum_j exp(x_j / T),   H = -sum_k p(k) log p(k)  (nats)
//
// A row is read once: exponentials are summed relative to the largest logit of the blocks before.
// Each block keeps its sum, so that inverting the distribution function afterwards reads one block
// again. A logit of -inf is a token that cannot be;
// NaN, +inf and rows without a possible token are refused.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "tweedie/discrete/row_kernel.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// What one reading of a row finds.
struct row_reading {
  token best = 0;               ///< most likely token, the first of equals
  double max = 0;               ///< its logit
  double log_sum = 0;           ///< log sum exp(x)
  double log_sum_tempered = 0;  ///< log sum exp(x / T)
  // If asked for:
  double runner_up = -INFINITY;  ///< second largest logit; -inf if there is none
  double entropy = 0;            ///< H at T = 1

  /// log p at T = 1 of a token with this logit.
  double log_probability(double logit) const { return logit - log_sum; }
  /// Difference of the two largest probabilities at T = 1.
  double margin() const { return std::exp(max - log_sum) - std::exp(runner_up - log_sum); }
};

/// How a row is read.
struct row_request {
  double temperature = 1;  ///< T > 0 of `sample` and log_sum_tempered
  bool shape = true;       ///< whether runner_up and entropy are wanted
  /// Tokens that cannot be, whatever their logits; numbers out of the row exclude nothing.
  std::array<token, 2> excluded = {-1, -1};
  bool may_be_nothing = false;  ///< whether a row without a possible token is read: log_sum = -inf
};

/// Reads rows; keeps what a sample of the last one needs. Allocates for the first row only.
class row_reader {
 public:
  /// Reads a row of `count` logits. Reads n; the blocks are summed in the logits' arithmetic type,
  /// joined in double.
  /// \throws std::invalid_argument for NaN, +inf, or nothing but -inf, naming `function` and `row`;
  ///   for a temperature that is not above 0 and finite.
  template <storage_scalar S>
  const row_reading& read(const S* row, std::size_t count, const row_request& how = {},
                          const char* function = "row_reader", std::size_t row_number = 0);

  /// The token whose part of the distribution function at T contains u in [0, 1): the first k with
  /// p(0) + ... + p(k) > u. `row` is the row that was read last.
  template <storage_scalar S>
  token sample(const S* row, double u) const;

 private:
  static constexpr std::size_t block_size = 1024, part_size = 64;
  template <class S>
  struct copied_block {
    alignas(64) S values[block_size];
  };
  struct block {
    double reference;  // of the exponents d = x - reference
    double mass;       // sum of e^(d / T), then relative to that of the row's largest logit
  };

  // 1 / T; no limit of A makes it 0 or infinite, so that impossible tokens stay so.
  template <class A>
  A scale_of() const {
    return static_cast<A>(std::clamp(scale_, static_cast<double>((std::numeric_limits<A>::min)()),
                                     static_cast<double>((std::numeric_limits<A>::max)())));
  }
  // The block as it is, or a copy without what is excluded and with -inf behind its end.
  template <class S>
  const S* block_at(const S* row, std::size_t begin, std::size_t& size,
                    copied_block<S>& copy) const;
  template <detail::wanted_sums Want, class S>
  void read_blocks(const S* row, bool may_be_nothing, const char* function, std::size_t row_number);

  std::vector<block> blocks_;
  row_reading reading_;
  std::size_t count_ = 0;
  std::array<std::size_t, 2> excluded_ = {};
  double scale_ = 1;
};

template <class S>
const S* row_reader::block_at(const S* row, std::size_t begin, std::size_t& size,
                              copied_block<S>& copy) const {
  size = (std::min)(block_size, count_ - begin);
  const S* x = row + begin;
  bool as_it_is = size % detail::block_step == 0;
  for (const std::size_t k : excluded_) as_it_is &= k - begin >= size;  // wraps around before it
  if (as_it_is) return x;
  const S nothing = static_cast<S>(-std::numeric_limits<arithmetic_t<S>>::infinity());
  std::copy_n(x, size, copy.values);
  for (const std::size_t k : excluded_)
    if (k - begin < size) copy.values[k - begin] = nothing;
  const std::size_t padded =
      (size + detail::block_step - 1) / detail::block_step * detail::block_step;
  std::fill(copy.values + size, copy.values + padded, nothing);
  size = padded;
  return copy.values;
}

template <detail::wanted_sums Want, class S>
void row_reader::read_blocks(const S* row, bool may_be_nothing, const char* function,
                             std::size_t row_number) {
  using A = arithmetic_t<S>;
  constexpr double farthest = 40;  // in exponents: sums stay within the range of a float
  copied_block<S> copy;
  detail::extremes<A> ends;
  double sum = 0, weighted = 0, tempered = 0, max = -INFINITY, joined_at = -INFINITY;
  std::size_t best_block = 0;
  for (std::size_t begin = 0; begin < count_; begin += block_size) {
    std::size_t size = 0;
    const S* x = block_at(row, begin, size, copy);
    const auto refuse_nan = [&] {
      for (std::size_t k = 0; k < size; ++k)
        if (std::isnan(static_cast<A>(x[k])))
          detail::fail(function, "a logit of row " + std::to_string(row_number), NAN,
                       "valid: finite or -inf");
    };
    A reference = static_cast<A>(max);
    if (!std::isfinite(reference)) {
      reference = static_cast<A>(x[0]);
      for (std::size_t k = 1; k < std::min<std::size_t>(size, 64); ++k)
        reference = (std::max)(reference, static_cast<A>(x[k]));
      if (!std::isfinite(reference)) reference = 0;
    }
    const A scale = scale_of<A>();
    const auto read_relative = [&] {
      return detail::read_block<Want>(ends, x, size, reference, scale);
    };
    const detail::extremes<A> before = ends;
    detail::block_reading found = read_relative();
    if (!std::isfinite(found.sum)) refuse_nan();
    if (found.max == INFINITY)
      detail::fail(function, "a logit of row " + std::to_string(row_number), INFINITY,
                   "valid: finite or -inf");
    if (found.max == -INFINITY) {
      blocks_.push_back({0, 0});
      continue;
    }
    // Far above what came before, or, the first possible ones, far below the guess: again.
    const double above = (found.max - static_cast<double>(reference)) * (std::max)(1.0, scale_);
    if (above > farthest || (max == -INFINITY && above < -farthest)) {
      reference = static_cast<A>(found.max);
      ends = before;
      found = read_relative();
    }
    if (found.max > max) best_block = begin;
    max = found.max;
    blocks_.push_back({static_cast<double>(reference), found.tempered});
    // Sums are kept relative to the last reference.
    const auto at = static_cast<double>(reference);
    if (at != joined_at) {
      const double shift = joined_at - at;
      const double factor = joined_at == -INFINITY ? 0 : std::exp(shift);
      weighted = joined_at == -INFINITY ? 0 : (weighted + shift * sum) * factor;
      sum *= factor;
      if constexpr (Want.tempered)
        tempered *= joined_at == -INFINITY ? 0 : std::exp(shift * scale_);
      joined_at = at;
    }
    sum += found.sum;
    weighted += found.weighted;
    tempered += found.tempered;
  }
  if (max == -INFINITY && may_be_nothing) {
    reading_ = {0, -INFINITY, -INFINITY, -INFINITY};
    return;
  }
  if (max == -INFINITY)
    detail::fail(function, "row " + std::to_string(row_number) + " has nothing but -inf");
  std::size_t best = best_block;
  while (static_cast<double>(row[best]) != max || best == excluded_[0] || best == excluded_[1])
    ++best;
  reading_.best = static_cast<token>(best);
  reading_.max = max;
  reading_.log_sum = joined_at + std::log(sum);
  reading_.log_sum_tempered =
      Want.tempered ? joined_at * scale_ + std::log(tempered) : reading_.log_sum;
  reading_.runner_up = Want.shape ? static_cast<double>(ends.runner_up()) : -INFINITY;
  reading_.entropy = Want.shape ? (std::max)(0.0, std::log(sum) - weighted / sum) : 0;
  double last = -INFINITY, factor = 0;
  for (block& b : blocks_) {
    if (b.mass == 0) continue;
    if (b.reference != last) factor = std::exp((b.reference - max) * scale_);
    last = b.reference;
    b.mass *= factor;
  }
}

template <storage_scalar S>
const row_reading& row_reader::read(const S* row, std::size_t count, const row_request& how,
                                    const char* function, std::size_t row_number) {
  detail::require(how.temperature > 0 && std::isfinite(how.temperature), function, "temperature",
                  how.temperature, "valid: above 0 and finite");
  blocks_.clear();
  count_ = count;
  scale_ = 1 / how.temperature;
  for (std::size_t k = 0; k < 2; ++k)
    excluded_[k] = how.excluded[k] < 0 ? count : static_cast<std::size_t>(how.excluded[k]);
  const bool tempered = how.temperature != 1;
  if (how.shape && tempered)
    read_blocks<detail::wanted_sums{true, true}>(row, how.may_be_nothing, function, row_number);
  else if (how.shape)
    read_blocks<detail::wanted_sums{true, false}>(row, how.may_be_nothing, function, row_number);
  else if (tempered)
    read_blocks<detail::wanted_sums{false, true}>(row, how.may_be_nothing, function, row_number);
  else
    read_blocks<detail::wanted_sums{false, false}>(row, how.may_be_nothing, function, row_number);
  return reading_;
}

template <storage_scalar S>
token row_reader::sample(const S* row, double u) const {
  using A = arithmetic_t<S>;
  double whole = 0;
  for (const block& b : blocks_) whole += b.mass;
  // The block of the wanted token, the part of the block, the token, and how much lies before them.
  const double target = u * whole;
  double before = 0;
  std::size_t chosen = 0;
  for (std::size_t b = 0, at = 0; b < blocks_.size(); ++b) {
    if (blocks_[b].mass == 0) continue;
    if (at > 0) before += blocks_[chosen].mass;
    at = 1;
    chosen = b;
    if (before + blocks_[b].mass > target) break;
  }
  copied_block<S> copy;
  std::size_t size = 0;
  const S* x = block_at(row, chosen * block_size, size, copy);
  const auto max = static_cast<A>(reading_.max);
  const A scale = scale_of<A>();
  alignas(64) A mass[part_size];
  const auto possible = [x](std::size_t k) { return static_cast<double>(x[k]) > -INFINITY; };
  for (std::size_t begin = 0; begin < size; begin += part_size) {
    const std::size_t n = (std::min)(part_size, size - begin);
    const double sum = detail::exponentials(x + begin, n, max, scale, mass);
    if (before + sum > target) {
      double within = before;
      for (std::size_t k = 0; k < n; ++k) {
        within += static_cast<double>(mass[k]);
        if (within > target && possible(begin + k))
          return static_cast<token>(chosen * block_size + begin + k);
      }
    }
    before += sum;
  }
  // The target is the block's end, to rounding: its last token that is not next to impossible.
  for (std::size_t k = size; k-- > 0;)
    if (possible(k) && (static_cast<double>(x[k]) - reading_.max) * scale_ > -30)
      return static_cast<token>(chosen * block_size + k);
  return reading_.best;
}

}  // namespace tweedie::discrete
