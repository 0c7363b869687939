// Sums over a block of logits with vectors of any width.
//
//   sum e^d,   sum d e^d,   sum e^(s d),   d = x - reference
//
// Floats go through vectors, e^d to 1.6e-7 of itself; doubles keep all their digits, one at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "tweedie/tensor/packet.hpp"

namespace tweedie::discrete::detail {

using tweedie::detail::lanes;
using tweedie::detail::words;

/// Which sums are wanted. Without any of d there is no largest either.
struct wanted_sums {
  bool plain = true;      ///< sum e^d, and the largest
  bool shape = false;     ///< the second largest, and sum d e^d
  bool tempered = false;  ///< sum e^(s d)
};

struct block_reading {
  double max = -INFINITY;  // of this block; with the shape, of those before as well
  double sum = 0, weighted = 0, tempered = 0;
};

// Of what was read so far, lane by lane: the largest and the second largest.
template <class A>
struct extremes {
  static constexpr std::size_t count = 32;
  alignas(64) A most[count], second[count];

  extremes() {
    std::fill_n(most, count, -std::numeric_limits<A>::infinity());
    std::fill_n(second, count, -std::numeric_limits<A>::infinity());
  }
  A runner_up() const {
    A first = most[0], next = second[0];
    for (std::size_t k = 1; k < count; ++k) {
      next = (std::max)({next, (std::min)(first, most[k]), second[k]});
      first = (std::max)(first, most[k]);
    }
    return next;
  }
};

// Blocks are a multiple of this, padded with -inf.
inline constexpr std::size_t block_step = 32;

// d is cut off where e^d and d e^d are nothing beside the largest term of the row.
template <class A>
inline constexpr A least_exponent = std::same_as<A, float> ? A(-86) : A(-700);
inline constexpr double log2_e = 1.44269504088896340736;

template <class A, class Join>
double join_lanes(A* values, std::size_t count, const Join& join) {
  for (std::size_t n = count / 2; n > 0; n /= 2)
    for (std::size_t k = 0; k < n; ++k) values[k] = join(values[k], values[k + n]);
  return static_cast<double>(values[0]);
}
template <class A>
double sum_of_lanes(A* values, std::size_t count) {
  return join_lanes(values, count, [](A a, A b) { return a + b; });
}
template <class A>
double largest_lane(A* values, std::size_t count) {
  return join_lanes(values, count, [](A a, A b) { return a < b ? b : a; });
}

// e = 2^(slope d) for d slope in [-125, 125]; NaN for NaN. Vectors go by reference, since how they are
// passed by value depends on what a function is compiled for.
template <std::size_t N>
EIGEN_ALWAYS_INLINE void exponential(const words<float, N>& d, float slope, words<float, N>& e) {
  // 2^f on [-1/2, 1/2]: the polynomial of degree five of least relative error, 7.5e-8, and rounding.
  constexpr float c[] = {1.0000000716546822f,  0.6931469670647331f,  0.24022119723848476f,
                         0.05550713273542586f, 0.00967554133421605f, 0.0013276471979478776f};
  // The low bits of a sum with it are those of a rounded number, plus the bias of exponents.
  constexpr float magic = 12582912.0f + 127.0f;
  const words<float, N> shifted = d * slope + magic;
  const words<float, N> f = d * slope - (shifted - magic);
  words<std::uint32_t, N> bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits <<= 23;
  words<float, N> power;
  std::memcpy(&power, &bits, sizeof power);
  e = (((((c[5] * f + c[4]) * f + c[3]) * f + c[2]) * f + c[1]) * f + c[0]) * power;
}
template <std::size_t N>
EIGEN_ALWAYS_INLINE void exponential(const words<double, N>& d, double slope, words<double, N>& e) {
  double values[N];
  std::memcpy(values, &d, sizeof d);
  for (double& v : values) v = std::exp(v * slope);
  std::memcpy(&e, values, sizeof e);
}
template <class A>
constexpr A slope_of(A scale) {
  return std::same_as<A, float> ? static_cast<A>(log2_e * static_cast<double>(scale)) : scale;
}

// Reads `count` elements, a multiple of block_step, N at a time. Without the shape `ends` is not used.
template <wanted_sums Want, std::size_t N, class A>
EIGEN_ALWAYS_INLINE void read_lanes(extremes<A>* ends, const A* x, std::size_t count, A reference,
                                    A scale, block_reading& out) {
  using vector = words<A, N>;
  static_assert(block_step % (2 * N) == 0);
  const A slope = slope_of(A{1}), steeper = slope_of(scale);
  const vector low = vector{} + least_exponent<A>,
               lower = vector{} +
                       (std::max)(least_exponent<A> / scale, std::numeric_limits<A>::lowest());
  vector most[2], second[2], sum[2], weighted[2], tempered[2];
  for (std::size_t p = 0; p < 2; ++p) {
    sum[p] = weighted[p] = tempered[p] = vector{};
    second[p] = most[p] = vector{} - std::numeric_limits<A>::infinity();
    if constexpr (Want.shape) {
      std::memcpy(&most[p], ends->most + p * N, sizeof(vector));
      std::memcpy(&second[p], ends->second + p * N, sizeof(vector));
    }
  }
  for (std::size_t i = 0; i < count; i += 2 * N)
    for (std::size_t p = 0; p < 2; ++p) {
      vector v, e;
      std::memcpy(&v, x + i + p * N, sizeof v);
      // Comparisons with NaN do not hold: the largest stay, NaN goes into the sums.
      const vector above = v - reference;
      if constexpr (Want.plain) {
        if constexpr (Want.shape) {
          const vector lesser = v < most[p] ? v : most[p];
          second[p] = lesser > second[p] ? lesser : second[p];
        }
        most[p] = v > most[p] ? v : most[p];
        const vector d = low > above ? low : above;
        exponential<N>(d, slope, e);
        sum[p] += e;
        if constexpr (Want.shape) weighted[p] += d * e;
      }
      if constexpr (Want.tempered) {
        const vector d = lower > above ? lower : above;
        exponential<N>(d, steeper, e);
        tempered[p] += e;
      }
    }
  if constexpr (Want.shape) {
    std::memcpy(ends->most, most, sizeof most);
    std::memcpy(ends->second, second, sizeof second);
  }
  A pair[2 * N];
  const auto joined = [&pair](const vector(&v)[2], const auto& join) {
    std::memcpy(pair, v, sizeof pair);
    return join(pair, 2 * N);
  };
  if constexpr (Want.plain) out.max = joined(most, largest_lane<A>);
  if constexpr (Want.plain) out.sum = joined(sum, sum_of_lanes<A>);
  if constexpr (Want.shape) out.weighted = joined(weighted, sum_of_lanes<A>);
  if constexpr (Want.tempered) out.tempered = joined(tempered, sum_of_lanes<A>);
}

// out[k] = e^(s d) of block_step elements, d <= 0.
template <std::floating_point A>
void exponentials(const A* x, A reference, A scale, A (&out)[block_step]) {
  using vector = words<A, lanes<A>>;
  const A low = (std::max)(least_exponent<A> / scale, std::numeric_limits<A>::lowest());
  for (std::size_t i = 0; i < block_step; i += lanes<A>) {
    vector v, e;
    std::memcpy(&v, x + i, sizeof v);
    const vector above = v - reference;
    exponential<lanes<A>>(above > low ? above : vector{} + low, slope_of(scale), e);
    std::memcpy(out + i, &e, sizeof e);
  }
}

}  // namespace tweedie::discrete::detail
