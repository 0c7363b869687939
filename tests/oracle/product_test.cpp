#include "tweedie/oracle/product.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/line.hpp"
#include "tweedie/oracle/mixture.hpp"

namespace tweedie::product_test {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

const MatrixXd spread = (MatrixXd(2, 2) << 0.5, 0.2, 0.2, 0.3).finished();
const oracle::gaussian<double> plane(Eigen::Vector2d(1, -0.5), spread);
const auto axis = oracle::gaussian<double>::isotropic(VectorXd::Constant(1, 0.4), 2);
const MatrixXd x = (MatrixXd(3, 2) << 0.3, -1, 0.5, 2, 0.1, 0.7).finished();

template <class First, class Second>
void expect_same(const First& a, const Second& b) {
  for (const signal_noise level : {signal_noise{1, 0.1}, {0.8, 0.6}, {0, 1}}) {
    EXPECT_LT((log_density(a, level, x) - log_density(b, level, x)).norm(), 1e-12);
    EXPECT_LT((a.score(level, x) - b.score(level, x)).norm(), 1e-12);
    EXPECT_LT((a.denoise(level, x) - b.denoise(level, x)).norm(), 1e-13);
    EXPECT_LT((covariance(a, level, x.col(0)) - covariance(b, level, x.col(0))).norm(), 1e-13);
  }
}

TEST(product, of_gaussians_is_the_gaussian_of_blocks) {
  VectorXd mean(3);
  mean << axis.mean(), plane.mean();
  MatrixXd blocks = MatrixXd::Zero(3, 3);
  blocks(0, 0) = 2;
  blocks.bottomRightCorner(2, 2) = spread;
  expect_same(oracle::product({axis, plane}), oracle::gaussian<double>(mean, blocks));
}

TEST(rotated, gaussian_is_the_gaussian_turned) {
  const VectorXd mean = Eigen::Vector3d(1, -0.5, 2);
  MatrixXd s = MatrixXd::Identity(3, 3);
  s.topLeftCorner(2, 2) = spread;
  const MatrixXd q = Eigen::AngleAxisd(0.7, Eigen::Vector3d(1, 2, -1).normalized()).matrix();
  expect_same(oracle::rotated(oracle::gaussian<double>(mean, s), q),
              oracle::gaussian<double>(q * mean, q * s * q.transpose()));
  // There and back.
  expect_same(oracle::rotated(oracle::rotated(oracle::gaussian<double>(mean, s), q), q.transpose()),
              oracle::gaussian<double>(mean, s));
}

TEST(product, samples_the_same_however_it_is_nested) {
  const oracle::product flat({axis, plane, oracle::laplace()});
  const oracle::product nested({axis, oracle::product({plane, oracle::laplace()})});
  EXPECT_EQ(flat.sample(9, {.seed = 5}), nested.sample(9, {.seed = 5}));
  // Equal parts are independent: their coordinates are no copies, nor correlated (5 standard errors).
  const oracle::product twins({oracle::laplace(), oracle::laplace()});
  const Eigen::Index n = 2000;
  const MatrixXd drawn = twins.sample(n, {.seed = 6});
  const double correlation =
      drawn.row(0).dot(drawn.row(1)) / drawn.row(0).norm() / drawn.row(1).norm();
  EXPECT_LT(std::abs(correlation), 5 / std::sqrt(static_cast<double>(n)));
}

TEST(product, refuses_what_does_not_fit) {
  EXPECT_EQ(refusal([] { oracle::product({}); }).find("oracle::product: no parts"), 0U);
  const oracle::product both({axis, plane});
  EXPECT_EQ(
      refusal([&] {
        both.denoise({1, 1}, VectorXd::Ones(2));
      }).find("product::denoise: rows of x = 2; valid: the dimensions of the parts together, 3"),
      0U);
  EXPECT_EQ(refusal([] {
              oracle::rotated(plane, MatrixXd::Identity(3, 3));
            }).find("oracle::rotated: side of the rotation = 3"),
            0U);
  EXPECT_EQ(refusal([] {
              oracle::rotated(plane, MatrixXd::Ones(2, 2));
            }).find("oracle::rotated: largest entry of Q^T Q - I = "),
            0U);
}

}  // namespace
}  // namespace tweedie::product_test
