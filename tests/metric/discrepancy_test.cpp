#include "tweedie/metric/discrepancy.hpp"

#include <gtest/gtest.h>

#include <numbers>

#include "tweedie/distribution/normal_distribution.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;

// Estimates of subsets are unbiased, as that of all pairs: their mean is within their spread of it.
TEST(mmd, of_subsets_is_that_of_all_on_average) {
  std::srand(3);
  const MatrixXd x = MatrixXd::Random(4, 120), y = 1.1 * MatrixXd::Random(4, 90);
  const double all = squared_mmd(x, y, cubic_kernel(), pair_estimate::unbiased);
  const subset_estimate some = squared_mmd_of_subsets(x, y, cubic_kernel(), 200, 30, 1);
  EXPECT_NEAR(some.mean, all, 4 * some.deviation / std::sqrt(200));
  EXPECT_GT(some.deviation, 0);
  // All points in every subset: each estimate is that of all.
  const subset_estimate whole = squared_mmd_of_subsets(x.leftCols(90), y, cubic_kernel(), 3, 90, 1);
  EXPECT_NEAR(whole.mean, squared_mmd(x.leftCols(90), y, cubic_kernel(), pair_estimate::unbiased),
              1e-14);
  EXPECT_NEAR(whole.deviation, 0, 1e-9);
  EXPECT_EQ(squared_mmd_of_subsets(x, y, cubic_kernel(), 4, 10, 5).mean,
            squared_mmd_of_subsets(x, y, cubic_kernel(), 4, 10, 5).mean);
  EXPECT_NE(squared_mmd_of_subsets(x, y, cubic_kernel(), 4, 10, 5).mean,
            squared_mmd_of_subsets(x, y, cubic_kernel(), 4, 10, 6).mean);
  EXPECT_THROW(squared_mmd_of_subsets(x, y, cubic_kernel(), 4, 91, 5), std::invalid_argument);
  EXPECT_THROW(squared_mmd_of_subsets(x, y, cubic_kernel(), 1, 10, 5), std::invalid_argument);
}

TEST(mmd, is_zero_for_equal_sets_and_matches_the_definition) {
  std::srand(1);
  const MatrixXd x = MatrixXd::Random(3, 7), y = MatrixXd::Random(3, 5);
  EXPECT_NEAR(squared_mmd(x, x, gaussian_kernel{0.7}, pair_estimate::biased), 0, 1e-15);
  EXPECT_GT(squared_mmd(x, y, gaussian_kernel{0.7}, pair_estimate::biased), 0);
  const auto k = [](const auto& a, const auto& b) { return std::pow(a.dot(b) / 3 + 1, 3); };
  double xx = 0, yy = 0, xy = 0;
  for (int i = 0; i < 7; ++i)
    for (int j = 0; j < 7; ++j) xx += i == j ? 0 : k(x.col(i), x.col(j)) / 42;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 5; ++j) yy += i == j ? 0 : k(y.col(i), y.col(j)) / 20;
  for (int i = 0; i < 7; ++i)
    for (int j = 0; j < 5; ++j) xy += k(x.col(i), y.col(j)) / 35;
  EXPECT_NEAR(squared_mmd(x, y, cubic_kernel(), pair_estimate::unbiased), xx + yy - 2 * xy, 1e-13);
  EXPECT_THROW(squared_mmd(x, MatrixXd(2, 5), cubic_kernel(), pair_estimate::biased),
               std::invalid_argument);
  EXPECT_THROW(squared_mmd(x, y.leftCols(1), cubic_kernel(), pair_estimate::unbiased),
               std::invalid_argument);
}

TEST(energy_distance, on_the_line_is_the_cramer_distance) {
  // 2 int (F - G)^2 for two points against one: F steps at 0 and 1, G at 3.
  MatrixXd x(1, 2), y(1, 1);
  x << 0, 1;
  y << 3;
  EXPECT_NEAR(energy_distance(x, y), 2 * (0.25 * 1 + 1 * 2), 1e-15);
  EXPECT_NEAR(energy_distance(x, x), 0, 1e-15);
}

// Medians of cells in place of random numbers.
MatrixXd normal_points(int n, double mean, double deviation) {
  MatrixXd x(1, n);
  for (int i = 0; i < n; ++i) x(0, i) = mean + deviation * normal_quantile((i + 0.5) / n);
  return x;
}

TEST(discrepancy, of_normals_has_a_closed_form) {
  const MatrixXd x = normal_points(700, 0, 1), y = normal_points(500, 1, 1.5);
  // E k(x, y) = w/sqrt(w^2 + v) exp(-m^2/(2 (w^2 + v))), x - y ~ N(m, v).
  const double w = 0.8;
  const auto likeness = [w](double m, double v) {
    return w / std::sqrt(w * w + v) * std::exp(-m * m / (2 * (w * w + v)));
  };
  EXPECT_NEAR(squared_mmd(x, y, gaussian_kernel(w), pair_estimate::biased),
              likeness(0, 2) + likeness(0, 4.5) - 2 * likeness(1, 3.25), 1e-4);
  const auto distance = [](double m, double v) {
    return std::sqrt(2 * v / std::numbers::pi) * std::exp(-m * m / (2 * v)) +
           m * std::erf(m / std::sqrt(2 * v));
  };
  EXPECT_NEAR(energy_distance(x, y), 2 * distance(1, 3.25) - distance(0, 2) - distance(0, 4.5),
              1e-3);
}

TEST(discrepancy, of_many_blocks_equals_the_loop_over_pairs) {
  std::srand(3);
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(5, 300), y = Eigen::MatrixXf::Random(5, 270);
  const auto mean = [](const Eigen::MatrixXf& a, const Eigen::MatrixXf& b) {
    double sum = 0;
    for (int i = 0; i < a.cols(); ++i)
      for (int j = 0; j < b.cols(); ++j)
        sum += (a.col(i).cast<double>() - b.col(j).cast<double>()).norm();
    return sum / static_cast<double>(a.cols() * b.cols());
  };
  // Sums of 1e5 terms of about 1.
  EXPECT_NEAR(energy_distance(x, y), 2 * mean(x, y) - mean(x, x) - mean(y, y), 1e-12);
}

TEST(discrepancy, of_near_points_far_from_the_origin_keeps_its_digits) {
  MatrixXd x(2, 1), y(2, 1);
  x << 1e6, -1e6;
  y << 1e6 + 3 * 0x1p-20, -1e6 + 4 * 0x1p-20;
  EXPECT_EQ(energy_distance(x, y), 10 * 0x1p-20);
  EXPECT_EQ(energy_distance(x, x), 0);
}

TEST(discrepancy, refuses_what_is_not_finite) {
  const MatrixXd x = MatrixXd::Ones(1, 3);
  MatrixXd bad = x;
  bad(0, 1) = NAN;
  EXPECT_THROW(squared_mmd(x, bad, gaussian_kernel(), pair_estimate::biased),
               std::invalid_argument);
  EXPECT_THROW(energy_distance(bad, x), std::invalid_argument);
  EXPECT_THROW(gaussian_kernel{0}, std::invalid_argument);
  EXPECT_THROW(gaussian_kernel{NAN}, std::invalid_argument);
  EXPECT_EQ(squared_mmd(x, x, gaussian_kernel{1e-200}, pair_estimate::biased), 0);
}

}  // namespace
