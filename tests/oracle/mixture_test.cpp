#include "tweedie/oracle/mixture.hpp"

#include <gtest/gtest.h>

#include <random>

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::VectorXd;

template <class Scalar>
oracle::component<Scalar> part(double weight, const Eigen::Vector2d& mean, double xx, double xy,
                               double yy) {
  oracle::component<Scalar> out;
  out.weight = static_cast<Scalar>(weight);
  out.mean = mean.cast<Scalar>();
  out.covariance = (MatrixXd(2, 2) << xx, xy, xy, yy).finished().cast<Scalar>();
  return out;
}

template <class Scalar>
oracle::mixture<Scalar> three_in_the_plane() {
  return oracle::mixture<Scalar>({part<Scalar>(0.5, {-1.5, 0.3}, 0.2, 0.1, 0.3),
                                  part<Scalar>(0.3, {1.0, 1.2}, 0.05, 0, 0.4),
                                  part<Scalar>(0.2, {0.4, -1.4}, 0.3, -0.15, 0.2)});
}

const std::vector<signal_noise> levels = {{1, 0.05},   {1, 3},     {0.8, 0.6},
                                          {0.2, 0.98}, {0.3, 0.7}, {0, 1}};

TEST(Mixture, ScoreIsTheGradientOfTheLogDensity) {
  const auto data = three_in_the_plane<double>();
  const VectorXd x = Eigen::Vector2d(0.3, -0.4);
  for (const signal_noise level : levels) {
    const VectorXd score = data.score(level, x);
    const double h = 1e-5;
    for (Eigen::Index i = 0; i < 2; ++i) {
      VectorXd up = x, down = x;
      up[i] += h;
      down[i] -= h;
      const double slope = (data.log_density(level, up) - data.log_density(level, down)) / (2 * h);
      EXPECT_NEAR(score[i], slope, 1e-8 * (1 + std::abs(slope))) << level.alpha;
    }
  }
}

TEST(Mixture, JacobianIsTheDerivativeOfTheScore) {
  const auto data = three_in_the_plane<double>();
  const VectorXd x = Eigen::Vector2d(0.3, -0.4);
  for (const signal_noise level : levels) {
    const MatrixXd jacobian = data.score_jacobian(level, x);
    const double h = 1e-5;
    for (Eigen::Index i = 0; i < 2; ++i) {
      VectorXd up = x, down = x;
      up[i] += h;
      down[i] -= h;
      const VectorXd slope = (data.score(level, up) - data.score(level, down)) / (2 * h);
      EXPECT_LT((jacobian.col(i) - slope).norm(), 1e-7 * (1 + slope.norm()));
    }
  }
}

TEST(Mixture, TweediesFormulaGivesMeanAndCovariance) {
  const auto data = three_in_the_plane<double>();
  const VectorXd x = Eigen::Vector2d(-0.7, 0.9);
  for (const signal_noise level : levels) {
    if (level.alpha == 0) continue;
    const auto [alpha, sigma] = level;
    const VectorXd mean = (x + sigma * sigma * data.score(level, x)) / alpha;
    EXPECT_LT((data.denoise(level, x) - mean).norm(), 1e-13 / alpha);
    const MatrixXd covariance =
        sigma * sigma * (MatrixXd::Identity(2, 2) + sigma * sigma * data.score_jacobian(level, x)) /
        (alpha * alpha);
    EXPECT_LT((data.posterior_covariance(level, x) - covariance).norm(), 1e-12 / (alpha * alpha));
  }
}

TEST(Mixture, OneComponentIsTheGaussianFormula) {
  Eigen::Matrix2d s;
  s << 2, 0.6, 0.6, 0.5;
  const Eigen::Vector2d m(0.4, -0.2);
  const oracle::mixture<double> data({{3.0, m, s}});
  const signal_noise level{0.7, 0.4};
  const Eigen::Vector2d x(1.1, 0.3);
  const Eigen::Matrix2d c = 0.49 * s + 0.16 * Eigen::Matrix2d::Identity();
  const Eigen::Vector2d off = x - 0.7 * m;
  const double log_density =
      -0.5 * off.dot(c.inverse() * off) - 0.5 * std::log(c.determinant()) - std::log(2 * M_PI);
  EXPECT_NEAR(data.log_density(level, x), log_density, 1e-13);
  EXPECT_LT((data.denoise(level, x) - (m + 0.7 * s * c.inverse() * off)).norm(), 1e-14);
  EXPECT_LT((data.posterior_covariance(level, x) - 0.16 * s * c.inverse()).norm(), 1e-14);
}

TEST(Mixture, ResponsibilitiesSumToOneFarFromTheData) {
  const auto data = three_in_the_plane<double>();
  for (const signal_noise level : levels) {
    const VectorXd far = Eigen::Vector2d(-700, 1000);
    EXPECT_NEAR(data.responsibilities(level, far).sum(), 1, 1e-14);
    EXPECT_TRUE(data.score(level, far).allFinite());
    EXPECT_TRUE(std::isfinite(data.log_density(level, far)));
  }
}

TEST(Mixture, EndsAreExact) {
  const auto data = three_in_the_plane<double>();
  const VectorXd x = Eigen::Vector2d(0.2, 0.1);
  EXPECT_LT((data.denoise({1, 0}, x) - x).norm(), 1e-14);
  EXPECT_LT((data.denoise({0, 1}, x) - data.moments().first).norm(), 1e-14);
  EXPECT_LT((data.posterior_covariance({0, 1}, x) - data.moments().second).norm(), 1e-14);
  EXPECT_LT((data.score({0, 2}, x) + x / 4).norm(), 1e-15);
}

TEST(Mixture, NoisedIsTheMarginal) {
  const auto data = three_in_the_plane<double>();
  const VectorXd x = Eigen::Vector2d(0.2, 0.1);
  const auto noised = data.noised({0.6, 0.5});
  EXPECT_NEAR(noised.log_density({1, 0}, x), data.log_density({0.6, 0.5}, x), 1e-13);
  const auto twice = noised.noised({0.5, 0.2});
  EXPECT_NEAR(twice.log_density({1, 0}, x), data.log_density({0.3, std::sqrt(0.0625 + 0.04)}, x),
              1e-13);
}

TEST(Mixture, PointMassesAreAllowedUnderNoise) {
  const MatrixXd zero = MatrixXd::Zero(1, 1);
  const oracle::mixture<double> signs(
      {{1.0, VectorXd::Constant(1, 1.0), zero}, {1.0, VectorXd::Constant(1, -1.0), zero}});
  for (const double x : {-2.0, 0.1, 0.7}) {
    const double exact = std::tanh(0.8 * x / 0.36);
    EXPECT_NEAR(signs.denoise({0.8, 0.6}, VectorXd::Constant(1, x))(0, 0), exact, 1e-14);
  }
  EXPECT_THROW(signs.log_density({1, 0}, VectorXd::Constant(1, 0.0)), std::invalid_argument);
}

TEST(Mixture, ColumnsAreIndependentPoints) {
  const auto data = three_in_the_plane<double>();
  const MatrixXd x = (MatrixXd(2, 3) << 0.1, -2, 3, 0.5, 0.7, -1).finished();
  const MatrixXd all = data.denoise({0.8, 0.6}, x);
  for (Eigen::Index i = 0; i < 3; ++i)
    // Products of matrices and of vectors round differently.
    EXPECT_LT((all.col(i) - data.denoise({0.8, 0.6}, x.col(i)).col(0)).norm(), 1e-14);
}

TEST(Mixture, SamplesHaveTheMoments) {
  const auto data = three_in_the_plane<double>();
  const Eigen::Index n = 20000;
  std::mt19937_64 engine(7);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  const VectorXd u = VectorXd::NullaryExpr(n, [&] { return uniform(engine); });
  const MatrixXd z = MatrixXd::NullaryExpr(2, n, [&] { return normal(engine); });
  const MatrixXd x = data.sample(u, z);
  const auto [mean, covariance] = data.moments();
  const VectorXd sample_mean = x.rowwise().mean();
  const MatrixXd off = x.colwise() - sample_mean;
  for (Eigen::Index i = 0; i < 2; ++i)
    EXPECT_NEAR(sample_mean[i], mean[i], 5 * std::sqrt(covariance(i, i) / double(n)));
  EXPECT_LT((off * off.transpose() / double(n) - covariance).norm(), 0.05);
}

TEST(Mixture, FloatAgreesWithDouble) {
  const auto exact = three_in_the_plane<double>();
  const auto single = three_in_the_plane<float>();
  const Eigen::Vector2d x(0.3, -0.4);
  for (const signal_noise level : levels) {
    const Eigen::MatrixXf d = single.denoise(level, x.cast<float>());
    EXPECT_LT((d.cast<double>() - exact.denoise(level, x)).norm(), 2e-6);
  }
}

TEST(Mixture, RefusesWhatIsNotAMixture) {
  const MatrixXd one = MatrixXd::Identity(1, 1);
  const VectorXd zero = VectorXd::Zero(1);
  EXPECT_THROW(oracle::mixture<double>({}), std::invalid_argument);
  EXPECT_THROW(oracle::mixture<double>({{0.0, zero, one}}), std::invalid_argument);
  EXPECT_THROW(oracle::mixture<double>({{1.0, zero, -one}}), std::invalid_argument);
  EXPECT_THROW(oracle::mixture<double>({{1.0, VectorXd::Zero(2), one}}), std::invalid_argument);
  MatrixXd skew(2, 2);
  skew << 1, 0.5, 0, 1;
  EXPECT_THROW(oracle::mixture<double>({{1.0, VectorXd::Zero(2), skew}}), std::invalid_argument);
  const oracle::mixture<double> fine({{1.0, zero, one}});
  EXPECT_THROW(fine.denoise({1, 1}, VectorXd::Zero(2)), std::invalid_argument);
}

TEST(Mixture, RefusesWhatIsNotFinite) {
  const Eigen::VectorXd zero = Eigen::VectorXd::Zero(1), nan = Eigen::VectorXd::Constant(1, NAN);
  const Eigen::MatrixXd one = Eigen::MatrixXd::Identity(1, 1);
  EXPECT_THROW((oracle::mixture<double>({{1, nan, one}})), std::invalid_argument);
  EXPECT_THROW((oracle::mixture<double>({{1, zero, one * NAN}})), std::invalid_argument);
  EXPECT_THROW((oracle::mixture<double>({{1e308, zero, one}, {1e308, zero, one}})),
               std::invalid_argument);
  try {
    oracle::mixture<double>({{1, zero, Eigen::MatrixXd::Identity(2, 2)}});
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("= 2; valid: the dimension of the first mean, 1"),
              std::string::npos)
        << e.what();
  }
}

}  // namespace
