// Sums over a block of logits with vectors of any width.
//
//   sum e^d,   sum d e^d,   sum e^(s d),   d = x - zero
//
// Floats go through vectors, e^d to 1.6e-7 + 7.5e-8 |d| of itself; doubles keep all their digits, one at a
// time.
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

/// Which sums are wanted besides sum e^d and the largest.
struct wanted_sums {
  bool shape = false;     ///< the second largest, and sum d e^d
  bool tempered = false;  ///< sum e^(s d)
};

// Blocks are a multiple of this, padded with -inf.
inline constexpr std::size_t block_step = 32;

// Elements between what is read and what is fetched meanwhile: processors do not look as far ahead by
// themselves as arithmetic takes. At the end of a row it is the next one.
inline constexpr std::size_t block_ahead = 1024;

// Sums are kept in as many lanes, in double, and joined when somebody asks.
inline constexpr std::size_t sum_lanes = 8;
struct lane_sums {
  alignas(64) double of[sum_lanes] = {};
};

// Of the blocks read so far, lane by lane.
template <class A>
struct row_sums {
  alignas(64) A most[block_step], second[block_step];
  lane_sums plain, weighted;  // sum e^d, sum d slope e^d

  row_sums() {
    std::fill_n(most, block_step, -std::numeric_limits<A>::infinity());
    std::fill_n(second, block_step, -std::numeric_limits<A>::infinity());
  }
  A runner_up() const {
    A first = most[0], next = second[0];
    for (std::size_t k = 1; k < block_step; ++k) {
      next = (std::max)({next, (std::min)(first, most[k]), second[k]});
      first = (std::max)(first, most[k]);
    }
    return next;
  }
};

// d is cut off where e^d and d e^d are nothing beside the largest term of the row.
template <class A>
inline constexpr A least_exponent = std::same_as<A, float> ? A(-86) : A(-700);
inline constexpr double log2_e = 1.44269504088896340736;

// How e^(scale (x - zero)) is found: y = slope (x - zero), with base 2 for floats.
template <class A>
struct row_exponent {
  A slope = 0, offset = 0;        // y = slope x - offset, rounded once, if `offsets`
  A reference = 0, residual = 0;  // y = slope (x - reference) + residual, in any case
  A least = 0;                    // of x - reference
  double zero = 0;
  bool offsets = false;

  row_exponent(A at, A scale)
      : slope(std::same_as<A, float> ? static_cast<A>(log2_e * static_cast<double>(scale)) : scale),
        reference(at),
        least((std::max)(least_exponent<A> / scale, std::numeric_limits<A>::lowest())),
        zero(static_cast<double>(at)) {
    constexpr double exact = 1 << 20;  // an offset as large is known to 1/32
    const double there = static_cast<double>(slope) * zero;
    if (!std::same_as<A, float> || !(std::abs(there) < exact)) return;
    offset = static_cast<A>(there);
    residual = static_cast<A>(there - static_cast<double>(offset));
    zero = static_cast<double>(offset) / static_cast<double>(slope);
    offsets = true;
  }
};

// The largest of the first few among which there is a number; -inf if there is none.
template <class A>
A first_reference(const A* x, std::size_t size) {
  A reference = -std::numeric_limits<A>::infinity();
  for (std::size_t k = 0; k < size && (k % 16 != 0 || !std::isfinite(reference)); ++k)
    reference = x[k] > reference ? x[k] : reference;
  return reference;
}

// What blocks are read with.
template <class A>
struct block_scales {
  row_exponent<A> plain, tempered;
  A limit;  // of logits: sums over a block stay within the range of a float

  block_scales(A reference, A scale)
      : block_scales{row_exponent<A>(reference, A{1}), row_exponent<A>(reference, scale),
                     reference + A{40} / (std::max)(A{1}, scale)} {}
  block_scales(const row_exponent<A>& at_1, const row_exponent<A>& at_t, A most)
      : plain(at_1), tempered(at_t), limit(most) {}
};

// By halves.
template <std::size_t N, class A, class Join>
EIGEN_ALWAYS_INLINE A join_lanes(const A* values, const Join& join) {
  if constexpr (N == 1)
    return values[0];
  else
    return join(join_lanes<N / 2>(values, join), join_lanes<N / 2>(values + N / 2, join));
}
template <std::size_t N, class A>
EIGEN_ALWAYS_INLINE A largest_lane(const A (&values)[N]) {
  return join_lanes<N>(values, [](A a, A b) { return a < b ? b : a; });
}
// In the order of elements, the first of which is in lane `first`.
inline double sum_of_lanes(const lane_sums& sums, std::size_t first) {
  double values[sum_lanes];
  for (std::size_t k = 0; k < sum_lanes; ++k) values[k] = sums.of[(first + k) % sum_lanes];
  return join_lanes<sum_lanes>(values, [](double a, double b) { return a + b; });
}

// e = 2^(slope d + residual), the exponent in [-125, 125]; NaN for NaN. Vectors go by reference, since how
// they are passed by value depends on what a function is compiled for.
template <std::size_t N>
EIGEN_ALWAYS_INLINE void exponential(const words<float, N>& d, const row_exponent<float>& by,
                                     words<float, N>& e) {
  // 2^f on [-1/2, 1/2]: the polynomial of degree five of least relative error, 7.5e-8, and rounding.
  constexpr float c[] = {1.0000000716546822f,  0.6931469670647331f,  0.24022119723848476f,
                         0.05550713273542586f, 0.00967554133421605f, 0.0013276471979478776f};
  // The low bits of a sum with it are those of a rounded number, plus the bias of exponents.
  constexpr float magic = 12582912.0f + 127.0f;
  const words<float, N> y = d * by.slope + by.residual, shifted = y + magic;
  const words<float, N> f = y - (shifted - magic);
  words<std::uint32_t, N> bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits <<= 23;
  words<float, N> power;
  std::memcpy(&power, &bits, sizeof power);
  e = (((((c[5] * f + c[4]) * f + c[3]) * f + c[2]) * f + c[1]) * f + c[0]) * power;
}
template <std::size_t N>
EIGEN_ALWAYS_INLINE void exponential(const words<double, N>& d, const row_exponent<double>& by,
                                     words<double, N>& e) {
  double values[N];
  std::memcpy(values, &d, sizeof d);
  for (double& v : values) v = std::exp(v * by.slope);
  std::memcpy(&e, values, sizeof e);
}

// Reads `count` elements, a multiple of block_step, N at a time, the first one to sums in lane `first`.
// Answers the largest of all blocks so far; where it is above by.limit nothing else has changed.
template <wanted_sums Want, std::size_t N, class A>
EIGEN_ALWAYS_INLINE A read_lanes(const A* x, std::size_t count, const block_scales<A>& by,
                                 row_sums<A>& all, lane_sums& mass, std::size_t first = 0) {
  using vector = words<A, N>;
  static_assert(block_step % (2 * N) == 0);
  const vector low = vector{} + by.plain.least, lower = vector{} + by.tempered.least;
  vector most[2], second[2], sum[2], weighted[2], tempered[2];
  for (std::size_t p = 0; p < 2; ++p) {
    sum[p] = weighted[p] = tempered[p] = vector{};
    std::memcpy(&most[p], all.most + p * N, sizeof(vector));
    std::memcpy(&second[p], all.second + p * N, sizeof(vector));
  }
  for (std::size_t i = 0; i < count; i += 2 * N) {
#if TWEEDIE_VECTORS
    __builtin_prefetch(x + i + block_ahead);
#endif
    for (std::size_t p = 0; p < 2; ++p) {
      vector v, e;
      std::memcpy(&v, x + i + p * N, sizeof v);
      // Comparisons with NaN do not hold: the largest stay, NaN goes into the sums.
      if constexpr (Want.shape) {
        const vector lesser = v < most[p] ? v : most[p];
        second[p] = lesser > second[p] ? lesser : second[p];
      }
      most[p] = v > most[p] ? v : most[p];
      const vector above = v - by.plain.reference;
      const vector d = low > above ? low : above;
      exponential<N>(d, by.plain, e);
      sum[p] += e;
      if constexpr (Want.shape) weighted[p] += (d * by.plain.slope + by.plain.residual) * e;
      if constexpr (Want.tempered) {
        exponential<N>(lower > above ? lower : above, by.tempered, e);
        tempered[p] += e;
      }
    }
  }
  A values[N];
  vector joined = most[1] > most[0] ? most[1] : most[0];
  std::memcpy(values, &joined, sizeof joined);
  const A largest = largest_lane(values);
  if (largest > by.limit) return largest;
  std::memcpy(all.most, most, sizeof most);
  std::memcpy(all.second, second, sizeof second);
  const auto add = [&](const vector(&v)[2], lane_sums& to) {
    joined = v[0] + v[1];
    std::memcpy(values, &joined, sizeof joined);
    for (std::size_t k = 0; k < N; ++k)
      to.of[(first + k) % sum_lanes] += static_cast<double>(values[k]);
  };
  mass = {};
  add(sum, all.plain);
  if constexpr (Want.shape) add(weighted, all.weighted);
  add(Want.tempered ? tempered : sum, mass);
  return largest;
}

// out[k] = e^(s d) of block_step elements, d <= 0.
template <std::floating_point A>
void exponentials(const A* x, const row_exponent<A>& by, A (&out)[block_step]) {
  using vector = words<A, lanes<A>>;
  for (std::size_t i = 0; i < block_step; i += lanes<A>) {
    vector v, e;
    std::memcpy(&v, x + i, sizeof v);
    const vector above = v - by.reference;
    exponential<lanes<A>>(above > by.least ? above : vector{} + by.least, by, e);
    std::memcpy(out + i, &e, sizeof e);
  }
}

}  // namespace tweedie::discrete::detail
