// Philox4x32-10 for as many counters at a time as the hardware has lanes.
//
// Words travel in the low halves of 64-bit lanes, where one multiply instruction gives the whole
// 64-bit product and garbage in the high halves does no harm.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

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
#if TWEEDIE_AVX512
  return bit_cast<wide>(_mm512_maskz_mul_epu32(0xff, bit_cast<__m512i>(a), _mm512_set1_epi64(b)));
#elif TWEEDIE_AVX2
  return bit_cast<wide>(_mm256_mul_epu32(bit_cast<__m256i>(a), _mm256_set1_epi64x(b)));
#elif TWEEDIE_SSE2 && !TWEEDIE_AVX
  return bit_cast<wide>(_mm_mul_epu32(bit_cast<__m128i>(a), _mm_set1_epi64x(b)));
#else
  return (a & 0xffffffffu) * std::uint64_t{b};
#endif
}

// first, first + stride, first + 2 stride, ... in the low halves.
template <std::uint64_t Stride>
EIGEN_ALWAYS_INLINE wide counting(std::uint64_t first) {
  constexpr auto steps = [] {
    std::array<std::uint64_t, wide_lanes> values{};
    for (std::size_t i = 0; i < wide_lanes; ++i) values[i] = i * Stride;
    return values;
  }();
  return bit_cast<wide>(steps) + first;
}

struct wide_block {
  wide word[4];
};

// Philox of the counters {low, high, item, draw} under the key `seed`, for one stream. Words 0 and 1
// after the first round, and word 3 after the second, do not depend on `low`: scalars do for them.
class philox_stream {
 public:
  explicit philox_stream(noise_key key)
      : item_product_(std::uint64_t{philox_multiplier[1]} * key.item) {
    auto k0 = static_cast<std::uint32_t>(key.seed);
    auto k1 = static_cast<std::uint32_t>(key.seed >> 32);
    first_key_ = k0;
    draw_word_ = spread(key.draw ^ k1);
    second_key_[0] = k0 += philox_weyl[0];
    second_key_[1] = k1 += philox_weyl[1];
    for (wide(&pair)[2] : round_keys_) {
      pair[0] = spread(k0 += philox_weyl[0]);
      pair[1] = spread(k1 += philox_weyl[1]);
    }
  }

  // What all counters with the same upper word share.
  struct upper {
    wide word0, word2, word3;
  };
  EIGEN_ALWAYS_INLINE upper at(std::uint32_t high) const {
    const auto word0 = static_cast<std::uint32_t>(item_product_ >> 32) ^ high ^ first_key_;
    const std::uint64_t product = std::uint64_t{philox_multiplier[0]} * word0;
    return {spread(static_cast<std::uint32_t>(item_product_) ^ second_key_[0]),
            spread((product >> 32) ^ second_key_[1]), spread(product)};
  }

  // The words of the counters whose low words are in the low halves.
  EIGEN_ALWAYS_INLINE wide_block words_of(wide low, const upper& shared) const {
    const wide p0 = multiply_low(low, philox_multiplier[0]);
    const wide p1 = multiply_low((p0 >> 32) ^ draw_word_, philox_multiplier[1]);
    return rounds<0>({(p1 >> 32) ^ shared.word0, p1, p0 ^ shared.word2, shared.word3});
  }

 private:
  template <std::size_t Round>
  EIGEN_ALWAYS_INLINE wide_block rounds(wide_block c) const {
    if constexpr (Round == std::extent_v<decltype(round_keys_)>) {
      return c;
    } else {
      const wide p0 = multiply_low(c.word[0], philox_multiplier[0]);
      const wide p1 = multiply_low(c.word[2], philox_multiplier[1]);
      return rounds<Round + 1>({(p1 >> 32) ^ c.word[1] ^ round_keys_[Round][0], p1,
                                (p0 >> 32) ^ c.word[3] ^ round_keys_[Round][1], p0});
    }
  }

  wide round_keys_[8][2];
  wide draw_word_;
  std::uint64_t item_product_;
  std::uint32_t first_key_;
  std::uint32_t second_key_[2];
};

}  // namespace detail

}  // namespace tweedie
