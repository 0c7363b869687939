#include "tweedie/tensor/gram.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tweedie/tensor/normal.hpp"

namespace {

using namespace tweedie;

template <class S>
class gram_of : public testing::Test {};
using scalars = testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(gram_of, scalars);

TYPED_TEST(gram_of, equals_the_double_loop) {
  using S = TypeParam;
  for (const std::size_t size : {0u, 1u, 7u, 255u, 256u, 257u, 40'000u})
    for (std::size_t rows = 0; rows <= 6; ++rows) {
      constexpr std::size_t first = 5;
      std::vector<std::vector<S>> streams(rows, std::vector<S>(first + size));
      std::vector<const S*> pointers;
      for (std::uint32_t j = 0; j < rows; ++j) {
        fill_normal<S>({1, 0, j}, 0, std::span<S>(streams[j]));
        pointers.push_back(streams[j].data());
      }
      const std::size_t width = rows + 1;
      std::vector<double> ours(width * width, -1);
      gram<S>(pointers, first, size, ours);
      const auto value = [&](std::size_t j, std::size_t i) {
        return j == rows ? 1 : static_cast<double>(streams[j][i]);
      };
      for (std::size_t j = 0; j < width; ++j)
        for (std::size_t k = 0; k < width; ++k) {
          long double sum = 0;
          for (std::size_t i = first; i < first + size; ++i)
            sum += static_cast<long double>(value(j, i)) * value(k, i);
          ASSERT_NEAR(ours[j * width + k], static_cast<double>(sum),
                      1e-13 * static_cast<double>(size));
        }
    }
}

// Streams that differ by 2^-12, of which float sums would keep nothing.
TEST(gram, keeps_small_differences) {
  const std::vector<float> a(1000, 1), b(1000, 1 + 0x1p-12f);
  const float* rows[] = {a.data(), b.data()};
  std::vector<double> g(9);
  gram<float>(rows, 0, 1000, g);
  EXPECT_NEAR((g[0] - 2 * g[1] + g[4]) / (1000 * 0x1p-24), 1, 1e-6);
}

TEST(gram, wrong_room_for_the_result_is_refused) {
  std::vector<float> x(4);
  const float* rows[] = {x.data(), x.data()};
  std::vector<double> out(4);
  EXPECT_THROW(gram<float>(rows, 0, 4, out), std::invalid_argument);
}

}  // namespace
