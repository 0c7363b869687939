#include "tweedie/process/log1p_minus.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tweedie {
namespace {

// From -x^2/2 + x^3/3 - ..., summed exactly.
TEST(log1p_minus, keeps_its_digits_near_zero) {
  EXPECT_EQ(log1p_minus(0), 0);
  EXPECT_NEAR(log1p_minus(1e-9) / -4.9999999966666666692e-19, 1, 1e-15);
  EXPECT_NEAR(log1p_minus(-0.05) / -0.0012932943875505334, 1, 1e-13);
  // The series meets the difference where it ends.
  for (const double x : {-0.1, 0.1})
    EXPECT_NEAR(log1p_minus(x) / log1p_minus(std::nextafter(x, 2 * x)), 1, 1e-13);
}

TEST(log1p_minus, is_the_difference_elsewhere_and_infinite_at_its_end) {
  for (const double x : {-0.9, -0.5, 0.7, 3.0, 1e6})
    EXPECT_NEAR(log1p_minus(x), std::log1p(x) - x, 1e-14 * x * x);
  EXPECT_EQ(log1p_minus(-1), -std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace tweedie
