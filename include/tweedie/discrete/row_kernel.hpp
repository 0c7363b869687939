// One reading of a block of logits: its two largest and its sums (row_lanes.hpp), with the widest
// vectors that the processor has.
//
// Whatever a program was compiled for, it takes sixteen lanes (AVX-512) or eight (AVX2) where they are:
// four would compute for longer than memory takes to deliver.
#pragma once

#include <concepts>
#include <cstddef>
#include <limits>

#include "tweedie/discrete/row_lanes.hpp"
#include "tweedie/tensor/instruction_set.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/processor.hpp"

// GCC does not align the stack for them on Windows.
#if TWEEDIE_SSE2 && defined(__x86_64__) && !defined(_WIN32)
#define TWEEDIE_ASKS_THE_PROCESSOR 1
#include <immintrin.h>
#else
#define TWEEDIE_ASKS_THE_PROCESSOR 0
#endif

namespace tweedie::discrete::detail {

#if TWEEDIE_ASKS_THE_PROCESSOR

template <wanted_sums Want>
[[gnu::target("avx2,fma"), gnu::noinline]] void read_eights(extremes<float>* ends, const float* x,
                                                            std::size_t count, float reference,
                                                            float scale, block_reading& out) {
  read_lanes<Want, 8>(ends, x, count, reference, scale, out);
}

// 2^y, no less than 0 whatever y, NaN for NaN: the instructions part y into whole and fraction, and
// need no limits. The masked forms, all lanes on, do not read an undefined register.
[[gnu::target("avx512f,avx512dq"), gnu::always_inline]] inline __m512 power_of_two(__m512 y) {
  // 2^f on [0, 1], as above but for its rounding.
  constexpr float c[] = {0.99999994f,  0.69315308f,   0.24015358f,
                         0.055826306f, 0.0089893332f, 0.0018775763f};
  const __m512 f = _mm512_maskz_reduce_ps(0xffff, y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(c[5]);
  for (int k = 4; k >= 0; --k) p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(c[k]));
  return _mm512_maskz_scalef_ps(0xffff, p, y);
}

[[gnu::target("avx512f,avx512dq")]] inline double sum_of_sixteens(const __m512 (&v)[2]) {
  const __m512 both = _mm512_add_ps(v[0], v[1]);
  const __m256 eight = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, both, 0),
                                     _mm512_maskz_extractf32x8_ps(0xff, both, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return static_cast<double>(_mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two))));
}
[[gnu::target("avx512f,avx512dq")]] inline double largest_of_sixteens(const __m512 (&v)[2]) {
  const __m512 both = _mm512_maskz_max_ps(0xffff, v[0], v[1]);
  const __m256 eight = _mm256_max_ps(_mm512_maskz_extractf32x8_ps(0xff, both, 0),
                                     _mm512_maskz_extractf32x8_ps(0xff, both, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return static_cast<double>(_mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two))));
}

// read_lanes with the instructions that AVX-512 has for it.
template <wanted_sums Want>
[[gnu::target("avx512f,avx512dq"), gnu::noinline]] void read_sixteens(extremes<float>* ends,
                                                                      const float* x,
                                                                      std::size_t count,
                                                                      float reference, float scale,
                                                                      block_reading& out) {
  const __m512 slope = _mm512_set1_ps(slope_of(1.f)), steeper = _mm512_set1_ps(slope_of(scale)),
               shift = _mm512_set1_ps(reference), low = _mm512_set1_ps(least_exponent<float>);
  __m512 most[2], second[2], sum[2], weighted[2], tempered[2];
  for (std::size_t p = 0; p < 2; ++p) {
    sum[p] = weighted[p] = tempered[p] = _mm512_setzero_ps();
    second[p] = most[p] = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    if constexpr (Want.shape) {
      most[p] = _mm512_load_ps(ends->most + 16 * p);
      second[p] = _mm512_load_ps(ends->second + 16 * p);
    }
  }
  for (std::size_t i = 0; i < count; i += 32)
    for (std::size_t p = 0; p < 2; ++p) {
      const __m512 v = _mm512_loadu_ps(x + i + 16 * p);
      // The second operand where one is not a number.
      if constexpr (Want.shape)
        second[p] = _mm512_maskz_max_ps(0xffff, _mm512_maskz_min_ps(0xffff, v, most[p]), second[p]);
      if constexpr (Want.plain) most[p] = _mm512_maskz_max_ps(0xffff, v, most[p]);
      const __m512 above = _mm512_sub_ps(v, shift);
      if constexpr (Want.plain) {
        const __m512 d = Want.shape ? _mm512_maskz_max_ps(0xffff, low, above) : above;
        const __m512 e = power_of_two(_mm512_mul_ps(d, slope));
        sum[p] = _mm512_add_ps(sum[p], e);
        if constexpr (Want.shape) weighted[p] = _mm512_fmadd_ps(d, e, weighted[p]);
      }
      if constexpr (Want.tempered)
        tempered[p] = _mm512_add_ps(tempered[p], power_of_two(_mm512_mul_ps(above, steeper)));
    }
  if constexpr (Want.shape)
    for (std::size_t p = 0; p < 2; ++p) {
      _mm512_store_ps(ends->most + 16 * p, most[p]);
      _mm512_store_ps(ends->second + 16 * p, second[p]);
    }
  if constexpr (Want.plain) out.max = largest_of_sixteens(most);
  if constexpr (Want.plain) out.sum = sum_of_sixteens(sum);
  if constexpr (Want.shape) out.weighted = sum_of_sixteens(weighted);
  if constexpr (Want.tempered) out.tempered = sum_of_sixteens(tempered);
}

[[gnu::target("avx2,f16c")]] inline void widen_eights(const float16* from, std::size_t count,
                                                      float* to) {
  for (std::size_t i = 0; i < count; i += 8)
    _mm256_storeu_ps(to + i,
                     _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
}

// 16, 8, or 0 for what the program was compiled for: tweedie::compiled may have been told to keep to
// fewer.
inline std::size_t widest_lanes() {
#if defined(TWEEDIE_COMPILED)
  const instruction_set set = current_instruction_set();
  return set == instruction_set::avx512 ? 16 : set == instruction_set::avx2 ? 8 : 0;
#else
  static const std::size_t widest = tweedie::detail::has_avx512() ? 16
                                    : tweedie::detail::has_avx2() ? 8
                                                                  : 0;
  return widest;
#endif
}

#endif

// Reads `count` elements, a multiple of block_step. Elements that are not a number make the sums none;
// so may d far above 0, which out.max tells.
template <wanted_sums Want, std::floating_point A>
block_reading read_block(extremes<A>* ends, const A* x, std::size_t count, A reference, A scale) {
  block_reading out;
#if TWEEDIE_ASKS_THE_PROCESSOR
  if constexpr (std::same_as<A, float>) {
    const std::size_t widest = widest_lanes();
    if (widest == 16) read_sixteens<Want>(ends, x, count, reference, scale, out);
    if (widest == 8) read_eights<Want>(ends, x, count, reference, scale, out);
    if (widest != 0) return out;
  }
#endif
  read_lanes<Want, lanes<A>>(ends, x, count, reference, scale, out);
  return out;
}

// Elements as floats; `count` is a multiple of block_step.
template <storage_scalar S>
void widen(const S* from, std::size_t count, float* to) {
#if TWEEDIE_ASKS_THE_PROCESSOR
  if constexpr (std::same_as<S, float16>)
    if (widest_lanes() != 0) return widen_eights(from, count, to);
#endif
  for (std::size_t i = 0; i < count; i += lanes<float>)
    tweedie::detail::store(to + i, tweedie::detail::load(from + i));
}

}  // namespace tweedie::discrete::detail
