#include "tweedie/guidance/threshold.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tweedie {
namespace {

template <class S>
class every_scalar : public testing::Test {};
using floating = testing::Types<float, double>;
TYPED_TEST_SUITE(every_scalar, floating);

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

TYPED_TEST(every_scalar, a_refused_item_leaves_all_items_as_they_were) {
  const auto nan = std::numeric_limits<TypeParam>::quiet_NaN();
  const auto infinity = std::numeric_limits<TypeParam>::infinity();
  for (const TypeParam bad : {nan, infinity}) {
    std::vector<TypeParam> x{4, -4, bad, 1};
    EXPECT_THROW(dynamic_threshold{1.0}(std::span<TypeParam>(x), 2, node{}), std::invalid_argument);
    EXPECT_EQ(x[0], 4);
    EXPECT_EQ(x[3], 1);
  }
}

TYPED_TEST(every_scalar, refuses_members_and_items_out_of_range) {
  const std::vector<TypeParam> before{4, 3, 2, 1, 0, 4, 3, 2, 1, 0};
  std::vector<TypeParam> x = before;
  const auto refuses = [&](dynamic_threshold threshold, std::size_t items) {
    EXPECT_THROW(threshold(std::span<TypeParam>(x), items, node{}), std::invalid_argument);
    EXPECT_EQ(x, before);
  };
  refuses({.ratio = 1.5}, 1);
  refuses({.ratio = NAN}, 1);
  refuses({.minimum = 0}, 1);
  refuses({.minimum = NAN}, 1);
  refuses({.maximum = 0.5}, 1);
  refuses({.maximum = NAN}, 1);
  refuses({}, 3);
  refuses({}, 0);
}

}  // namespace
}  // namespace tweedie
