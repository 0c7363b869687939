#include "tweedie/metric/neighbours.hpp"

#include <gtest/gtest.h>

#include <Eigen/LU>

#include "tweedie/metric/divergence.hpp"
#include "tweedie/tensor/random.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::MatrixXf;

MatrixXd row(std::initializer_list<double> values) {
  MatrixXd x(1, static_cast<Eigen::Index>(values.size()));
  std::copy(values.begin(), values.end(), x.data());
  return x;
}

MatrixXd normals(int d, int n, std::uint64_t seed) {
  MatrixXd x(d, n);
  fill_standard_normal(x, seed);
  return x;
}

TEST(neighbours, distances_equal_sorting) {
  const MatrixXd x = normals(3, 300, 1), y = normals(3, 270, 2);
  for (const int k : {1, 4}) {
    const Eigen::VectorXd within = neighbour_distances(x, k),
                          between = neighbour_distances(x, y, k);
    for (int i = 0; i < 300; i += 37) {
      std::vector<double> own, other;
      for (int j = 0; j < 300; ++j)
        if (j != i) own.push_back((x.col(i) - x.col(j)).norm());
      for (int j = 0; j < 270; ++j) other.push_back((x.col(i) - y.col(j)).norm());
      std::sort(own.begin(), own.end());
      std::sort(other.begin(), other.end());
      EXPECT_NEAR(within[i], own[static_cast<std::size_t>(k - 1)], 1e-14);
      EXPECT_NEAR(between[i], other[static_cast<std::size_t>(k - 1)], 1e-14);
    }
  }
  EXPECT_THROW(neighbour_distances(x, 300), std::invalid_argument);
  EXPECT_THROW(neighbour_distances(x, y, 0), std::invalid_argument);
}

TEST(entropy_of_samples, of_three_points_by_hand) {
  // r = 1, 1, 2; psi(3) - psi(1) = 1 + 1/2; the unit ball of the line has length 2.
  EXPECT_NEAR(entropy_of_samples(row({0, 1, 3}), 1), 1.5 + std::log(2) + std::log(2) / 3, 1e-15);
  EXPECT_THROW(entropy_of_samples(row({0, 0, 3}), 1), std::invalid_argument);
  EXPECT_THROW(log_ratios_of_samples(row({0, 0, 3}), row({1, 2}), 1), std::invalid_argument);
}

TEST(entropy_of_samples, of_normals_within_its_standard_error) {
  // Variance of the estimate: (Var log p + psi'(k))/n = (d/2 + psi'(3))/n, psi'(3) = 0.3949.
  for (const int d : {1, 2, 4}) {
    const double exact = d * (0.5 + 0.5 * std::log(2 * std::numbers::pi));
    const double error = std::sqrt((d / 2. + 0.3949) / 1200);
    EXPECT_NEAR(entropy_of_samples(normals(d, 1200, 7), 3), exact, 4 * error) << d;
  }
}

TEST(entropy_of_samples, follows_similarities) {
  const MatrixXd x = normals(2, 80, 3);
  MatrixXd turn(2, 2);
  turn << 0.6, -0.8, 0.8, 0.6;
  EXPECT_NEAR(entropy_of_samples((2.5 * turn * x).colwise() + Eigen::Vector2d(1, 3)),
              entropy_of_samples(x) + 2 * std::log(2.5), 1e-12);
}

TEST(kl_divergence_of_samples, by_hand_and_of_normals) {
  EXPECT_NEAR(kl_divergence_of_samples(row({0, 1}), row({3}), 1), std::log(6) / 2, 1e-15);
  // KL(N(0, I) || N(m, 2^2 I)), d = 2. Its spread over seeds at these sizes is 0.05.
  const MatrixXd x = normals(2, 1000, 11);
  const MatrixXd y = (2 * normals(2, 1300, 12)).colwise() + Eigen::Vector2d(1, 0);
  EXPECT_NEAR(kl_divergence_of_samples(x, y, 4), 2 * (std::log(2) + 0.125 - 0.5) + 0.125, 0.2);
  EXPECT_NEAR(kl_divergence_of_samples(x, normals(2, 1300, 13), 4), 0, 0.2);
}

TEST(log_ratios_of_samples, estimate_the_jensen_shannon_divergence) {
  const MatrixXd x = normals(1, 900, 21), y = (1.5 * normals(1, 900, 22).array() + 1).matrix();
  std::vector<double> at_y = log_ratios_of_samples(y, x, 40);
  for (double& l : at_y) l = -l;
  // JS(N(0, 1), N(1, 1.5^2)) = 0.099290097. Standard error sqrt((0.118 + 0.164)/(4 900)) = 0.0089 of
  // exact ratios; the variance 2/k of the estimated ones lowers the mean by about 0.005.
  EXPECT_NEAR(js_divergence_of_samples(log_ratios_of_samples(x, y, 40), at_y), 0.0993,
              0.005 + 4 * 0.0089);
}

TEST(sample_quality, of_equal_sets_is_one_and_of_distant_sets_zero) {
  const MatrixXf x = normals(3, 40, 31).cast<float>();
  const sample_quality same = quality_of_samples(x, x);
  EXPECT_EQ(same.precision, 1);
  EXPECT_EQ(same.recall, 1);
  EXPECT_DOUBLE_EQ(same.density, 1);
  EXPECT_EQ(same.coverage, 1);
  const sample_quality far = quality_of_samples(x, (x.array() + 100).matrix().eval());
  EXPECT_EQ(far.precision + far.recall + far.density + far.coverage, 0);
}

TEST(sample_quality, by_hand) {
  // Real balls of k = 1: [-1, 1], [0, 2], [1, 9]; generated ones: [-0.5, 1.5], [0.5, 2.5].
  const sample_quality q = quality_of_samples(row({0, 1, 5}), row({0.5, 1.5}), 1);
  EXPECT_EQ(q.precision, 1);    // both are in [0, 2]
  EXPECT_EQ(q.recall, 2 / 3.);  // 0 and 1, not 5
  EXPECT_EQ(q.density, 2);      // each is in two balls
  EXPECT_EQ(q.coverage, 1);
}

// All modes but one are lost: what is generated is real, but little of what is real.
TEST(sample_quality, tells_lost_modes_from_bad_samples) {
  MatrixXd real = 0.1 * normals(2, 160, 41), narrow = 0.1 * normals(2, 160, 42);
  for (int i = 0; i < 160; ++i) real(0, i) += 5 * (i % 4);
  const sample_quality q = quality_of_samples(real, narrow);
  EXPECT_GT(q.precision, 0.9);
  EXPECT_LT(q.recall, 0.35);
  EXPECT_LT(q.coverage, 0.3);
}

// Whether a point is nearer than the k-th neighbour is a matter of ranks: the expectations do not
// depend on the distribution (Naeem et al. 2020, section 3.2).
TEST(sample_quality, of_one_distribution_has_known_expectations) {
  const int n = 20, m = 15, k = 3, trials = 400;
  double density = 0, coverage = 0;
  for (int t = 0; t < trials; ++t) {
    const MatrixXd both = normals(2, n + m, 1000 + static_cast<std::uint64_t>(t));
    const sample_quality q = quality_of_samples(both.leftCols(n), both.rightCols(m), k);
    density += q.density / trials;
    coverage += q.coverage / trials;
  }
  double missed = 1;  // C(n - 1, k) / C(n + m - 1, k)
  for (int i = 0; i < k; ++i) missed *= (n - 1.0 - i) / (n + m - 1.0 - i);
  // Standard deviations of one trial: 0.3 and 0.12.
  EXPECT_NEAR(density, 1, 4 * 0.3 / std::sqrt(trials));
  EXPECT_NEAR(coverage, 1 - missed, 4 * 0.12 / std::sqrt(trials));
}

}  // namespace
