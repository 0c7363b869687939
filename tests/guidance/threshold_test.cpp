#include "tweedie/guidance/threshold.hpp"

#include <gtest/gtest.h>

namespace tweedie {
namespace {

template <class S>
class every_scalar : public testing::Test {};
using scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(every_scalar, scalars);

TYPED_TEST(every_scalar, each_item_has_its_own_threshold) {
  std::vector<TypeParam> x{-4, 2, 1, 0, 0.5, -0.25, 0.125, 0};
  dynamic_threshold threshold{1.0, 3.0};
  threshold(std::span<TypeParam>(x), 2, node{});
  EXPECT_EQ(x, (std::vector<TypeParam>{-1, static_cast<TypeParam>(2.0 / 3),
                                       static_cast<TypeParam>(1.0 / 3), 0, 0.5, -0.25, 0.125, 0}));
}

TYPED_TEST(every_scalar, small_estimates_are_left_alone) {
  std::vector<TypeParam> x{-1, 0.5, 0.75, 1};
  const std::vector<TypeParam> before = x;
  dynamic_threshold{}(std::span<TypeParam>(x), 1, node{});
  EXPECT_EQ(x, before);
}

TYPED_TEST(every_scalar, without_a_maximum_the_largest_value_becomes_one) {
  std::vector<TypeParam> x{-8, 4, 2, 1};
  dynamic_threshold{1.0}(std::span<TypeParam>(x), 1, node{});
  EXPECT_EQ(x, (std::vector<TypeParam>{-1, 0.5, 0.25, 0.125}));
}

}  // namespace
}  // namespace tweedie
