#include "tweedie/solve/adam.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace tweedie {
namespace {

// Whatever the size of the gradient (Kingma and Ba 2015, section 2.1).
TEST(adam, first_step_has_the_length_of_the_rate_and_minima_stay) {
  adam<float> one;
  std::vector<float> x{1, 2, 3};
  one.step(x, std::vector<float>{1e-3f, -40, 0}, 0.1);
  EXPECT_NEAR(x[0], 0.9, 1e-5);
  EXPECT_NEAR(x[1], 2.1, 1e-6);
  EXPECT_EQ(x[2], 3);
}

TEST(adam, is_the_published_recursion) {
  adam<double> descent{.first_decay = 0.8, .second_decay = 0.95};
  double x = 1, m = 0, v = 0;
  std::vector<double> ours{1, 1};
  for (int k = 1; k <= 20; ++k) {
    const double g = std::sin(3 * k) + x;
    m = 0.8 * m + 0.2 * g;
    v = 0.95 * v + 0.05 * g * g;
    x -= 0.1 * (m / (1 - std::pow(0.8, k))) / (std::sqrt(v / (1 - std::pow(0.95, k))) + 1e-8);
    descent.step(ours, std::vector<double>{g, g}, 0.1);
    EXPECT_NEAR(ours[0], x, 1e-12);
    EXPECT_EQ(ours[1], ours[0]);
  }
}

TEST(adam, refuses_other_sizes) {
  adam<float> one;
  std::vector<float> three{1, 2, 3}, two{1, 2};
  one.step(three, three, 0.1);
  EXPECT_THROW(one.step(three, two, 0.1), std::invalid_argument);
  EXPECT_THROW(one.step(two, two, 0.1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
