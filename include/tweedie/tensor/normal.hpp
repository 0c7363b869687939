// Standard normal and uniform numbers as pure functions of (seed, item, draw, position).
//
// Philox4x32-10 and Box-Muller. The same key gives the same bits whatever range it is part of, on
// any number of threads. Between builds with and without fused multiply-add the last bits differ;
// half and bfloat16 are the float numbers, rounded. float reaches |z| = 6.76, double 9.5.
//
// Limits: item and draw below 2^32, position below 2^50.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "tweedie/tensor/box_muller.hpp"
#include "tweedie/tensor/kernel_table.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/philox_packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

// Writes the normals of positions first, first + 1, ... of a stream.
template <storage_scalar S>
void fill_normal(noise_key key, std::uint64_t first, std::span<S> out);

// The same for uniforms in [0, 1), multiples of 2^-24 (float) or 2^-52 (double).
template <std::floating_point S>
void fill_uniform(noise_key key, std::uint64_t first, std::span<S> out);

/// One number of fill_normal or fill_uniform, the same bits.
template <storage_scalar S>
S normal_at(noise_key key, std::uint64_t position) {
  S z;
  fill_normal(key, position, std::span<S>(&z, 1));
  return z;
}

/// \copydoc normal_at
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
inline constexpr std::size_t tile_size = counters_per_tile*(std::same_as<A, double> ? 2 : 4);

// Where a tile is in its stream.
struct tile_counter {
  std::uint32_t low;
  philox_stream::upper upper;
};

EIGEN_ALWAYS_INLINE tile_counter tile_at(const philox_stream& stream, purpose use,
                                         std::uint64_t tile) {
  const std::uint64_t counter = tile * counters_per_tile;
  const auto high = static_cast<std::uint32_t>(counter >> 32);
  return {static_cast<std::uint32_t>(counter),
          stream.at(high | static_cast<std::uint32_t>(use) << 24)};
}

// Philox words of float_lanes consecutive counters, one packet of bits for each word.
struct word_packets {
  float_bits word[4];
};

template <class Wide = wide>
EIGEN_ALWAYS_INLINE word_packets philox_packets(const philox_stream& stream,
                                                const tile_counter& tile, std::size_t offset) {
  word_packets out;
  const std::uint64_t low = tile.low + offset;
  if constexpr (std::is_arithmetic_v<Wide>) {
    const wide_block a = stream.words_of(Wide{low}, tile.upper);
    for (int w = 0; w < 4; ++w) out.word[w] = static_cast<float_bits>(Wide{a.word[w]});
  } else {
    // Even counters and odd counters interleave to consecutive ones, in the order in which a 64-bit
    // lane lies over two of 32 bits.
    constexpr bool little = std::endian::native == std::endian::little;
    const wide_block even = stream.words_of(counting<2>(low), tile.upper);
    const wide_block odd = stream.words_of(counting<2>(low + 1), tile.upper);
    for (int w = 0; w < 4; ++w) {
      const Wide first = little ? even.word[w] : odd.word[w];
      const Wide second = little ? odd.word[w] : even.word[w];
      out.word[w] = bit_cast<float_bits>(Wide((first & 0xffffffffu) | (second << 32)));
    }
  }
  return out;
}

struct normal_tiles {
  static EIGEN_ALWAYS_INLINE void write(const philox_stream& stream, const tile_counter& tile,
                                        float* out) {
    // Two short loops, of which the processor has several turns in work at once, are faster than a
    // long one, of which it has less than one.
    word_packets bits[counters_per_tile / float_lanes];
    for (std::size_t c = 0; c < counters_per_tile; c += float_lanes) {
      bits[c / float_lanes] = philox_packets(stream, tile, c);
    }
    for (std::size_t c = 0; c < counters_per_tile; c += float_lanes) {
      const float_bits(&word)[4] = bits[c / float_lanes].word;
      const pair_of<float> a = box_muller(word[0], word[1]);
      const pair_of<float> b = box_muller(word[2], word[3]);
      store(out + c, a.first);
      store(out + c + 16, a.second);
      store(out + c + 32, b.first);
      store(out + c + 48, b.second);
    }
  }

  static EIGEN_ALWAYS_INLINE void write(const philox_stream& stream, const tile_counter& tile,
                                        double* out) {
    for (std::size_t c = 0; c < counters_per_tile; c += wide_lanes) {
      const wide low = counting<1>(tile.low + c);
      const pair_of<double> a = box_muller(stream.words_of(low, tile.upper));
      store(out + c, a.first);
      store(out + c + 16, a.second);
    }
  }
};

struct uniform_tiles {
  static EIGEN_ALWAYS_INLINE void write(const philox_stream& stream, const tile_counter& tile,
                                        float* out) {
    for (std::size_t c = 0; c < counters_per_tile; c += float_lanes) {
      const word_packets bits = philox_packets(stream, tile, c);
      for (std::size_t w = 0; w < 4; ++w) {
        const auto value = convert_lanes<packet<float>>(float_bits(bits.word[w] >> 8));
        store(out + 16 * w + c, pmul(value, constant(0x1p-24f)));
      }
    }
  }

  static EIGEN_ALWAYS_INLINE void write(const philox_stream& stream, const tile_counter& tile,
                                        double* out) {
    for (std::size_t c = 0; c < counters_per_tile; c += wide_lanes) {
      const wide_block bits = stream.words_of(counting<1>(tile.low + c), tile.upper);
      for (std::size_t w = 0; w < 2; ++w) {
        // 32 + 20 bits as the mantissa of a number in [1, 2).
        const wide mantissa =
            (bits.word[2 * w] & 0xffffffffu) << 20 | (bits.word[2 * w + 1] & 0xffffffffu) >> 12;
        const wide in_one_two = mantissa | 0x3ff0000000000000u;
        store(out + 16 * w + c, psub(bit_cast<packet<double>>(in_one_two), constant(1.0)));
      }
    }
  }
};

// Writes elements [first, first + n) of a stream; whole tiles go straight to `out`, each after a
// call of before(i), where out[i] is its first element.
template <class Tiles, class A, storage_scalar S, class Before>
EIGEN_DONT_INLINE void fill_tiles(noise_key key, purpose use, std::uint64_t first, S* out,
                                  std::size_t n, Before before) {
  constexpr std::size_t size = tile_size<A>;
  const philox_stream stream(key);
  std::uint64_t index = first / size;
  auto skipped = static_cast<std::size_t>(first % size);
  std::size_t i = 0;
  while (i < n) {
    if constexpr (std::same_as<S, A>) {
      for (; skipped == 0 && n - i >= size; i += size) {
        before(i);
        Tiles::write(stream, tile_at(stream, use, index++), out + i);
      }
      if (i == n) return;
    }
    A buffer[size];
    Tiles::write(stream, tile_at(stream, use, index++), buffer);
    const std::size_t count = (std::min)(n - i, size - skipped);
    std::transform(buffer + skipped, buffer + skipped + count, out + i,
                   [](A value) { return static_cast<S>(value); });
    i += count;
    skipped = 0;
  }
}

// fill_normal that calls before(i) as fill_tiles does.
template <storage_scalar S, class Before>
void fill_normal(noise_key key, std::uint64_t first, std::span<S> out, Before before) {
  using A = arithmetic_t<S>;
  constexpr auto use = std::same_as<A, double> ? purpose::normal_double : purpose::normal_float;
  fill_tiles<normal_tiles, A>(key, use, first, out.data(), out.size(), before);
}

template <std::floating_point S>
void own_fill_uniform(noise_key key, std::uint64_t first, std::span<S> out) {
  constexpr auto use = std::same_as<S, double> ? purpose::uniform_double : purpose::uniform_float;
  fill_tiles<uniform_tiles, S>(key, use, first, out.data(), out.size(), [](std::size_t) {});
}

}  // namespace detail

template <storage_scalar S>
void fill_normal(noise_key key, std::uint64_t first, std::span<S> out) {
  if constexpr (detail::kernels_elsewhere)
    detail::kernels<S>().fill_normal(&key, first, out.data(), out.size());
  else
    detail::fill_normal(key, first, out, [](std::size_t) {});
}

template <std::floating_point S>
void fill_uniform(noise_key key, std::uint64_t first, std::span<S> out) {
  if constexpr (detail::kernels_elsewhere)
    detail::kernels<S>().fill_uniform(&key, first, out.data(), out.size());
  else
    detail::own_fill_uniform(key, first, out);
}

}  // namespace tweedie
