// Quantiles of magnitudes by selection, as dynamic thresholding needs them for every picture.
//
// The q-quantile of n values interpolates linearly between the order statistics around rank
// q (n - 1), as numpy.quantile and torch.quantile do. A sample of the values brackets the quantile;
// one pass counts what is below the bracket and collects what is in it; only the few collected are
// selected from. If the bracket misses, which a sample of 1024 makes rare, all are. Reads the values
// once.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

// The quantile of |values| at `ratio` in [0, 1]. `scratch` keeps its memory from call to call.
// NaNs are refused.
template <storage_scalar S>
double magnitude_quantile(std::span<const S> values, double ratio,
                          std::vector<arithmetic_t<S>>& scratch);

namespace detail {

// The order statistics of rank low and low + 1 (or low again at the end), values reordered.
template <class A>
std::pair<A, A> neighbours(std::span<A> values, std::size_t low) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(low);
  std::nth_element(values.begin(), middle, values.end());
  const A first = *middle;
  return {first, low + 1 < values.size() ? *std::min_element(middle + 1, values.end()) : first};
}

struct bracket_count {
  std::size_t below = 0;
  std::size_t inside = 0;
  std::size_t above = 0;
};

// Counts and collects; `to` has room for all values and one more. NaNs are in no count.
template <storage_scalar S, class A>
bracket_count collect(std::span<const S> values, A low, A high, A* to) {
  constexpr std::size_t step = lanes<A>;
  const packet<A> least = pset1<packet<A>>(low);
  bracket_count count;
  count.below = values.size();
  const auto add = [&](S value) {
    const A magnitude = std::abs(static_cast<A>(value));
    if (magnitude < low) return;
    --count.below;
    to[count.inside] = magnitude;
    count.inside += magnitude <= high ? 1 : 0;
    count.above += magnitude > high ? 1 : 0;
  };
  std::size_t i = 0;
  for (; i + step <= values.size(); i += step) {
    const packet<A> magnitude = Eigen::internal::pabs(load(values.data() + i));
    // Few lanes are of interest when a high quantile is wanted.
    for (unsigned rest = lanes_not_below<A>(magnitude, least); rest != 0; rest &= rest - 1) {
      add(values[i + static_cast<std::size_t>(std::countr_zero(rest))]);
    }
  }
  for (; i < values.size(); ++i) add(values[i]);
  return count;
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
  const auto low = static_cast<std::size_t>(rank);

  constexpr std::size_t sample_size = 1024;
  constexpr A infinity = std::numeric_limits<A>::infinity();
  A from = 0, to = infinity;
  scratch.resize(std::max(n, sample_size) + 1);
  if (n > 8 * sample_size) {
    for (std::size_t i = 0; i < sample_size; ++i) {
      scratch[i] = std::abs(static_cast<A>(values[i * (n / sample_size)]));
      if (std::isnan(scratch[i])) scratch[i] = infinity;
    }
    // Four standard deviations of the quantile's rank in the sample, and two ranks more.
    const auto m = static_cast<double>(sample_size);
    const double spread = 4 * std::sqrt(m * ratio * (1 - ratio)) + 2;
    const double first = ratio * m - spread, last = ratio * m + spread;
    const auto begin = scratch.begin(), end = begin + sample_size;
    if (last < m - 1) {
      const auto at = begin + static_cast<std::ptrdiff_t>(last);
      std::nth_element(begin, at, end);
      to = *at;
    }
    if (first > 0) {
      const auto at = begin + static_cast<std::ptrdiff_t>(first);
      std::nth_element(begin, at, end);
      from = *at;
    }
  }
  detail::bracket_count count = detail::collect(values, from, to, scratch.data());
  const std::size_t seen = count.below + count.inside + count.above;
  detail::require(seen == n, name, "NaNs", static_cast<double>(n - seen), "no value may be NaN");
  if (low < count.below || low + 1 >= count.below + count.inside) {
    count = detail::collect(values, A(0), infinity, scratch.data());
  }
  const auto [first, second] =
      detail::neighbours(std::span<A>(scratch.data(), count.inside), low - count.below);
  const double fraction = rank - static_cast<double>(low);
  const auto value = static_cast<double>(first);
  return fraction == 0 ? value : value + fraction * (static_cast<double>(second) - value);
}

}  // namespace tweedie
