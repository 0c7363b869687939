#include "tweedie/tensor/philox.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tweedie/tensor/philox_packet.hpp"

namespace {

using namespace tweedie;

// Known answers for philox4x32, 10 rounds: random123, tests/kat_vectors.
static_assert(philox4x32({0, 0, 0, 0}, {0, 0}) ==
              philox_counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                         {0xffffffff, 0xffffffff}) ==
              philox_counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                         {0xa4093822, 0x299f31d0}) ==
              philox_counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

TEST(philox, packets_equal_the_scalar_definition) {
  std::mt19937_64 random(3);
  for (int trial = 0; trial < 1000; ++trial) {
    const noise_key key{random(), static_cast<std::uint32_t>(random()),
                        static_cast<std::uint32_t>(random())};
    const auto high = static_cast<std::uint32_t>(random());
    const auto low = static_cast<std::uint32_t>(random());
    const detail::philox_stream stream(key);
    const detail::wide_block packets = stream.words_of(detail::counting<1>(low), stream.at(high));
    for (std::uint32_t lane = 0; lane < detail::wide_lanes; ++lane) {
      const philox_counter expected = philox4x32(
          {low + lane, high, key.item, key.draw},
          {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)});
      for (std::size_t word = 0; word < 4; ++word) {
        std::uint64_t lanes[detail::wide_lanes];
        std::memcpy(lanes, &packets.word[word], sizeof lanes);
        ASSERT_EQ(static_cast<std::uint32_t>(lanes[lane]), expected[word]);
      }
    }
  }
}

}  // namespace
