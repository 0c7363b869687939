// One reading of a block of logits: its two largest, and the sums of exponentials of its elements.
//
//   sum e^d,   sum d e^d,   sum e^(s d),   d = x - reference
//
// Floats and narrower scalars go through packets, e^d to 1e-7; doubles keep all their digits, one at
// a time. A build for x86 without AVX2 takes the same steps on AVX2 where the processor has it: four
// lanes would compute longer than memory takes to deliver.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>

#include "tweedie/tensor/instruction_set.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/processor.hpp"

#if TWEEDIE_SSE2 && !TWEEDIE_AVX2 && (defined(__x86_64__) || defined(__i386__))
#define TWEEDIE_ASKS_FOR_AVX2 1
#include <immintrin.h>
#else
#define TWEEDIE_ASKS_FOR_AVX2 0
#endif

namespace tweedie::discrete::detail {

using Eigen::internal::pset1;

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

struct block_reading {
  double max = 0;  // of this block and those before
  double sum = 0, weighted = 0, tempered = 0;
};

/// Which sums are wanted: e^d always.
struct wanted_sums {
  bool shape = true;      ///< the second largest, and sum d e^d
  bool tempered = false;  ///< sum e^(s d); else it is that of e^d
};

// d is cut off where e^d and d e^d are nothing beside the largest term of the row.
template <class A>
inline constexpr A least_exponent = std::same_as<A, float> ? A(-86) : A(-700);

// 2^f on [-1/2, 1/2] to 7.5e-8: the polynomial of degree five of least relative error.
inline constexpr float power_of_two[] = {1.0000000716546822f,  0.6931469670647331f,
                                         0.24022119723848476f, 0.05550713273542586f,
                                         0.00967554133421605f, 0.0013276471979478776f};
inline constexpr float log2_e = 1.44269504088896f;
// Added to y in [-125, 125], the low bits of the sum are those of round(y) + 127, the exponent of
// 2^round(y).
inline constexpr float exponent_magic = 12582912.0f + 127.0f;

// e^d = 2^y for d in [-86, 86], NaN for NaN.
EIGEN_ALWAYS_INLINE tweedie::detail::packet<float> exponential(tweedie::detail::packet<float> d) {
  using packet = tweedie::detail::packet<float>;
  using bits = tweedie::detail::float_bits;
  using Eigen::internal::padd;
  using Eigen::internal::pmadd;
  using Eigen::internal::pmul;
  using Eigen::internal::psub;
  const packet y = pmul(d, pset1<packet>(log2_e));
  const packet shifted = padd(y, pset1<packet>(exponent_magic));
  const packet f = psub(y, psub(shifted, pset1<packet>(exponent_magic)));
  packet p = pset1<packet>(power_of_two[5]);
  p = pmadd(p, f, pset1<packet>(power_of_two[4]));
  p = pmadd(p, f, pset1<packet>(power_of_two[3]));
  p = pmadd(p, f, pset1<packet>(power_of_two[2]));
  p = pmadd(p, f, pset1<packet>(power_of_two[1]));
  p = pmadd(p, f, pset1<packet>(power_of_two[0]));
  const auto power = static_cast<bits>(tweedie::detail::bit_cast<bits>(shifted) << 23);
  return pmul(p, tweedie::detail::bit_cast<packet>(power));
}
EIGEN_ALWAYS_INLINE tweedie::detail::packet<double> exponential(tweedie::detail::packet<double> d) {
  double values[tweedie::detail::lanes<double>];
  Eigen::internal::pstoreu(values, d);
  for (double& v : values) v = std::exp(v);
  return tweedie::detail::load(static_cast<const double*>(values));
}

// The sum, or the largest, of the lanes.
template <class A, class Join>
EIGEN_ALWAYS_INLINE double join_lanes(tweedie::detail::packet<A> v, const Join& join) {
  A values[tweedie::detail::lanes<A>];
  Eigen::internal::pstoreu(values, v);
  for (std::size_t n = tweedie::detail::lanes<A> / 2; n > 0; n /= 2)
    for (std::size_t k = 0; k < n; ++k) values[k] = join(values[k], values[k + n]);
  return static_cast<double>(values[0]);
}

// Blocks are a multiple of this, padded with -inf.
inline constexpr std::size_t block_step = 32;
inline constexpr std::size_t read_ahead = 2048;

template <wanted_sums Want, storage_scalar S>
[[gnu::noinline]] block_reading read_packets(extremes<arithmetic_t<S>>& ends, const S* x,
                                             std::size_t count, arithmetic_t<S> reference,
                                             arithmetic_t<S> scale) {
  using A = arithmetic_t<S>;
  using packet = tweedie::detail::packet<A>;
  using Eigen::internal::padd;
  using Eigen::internal::pmul;
  using tweedie::detail::lanes;
  using tweedie::detail::maximum;
  static_assert(block_step % (2 * lanes<A>) == 0);
  const packet low = pset1<packet>(least_exponent<A>), shift = pset1<packet>(reference),
               s = pset1<packet>(scale);
  packet most[2], second[2], sum[2], weighted[2], hot[2];
  for (std::size_t p = 0; p < 2; ++p) {
    most[p] = tweedie::detail::load(ends.most + p * lanes<A>);
    second[p] = tweedie::detail::load(ends.second + p * lanes<A>);
    sum[p] = weighted[p] = hot[p] = pset1<packet>(A{0});
  }
  for (std::size_t i = 0; i < count; i += 2 * lanes<A>) {
    for (std::size_t line = 0; line < 2 * lanes<A>; line += 64 / sizeof(S))
      tweedie::detail::prefetch(x + i + line + read_ahead);
    for (std::size_t p = 0; p < 2; ++p) {
      const packet v = tweedie::detail::load(x + i + p * lanes<A>);
      if constexpr (Want.shape)
        second[p] = maximum(second[p], tweedie::detail::minimum(most[p], v));
      most[p] = maximum(most[p], v);
      // The first operand where one is not a number.
      const packet above = Eigen::internal::psub(v, shift);
      const packet d = maximum(above, low);
      const packet e = exponential(d);
      sum[p] = padd(sum[p], e);
      if constexpr (Want.shape) weighted[p] = Eigen::internal::pmadd(d, e, weighted[p]);
      if constexpr (Want.tempered) hot[p] = padd(hot[p], exponential(maximum(pmul(above, s), low)));
    }
  }
  for (std::size_t p = 0; p < 2; ++p) {
    Eigen::internal::pstoreu(ends.most + p * lanes<A>, most[p]);
    Eigen::internal::pstoreu(ends.second + p * lanes<A>, second[p]);
  }
  const auto larger = [](A a, A b) { return a < b ? b : a; };
  const auto add = [](A a, A b) { return a + b; };
  block_reading out;
  out.max = join_lanes<A>(maximum(most[0], most[1]), larger);
  out.sum = join_lanes<A>(padd(sum[0], sum[1]), add);
  if constexpr (Want.shape) out.weighted = join_lanes<A>(padd(weighted[0], weighted[1]), add);
  out.tempered = Want.tempered ? join_lanes<A>(padd(hot[0], hot[1]), add) : out.sum;
  return out;
}

#if TWEEDIE_ASKS_FOR_AVX2

#define TWEEDIE_FOR_AVX2 [[gnu::target("avx2,fma,f16c")]]

// Where tweedie::compiled was told to keep to the baseline, rows keep to it too.
inline bool reads_eights() {
#if defined(TWEEDIE_COMPILED)
  if (current_instruction_set() == instruction_set::baseline) return false;
#endif
  return tweedie::detail::has_avx2();
}

TWEEDIE_FOR_AVX2 inline __m256 load_eight(const float* x) { return _mm256_loadu_ps(x); }
TWEEDIE_FOR_AVX2 inline __m256 load_eight(const float16* x) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
}
TWEEDIE_FOR_AVX2 inline __m256 load_eight(const bfloat16* x) {
  const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
}

TWEEDIE_FOR_AVX2 inline __m256 exponential_of_eight(__m256 d) {
  const __m256 magic = _mm256_set1_ps(exponent_magic);
  const __m256 y = _mm256_mul_ps(d, _mm256_set1_ps(log2_e));
  const __m256 shifted = _mm256_add_ps(y, magic);
  const __m256 f = _mm256_sub_ps(y, _mm256_sub_ps(shifted, magic));
  __m256 p = _mm256_set1_ps(power_of_two[5]);
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(power_of_two[4]));
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(power_of_two[3]));
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(power_of_two[2]));
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(power_of_two[1]));
  p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(power_of_two[0]));
  const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
  return _mm256_mul_ps(p, _mm256_castsi256_ps(power));
}

TWEEDIE_FOR_AVX2 inline double sum_of_eight(__m256 v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return static_cast<double>(_mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two))));
}

// read_packets on vectors of eight.
template <wanted_sums Want, class S>
TWEEDIE_FOR_AVX2 block_reading read_eights(extremes<float>& ends, const S* x, std::size_t count,
                                           float reference, float scale) {
  const __m256 low = _mm256_set1_ps(least_exponent<float>), shift = _mm256_set1_ps(reference),
               s = _mm256_set1_ps(scale);
  __m256 most[2], second[2], sum[2], weighted[2], hot[2];
  for (std::size_t p = 0; p < 2; ++p) {
    most[p] = _mm256_load_ps(ends.most + 8 * p);
    second[p] = _mm256_load_ps(ends.second + 8 * p);
    sum[p] = weighted[p] = hot[p] = _mm256_setzero_ps();
  }
  for (std::size_t i = 0; i < count; i += 16) {
    tweedie::detail::prefetch(x + i + read_ahead);
    for (std::size_t p = 0; p < 2; ++p) {
      const __m256 v = load_eight(x + i + 8 * p);
      if constexpr (Want.shape) second[p] = _mm256_max_ps(_mm256_min_ps(v, most[p]), second[p]);
      most[p] = _mm256_max_ps(v, most[p]);
      // The second operand where one is not a number.
      const __m256 above = _mm256_sub_ps(v, shift);
      const __m256 d = _mm256_max_ps(low, above);
      const __m256 e = exponential_of_eight(d);
      sum[p] = _mm256_add_ps(sum[p], e);
      if constexpr (Want.shape) weighted[p] = _mm256_fmadd_ps(d, e, weighted[p]);
      if constexpr (Want.tempered)
        hot[p] = _mm256_add_ps(hot[p],
                               exponential_of_eight(_mm256_max_ps(low, _mm256_mul_ps(above, s))));
    }
  }
  for (std::size_t p = 0; p < 2; ++p) {
    _mm256_store_ps(ends.most + 8 * p, most[p]);
    _mm256_store_ps(ends.second + 8 * p, second[p]);
  }
  const __m256 eight = _mm256_max_ps(most[0], most[1]);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  block_reading out;
  out.max = static_cast<double>(_mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two))));
  out.sum = sum_of_eight(_mm256_add_ps(sum[0], sum[1]));
  if constexpr (Want.shape) out.weighted = sum_of_eight(_mm256_add_ps(weighted[0], weighted[1]));
  out.tempered = Want.tempered ? sum_of_eight(_mm256_add_ps(hot[0], hot[1])) : out.sum;
  return out;
}

#undef TWEEDIE_FOR_AVX2
#endif

// Reads `count` elements, a multiple of block_step. Elements that are not a number make the sum none;
// so may d above 86, which out.max tells.
template <wanted_sums Want, storage_scalar S>
block_reading read_block(extremes<arithmetic_t<S>>& ends, const S* x, std::size_t count,
                         arithmetic_t<S> reference, arithmetic_t<S> scale) {
#if TWEEDIE_ASKS_FOR_AVX2
  if constexpr (!std::same_as<S, double>)
    if (reads_eights()) return read_eights<Want>(ends, x, count, reference, scale);
#endif
  return read_packets<Want>(ends, x, count, reference, scale);
}

// out[k] = e^((x_k - reference) s) of `count` elements, a multiple of block_step; their sum.
template <storage_scalar S>
double exponentials(const S* x, std::size_t count, arithmetic_t<S> reference, arithmetic_t<S> scale,
                    arithmetic_t<S>* out) {
  using A = arithmetic_t<S>;
  using packet = tweedie::detail::packet<A>;
  using tweedie::detail::lanes;
  const packet low = pset1<packet>(least_exponent<A>);
  packet sum = pset1<packet>(A{0});
  for (std::size_t i = 0; i < count; i += lanes<A>) {
    const packet above =
        Eigen::internal::psub(tweedie::detail::load(x + i), pset1<packet>(reference));
    const packet e = exponential(
        tweedie::detail::maximum(Eigen::internal::pmul(above, pset1<packet>(scale)), low));
    Eigen::internal::pstoreu(out + i, e);
    sum = Eigen::internal::padd(sum, e);
  }
  return join_lanes<A>(sum, [](A a, A b) { return a + b; });
}

}  // namespace tweedie::discrete::detail
