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
using scalars = testing::Types<float, double, half, bfloat16>;
TYPED_TEST_SUITE(gram_of, scalars);

TYPED_TEST(gram_of, equals_the_double_loop_for_any_number_of_threads) {
  using S = TypeParam;
  for (const std::size_t item_size : {0u, 1u, 7u, 255u, 256u, 257u, 40'000u}) {
    for (std::size_t rows = 1; rows <= 4; ++rows) {
      const std::size_t items = 3;
      std::vector<std::vector<S>> streams(rows, std::vector<S>(items * item_size));
      std::vector<const S*> pointers;
      for (std::uint32_t j = 0; j < rows; ++j) {
        fill_normal<S>({1, 0, j}, 0, streams[j]);
        pointers.push_back(streams[j].data());
      }
      std::vector<double> alone(items * rows * rows, -1), shared(alone);
      gram<S>(pointers, items, item_size, alone);
      workers threads(3);
      gram<S>(pointers, items, item_size, shared, threads);
      EXPECT_EQ(alone, shared);
      for (std::size_t item = 0; item < items; ++item) {
        for (std::size_t j = 0; j < rows; ++j) {
          for (std::size_t k = 0; k < rows; ++k) {
            double sum = 0;
            for (std::size_t i = item * item_size; i < (item + 1) * item_size; ++i) {
              sum += static_cast<double>(streams[j][i]) * static_cast<double>(streams[k][i]);
            }
            ASSERT_NEAR(alone[(item * rows + j) * rows + k], sum,
                        1e-13 * static_cast<double>(item_size));
          }
        }
      }
    }
  }
}

TEST(gram, wrong_room_for_the_result_is_refused) {
  std::vector<float> x(4);
  const float* rows[] = {x.data(), x.data()};
  std::vector<double> out(3);
  EXPECT_THROW(gram<float>(rows, 1, 4, out), std::invalid_argument);
}

}  // namespace
