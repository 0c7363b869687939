#include "tweedie/interop/counter_random.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tweedie/tensor/philox.hpp"

namespace tweedie {
namespace {

// Random123, tests/kat_vectors.
TEST(counter_random, has_the_known_answers) {
  constexpr std::uint32_t ones = 0xffffffff;
  EXPECT_EQ((philox<std::uint32_t, 4>({ones, ones, ones, ones}, {ones, ones}, 7)),
            (std::array<std::uint32_t, 4>{0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662}));
  EXPECT_EQ((philox<std::uint32_t, 2>({0, 0}, {0}, 7)),
            (std::array<std::uint32_t, 2>{0x257a3673, 0xcd26be2a}));
}

// numpy.random.Philox(key=12345): the counter is raised to 1 before the first block.
TEST(counter_random, gives_numpys_words) {
  EXPECT_EQ((philox<std::uint64_t, 4>({1, 0, 0, 0}, {12345, 0})),
            (std::array<std::uint64_t, 4>{0xa5792c0a0ed6a560, 0xc63666ba8b756514,
                                          0xc953e311f634209d, 0x28db5404d83fac91}));
}

TEST(counter_random, contains_the_librarys_own_stream) {
  for (std::uint32_t i = 0; i < 20; ++i) {
    const philox_counter c{i, 7 * i, ~i, 3};
    const philox_key k{i * i, 11};
    EXPECT_EQ((philox<std::uint32_t, 4>(c, k)), philox4x32(c, k));
  }
}

TEST(counter_random, blocks_are_bijections) {
  std::set<std::array<std::uint32_t, 2>> seen;
  for (std::uint32_t i = 0; i < 2000; ++i) seen.insert(threefry<std::uint32_t, 2>({i, 0}, {42, 1}));
  EXPECT_EQ(seen.size(), 2000U);
}

}  // namespace
}  // namespace tweedie
