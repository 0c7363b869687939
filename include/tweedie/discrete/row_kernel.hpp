// One reading of a block of logits: its two largest and its sums (row_lanes.hpp), with the widest
// vectors that the processor has.
//
// Whatever a program was compiled for, it takes sixteen lanes (AVX-512) or eight (AVX2) where they are:
// four would compute for longer than memory takes to deliver.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
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
[[gnu::target("avx2,fma"), gnu::noinline]] float read_eights(const float* x, std::size_t count,
                                                             const block_scales<float>& by,
                                                             row_sums<float>& all, lane_sums& mass,
                                                             std::size_t first) {
  return read_lanes<Want, 8>(x, count, by, all, mass, first);
}

// 2^y, no less than 0 whatever y, NaN for NaN: the instructions part y into whole and fraction, and
// need no limits. The masked forms, all lanes on, do not read an undefined register.
[[gnu::target("avx512f,avx512dq"), gnu::always_inline]] inline __m512 power_of_two(__m512 y) {
  // 2^f on [0, 1], as in row_lanes.hpp but for its rounding.
  constexpr float c[] = {0.99999994f,  0.69315308f,   0.24015358f,
                         0.055826306f, 0.0089893332f, 0.0018775763f};
  const __m512 f = _mm512_maskz_reduce_ps(0xffff, y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(c[5]);
  for (int k = 4; k >= 0; --k) p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(c[k]));
  return _mm512_maskz_scalef_ps(0xffff, p, y);
}

struct sixteens {
  __m512 most, second, plain, weighted, tempered;
};
struct sixteen_scales {
  __m512 slope, offset, steeper, steeper_offset, least;
};
template <wanted_sums Want>
[[gnu::target("avx512f,avx512dq"), gnu::always_inline]] inline void take_sixteen(
    sixteens& to, __m512 v, const sixteen_scales& by) {
  // The second operand where one is not a number.
  if constexpr (Want.shape)
    to.second = _mm512_maskz_max_ps(0xffff, _mm512_maskz_min_ps(0xffff, v, to.most), to.second);
  to.most = _mm512_maskz_max_ps(0xffff, v, to.most);
  const __m512 y = _mm512_fmsub_ps(v, by.slope, by.offset), e = power_of_two(y);
  to.plain = _mm512_add_ps(to.plain, e);
  if constexpr (Want.shape)
    to.weighted = _mm512_fmadd_ps(_mm512_maskz_max_ps(0xffff, by.least, y), e, to.weighted);
  if constexpr (Want.tempered)
    to.tempered =
        _mm512_add_ps(to.tempered, power_of_two(_mm512_fmsub_ps(v, by.steeper, by.steeper_offset)));
}
// Floats in eight lanes of doubles.
[[gnu::target("avx512f,avx512dq"), gnu::always_inline]] inline __m512d widen_sixteen(__m512 v) {
  return _mm512_add_pd(_mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, v, 0)),
                       _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, v, 1)));
}

// Elements that x is behind a multiple of 64 bytes.
inline std::size_t behind_a_line(const float* x) {
  return reinterpret_cast<std::uintptr_t>(x) / sizeof(float) % 16;
}

// read_lanes with the instructions that AVX-512 has for it, from lines of the cache: element k goes
// to lane k + behind_a_line(x), so that sums do not depend on where x is but for the order of lanes.
template <wanted_sums Want>
[[gnu::target("avx512f,avx512dq"), gnu::noinline]] float read_sixteens(
    const float* x, std::size_t count, const block_scales<float>& by, row_sums<float>& all,
    lane_sums& mass) {
  const sixteen_scales scales = {
      _mm512_set1_ps(by.plain.slope), _mm512_set1_ps(by.plain.offset),
      _mm512_set1_ps(by.tempered.slope), _mm512_set1_ps(by.tempered.offset),
      _mm512_set1_ps(least_exponent<float> * static_cast<float>(log2_e))};
  const __m512 nothing = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  sixteens even = {_mm512_load_ps(all.most), _mm512_load_ps(all.second), _mm512_setzero_ps(),
                   _mm512_setzero_ps(), _mm512_setzero_ps()};
  sixteens odd = {_mm512_load_ps(all.most + 16), _mm512_load_ps(all.second + 16),
                  _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  const std::size_t behind = behind_a_line(x);
  const auto before = static_cast<__mmask16>((1u << behind) - 1);
  const float *line = x - behind, *last = line + count;
  const auto ahead = static_cast<__mmask16>(~before);
  take_sixteen<Want>(even, _mm512_mask_loadu_ps(nothing, ahead, line), scales);
  for (line += 16; line + 16 < last; line += 32) {
    _mm_prefetch(line + block_ahead, _MM_HINT_T0);
    take_sixteen<Want>(odd, _mm512_load_ps(line), scales);
    _mm_prefetch(line + block_ahead + 16, _MM_HINT_T0);
    take_sixteen<Want>(even, _mm512_load_ps(line + 16), scales);
  }
  take_sixteen<Want>(odd, _mm512_load_ps(line), scales);
  if (behind != 0) take_sixteen<Want>(even, _mm512_mask_loadu_ps(nothing, before, last), scales);
  float most[16];
  _mm512_storeu_ps(most, _mm512_maskz_max_ps(0xffff, even.most, odd.most));
  const float largest = largest_lane(most);
  if (largest > by.limit) return largest;
  _mm512_store_ps(all.most, even.most);
  _mm512_store_ps(all.most + 16, odd.most);
  const __m512d plain = widen_sixteen(_mm512_add_ps(even.plain, odd.plain));
  _mm512_store_pd(all.plain.of, _mm512_add_pd(_mm512_load_pd(all.plain.of), plain));
  if constexpr (Want.shape) {
    _mm512_store_ps(all.second, even.second);
    _mm512_store_ps(all.second + 16, odd.second);
    const __m512d weighted = widen_sixteen(_mm512_add_ps(even.weighted, odd.weighted));
    _mm512_store_pd(all.weighted.of, _mm512_add_pd(_mm512_load_pd(all.weighted.of), weighted));
  }
  _mm512_store_pd(
      mass.of, Want.tempered ? widen_sixteen(_mm512_add_ps(even.tempered, odd.tempered)) : plain);
  return largest;
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

// The lane of the sums that the first element of x goes to.
template <std::floating_point A>
std::size_t first_lane(const A* x) {
#if TWEEDIE_ASKS_THE_PROCESSOR
  if constexpr (std::same_as<A, float>)
    if (widest_lanes() == 16) return behind_a_line(x);
#endif
  static_cast<void>(x);
  return 0;
}

// Reads `count` elements, a multiple of block_step, as read_lanes does. Elements that are not a number make
// the sums none.
template <wanted_sums Want, std::floating_point A>
A read_block(const A* x, std::size_t count, const block_scales<A>& by, row_sums<A>& all,
             lane_sums& mass) {
#if TWEEDIE_ASKS_THE_PROCESSOR
  if constexpr (std::same_as<A, float>) {
    const std::size_t widest = widest_lanes();
    if (widest == 16 && by.plain.offsets && by.tempered.offsets)
      return read_sixteens<Want>(x, count, by, all, mass);
    if (widest != 0) return read_eights<Want>(x, count, by, all, mass, first_lane(x));
  }
#endif
  return read_lanes<Want, lanes<A>>(x, count, by, all, mass);
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
