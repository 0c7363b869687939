// Categorical distributions given by rows of logits: normaliser, best tokens, entropy and a sample
// from one reading of a row.
//
//   p(k) = exp(x_k / T) / sum_j exp(x_j / T),   H = -sum_k p(k) log p(k)  (nats)
//
// A row is read once: exponentials are summed relative to one of its first logits, or a larger one where
// sums would leave the range of floats. Each block keeps its sum, lane by lane, so that inverting the
// distribution function afterwards reads one block again. Where a row is in memory changes no bit.
// A logit of -inf is a token that cannot be; NaN, +inf and rows without a possible token are refused.
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

/// What one reading of a row finds, at T = 1.
struct row_reading {
  double max = 0;      ///< largest logit
  double log_sum = 0;  ///< log sum exp(x)
  // If asked for:
  double runner_up = -INFINITY;  ///< second largest logit; -inf if there is none
  double entropy = 0;            ///< H

  /// log p of a token with this logit.
  double log_probability(double logit) const { return logit - log_sum; }
  /// Difference of the two largest probabilities.
  double margin() const { return std::exp(max - log_sum) - std::exp(runner_up - log_sum); }
};

/// How a row is read.
struct row_request {
  double temperature = 1;  ///< T > 0 of `sample`
  bool shape = false;      ///< whether runner_up and entropy are wanted
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

  // `row` is the row that was read last:

  /// The most likely token, the first of equals.
  template <storage_scalar S>
  token best(const S* row) const;
  /// The token whose part of the distribution function at T contains u in [0, 1): the first k with
  /// p(0) + ... + p(k) > u.
  template <storage_scalar S>
  token sample(const S* row, double u) const;

  // Of that row:

  /// Number of its logits.
  std::size_t size() const { return count_; }
  /// T of `sample`.
  double temperature() const { return 1 / scale_; }
  /// Whether token k cannot be, whatever its logit.
  bool excludes(std::size_t k) const { return k == excluded_[0] || k == excluded_[1]; }
  /// The largest logit that is not excluded, ...
  double largest() const { return reading_.max; }
  /// ... and sum e^((x - largest) / T), as exact as the logits' arithmetic type.
  double relative_sum() const {
    detail::lane_sums whole;
    for (const block& b : blocks_)
      for (std::size_t k = 0; k < detail::sum_lanes; ++k) whole.of[k] += b.mass.of[k] * b.factor;
    return detail::sum_of_lanes(whole, first_lane_);
  }

 private:
  static constexpr std::size_t block_size = 1024;
  template <class A>
  struct copied_block {
    alignas(64) A values[block_size + 16];
  };
  template <class A>
  struct block_view {
    const A* x;
    std::size_t size;  // a multiple of detail::block_step
  };
  struct block {
    detail::lane_sums mass;               // sum of e^((x - zero) / T)
    double zero = -INFINITY, factor = 0;  // e^((zero - max) / T)
  };

  // 1 / T, as far from 0 and infinity as impossible tokens need to stay so.
  template <class A>
  A scale_of() const {
    constexpr A largest = (std::numeric_limits<A>::max)();
    return static_cast<A>(std::clamp(scale_,
                                     static_cast<double>(-detail::least_exponent<A> / largest),
                                     static_cast<double>(largest / 2)));
  }
  // The block as it is, or a copy as floats, without what is excluded, with -inf behind its end.
  template <class S>
  block_view<arithmetic_t<S>> block_at(const S* row, std::size_t begin,
                                       copied_block<arithmetic_t<S>>& copy) const;
  template <detail::wanted_sums Want, class S>
  void read_blocks(const S* row, bool may_be_nothing, const char* function, std::size_t row_number);

  std::vector<block> blocks_;
  row_reading reading_;
  std::size_t count_ = 0, best_block_ = 0, first_lane_ = 0;
  std::array<std::size_t, 2> excluded_ = {};
  double scale_ = 1;
};

template <class S>
auto row_reader::block_at(const S* row, std::size_t begin,
                          copied_block<arithmetic_t<S>>& copy) const
    -> block_view<arithmetic_t<S>> {
  using A = arithmetic_t<S>;
  const std::size_t size = (std::min)(block_size, count_ - begin);
  const std::size_t whole = size / detail::block_step * detail::block_step;
  const S* x = row + begin;
  A* values = copy.values;
  if constexpr (std::same_as<S, A>) {
    bool as_it_is = size == whole;
    for (const std::size_t k : excluded_) as_it_is &= k - begin >= size;  // wraps around before it
    if (as_it_is) return {x, size};
    values += detail::first_lane(x);
    std::copy_n(x, whole, values);
  } else {
    detail::widen(x, whole, values);
  }
  for (std::size_t k = whole; k < size; ++k) values[k] = static_cast<A>(x[k]);
  constexpr A nothing = -std::numeric_limits<A>::infinity();
  for (const std::size_t k : excluded_)
    if (k - begin < size) values[k - begin] = nothing;
  const std::size_t padded = size == whole ? size : whole + detail::block_step;
  std::fill(values + size, values + padded, nothing);
  return {values, padded};
}

template <detail::wanted_sums Want, class S>
void row_reader::read_blocks(const S* row, bool may_be_nothing, const char* function,
                             std::size_t row_number) {
  using A = arithmetic_t<S>;
  const A scale = Want.tempered ? scale_of<A>() : A{1};
  copied_block<A> copy;
  detail::row_sums<A> all;
  detail::block_scales<A> by(0, scale);
  A max = -std::numeric_limits<A>::infinity();
  double sum = 0, weighted = 0, zero = 0;
  // Sums are kept relative to the last zero.
  const auto join = [&] {
    const double shift = zero - by.plain.zero, factor = std::exp(shift);
    weighted = sum > 0 ? (weighted + shift * sum) * factor : 0;
    sum = (sum > 0 ? sum * factor : 0) + detail::sum_of_lanes(all.plain, first_lane_);
    weighted +=
        detail::sum_of_lanes(all.weighted, first_lane_) / static_cast<double>(by.plain.slope);
    zero = by.plain.zero;
    all.plain = all.weighted = {};
  };
  const auto start = [&](A reference) {
    if (reference == INFINITY) detail::refuse_logit(function, row_number, INFINITY);
    by = {reference, scale};
  };
  blocks_.resize((count_ + block_size - 1) / block_size);
  for (std::size_t begin = 0; begin < count_; begin += block_size) {
    block& here = blocks_[begin / block_size];
    const auto [x, size] = block_at(row, begin, copy);
    first_lane_ = detail::first_lane(x);
    if (max == -INFINITY) {
      const A reference = detail::first_reference(x, size);
      if (reference == -INFINITY) {
        here = {};
        continue;
      }
      start(reference);
    }
    A largest = detail::read_block<Want>(x, size, by, all, here.mass);
    if (largest > by.limit) {
      join();
      start(largest);
      largest = detail::read_block<Want>(x, size, by, all, here.mass);
    }
    here.zero = Want.tempered ? by.tempered.zero : by.plain.zero;
    if (largest > max) best_block_ = begin;
    max = largest;
  }
  join();
  if (!(sum > 0) || !std::isfinite(sum))
    for (std::size_t k = 0; k < count_; ++k)
      if (std::isnan(static_cast<double>(row[k])) && !excludes(k))
        detail::refuse_logit(function, row_number, NAN);
  if (max == -INFINITY && !may_be_nothing) detail::refuse_row(function, row_number);
  double last = -INFINITY, factor = 0;
  for (block& b : blocks_) {
    if (b.zero != last) factor = std::exp(((last = b.zero) - static_cast<double>(max)) * scale_);
    b.factor = factor;
  }
  reading_ = {static_cast<double>(max), max == -INFINITY ? -INFINITY : zero + std::log(sum)};
  if constexpr (Want.shape) {
    reading_.runner_up = static_cast<double>(all.runner_up());
    reading_.entropy = (std::max)(0.0, std::log(sum) - weighted / sum);
  }
}

template <storage_scalar S>
const row_reading& row_reader::read(const S* row, std::size_t count, const row_request& how,
                                    const char* function, std::size_t row_number) {
  detail::require(how.temperature > 0 && std::isfinite(how.temperature), function, "temperature",
                  how.temperature, "valid: above 0 and finite");
  count_ = count;
  scale_ = 1 / how.temperature;
  for (std::size_t k = 0; k < 2; ++k)
    excluded_[k] = how.excluded[k] < 0 ? count : static_cast<std::size_t>(how.excluded[k]);
  const auto read_wanted = [&]<bool Shape, bool Tempered>() {
    read_blocks<detail::wanted_sums{Shape, Tempered}>(row, how.may_be_nothing, function,
                                                      row_number);
  };
  const bool tempered = how.temperature != 1;
  if (how.shape)
    tempered ? read_wanted.template operator()<true, true>()
             : read_wanted.template operator()<true, false>();
  else
    tempered ? read_wanted.template operator()<false, true>()
             : read_wanted.template operator()<false, false>();
  return reading_;
}

template <storage_scalar S>
token row_reader::best(const S* row) const {
  using A = arithmetic_t<S>;
  const auto max = static_cast<A>(reading_.max);
  std::size_t k = best_block_;
  const auto hits = [&](const S* line) {
    int count = 0;  // an integer, for vectors to count
    for (std::size_t i = 0; i < detail::block_step; ++i) count += static_cast<A>(line[i]) == max;
    return count;
  };
  while (k + detail::block_step <= count_ && hits(row + k) == 0) k += detail::block_step;
  while (static_cast<A>(row[k]) != max || excludes(k)) ++k;
  return static_cast<token>(k);
}

template <storage_scalar S>
token row_reader::sample(const S* row, double u) const {
  using A = arithmetic_t<S>;
  const double target = u * relative_sum();
  std::size_t chosen = 0;  // block of the wanted token
  double before = 0;
  for (; chosen + 1 < blocks_.size(); ++chosen) {
    const block& b = blocks_[chosen];
    const double next = before + detail::sum_of_lanes(b.mass, first_lane_) * b.factor;
    if (next > target) break;
    before = next;
  }
  copied_block<A> copy;
  const auto [x, size] = block_at(row, chosen * block_size, copy);
  const detail::row_exponent<A> by(static_cast<A>(reading_.max), scale_of<A>());
  const double at_max = std::exp((by.zero - reading_.max) * scale_);
  // The part of the block, the line of the part, the token.
  std::size_t begin = 0;
  for (const std::size_t part : {4 * detail::block_step, detail::block_step})
    for (; begin < size; begin += part) {
      detail::row_sums<A> all;
      detail::lane_sums mass;
      detail::read_block<detail::wanted_sums{}, A>(x + begin, (std::min)(part, size - begin),
                                                   {by, by, std::numeric_limits<A>::infinity()},
                                                   all, mass);
      const double next = before + detail::sum_of_lanes(mass, first_lane_) * at_max;
      if (next > target) break;
      before = next;
    }
  for (; begin < size; begin += detail::block_step) {
    A masses[detail::block_step];
    detail::exponentials(x + begin, by, masses);
    for (std::size_t k = 0; k < detail::block_step; ++k) {
      before += static_cast<double>(masses[k]) * at_max;
      if (before > target && static_cast<double>(x[begin + k]) > -INFINITY)
        return static_cast<token>(chosen * block_size + begin + k);
    }
  }
  // The target is the block's end, to rounding: its last token that is not next to impossible.
  for (std::size_t k = (std::min)((chosen + 1) * block_size, count_); k-- > 0;)
    if (!excludes(k) && (static_cast<double>(row[k]) - reading_.max) * scale_ > -30)
      return static_cast<token>(k);
  return best(row);
}

}  // namespace tweedie::discrete
