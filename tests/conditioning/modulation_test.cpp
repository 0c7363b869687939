#include "tweedie/conditioning/modulation.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;
using Eigen::VectorXd;

TEST(film, of_one_and_zero_is_the_identity) {
  const MatrixXd h = MatrixXd::Random(4, 6);
  EXPECT_TRUE(film(h, VectorXd::Ones(4), VectorXd::Zero(4)) == h);
}

TEST(film, scales_and_shifts_each_feature_or_each_element) {
  const MatrixXd h = MatrixXd::Random(4, 6), gamma = MatrixXd::Random(4, 6);
  const VectorXd beta = VectorXd::Random(4);
  const MatrixXd out = film(h, gamma, beta);
  for (Eigen::Index i = 0; i < 4; ++i)
    for (Eigen::Index j = 0; j < 6; ++j) EXPECT_EQ(out(i, j), gamma(i, j) * h(i, j) + beta(i));
  EXPECT_THROW(film(h, VectorXd(VectorXd::Ones(5)), beta), std::invalid_argument);
  EXPECT_THROW(film(h, MatrixXd(gamma.leftCols(3)), beta), std::invalid_argument);
}

TEST(layer_norm, leaves_mean_zero_variance_one_and_ignores_scale_and_shift) {
  const MatrixXd h = MatrixXd::Random(64, 5);
  const MatrixXd n = layer_norm(h, 0);
  for (Eigen::Index j = 0; j < 5; ++j) {
    EXPECT_NEAR(n.col(j).mean(), 0, 1e-15);
    EXPECT_NEAR(n.col(j).squaredNorm() / 64, 1, 1e-14);
  }
  EXPECT_LT((layer_norm(MatrixXd(3 * h.array() + 7), 0) - n).cwiseAbs().maxCoeff(), 1e-13);
  const MatrixXf f = layer_norm(MatrixXf(h.cast<float>()), 0);
  EXPECT_LT((f.cast<double>() - n).cwiseAbs().maxCoeff(), 1e-6);
}

TEST(layer_norm, of_equal_features_is_zero_with_eps_and_refused_without) {
  const MatrixXd h = MatrixXd::Constant(4, 1, 3.0), one = MatrixXd::Constant(1, 2, 5.0);
  EXPECT_TRUE(layer_norm(h).isZero(0));
  EXPECT_TRUE(layer_norm(one).isZero(0));
  EXPECT_THROW(layer_norm(h, 0), std::invalid_argument);
  EXPECT_THROW(layer_norm(h, -1), std::invalid_argument);
  EXPECT_EQ(layer_norm(MatrixXd(0, 3)).cols(), 3);
}

TEST(adaptive_block, starts_as_the_identity) {
  const MatrixXd h = MatrixXd::Random(4, 6);
  const VectorXd zero = VectorXd::Zero(4);
  const auto block = [](const MatrixXd& x) -> MatrixXd { return x.array().sin() + 5; };
  EXPECT_TRUE(adaptive_block(h, zero, zero, zero, block) == h);
  EXPECT_LT((adaptive_layer_norm(h, zero, zero) - layer_norm(h)).cwiseAbs().maxCoeff(), 1e-15);
}

TEST(adaptive_block, is_the_published_block) {
  const MatrixXd h = MatrixXd::Random(4, 6), gate = MatrixXd::Random(4, 6);
  const VectorXd scale = VectorXd::Random(4), shift = VectorXd::Random(4);
  const auto block = [](const MatrixXd& x) -> MatrixXd { return 2 * x; };
  const MatrixXd out = adaptive_block(h, scale, shift, gate, block);
  const MatrixXd n = layer_norm(h);
  for (Eigen::Index i = 0; i < 4; ++i)
    for (Eigen::Index j = 0; j < 6; ++j)
      EXPECT_NEAR(out(i, j), h(i, j) + gate(i, j) * 2 * ((1 + scale(i)) * n(i, j) + shift(i)),
                  1e-14);
  const auto wrong = [](const MatrixXd& x) -> MatrixXd { return x.topRows(1); };
  EXPECT_THROW(adaptive_block(h, scale, shift, gate, wrong), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
