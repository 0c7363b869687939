// Hardware vectors of arithmetic scalars, loaded from and stored to any storage scalar.
//
// The width is Eigen's for the build's instruction set, so that the kernels here and Eigen's own
// expressions agree, and vectorisation does not hang on the optimisation level. half and bfloat16
// are widened on loading and rounded to nearest even on storing. Every element goes through the
// same instructions whatever its place in a range (the last, partial packet is padded), so that
// results do not depend on where a range is cut.
#pragma once

#include <Eigen/Core>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tweedie/tensor/storage.hpp"

namespace tweedie::detail {

// float or double lanes: a compiler vector type, or the scalar itself without vector hardware.
template <class A>
using packet = typename Eigen::internal::packet_traits<A>::type;

template <class A>
inline constexpr std::size_t lanes = Eigen::internal::unpacket_traits<packet<A>>::size;

using Eigen::internal::pmadd;
using Eigen::internal::pset1;

// The correctly rounded square root; Eigen's packets may use an approximation that differs between
// processors.
template <class Scalar>
EIGEN_ALWAYS_INLINE Scalar square_root(Scalar x) {
  return Eigen::internal::psqrt(x);
}
#if defined(EIGEN_VECTORIZE_SSE2)
EIGEN_ALWAYS_INLINE __m128 square_root(__m128 x) { return _mm_sqrt_ps(x); }
EIGEN_ALWAYS_INLINE __m128d square_root(__m128d x) { return _mm_sqrt_pd(x); }
#endif
#if defined(EIGEN_VECTORIZE_AVX)
EIGEN_ALWAYS_INLINE __m256 square_root(__m256 x) { return _mm256_sqrt_ps(x); }
EIGEN_ALWAYS_INLINE __m256d square_root(__m256d x) { return _mm256_sqrt_pd(x); }
#endif
#if defined(EIGEN_VECTORIZE_AVX512)
// The masked forms, all lanes on: GCC warns of an undefined register inside the others.
EIGEN_ALWAYS_INLINE __m512 square_root(__m512 x) { return _mm512_maskz_sqrt_ps(0xffff, x); }
EIGEN_ALWAYS_INLINE __m512d square_root(__m512d x) { return _mm512_maskz_sqrt_pd(0xff, x); }
#endif

// Unsigned integers, as many lanes as Bytes hold; scalars when there is one lane.
template <class Word, std::size_t Lanes>
struct word_lanes {
  typedef Word type __attribute__((vector_size(Lanes * sizeof(Word))));
};
template <class Word>
struct word_lanes<Word, 1> {
  using type = Word;
};
template <class Word, std::size_t Lanes>
using words = typename word_lanes<Word, Lanes>::type;

template <class To, class From>
EIGEN_ALWAYS_INLINE To convert_lanes(From from) {
  if constexpr (std::is_arithmetic_v<From>) {
    return static_cast<To>(from);
  } else {
    return __builtin_convertvector(from, To);
  }
}

inline constexpr std::size_t float_lanes = lanes<float>;
using float_bits = words<std::uint32_t, float_lanes>;
using half_bits = words<std::uint16_t, float_lanes>;

// All ones in the lanes where condition holds.
template <class Condition>
EIGEN_ALWAYS_INLINE float_bits mask(Condition condition) {
  if constexpr (float_lanes == 1) {
    return condition ? ~0u : 0u;
  } else {
    return std::bit_cast<float_bits>(condition);
  }
}

EIGEN_ALWAYS_INLINE float_bits widen_half(float_bits h) {
  const float_bits magnitude = h & 0x7fffu;
  // 2^112 moves the exponent bias from 15 to 127 and normalises subnormals on the way.
  const auto value = std::bit_cast<packet<float>>(float_bits(magnitude << 13)) *
                     pset1<packet<float>>(0x1p112f);
  const float_bits infinite = mask(magnitude >= 0x7c00u) & 0x7f800000u;
  return std::bit_cast<float_bits>(value) | infinite | ((h & 0x8000u) << 16);
}

EIGEN_ALWAYS_INLINE float_bits round_to_half(float_bits f) {
  const float_bits sign = (f >> 16) & 0x8000u;
  const float_bits magnitude = f & 0x7fffffffu;
  const float_bits normal = (magnitude - 0x37fff001u + ((magnitude >> 13) & 1u)) >> 13;
  // Adding 1/2 lets the floating-point adder round to multiples of 2^-24.
  const auto shifted = std::bit_cast<packet<float>>(magnitude) + pset1<packet<float>>(0.5f);
  const float_bits subnormal = std::bit_cast<float_bits>(shifted) - 0x3f000000u;
  const float_bits special = (mask(magnitude > 0x7f800000u) & 0x0200u) | 0x7c00u;
  const float_bits small = mask(magnitude < 0x38800000u);
  const float_bits large = mask(magnitude >= 0x47800000u);
  return sign | (small & subnormal) | (large & special) | (~(small | large) & normal);
}

EIGEN_ALWAYS_INLINE float_bits round_to_bfloat16(float_bits f) {
  const float_bits nan = mask((f & 0x7fffffffu) > 0x7f800000u);
  const float_bits rounded = (f + 0x7fffu + ((f >> 16) & 1u)) >> 16;
  return (nan & ((f >> 16) | 0x0040u)) | (~nan & rounded);
}

// GCC 12 makes detours of these conversions between vectors of different size; the masked AVX-512
// forms, all lanes on, do not read an undefined register.
EIGEN_ALWAYS_INLINE float_bits widen_words(half_bits raw) {
#if defined(EIGEN_VECTORIZE_AVX512)
  return std::bit_cast<float_bits>(
      _mm512_maskz_cvtepu16_epi32(0xffff, std::bit_cast<__m256i>(raw)));
#elif defined(EIGEN_VECTORIZE_AVX2)
  return std::bit_cast<float_bits>(_mm256_cvtepu16_epi32(std::bit_cast<__m128i>(raw)));
#else
  return convert_lanes<float_bits>(raw);
#endif
}

// For values below 2^16.
EIGEN_ALWAYS_INLINE half_bits narrow_words(float_bits wide) {
#if defined(EIGEN_VECTORIZE_AVX512)
  return std::bit_cast<half_bits>(
      _mm512_maskz_cvtepi32_epi16(0xffff, std::bit_cast<__m512i>(wide)));
#elif defined(EIGEN_VECTORIZE_AVX2)
  const __m256i bits = std::bit_cast<__m256i>(wide);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(bits, bits), 0x08);
  return std::bit_cast<half_bits>(_mm256_castsi256_si128(packed));
#else
  return convert_lanes<half_bits>(wide);
#endif
}

EIGEN_ALWAYS_INLINE packet<float> from_half(half_bits raw) {
#if defined(EIGEN_VECTORIZE_AVX512)
  return _mm512_maskz_cvtph_ps(0xffff, std::bit_cast<__m256i>(raw));
#elif defined(EIGEN_VECTORIZE_AVX) && defined(__F16C__)
  return _mm256_cvtph_ps(std::bit_cast<__m128i>(raw));
#else
  return std::bit_cast<packet<float>>(widen_half(widen_words(raw)));
#endif
}

EIGEN_ALWAYS_INLINE half_bits to_half(packet<float> value) {
#if defined(EIGEN_VECTORIZE_AVX512)
  return std::bit_cast<half_bits>(
      _mm512_maskz_cvtps_ph(0xffff, value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(EIGEN_VECTORIZE_AVX) && defined(__F16C__)
  return std::bit_cast<half_bits>(_mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
#else
  return narrow_words(round_to_half(std::bit_cast<float_bits>(value)));
#endif
}

EIGEN_ALWAYS_INLINE packet<double> widen_floats(words<float, lanes<double>> narrow) {
#if defined(EIGEN_VECTORIZE_AVX512)
  return _mm512_maskz_cvtps_pd(0xff, std::bit_cast<__m256>(narrow));
#elif defined(EIGEN_VECTORIZE_AVX)
  return _mm256_cvtps_pd(std::bit_cast<__m128>(narrow));
#else
  return convert_lanes<packet<double>>(narrow);
#endif
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE packet<arithmetic_t<S>> load(const S* from) {
  if constexpr (std::same_as<S, arithmetic_t<S>>) {
    return Eigen::internal::ploadu<packet<S>>(from);
  } else {
    half_bits raw;
    std::memcpy(&raw, from, sizeof raw);
    if constexpr (std::same_as<S, half>) {
      return from_half(raw);
    } else {
      return std::bit_cast<packet<float>>(float_bits(widen_words(raw) << 16));
    }
  }
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE void store(S* to, packet<arithmetic_t<S>> value) {
  if constexpr (std::same_as<S, arithmetic_t<S>>) {
    Eigen::internal::pstoreu(to, value);
  } else {
    half_bits raw;
    if constexpr (std::same_as<S, half>) {
      raw = to_half(value);
    } else {
      raw = narrow_words(round_to_bfloat16(std::bit_cast<float_bits>(value)));
    }
    std::memcpy(static_cast<void*>(to), &raw, sizeof raw);
  }
}

// One bit for each lane where a < b does not hold, a NaN included.
template <std::floating_point A>
EIGEN_ALWAYS_INLINE unsigned lanes_not_below(packet<A> a, packet<A> b) {
#if defined(EIGEN_VECTORIZE_AVX512)
  if constexpr (std::same_as<A, float>) return _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ);
  else return _mm512_cmp_pd_mask(a, b, _CMP_NLT_UQ);
#elif defined(EIGEN_VECTORIZE_AVX)
  if constexpr (std::same_as<A, float>) {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NLT_UQ)));
  } else {
    return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_NLT_UQ)));
  }
#elif defined(EIGEN_VECTORIZE_SSE2)
  if constexpr (std::same_as<A, float>) {
    return static_cast<unsigned>(_mm_movemask_ps(_mm_cmpnlt_ps(a, b)));
  } else {
    return static_cast<unsigned>(_mm_movemask_pd(_mm_cmpnlt_pd(a, b)));
  }
#else
  A x[lanes<A>], y[lanes<A>];
  Eigen::internal::pstoreu(x, a);
  Eigen::internal::pstoreu(y, b);
  unsigned bits = 0;
  for (std::size_t i = 0; i < lanes<A>; ++i) bits |= (x[i] < y[i] ? 0u : 1u) << i;
  return bits;
#endif
}

// The first count < lanes elements, zeros behind them.
template <storage_scalar S>
EIGEN_ALWAYS_INLINE packet<arithmetic_t<S>> load_partial(const S* from, std::size_t count) {
  S padded[lanes<arithmetic_t<S>>] = {};
  std::memcpy(static_cast<void*>(padded), from, count * sizeof(S));
  return load(padded);
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE void store_partial(S* to, packet<arithmetic_t<S>> value, std::size_t count) {
  S padded[lanes<arithmetic_t<S>>];
  store(padded, value);
  std::memcpy(static_cast<void*>(to), padded, count * sizeof(S));
}

}  // namespace tweedie::detail
