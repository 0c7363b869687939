// Standard normal and uniform numbers as pure functions of (seed, item, draw, position).
//
// Philox4x32-10 and Box-Muller. The same key gives the same bits whatever range it is part of, on
// any number of threads. Between builds with and without fused multiply-add the last bits differ;
// half and bfloat16 are the float numbers, rounded. float reaches |z| = 6.76, double 9.5.
//
// Limits: item and draw below 2^32, position below 2^50.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tweedie/tensor/box_muller.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/philox_packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

// Writes the normals of positions first, first + 1, ... of a stream.
template <storage_scalar S>
void fill_normal(noise_key key, std::uint64_t first, std::span<S> out);

// The same for uniforms in [0, 1), multiples of 2^-24 (float) or 2^-53 (double).
template <std::floating_point S>
void fill_uniform(noise_key key, std::uint64_t first, std::span<S> out);

template <storage_scalar S>
S normal_at(noise_key key, std::uint64_t position) {
  S z;
  fill_normal(key, position, std::span<S>(&z, 1));
  return z;
}

template <std::floating_point S>
S uniform_at(noise_key key, std::uint64_t position) {
  S u;
  fill_uniform(key, position, std::span<S>(&u, 1));
  return u;
}

namespace detail {

// Streams of different purposes never meet: the purpose is part of the counter.
enum class purpose : std::uint32_t { normal_float, normal_double, uniform_float, uniform_double };

// Counters are taken 16 at a time. Word w of counter c of a tile belongs to position 16 w + c, so
// that packets of any width up to 16 lanes are stored without shuffling.
inline constexpr std::size_t counters_per_tile = 16;
static_assert(counters_per_tile % float_lanes == 0);

// A double takes two words.
template <class A>
inline constexpr std::size_t tile_size = counters_per_tile * (std::same_as<A, double> ? 2 : 4);

// Low halves first, first + stride, first + 2 stride, ...
EIGEN_ALWAYS_INLINE wide counting(std::uint64_t first, std::uint64_t stride) {
  std::uint64_t values[wide_lanes];
  for (std::size_t i = 0; i < wide_lanes; ++i) values[i] = first + i * stride;
  return std::bit_cast<wide>(values);
}

EIGEN_ALWAYS_INLINE tile_counter tile_at(noise_key key, purpose use, std::uint64_t tile) {
  const std::uint64_t counter = tile * counters_per_tile;
  return {static_cast<std::uint32_t>(counter),
          static_cast<std::uint32_t>(counter >> 32) | static_cast<std::uint32_t>(use) << 24, key};
}

// Philox words of float_lanes consecutive counters, one packet of bits for each word.
struct word_packets {
  float_bits word[4];
};

template <class Wide = wide>
EIGEN_ALWAYS_INLINE word_packets philox_packets(std::size_t offset, const tile_counter& tile) {
  word_packets out;
  if constexpr (std::is_arithmetic_v<Wide>) {
    const wide_block a = philox_wide(Wide{tile.low + offset}, tile);
    for (int w = 0; w < 4; ++w) out.word[w] = static_cast<float_bits>(Wide{a.word[w]});
  } else {
    // Even counters and odd counters interleave to consecutive ones.
    const wide_block even = philox_wide(counting(tile.low + offset, 2), tile);
    const wide_block odd = philox_wide(counting(tile.low + offset + 1, 2), tile);
    for (int w = 0; w < 4; ++w) {
      out.word[w] =
          std::bit_cast<float_bits>(Wide((even.word[w] & 0xffffffffu) | (odd.word[w] << 32)));
    }
  }
  return out;
}

EIGEN_ALWAYS_INLINE void normal_tile(const tile_counter& tile, float* out) {
  for (std::size_t c = 0; c < counters_per_tile; c += float_lanes) {
    const word_packets bits = philox_packets(c, tile);
    const pair_of<float> a = box_muller(bits.word[0], bits.word[1]);
    const pair_of<float> b = box_muller(bits.word[2], bits.word[3]);
    store(out + c, a.first);
    store(out + c + 16, a.second);
    store(out + c + 32, b.first);
    store(out + c + 48, b.second);
  }
}

EIGEN_ALWAYS_INLINE void normal_tile(const tile_counter& tile, double* out) {
  for (std::size_t c = 0; c < counters_per_tile; c += wide_lanes) {
    const pair_of<double> a = box_muller(philox_wide(counting(tile.low + c, 1), tile));
    store(out + c, a.first);
    store(out + c + 16, a.second);
  }
}

EIGEN_ALWAYS_INLINE void uniform_tile(const tile_counter& tile, float* out) {
  for (std::size_t c = 0; c < counters_per_tile; ++c) {
    const philox_counter words = philox4x32(
        {tile.low + static_cast<std::uint32_t>(c), tile.high, tile.key.item, tile.key.draw},
        {static_cast<std::uint32_t>(tile.key.seed),
         static_cast<std::uint32_t>(tile.key.seed >> 32)});
    for (std::size_t w = 0; w < 4; ++w) {
      out[16 * w + c] = static_cast<float>(words[w] >> 8) * 0x1p-24f;
    }
  }
}

EIGEN_ALWAYS_INLINE void uniform_tile(const tile_counter& tile, double* out) {
  for (std::size_t c = 0; c < counters_per_tile; ++c) {
    const philox_counter words = philox4x32(
        {tile.low + static_cast<std::uint32_t>(c), tile.high, tile.key.item, tile.key.draw},
        {static_cast<std::uint32_t>(tile.key.seed),
         static_cast<std::uint32_t>(tile.key.seed >> 32)});
    for (std::size_t w = 0; w < 2; ++w) {
      const std::uint64_t bits = std::uint64_t{words[2 * w]} << 21 | words[2 * w + 1] >> 11;
      out[16 * w + c] = static_cast<double>(bits) * 0x1p-53;
    }
  }
}

// Calls tile(counter, A*) for the tiles that cover the range; whole tiles go straight to `out`.
template <class A, storage_scalar S, class Tile>
EIGEN_ALWAYS_INLINE void fill_tiles(noise_key key, purpose use, std::uint64_t first, S* out,
                                    std::size_t n, Tile tile) {
  constexpr std::size_t size = tile_size<A>;
  std::uint64_t index = first / size;
  std::size_t skipped = static_cast<std::size_t>(first % size);
  while (n > 0) {
    const std::size_t count = std::min(n, size - skipped);
    bool direct = false;
    if constexpr (std::same_as<S, A>) {
      direct = count == size;
      if (direct) tile(tile_at(key, use, index), out);
    }
    if (!direct) {
      A buffer[size];
      tile(tile_at(key, use, index), buffer);
      std::transform(buffer + skipped, buffer + skipped + count, out,
                     [](A value) { return static_cast<S>(value); });
    }
    out += count;
    n -= count;
    skipped = 0;
    ++index;
  }
}

}  // namespace detail

template <storage_scalar S>
void fill_normal(noise_key key, std::uint64_t first, std::span<S> out) {
  using A = arithmetic_t<S>;
  const auto use =
      std::same_as<A, double> ? detail::purpose::normal_double : detail::purpose::normal_float;
  detail::fill_tiles<A>(key, use, first, out.data(), out.size(),
                        [](const detail::tile_counter& t, A* to) { detail::normal_tile(t, to); });
}

template <std::floating_point S>
void fill_uniform(noise_key key, std::uint64_t first, std::span<S> out) {
  const auto use =
      std::same_as<S, double> ? detail::purpose::uniform_double : detail::purpose::uniform_float;
  detail::fill_tiles<S>(key, use, first, out.data(), out.size(),
                        [](const detail::tile_counter& t, S* to) { detail::uniform_tile(t, to); });
}

}  // namespace tweedie
