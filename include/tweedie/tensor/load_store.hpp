// Packets from and to memory of any storage scalar.
//
// half and bfloat16 are widened on loading and rounded to nearest even on storing. Every element goes
// through the same instructions whatever its place in a range (the last, partial packet is padded),
// so that results do not depend on where a range is cut.
#pragma once

#include <Eigen/Core>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie::detail {

using half_bits = words<std::uint16_t, float_lanes>;

// As many 16-bit words as float packets have lanes, in the high halves of 32-bit lanes over zeros.
// GCC 12 makes detours of such conversions between vectors of different size, hence the
// instructions by name; the masked AVX-512 forms, all lanes on, do not read an undefined register.
EIGEN_ALWAYS_INLINE float_bits load_high_words(const void* from) {
#if TWEEDIE_SSE2 && !TWEEDIE_AVX
  return bit_cast<float_bits>(
      _mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(static_cast<const __m128i*>(from))));
#else
  half_bits raw;
  std::memcpy(&raw, from, sizeof raw);
#if TWEEDIE_AVX512
  const auto low =
      bit_cast<float_bits>(_mm512_maskz_cvtepu16_epi32(0xffff, bit_cast<__m256i>(raw)));
#elif TWEEDIE_AVX2
  const auto low = bit_cast<float_bits>(_mm256_cvtepu16_epi32(bit_cast<__m128i>(raw)));
#else
  const auto low = convert_lanes<float_bits>(raw);
#endif
  return low << 16;
#endif
}

// Stores the high halves of 32-bit lanes.
EIGEN_ALWAYS_INLINE void store_high_words(void* to, float_bits high) {
#if TWEEDIE_SSE2 && !TWEEDIE_AVX
  // The arithmetic shift keeps the words within the signed range, which packing would clip to.
  const __m128i words = _mm_srai_epi32(bit_cast<__m128i>(high), 16);
  _mm_storel_epi64(static_cast<__m128i*>(to), _mm_packs_epi32(words, words));
#else
#if TWEEDIE_AVX512
  const __m256i raw =
      _mm512_maskz_cvtepi32_epi16(0xffff, bit_cast<__m512i>(float_bits(high >> 16)));
#elif TWEEDIE_AVX2
  const __m256i words = bit_cast<__m256i>(float_bits(high >> 16));
  const __m128i raw =
      _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
#else
  const auto raw = convert_lanes<half_bits>(float_bits(high >> 16));
#endif
  std::memcpy(to, &raw, sizeof raw);
#endif
}

// A half in the high word of each lane, the rest zeros.
EIGEN_ALWAYS_INLINE packet<float> widen_half(float_bits high) {
  using signed_bits = words<std::int32_t, float_lanes>;
  // Exponent and mantissa to their places in a float, the sign stays.
  const auto moved = bit_cast<float_bits>(signed_bits(bit_cast<signed_bits>(high) >> 3));
  // 2^112 moves the exponent bias from 15 to 127 and normalises subnormals on the way.
  const auto value = Eigen::internal::pmul(bit_cast<packet<float>>(float_bits(moved & 0x8fffe000u)),
                                           pset1<packet<float>>(0x1p112f));
  const auto magnitude = bit_cast<signed_bits>(float_bits(high & 0x7fffffffu));
  const float_bits special = mask(magnitude >= 0x7c000000) & 0x7f800000u;
  return bit_cast<packet<float>>(bit_cast<float_bits>(value) | special);
}

// To the half in the high word of each lane; the low word is undefined.
EIGEN_ALWAYS_INLINE float_bits round_to_half(packet<float> value) {
  using signed_bits = words<std::int32_t, float_lanes>;
  const auto bits = bit_cast<float_bits>(value);
  const float_bits magnitude = bits & 0x7fffffffu;
  const auto order = bit_cast<signed_bits>(magnitude);
  // Exponent bias from 127 to 15, and half a unit (less the smallest bit, plus the last bit that
  // stays) of rounding to nearest even.
  const float_bits normal = magnitude - 0x37fff001u + ((magnitude >> 13) & 1u);
  // Adding 1/2 lets the floating-point adder round to multiples of 2^-24.
  const auto shifted =
      Eigen::internal::padd(bit_cast<packet<float>>(magnitude), pset1<packet<float>>(0.5f));
  const float_bits subnormal = (bit_cast<float_bits>(shifted) - 0x3f000000u) << 13;
  const float_bits nan = mask(order > 0x7f800000) & 0x00400000u;
  const float_bits below_normal = mask(order < 0x38800000);
  const float_bits large = mask(order >= 0x47800000);
  const float_bits finite = (below_normal & subnormal) | (~below_normal & normal);
  const float_bits unsigned_half = (large & (nan | 0x0f800000u)) | (~large & finite);
  return (unsigned_half << 3) | (bits & 0x80000000u);
}

// A number to the bfloat16 in the high word of each lane; the low word is undefined.
EIGEN_ALWAYS_INLINE float_bits round_number_to_bfloat16(packet<float> value) {
  const auto bits = bit_cast<float_bits>(value);
  return bits + (((bits >> 16) & 1u) + 0x7fffu);
}

// The same where NaNs may be: they are made quiet, and not rounded to infinity or past it.
EIGEN_ALWAYS_INLINE float_bits round_to_bfloat16(packet<float> value) {
  const float_bits nan = mask(value != value);
  const float_bits quiet = bit_cast<float_bits>(value) | 0x00400000u;
  return (nan & quiet) | (~nan & round_number_to_bfloat16(value));
}

EIGEN_ALWAYS_INLINE packet<float> load_half(const void* from) {
#if TWEEDIE_AVX512
  return _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(static_cast<const __m256i*>(from)));
#elif TWEEDIE_AVX && defined(__F16C__)
  return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)));
#else
  return widen_half(load_high_words(from));
#endif
}

EIGEN_ALWAYS_INLINE void store_half(void* to, packet<float> value) {
#if TWEEDIE_AVX512
  _mm256_storeu_si256(
      static_cast<__m256i*>(to),
      _mm512_maskz_cvtps_ph(0xffff, value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif TWEEDIE_AVX && defined(__F16C__)
  _mm_storeu_si128(static_cast<__m128i*>(to), _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
#else
  store_high_words(to, round_to_half(value));
#endif
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE packet<arithmetic_t<S>> load(const S* from) {
  if constexpr (std::same_as<S, arithmetic_t<S>>) {
    return Eigen::internal::ploadu<packet<S>>(from);
  } else if constexpr (std::same_as<S, float16>) {
    return load_half(from);
  } else {
    return bit_cast<packet<float>>(load_high_words(from));
  }
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE void store(S* to, packet<arithmetic_t<S>> value) {
  if constexpr (std::same_as<S, arithmetic_t<S>>) {
    Eigen::internal::pstoreu(to, value);
  } else if constexpr (std::same_as<S, float16>) {
    store_half(to, value);
  } else {
    store_high_words(to, round_to_bfloat16(value));
  }
}

// Two packets that together hold neighbouring elements; of bfloat16 the first holds those in even
// places, the second those in odd ones, parted with a shift and a mask. For work on each element by
// itself, from load_pair to store_pair.
template <storage_scalar S>
struct packet_pair {
  packet<arithmetic_t<S>> first, second;
};

// Asks for memory a kilobyte further on, which may be past the end. Processors look ahead themselves,
// but not far enough for 16-bit elements: without this a sum of three large streams takes a fifth
// longer. Floats in AVX registers lose a tenth by it.
template <storage_scalar S>
EIGEN_ALWAYS_INLINE void look_ahead(const S* from) {
  if constexpr (sizeof(S) == 2) prefetch(from + 512);
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE packet_pair<S> load_pair(const S* from) {
  look_ahead(from);
  if constexpr (std::same_as<S, bfloat16>) {
    float_bits both;
    std::memcpy(&both, from, sizeof both);
    return {bit_cast<packet<float>>(float_bits(both << 16)),
            bit_cast<packet<float>>(float_bits(both & 0xffff0000u))};
  } else {
    return {load(from), load(from + lanes<arithmetic_t<S>>)};
  }
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE void store_pair(S* to, const packet_pair<S>& values) {
  if constexpr (std::same_as<S, bfloat16>) {
    const auto put = [to](float_bits first, float_bits second) {
      const float_bits both = (first >> 16) | (second & 0xffff0000u);
      std::memcpy(static_cast<void*>(to), &both, sizeof both);
    };
    if (any_nan(values.first, values.second)) [[unlikely]]
      put(round_to_bfloat16(values.first), round_to_bfloat16(values.second));
    else
      put(round_number_to_bfloat16(values.first), round_number_to_bfloat16(values.second));
  } else {
    store(to, values.first);
    store(to + lanes<arithmetic_t<S>>, values.second);
  }
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

// The first `count` elements, or a whole packet if there are as many.
template <storage_scalar S>
EIGEN_ALWAYS_INLINE packet<arithmetic_t<S>> load_up_to(const S* from, std::size_t count) {
  return count >= lanes<arithmetic_t<S>> ? load(from) : load_partial(from, count);
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE void store_up_to(S* to, packet<arithmetic_t<S>> value, std::size_t count) {
  if (count >= lanes<arithmetic_t<S>>)
    store(to, value);
  else
    store_partial(to, value, count);
}

}  // namespace tweedie::detail
