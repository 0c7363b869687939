#include "tweedie/oracle/empirical.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tweedie/oracle/mixture.hpp"
#include "tweedie/tensor/parallel.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::VectorXd;

const MatrixXd points = (MatrixXd(2, 4) << 0, 1, -1, 0.5, 0.2, -0.3, 0.8, 2).finished();
const VectorXd weights = Eigen::Vector4d(1, 2, 3, 1);

TEST(Empirical, IsTheMixtureOfVanishingCovariance) {
  const oracle::empirical<double> data(points, weights);
  std::vector<oracle::component<double>> parts;
  for (Eigen::Index i = 0; i < 4; ++i)
    parts.push_back({weights[i], points.col(i), MatrixXd::Zero(2, 2)});
  const oracle::mixture<double> same(parts);
  const VectorXd x = Eigen::Vector2d(0.4, 0.1);
  for (const signal_noise level : {signal_noise{0.6, 0.8}, {1, 0.1}, {1, 20}, {0, 1}}) {
    EXPECT_LT((data.denoise(level, x) - same.denoise(level, x)).norm(), 1e-13);
    EXPECT_LT((data.posterior_covariance(level, x) - same.posterior_covariance(level, x)).norm(),
              1e-13);
    EXPECT_NEAR(data.log_density(level, x), same.log_density(level, x), 1e-12);
    EXPECT_LT((data.score(level, x) - same.score(level, x)).norm(),
              1e-12 / (level.sigma * level.sigma));
  }
}

TEST(Empirical, LittleNoiseLeadsToTheNearestPoint) {
  const oracle::empirical<double> data(points);
  const VectorXd near = points.col(2) + Eigen::Vector2d(0.03, -0.02);
  EXPECT_LT((data.denoise({1, 0.01}, near).col(0) - points.col(2)).norm(), 1e-300);
}

TEST(Empirical, AllNoiseLeadsToTheMean) {
  const oracle::empirical<float> data(points.cast<float>());
  const Eigen::VectorXf x = Eigen::Vector2f(3, 4);
  const Eigen::VectorXf mean = points.cast<float>().rowwise().mean();
  EXPECT_LT((data.denoise({0, 1}, x).col(0) - mean).norm(), 1e-6F);
}

TEST(Empirical, RefusesNoPointsAndNoNoise) {
  EXPECT_THROW(oracle::empirical<double>(MatrixXd(2, 0)), std::invalid_argument);
  EXPECT_THROW(oracle::empirical<double>(points, VectorXd::Ones(3)), std::invalid_argument);
  const oracle::empirical<double> data(points);
  EXPECT_THROW(data.denoise({1, 0}, VectorXd::Zero(2)), std::invalid_argument);
  EXPECT_THROW(data.denoise({1, 1}, VectorXd::Zero(3)), std::invalid_argument);
}

TEST(Empirical, RefusesWhatIsNotFinite) {
  EXPECT_THROW((oracle::empirical<double>(points * NAN)), std::invalid_argument);
  for (const double w : {static_cast<double>(NAN), static_cast<double>(INFINITY), 0.0, -1.0})
    EXPECT_THROW((oracle::empirical<double>(points, Eigen::Vector4d(1, 1, 1, w))),
                 std::invalid_argument)
        << w;
  EXPECT_THROW((oracle::empirical<double>(points, Eigen::Vector4d::Constant(1e308))),
               std::invalid_argument);
}

MatrixXd cloud(Eigen::Index dimension, Eigen::Index count) {
  std::mt19937_64 engine(3);
  std::normal_distribution<double> normal;
  return MatrixXd::NullaryExpr(dimension, count, [&] { return normal(engine); });
}

// Blocks of points with products of matrices against one sum over all points, at levels where one
// point counts and where all do, far from the origin too.
TEST(Empirical, GoesThroughManyPointsByBlocks) {
  const MatrixXd many = cloud(5, 1300);
  const MatrixXd x = 3 * cloud(5, 7);
  for (const double shift : {0.0, 100.0}) {
    const MatrixXd moved = (many.array() + shift).matrix();
    const oracle::empirical<double> data(moved);
    const oracle::empirical<float> rough(moved.cast<float>());
    for (const signal_noise level :
         {signal_noise{1, 1e-3}, {1, 0.05}, {0.8, 0.6}, {1, 20}, {0, 1}}) {
      const MatrixXd y = (x.array() + level.alpha * shift).matrix();
      const MatrixXd clean = data.denoise(level, y);
      for (Eigen::Index c = 0; c < y.cols(); ++c)
        EXPECT_LT((clean.col(c) - moved * data.responsibilities(level, y.col(c))).norm(),
                  1e-11 * (1 + shift))
            << level.sigma << ' ' << shift;
      const Eigen::MatrixXf single = y.cast<float>();
      const Eigen::MatrixXf rough_clean = rough.denoise(level, single);
      for (Eigen::Index c = 0; c < y.cols(); ++c)
        EXPECT_LT(
            (rough_clean.col(c) - rough.points() * rough.responsibilities(level, single.col(c)))
                .norm(),
            2e-3 * (1 + shift / 10))
            << level.sigma << ' ' << shift;
    }
  }
}

TEST(Empirical, ConditionedOnAClassIsTheDataOfThatClass) {
  const MatrixXd many = cloud(3, 1100);
  const VectorXd weigh = VectorXd::LinSpaced(1100, 1, 2);
  const oracle::empirical<double> data(many, weigh);
  oracle::empirical<double>::mask last(1100);
  for (Eigen::Index i = 0; i < 1100; ++i) last[i] = i >= 900;  // not in the first block at all
  const oracle::empirical<double> alone(many.rightCols(200), weigh.tail(200));
  const MatrixXd x = cloud(3, 4);
  EXPECT_LT((data.denoise({0.8, 0.6}, x, last) - alone.denoise({0.8, 0.6}, x)).norm(), 1e-13);
  last.setConstant(true);
  EXPECT_EQ(data.denoise({0.8, 0.6}, x, last), data.denoise({0.8, 0.6}, x));
  last.setConstant(false);
  EXPECT_THROW(data.denoise({0.8, 0.6}, x, last), std::invalid_argument);
  EXPECT_THROW(data.denoise({0.8, 0.6}, x, last.head(3)), std::invalid_argument);
}

// More columns than a thread takes at a time, and a number that they do not divide.
TEST(Empirical, ThreadsChangeNoBit) {
  const MatrixXd many = cloud(5, 1300);
  const MatrixXd x = 2 * cloud(5, 75);
  const oracle::empirical<double> data(many);
  oracle::empirical<double>::mask half(1300);
  for (Eigen::Index i = 0; i < 1300; ++i) half[i] = i % 2 == 0;
  const signal_noise level{0.8, 0.6};
  const MatrixXd all = data.denoise(level, x);
  const MatrixXd some = data.denoise(level, x, half);
  EXPECT_LT((all.col(40) - many * data.responsibilities(level, x.col(40))).norm(), 1e-13);
  for (const unsigned count : {1U, 2U, 5U}) {
    workers threads(count);
    EXPECT_EQ(data.denoise(level, x, threads), all);
    EXPECT_EQ(data.denoise(level, x, half, threads), some);
    EXPECT_EQ(data.denoise(level, x.leftCols(0), threads).cols(), 0);
    EXPECT_THROW(data.denoise({1, 0}, x, threads), std::invalid_argument);
  }
}

}  // namespace
