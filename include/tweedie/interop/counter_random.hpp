// The counter-based generators of Random123 (Salmon et al. 2011): Philox and Threefry, in all
// widths and for any number of rounds, as other frameworks use them.
//
//   torch on CUDA, this library   philox4x32, 10 rounds
//   numpy.random.Philox           philox4x64, 10 rounds; the counter is raised before each block
//   JAX                           threefry2x32, 20 rounds
//
// A block is a bijection of the counter that depends on the key; there is no state. Words are given
// least significant first. The library's own stream (tensor/philox.hpp) is vectorised; this is not.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

namespace detail {

template <class Word>
struct wide_product {
  Word high;
  Word low;
};

template <class Word>
constexpr wide_product<Word> multiply(Word a, Word b) {
  constexpr int half_width = std::numeric_limits<Word>::digits / 2;
  constexpr Word mask = (Word{1} << half_width) - 1;
  const Word a0 = a & mask, a1 = static_cast<Word>(a >> half_width);
  const Word b0 = b & mask, b1 = static_cast<Word>(b >> half_width);
  const Word low = static_cast<Word>(a0 * b0);
  const Word cross = static_cast<Word>(a1 * b0 + (low >> half_width));
  const Word middle = static_cast<Word>(a0 * b1 + (cross & mask));
  return {static_cast<Word>(a1 * b1 + (cross >> half_width) + (middle >> half_width)),
          static_cast<Word>(a * b)};
}

template <class Word>
constexpr Word rotate_left(Word x, int n) {
  return static_cast<Word>((x << n) | (x >> (std::numeric_limits<Word>::digits - n)));
}

template <class Word, std::size_t N>
struct philox_constants;
template <>
struct philox_constants<std::uint32_t, 2> {
  static constexpr std::array<std::uint32_t, 1> multiplier{0xD256D193};
  static constexpr std::array<std::uint32_t, 1> weyl{0x9E3779B9};
};
template <>
struct philox_constants<std::uint32_t, 4> {
  static constexpr std::array<std::uint32_t, 2> multiplier{0xD2511F53, 0xCD9E8D57};
  static constexpr std::array<std::uint32_t, 2> weyl{0x9E3779B9, 0xBB67AE85};
};
template <>
struct philox_constants<std::uint64_t, 2> {
  static constexpr std::array<std::uint64_t, 1> multiplier{0xD2B74407B1CE6E93};
  static constexpr std::array<std::uint64_t, 1> weyl{0x9E3779B97F4A7C15};
};
template <>
struct philox_constants<std::uint64_t, 4> {
  static constexpr std::array<std::uint64_t, 2> multiplier{0xD2E7470EE14C6C93, 0xCA5A826395121157};
  static constexpr std::array<std::uint64_t, 2> weyl{0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B};
};

template <class Word, std::size_t N>
struct threefry_constants;
template <>
struct threefry_constants<std::uint32_t, 2> {
  static constexpr std::uint32_t parity = 0x1BD11BDA;
  static constexpr std::array<std::array<int, 1>, 8> rotation{
      {{13}, {15}, {26}, {6}, {17}, {29}, {16}, {24}}};
};
template <>
struct threefry_constants<std::uint32_t, 4> {
  static constexpr std::uint32_t parity = 0x1BD11BDA;
  static constexpr std::array<std::array<int, 2>, 8> rotation{
      {{10, 26}, {11, 21}, {13, 27}, {23, 5}, {6, 20}, {17, 11}, {25, 10}, {18, 20}}};
};
template <>
struct threefry_constants<std::uint64_t, 2> {
  static constexpr std::uint64_t parity = 0x1BD11BDAA9FC1A22;
  static constexpr std::array<std::array<int, 1>, 8> rotation{
      {{16}, {42}, {12}, {31}, {16}, {32}, {24}, {21}}};
};
template <>
struct threefry_constants<std::uint64_t, 4> {
  static constexpr std::uint64_t parity = 0x1BD11BDAA9FC1A22;
  static constexpr std::array<std::array<int, 2>, 8> rotation{
      {{14, 16}, {52, 57}, {23, 40}, {5, 37}, {25, 33}, {46, 12}, {58, 22}, {32, 32}}};
};

}  // namespace detail

/// One block of Philox-NxW: N words for a key of N/2.
template <class Word, std::size_t N>
constexpr std::array<Word, N> philox(std::array<Word, N> c, std::array<Word, N / 2> key,
                                     int rounds = 10) {
  using constants = detail::philox_constants<Word, N>;
  for (int round = 0; round < rounds; ++round) {
    const auto p = detail::multiply(constants::multiplier[0], c[0]);
    if constexpr (N == 2) {
      c = {static_cast<Word>(p.high ^ key[0] ^ c[1]), p.low};
    } else {
      const auto q = detail::multiply(constants::multiplier[1], c[2]);
      c = {static_cast<Word>(q.high ^ c[1] ^ key[0]), q.low,
           static_cast<Word>(p.high ^ c[3] ^ key[1]), p.low};
    }
    for (std::size_t i = 0; i < key.size(); ++i)
      key[i] = static_cast<Word>(key[i] + constants::weyl[i]);
  }
  return c;
}

/// One block of Threefry-NxW: N words for a key of N.
template <class Word, std::size_t N>
constexpr std::array<Word, N> threefry(std::array<Word, N> c, const std::array<Word, N>& key,
                                       int rounds = 20) {
  using constants = detail::threefry_constants<Word, N>;
  std::array<Word, N + 1> schedule{};
  schedule[N] = constants::parity;
  for (std::size_t i = 0; i < N; ++i) {
    schedule[i] = key[i];
    schedule[N] ^= key[i];
  }
  const auto inject = [&](std::size_t time) {
    for (std::size_t i = 0; i < N; ++i)
      c[i] = static_cast<Word>(c[i] + schedule[(time + i) % (N + 1)]);
    c[N - 1] = static_cast<Word>(c[N - 1] + time);
  };
  inject(0);
  for (int round = 0; round < rounds; ++round) {
    const auto& rotation = constants::rotation[static_cast<std::size_t>(round % 8)];
    for (std::size_t pair = 0; pair < N / 2; ++pair) {
      // Words 1 and 3 change places every round.
      const std::size_t other = N == 4 && round % 2 == 1 ? 3 - 2 * pair : 2 * pair + 1;
      c[2 * pair] = static_cast<Word>(c[2 * pair] + c[other]);
      c[other] = detail::rotate_left(c[other], rotation[pair]) ^ c[2 * pair];
    }
    if (round % 4 == 3) inject(static_cast<std::size_t>(round) / 4 + 1);
  }
  return c;
}

}  // namespace tweedie
