#include "tweedie/oracle/linear_inverse.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie::linear_inverse_test {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using oracle::linear_measurement;

MatrixXd normals(Eigen::Index rows, Eigen::Index columns, std::uint64_t seed) {
  MatrixXd z(rows, columns);
  fill_standard_normal(z, seed);
  return z;
}
MatrixXd covariance(std::uint64_t seed) {
  const MatrixXd root = normals(3, 3, seed);
  return root * root.transpose() + 0.1 * MatrixXd::Identity(3, 3);
}
oracle::gaussian<double> one() { return {Eigen::Vector3d(1, -0.5, 0.2), covariance(1)}; }
oracle::mixture<double> two() {
  return oracle::mixture<double>({{1, Eigen::Vector3d(1, 0, -1), covariance(2)},
                                  {3, Eigen::Vector3d(-1, 0.4, 0), 0.3 * covariance(3)}});
}
linear_measurement<double> seen(double deviation, Eigen::Index rows = 2) {
  return {normals(rows, 3, 4), normals(rows, 1, 5), deviation};
}
double log_noise(const linear_measurement<double>& y, const VectorXd& x) {
  const auto m = static_cast<double>(y.value.size());
  return -(y.value - y.matrix * x).squaredNorm() / (2 * y.deviation * y.deviation) -
         m / 2 * std::log(2 * std::numbers::pi * y.deviation * y.deviation);
}

// Differences of coordinates that go together: A S A^T by products of S loses its symmetry to rounding.
TEST(linear_inverse, of_differences_of_one_large_variance) {
  const MatrixXd root = normals(3, 3, 6);
  const oracle::gaussian<double> data(Eigen::Vector3d::Zero(),
                                      MatrixXd::Constant(3, 3, 1e6) + root * root.transpose());
  linear_measurement<double> y{MatrixXd(2, 3), VectorXd::Zero(2), 0.5};
  y.matrix << 0.6, -0.6, 0, 0.1, 0.3, -0.4;
  // Both rows see nothing of what is common.
  const oracle::gaussian<double> small(Eigen::Vector3d::Zero(), root * root.transpose());
  EXPECT_NEAR(log_evidence(data, y), log_evidence(small, y), 1e-6);
}

// Bayes: log p(x|y) = log p(x) + log p(y|x) - log p(y), with fewer, as many and more measurements than
// dimensions.
TEST(linear_inverse, is_bayes) {
  for (const Eigen::Index rows : {1, 3, 5})
    for (const double deviation : {0.05, 1.0}) {
      const auto y = seen(deviation, rows);
      const auto gaussian = posterior(one(), y);
      const auto mixture = posterior(two(), y);
      for (std::uint64_t seed = 10; seed < 13; ++seed) {
        // Near the posterior, so that no density is too small to compare.
        const VectorXd x = gaussian.sample(normals(3, 1, seed));
        EXPECT_NEAR(gaussian.log_density({1, 0}, x)[0],
                    one().log_density({1, 0}, x)[0] + log_noise(y, x) - log_evidence(one(), y),
                    1e-9)
            << rows << ' ' << deviation;
        const double exact =
            two().log_density({1, 0}, x) + log_noise(y, x) - log_evidence(two(), y);
        EXPECT_NEAR(mixture.log_density({1, 0}, x), exact, 1e-10 * (10 + std::abs(exact)))
            << rows << ' ' << deviation;
      }
    }
}

TEST(linear_inverse, evidence_integrates_to_one) {
  auto y = seen(0.3, 1);
  double sum_one = 0, sum_two = 0;
  for (int k = -800; k <= 800; ++k) {
    y.value[0] = 0.05 * k;
    sum_one += 0.05 * std::exp(log_evidence(one(), y));
    sum_two += 0.05 * std::exp(log_evidence(two(), y));
  }
  EXPECT_NEAR(sum_one, 1, 1e-10);
  EXPECT_NEAR(sum_two, 1, 1e-10);
}

// Without noise it is conditioning on A x0, which oracle::gaussian knows for coordinates.
TEST(linear_inverse, without_noise_is_conditioning) {
  const auto data = one();
  linear_measurement<double> y{MatrixXd::Zero(1, 3), VectorXd::Constant(1, 0.7), 0};
  y.matrix(0, 1) = 1;
  const auto found = posterior(data, y);
  const auto rest = data.conditional({1}, y.value);
  EXPECT_LT((found.marginal({0, 2}).mean() - rest.mean()).norm(), 1e-14);
  EXPECT_LT((found.marginal({0, 2}).covariance() - rest.covariance()).norm(), 1e-14);
  EXPECT_NEAR(found.mean()[1], 0.7, 1e-15);
  EXPECT_LT(found.covariance().row(1).norm(), 1e-14);
  const auto nearly = posterior(data, {y.matrix, y.value, 1e-7});
  EXPECT_LT((nearly.mean() - found.mean()).norm(), 1e-12);
  EXPECT_LT((nearly.covariance() - found.covariance()).norm(), 1e-12);
  const auto none = posterior(data, {y.matrix, y.value, 1e8});
  EXPECT_LT((none.mean() - data.mean()).norm(), 1e-14);
  EXPECT_LT((none.covariance() - data.covariance()).norm(), 1e-13);
  EXPECT_EQ(posterior(data, {MatrixXd(0, 3), VectorXd(0), 1}).mean(), data.mean());

  // The same measurement twice: possible once.
  const MatrixXd twice = y.matrix.replicate(2, 1);
  EXPECT_LT((posterior(data, {twice, Eigen::Vector2d(0.7, 0.7), 0}).mean() - found.mean()).norm(),
            1e-14);
  EXPECT_THROW(posterior(data, {twice, Eigen::Vector2d(0.7, 0.8), 0}), std::domain_error);
}

TEST(linear_inverse, takes_measurements_one_after_another_and_singular_data) {
  const auto y = seen(0.4, 2);
  const auto at_once = posterior(two(), y);
  const auto first = posterior(two(), {y.matrix.topRows(1), y.value.head(1), 0.4});
  const auto second = posterior(first, {y.matrix.bottomRows(1), y.value.tail(1), 0.4});
  for (std::size_t k = 0; k < 2; ++k) {
    EXPECT_NEAR(at_once.weight(k), second.weight(k), 1e-13);
    EXPECT_LT((at_once.mean(k) - second.mean(k)).norm(), 1e-13);
    EXPECT_LT((at_once.covariance(k) - second.covariance(k)).norm(), 1e-13);
  }
  MatrixXd flat = MatrixXd::Zero(3, 3);
  flat(0, 0) = 2;
  const oracle::gaussian<double> line(Eigen::Vector3d(0, 1, 2), flat);
  const auto known = posterior(line, {Eigen::RowVector3d(1, 1, 1), VectorXd::Constant(1, 5), 1});
  EXPECT_LT((known.mean() - Eigen::Vector3d(2 * 2.0 / 3, 1, 2)).norm(), 1e-14);
  EXPECT_NEAR(known.covariance()(0, 0), 2.0 / 3, 1e-15);
  const auto point = oracle::gaussian<double>::isotropic(Eigen::Vector3d(0, 1, 2), 0);
  EXPECT_EQ(posterior(point, y).mean(), point.mean());
}

// Guidance by a measurement: the posterior's score is the data's plus grad log p(y | x_t), with
// y | x_t ~ N(A E[x0|x_t], A Cov[x0|x_t] A^T + s^2 I) exactly for Gaussian data.
TEST(linear_inverse, score_is_the_guided_score) {
  const auto data = one();
  const auto y = seen(0.3);
  const auto exact = posterior(data, y);
  const signal_noise level{0.7, 0.5};
  const VectorXd x = normals(3, 1, 6);
  const auto log_likelihood = [&](const VectorXd& at) {
    const oracle::gaussian<double> predicted(
        VectorXd(y.matrix * data.denoise(level, at)),
        y.matrix * data.posterior_covariance(level) * y.matrix.transpose());
    return predicted.log_density({1, y.deviation}, y.value)[0];
  };
  for (Eigen::Index i = 0; i < 3; ++i) {
    const VectorXd step = 1e-5 * VectorXd::Unit(3, i);
    const double slope = (log_likelihood(x + step) - log_likelihood(x - step)) / 2e-5;
    EXPECT_NEAR(exact.score(level, x)(i), data.score(level, x)(i) + slope, 1e-7);
  }
}

TEST(linear_inverse, works_in_float_and_refuses_other_sizes) {
  const oracle::gaussian<float> data(Eigen::Vector2f(1, -1), Eigen::Matrix2f::Identity());
  const auto found = posterior(
      data, linear_measurement<float>{Eigen::RowVector2f(1, 0), Eigen::VectorXf::Zero(1), 1});
  EXPECT_LT((found.mean() - Eigen::Vector2f(0.5F, -1)).norm(), 1e-6F);
  const auto y = seen(0.3);
  EXPECT_EQ(
      refusal([&] {
        posterior(one(), {MatrixXd::Ones(2, 2), y.value, 1});
      }).find("oracle::posterior: columns of the matrix = 2; valid: the dimension of the data, 3"),
      0U);
  EXPECT_EQ(refusal([&] {
              posterior(one(), {y.matrix, VectorXd::Ones(3), 1});
            }).find("oracle::posterior: values = 3; valid: 2"),
            0U);
  EXPECT_EQ(refusal([&] {
              posterior(one(), {y.matrix, y.value, -1});
            }).find("oracle::posterior: deviation = -1"),
            0U);
  EXPECT_EQ(refusal([&] {
              posterior(two(), {y.matrix, y.value, 0});
            }).find("oracle::posterior: deviation = 0"),
            0U);
  EXPECT_EQ(refusal([&] {
              posterior(one(), {y.matrix * NAN, y.value, 1});
            }).find("oracle::posterior: matrix and values must be finite"),
            0U);
  EXPECT_EQ(refusal([&] {
              log_evidence(one(), {y.matrix, y.value, 0});
            }).find("log_evidence: deviation = 0"),
            0U);
}

}  // namespace
}  // namespace tweedie::linear_inverse_test
