// Quantiles of magnitudes by selection, as dynamic thresholding needs them for every picture.
//
// The q-quantile of n values interpolates linearly between the order statistics around rank
// q (n - 1), as numpy.quantile and torch.quantile do, and has the bits that sorting would give.
// The values are read once: those above a floor, set by a sample, are collected, and bisection
// finds the order statistics among them. If the sample misled, all are collected.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

// The quantile of |values| at `ratio` in [0, 1]. `scratch` keeps its memory from call to call.
// NaNs are refused.
template <storage_scalar S>
double magnitude_quantile(std::span<const S> values, double ratio,
                          std::vector<arithmetic_t<S>>& scratch);

namespace detail {

template <class A>
using bits_of = std::conditional_t<std::same_as<A, double>, std::uint64_t, std::uint32_t>;

// How many of the values do not exceed the limit. NaNs do.
template <std::floating_point A>
std::size_t count_up_to(std::span<const A> values, A limit) {
  constexpr std::size_t step = lanes<A>;
  using counts = words<bits_of<A>, step>;
  std::size_t total = 0, i = 0;
  if constexpr (step > 1) {
    const packet<A> most = pset1<packet<A>>(limit);
    // All ones, where the comparison holds, are -1.
    const auto minus_one = [&](std::size_t k) {
      return bit_cast<counts>(load(values.data() + i + k * step) <= most);
    };
    counts a{}, b{};
    for (; i + 4 * step <= values.size(); i += 4 * step) {
      a -= minus_one(0) + minus_one(1);
      b -= minus_one(2) + minus_one(3);
    }
    for (std::size_t lane = 0; lane < step; ++lane) total += a[lane] + b[lane];
  }
  for (; i < values.size(); ++i) total += values[i] <= limit ? 1 : 0;
  return total;
}

// The order statistic of `rank`, counted from 0, if it is not below `least` >= 0: bisection on the
// bits, whose order is that of non-negative numbers.
template <std::floating_point A>
A order_statistic(std::span<const A> values, std::size_t rank, A least) {
  auto first = bit_cast<bits_of<A>>(least);
  auto last = bit_cast<bits_of<A>>(std::numeric_limits<A>::infinity());
  while (first < last) {
    const bits_of<A> middle = first + (last - first) / 2;
    if (count_up_to(values, bit_cast<A>(middle)) > rank) {
      last = middle;
    } else {
      first = middle + 1;
    }
  }
  return bit_cast<A>(first);
}

// The order statistic of `rank` if the one before it is `previous`.
template <std::floating_point A>
A next_order_statistic(std::span<const A> values, std::size_t rank, A previous) {
  if (count_up_to(values, previous) > rank) return previous;
  A next = std::numeric_limits<A>::infinity();
  for (const A value : values) next = value > previous && value < next ? value : next;
  return next;
}

// A magnitude that the quantile is not below but for one time in a hundred, by the ranks in a
// sample: two and a half standard deviations and a rank down. A larger margin costs more than
// misses do. Samples are n / golden ratio apart, so that no row or column of a picture is preferred.
template <storage_scalar S>
arithmetic_t<S> sampled_floor(std::span<const S> values, double ratio) {
  using A = arithmetic_t<S>;
  constexpr std::size_t size = 1024;
  constexpr auto m = static_cast<double>(size);
  const double rank = ratio * m - 2.5 * std::sqrt(m * ratio * (1 - ratio)) - 1;
  if (values.size() < 8 * size || rank < 0) return 0;
  const auto stride =
      static_cast<std::size_t>(static_cast<double>(values.size()) / std::numbers::phi);
  A sample[size];
  std::size_t place = 0;
  for (A& magnitude : sample) {
    magnitude = std::abs(static_cast<A>(values[place]));
    place += stride;
    place -= place >= values.size() ? values.size() : 0;
  }
  return order_statistic<A>(sample, static_cast<std::size_t>(rank), 0);
}

// One bit for each of 16 values whose magnitude is not below the limit, NaNs among them.
template <storage_scalar S>
EIGEN_ALWAYS_INLINE std::uint64_t not_below(const S* values, packet<arithmetic_t<S>> limit) {
  using A = arithmetic_t<S>;
  constexpr std::size_t step = lanes<A>;
  const auto magnitude = [&](std::size_t k) {
    return Eigen::internal::pabs(load(values + k * step));
  };
#if TWEEDIE_SSE2 && !TWEEDIE_AVX
  // Packing four masks before they leave the vector unit takes a third fewer instructions.
  if constexpr (std::same_as<A, float>) {
    const auto above = [&](std::size_t k) {
      return _mm_castps_si128(_mm_cmpnlt_ps(magnitude(k), limit));
    };
    return static_cast<unsigned>(_mm_movemask_epi8(
        _mm_packs_epi16(_mm_packs_epi32(above(0), above(1)), _mm_packs_epi32(above(2), above(3)))));
  }
#endif
  return [&]<std::size_t... k>(std::index_sequence<k...>) {
    return (... | (std::uint64_t{lanes_not_below<A>(magnitude(k), limit)} << (k * step)));
  }
  (std::make_index_sequence<16 / step>());
}

// Collects the magnitudes that are not below `least`, NaNs among them, and returns their number.
// `to` has room for all.
template <storage_scalar S, class A>
std::size_t collect(std::span<const S> values, A least, A* to) {
  const packet<A> limit = pset1<packet<A>>(least);
  A* end = to;
  std::size_t i = 0;
  for (; i + 64 <= values.size(); i += 64) {
    const S* const from = values.data() + i;
    for (std::uint64_t rest = not_below(from, limit) | not_below(from + 16, limit) << 16 |
                              not_below(from + 32, limit) << 32 | not_below(from + 48, limit) << 48;
         rest != 0; rest &= rest - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(rest));
      *end++ = std::abs(static_cast<A>(from[bit]));
    }
  }
  for (; i < values.size(); ++i) {
    const A magnitude = std::abs(static_cast<A>(values[i]));
    if (!(magnitude < least)) *end++ = magnitude;
  }
  return static_cast<std::size_t>(end - to);
}

}  // namespace detail

template <storage_scalar S>
double magnitude_quantile(std::span<const S> values, double ratio,
                          std::vector<arithmetic_t<S>>& scratch) {
  using A = arithmetic_t<S>;
  constexpr const char* name = "magnitude_quantile";
  detail::require(!values.empty(), name, "values.size()", 0, "at least one value");
  detail::require(ratio >= 0 && ratio <= 1, name, "ratio", ratio, "valid is 0 to 1");
  const std::size_t n = values.size();
  const double rank = ratio * static_cast<double>(n - 1);
  const auto low = static_cast<std::size_t>(rank), high = (std::min)(low + 1, n - 1);

  scratch.resize(n);
  A least = detail::sampled_floor(values, ratio);
  std::size_t count = detail::collect(values, least, scratch.data());
  if (low + count < n) {
    least = 0;
    count = detail::collect(values, least, scratch.data());
  }
  const std::span<const A> upper(scratch.data(), count);
  const std::size_t numbers = detail::count_up_to(upper, std::numeric_limits<A>::infinity());
  detail::require(numbers == count, name, "NaNs", static_cast<double>(count - numbers),
                  "no value may be NaN");
  const std::size_t below = n - count;
  const A first = detail::order_statistic(upper, low - below, least);
  const A second = detail::next_order_statistic(upper, high - below, first);
  const double fraction = rank - static_cast<double>(low);
  const auto value = static_cast<double>(first);
  // Infinities have no difference.
  if (fraction == 0 || first == second) return value;
  return value + fraction * (static_cast<double>(second) - value);
}

}  // namespace tweedie
