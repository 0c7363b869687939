#include "tweedie/metric/discrepancy.hpp"

#include <gtest/gtest.h>

#include <numbers>

namespace {

using namespace tweedie;
using Eigen::MatrixXd;

TEST(mmd, is_zero_for_equal_sets_and_matches_the_definition) {
  std::srand(1);
  const MatrixXd x = MatrixXd::Random(3, 7), y = MatrixXd::Random(3, 5);
  EXPECT_NEAR(squared_mmd(x, x, gaussian_kernel{0.7}, pair_estimate::biased), 0, 1e-15);
  EXPECT_GT(squared_mmd(x, y, gaussian_kernel{0.7}, pair_estimate::biased), 0);
  const cubic_kernel k;
  double xx = 0, yy = 0, xy = 0;
  for (int i = 0; i < 7; ++i)
    for (int j = 0; j < 7; ++j) xx += i == j ? 0 : k(x.col(i), x.col(j)) / 42;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 5; ++j) yy += i == j ? 0 : k(y.col(i), y.col(j)) / 20;
  for (int i = 0; i < 7; ++i)
    for (int j = 0; j < 5; ++j) xy += k(x.col(i), y.col(j)) / 35;
  EXPECT_NEAR(squared_mmd(x, y, k, pair_estimate::unbiased), xx + yy - 2 * xy, 1e-13);
  EXPECT_THROW(squared_mmd(x, MatrixXd(2, 5), k, pair_estimate::biased), std::invalid_argument);
  EXPECT_THROW(squared_mmd(x, y.leftCols(1), k, pair_estimate::unbiased), std::invalid_argument);
}

TEST(energy_distance, on_the_line_is_the_cramer_distance) {
  // 2 int (F - G)^2 for two points against one: F steps at 0 and 1, G at 3.
  MatrixXd x(1, 2), y(1, 1);
  x << 0, 1;
  y << 3;
  EXPECT_NEAR(energy_distance(x, y), 2 * (0.25 * 1 + 1 * 2), 1e-15);
  EXPECT_NEAR(energy_distance(x, x), 0, 1e-15);
}

TEST(wasserstein, of_samples_of_different_sizes) {
  EXPECT_DOUBLE_EQ(wasserstein_power({0, 1}, {2, 3}, 1), 2);
  EXPECT_DOUBLE_EQ(wasserstein_power({3, 1}, {2, 0}, 2), 1);
  // Quantiles of {0, 3} and {0, 0, 3}: they differ on (1/2, 2/3).
  EXPECT_NEAR(wasserstein_power({0, 3}, {0, 3, 0}, 1), 0.5, 1e-15);
  EXPECT_NEAR(wasserstein_power({0, 3}, {0, 3, 0}, 2), 1.5, 1e-15);
  EXPECT_EQ(wasserstein_power({5}, {5, 5, 5}, 2), 0);
  EXPECT_THROW(wasserstein_power({}, {1}, 2), std::invalid_argument);
}

TEST(sliced_wasserstein, of_a_shift_is_its_mean_squared_projection) {
  std::srand(2);
  const MatrixXd x = MatrixXd::Random(2, 40);
  const MatrixXd y = x.colwise() + Eigen::Vector2d(0.3, -0.4);
  MatrixXd directions(2, 64);
  for (int k = 0; k < 64; ++k) {
    const double angle = std::numbers::pi * k / 64;
    directions.col(k) << 5 * std::cos(angle), 5 * std::sin(angle);
  }
  EXPECT_NEAR(sliced_wasserstein(x, y, directions), 0.5 / std::numbers::sqrt2, 1e-12);
  EXPECT_NEAR(sliced_wasserstein(x, x, directions), 0, 1e-15);
  EXPECT_THROW(sliced_wasserstein(x, y, MatrixXd::Zero(2, 1)), std::invalid_argument);
}

TEST(discrepancy, refuses_what_is_not_finite) {
  const MatrixXd x = MatrixXd::Ones(1, 3), direction = MatrixXd::Ones(1, 1);
  MatrixXd bad = x;
  bad(0, 1) = NAN;
  EXPECT_THROW(squared_mmd(x, bad, gaussian_kernel(), pair_estimate::biased),
               std::invalid_argument);
  EXPECT_THROW(energy_distance(bad, x), std::invalid_argument);
  EXPECT_THROW(sliced_wasserstein(x, bad, direction), std::invalid_argument);
  EXPECT_THROW(sliced_wasserstein(x, x, direction * INFINITY), std::invalid_argument);
  EXPECT_THROW(sliced_wasserstein(x, x, direction, INFINITY), std::invalid_argument);
  EXPECT_THROW(wasserstein_power({0, NAN}, {0}, 2), std::invalid_argument);
  EXPECT_THROW(wasserstein_power({0}, {-INFINITY}, 2), std::invalid_argument);
  EXPECT_THROW(wasserstein_power({0}, {1}, INFINITY), std::invalid_argument);
  EXPECT_THROW(gaussian_kernel{0}, std::invalid_argument);
  EXPECT_THROW(gaussian_kernel{NAN}, std::invalid_argument);
  EXPECT_EQ(squared_mmd(x, x, gaussian_kernel{1e-200}, pair_estimate::biased), 0);
}

}  // namespace
