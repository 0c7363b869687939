#include "tweedie/metric/diversity.hpp"

#include <gtest/gtest.h>

#include "tweedie/metric/discrepancy.hpp"
#include "tweedie/metric/divergence.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;

TEST(vendi_score, counts_what_is_different) {
  const MatrixXd axes = MatrixXd::Identity(5, 5);
  for (const double order : {0.5, 1.0, 2.0, std::numeric_limits<double>::infinity()}) {
    EXPECT_NEAR(vendi_score(axes, cosine_kernel(), order), 5, 1e-12);
    EXPECT_NEAR(vendi_score(MatrixXd(MatrixXd::Ones(3, 7)), cosine_kernel(), order), 1, 1e-6);
    EXPECT_NEAR(vendi_score(MatrixXd(1e3 * axes), gaussian_kernel(), order), 5, 1e-12);
  }
}

// Groups of equal points without likeness: the score is exp of the entropy of their shares, of order
// q (sum p^q)^(1/(1 - q)).
TEST(vendi_score, of_groups_is_the_exponential_of_an_entropy) {
  MatrixXd x = MatrixXd::Zero(3, 10);
  for (int i = 0; i < 10; ++i) x(i < 5 ? 0 : i < 8 ? 1 : 2, i) = 1 + i;
  const std::vector<double> shares = {0.5, 0.3, 0.2};
  EXPECT_NEAR(vendi_score(x, cosine_kernel()), std::exp(entropy(shares)), 1e-13);
  EXPECT_NEAR(vendi_score(x, cosine_kernel(), 2), 1 / 0.38, 1e-13);
  EXPECT_NEAR(vendi_score(x, cosine_kernel(), std::numeric_limits<double>::infinity()), 2, 1e-13);
  // As many dimensions as points and more: the other of the two matrices.
  MatrixXd wide = MatrixXd::Zero(12, 10);
  wide.topRows(3) = x;
  EXPECT_NEAR(vendi_score(wide, cosine_kernel()), vendi_score(x, cosine_kernel()), 1e-12);
}

// Two points of likeness s: eigenvalues (1 +- s)/2.
TEST(vendi_score, of_two_points) {
  MatrixXd x(1, 2);
  x << 0, 1.3;
  const double s = std::exp(-1.3 * 1.3 / 2);
  EXPECT_NEAR(vendi_score(x, gaussian_kernel()),
              std::exp(entropy(std::vector<double>{(1 + s) / 2, (1 - s) / 2})), 1e-14);
  EXPECT_NEAR(vendi_score(x, gaussian_kernel(), 2), 2 / (1 + s * s), 1e-14);
}

TEST(vendi_score, refuses_kernels_that_are_no_likeness) {
  const MatrixXd x = MatrixXd::Ones(2, 3);
  EXPECT_THROW(vendi_score(x, cubic_kernel()), std::invalid_argument);
  EXPECT_THROW(vendi_score(x, gaussian_kernel(), 0), std::invalid_argument);
  EXPECT_THROW(vendi_score(MatrixXd(0 * x), cosine_kernel()), std::invalid_argument);
  EXPECT_THROW(vendi_score(MatrixXd(x * NAN), gaussian_kernel()), std::invalid_argument);
}

TEST(mode_coverage, counts_points_at_their_nearest_mode) {
  MatrixXd modes(1, 3);
  modes << 0, 10, 20;
  Eigen::MatrixXf points(1, 5);
  points << -0.5f, 0.25f, 9, 11.5f, 14;
  const mode_coverage c = coverage_of_modes(points, modes, 1);
  EXPECT_EQ(c.counts, (std::vector<std::size_t>{2, 1, 0}));
  EXPECT_EQ(c.covered, 2u);
  EXPECT_DOUBLE_EQ(c.share_near, 0.6);
  EXPECT_EQ(coverage_of_modes(points, modes, 7).counts, (std::vector<std::size_t>{2, 3, 0}));
  EXPECT_THROW(coverage_of_modes(points, modes, -1), std::invalid_argument);
  EXPECT_THROW(coverage_of_modes(points, MatrixXd::Zero(2, 2), 1), std::invalid_argument);
}

}  // namespace
