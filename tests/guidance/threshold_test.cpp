#include "tweedie/guidance/threshold.hpp"

#include <gtest/gtest.h>

namespace tweedie {
namespace {

// Type 7 of Hyndman and Fan 1996, the default of R, numpy and torch.
TEST(quantile_of, interpolates_between_order_statistics) {
  const auto quantile = [](std::vector<double> v, double ratio) { return quantile_of(v, ratio); };
  EXPECT_EQ(quantile({4, 1, 3, 2}, 0), 1);
  EXPECT_EQ(quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_NEAR(quantile({4, 1, 3, 2}, 0.5), 2.5, 1e-15);
  EXPECT_NEAR(quantile({4, 1, 3, 2}, 0.9), 3.7, 1e-15);
  EXPECT_EQ(quantile({5}, 0.3), 5);
  EXPECT_THROW(quantile({}, 0.5), std::invalid_argument);
  EXPECT_THROW(quantile({1}, 1.5), std::invalid_argument);
}

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
