// Philox4x32-10 for as many counters at a time as the hardware has lanes.
//
// Words travel in the low halves of 64-bit lanes, where one multiply instruction gives the whole
// 64-bit product and garbage in the high halves does no harm.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/philox.hpp"

namespace tweedie {

// Names one stream of numbers: one draw of one batch item.
struct noise_key {
  std::uint64_t seed = 0;
  std::uint32_t item = 0;
  std::uint32_t draw = 0;

  friend bool operator==(const noise_key&, const noise_key&) = default;
};

namespace detail {

// 64-bit lanes of which the low half carries a Philox word; the high half is ignored.
inline constexpr std::size_t wide_lanes = float_lanes == 1 ? 1 : float_lanes / 2;
using wide = words<std::uint64_t, wide_lanes>;

EIGEN_ALWAYS_INLINE wide spread(std::uint64_t value) { return wide{} + value; }

// Product of the low halves.
EIGEN_ALWAYS_INLINE wide multiply_low(wide a, std::uint32_t b) {
#if defined(EIGEN_VECTORIZE_AVX512)
  return std::bit_cast<wide>(_mm512_mul_epu32(std::bit_cast<__m512i>(a), _mm512_set1_epi64(b)));
#elif defined(EIGEN_VECTORIZE_AVX2)
  return std::bit_cast<wide>(_mm256_mul_epu32(std::bit_cast<__m256i>(a), _mm256_set1_epi64x(b)));
#elif defined(EIGEN_VECTORIZE_SSE2) && !defined(EIGEN_VECTORIZE_AVX)
  return std::bit_cast<wide>(_mm_mul_epu32(std::bit_cast<__m128i>(a), _mm_set1_epi64x(b)));
#else
  return (a & 0xffffffffu) * std::uint64_t{b};
#endif
}

struct wide_block {
  wide word[4];
};

// What the counters of a tile share. The first round of Philox, and half of the second, depend on
// these words only and are done once per tile.
struct tile_counter {
  std::uint32_t low;   // first counter
  std::uint32_t high;  // upper counter word
  noise_key key;
};

template <int Round>
EIGEN_ALWAYS_INLINE wide_block philox_rounds(wide_block c, std::uint32_t k0, std::uint32_t k1) {
  if constexpr (Round == 10) {
    return c;
  } else {
    const wide p0 = multiply_low(c.word[0], philox_multiplier[0]);
    const wide p1 = multiply_low(c.word[2], philox_multiplier[1]);
    const wide_block next{(p1 >> 32) ^ c.word[1] ^ std::uint64_t{k0}, p1,
                          (p0 >> 32) ^ c.word[3] ^ std::uint64_t{k1}, p0};
    return philox_rounds<Round + 1>(next, k0 + philox_weyl[0], k1 + philox_weyl[1]);
  }
}

// philox4x32({low, high, item, draw}, seed) for the low halves of `low`.
EIGEN_ALWAYS_INLINE wide_block philox_wide(wide low, const tile_counter& shared) {
  const auto k0 = static_cast<std::uint32_t>(shared.key.seed);
  const auto k1 = static_cast<std::uint32_t>(shared.key.seed >> 32);
  const std::uint64_t p1 = std::uint64_t{philox_multiplier[1]} * shared.key.item;
  const wide p0 = multiply_low(low, philox_multiplier[0]);
  // Words 0 and 1 after the first round are scalars; the second round's product of word 0 too.
  const std::uint64_t word0 = (p1 >> 32) ^ shared.high ^ k0;
  const wide word2 = (p0 >> 32) ^ std::uint64_t{shared.key.draw ^ k1};
  const std::uint64_t q0 =
      std::uint64_t{philox_multiplier[0]} * static_cast<std::uint32_t>(word0);
  const wide q1 = multiply_low(word2, philox_multiplier[1]);
  const std::uint32_t l0 = k0 + philox_weyl[0];
  const std::uint32_t l1 = k1 + philox_weyl[1];
  const wide_block second{(q1 >> 32) ^ ((p1 & 0xffffffffu) ^ l0), q1, p0 ^ ((q0 >> 32) ^ l1),
                          spread(q0)};
  return philox_rounds<2>(second, l0 + philox_weyl[0], l1 + philox_weyl[1]);
}

}  // namespace detail

}  // namespace tweedie
