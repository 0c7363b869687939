#include "tweedie/metric/wasserstein.hpp"

#include <gtest/gtest.h>

#include <numbers>

#include "tweedie/distribution/normal_distribution.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::VectorXd;

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

// W_2^2 of normals is (m - m')^2 + (s - s')^2; of uniform numbers on [0, 1] and [0, 2], 1/3.
TEST(wasserstein, of_quantiles_is_that_of_their_distributions) {
  std::vector<double> p, q, u, v;
  for (int i = 0; i < 4000; ++i) {
    const double share = (i + 0.5) / 4000, z = normal_quantile(share);
    p.push_back(z);
    q.push_back(1 + 1.5 * z);
    u.push_back(share);
    v.push_back(2 * share);
  }
  EXPECT_NEAR(wasserstein_power(p, q, 2), 1.25, 2e-3);
  EXPECT_NEAR(wasserstein_power(u, v, 2), 1 / 3., 1e-7);
  EXPECT_NEAR(wasserstein_power(u, v, 1), 0.5, 1e-12);
}

TEST(wasserstein, in_space_equals_sorting_on_the_line_and_bounds_slices) {
  std::srand(7);
  const MatrixXd x = MatrixXd::Random(1, 30), y = 2 * MatrixXd::Random(1, 30);
  for (const double p : {1.0, 2.0, 3.0})
    EXPECT_NEAR(std::pow(wasserstein(x, y, p), p),
                wasserstein_power({x.data(), x.data() + 30}, {y.data(), y.data() + 30}, p), 1e-13);
  const Eigen::MatrixXf a = Eigen::MatrixXf::Random(3, 20), b = Eigen::MatrixXf::Random(3, 20),
                        c = Eigen::MatrixXf::Random(3, 20);
  EXPECT_LE(sliced_wasserstein(a, b, MatrixXd::Random(3, 50)), wasserstein(a, b));
  EXPECT_LE(wasserstein(a, c), wasserstein(a, b) + wasserstein(b, c));
  EXPECT_NEAR(wasserstein(a, (a.colwise() + Eigen::Vector3f(2, -1, 2)).eval()), 3, 1e-6);
  EXPECT_EQ(wasserstein(a, a.rowwise().reverse()), 0);
  EXPECT_THROW(wasserstein(x, y.leftCols(29)), std::invalid_argument);
  EXPECT_THROW(wasserstein(x, y, 0.5), std::invalid_argument);
}

// Janati et al. 2020, theorem 1, in one dimension and for |x - y|^2, epsilon = 2 s2: with D =
// sqrt(4 A B + s2^2), A + B - D + s2 (1 - log(2 s2)) + s2 log(D + s2) + (a - b)^2.
TEST(sinkhorn, cost_between_normals_has_a_closed_form) {
  const double a = 0.3, b = -0.5, first = 1.2, second = 0.4, h = 0.1;
  const int n = 161;
  const auto weights = [&](double mean, double variance) {
    VectorXd w(n);
    for (int i = 0; i < n; ++i) w[i] = std::exp(-std::pow((i - 80) * h - mean, 2) / (2 * variance));
    w = (w.array() + 1e-300).matrix() / (w.array() + 1e-300).sum();
    return std::vector<double>(w.begin(), w.end());
  };
  MatrixXd cost(n, n);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) cost(i, j) = std::pow((i - j) * h, 2);
  for (const double epsilon : {1.0, 4.0}) {
    const double s2 = epsilon / 2, d = std::sqrt(4 * first * second + s2 * s2);
    const double exact = std::pow(a - b, 2) + first + second - d + s2 * (1 - std::log(2 * s2)) +
                         s2 * std::log(d + s2);
    EXPECT_NEAR(sinkhorn(cost, weights(a, first), weights(b, second), epsilon).cost, exact, 1e-8);
  }
}

TEST(sinkhorn_divergence, is_a_distance_between_its_limits) {
  std::srand(8);
  const MatrixXd x = MatrixXd::Random(2, 12), y = MatrixXd::Random(2, 12) * 0.5;
  EXPECT_NEAR(sinkhorn_divergence(x, x, 0.3), 0, 1e-14);
  const double exact = std::pow(wasserstein(x, y), 2);
  const double near = std::abs(sinkhorn_divergence(x, y, 0.03, 1e-7) - exact);
  EXPECT_LT(near, 0.03 * exact);
  EXPECT_LT(near, std::abs(sinkhorn_divergence(x, y, 0.3) - exact));
  EXPECT_NEAR(sinkhorn_divergence(x, y, 1e6),
              (x.rowwise().mean() - y.rowwise().mean()).squaredNorm(), 1e-6);
  EXPECT_GT(sinkhorn_divergence(x, y.leftCols(7), 0.1), 0);
  EXPECT_THROW(sinkhorn_divergence(x, MatrixXd::Zero(3, 2), 1), std::invalid_argument);
  EXPECT_THROW(sinkhorn_divergence(x, y, 0), std::invalid_argument);
}

TEST(wasserstein, refuses_what_is_not_finite) {
  const MatrixXd x = MatrixXd::Ones(1, 3), direction = MatrixXd::Ones(1, 1);
  MatrixXd bad = x;
  bad(0, 1) = NAN;
  EXPECT_THROW(sliced_wasserstein(x, bad, direction), std::invalid_argument);
  EXPECT_THROW(sliced_wasserstein(x, x, direction * INFINITY), std::invalid_argument);
  EXPECT_THROW(sliced_wasserstein(x, x, direction, INFINITY), std::invalid_argument);
  EXPECT_THROW(wasserstein_power({0, NAN}, {0}, 2), std::invalid_argument);
  EXPECT_THROW(wasserstein_power({0}, {-INFINITY}, 2), std::invalid_argument);
  EXPECT_THROW(wasserstein_power({0}, {1}, INFINITY), std::invalid_argument);
  EXPECT_THROW(wasserstein(x, bad), std::invalid_argument);
}

}  // namespace
