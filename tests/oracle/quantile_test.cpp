#include "tweedie/oracle/quantile.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace {

using namespace tweedie;

template <class Scalar>
oracle::mixture<Scalar> three_on_a_line() {
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  const auto part = [](double w, double m, double s) {
    return oracle::component<Scalar>{static_cast<Scalar>(w),
                                     vector::Constant(1, static_cast<Scalar>(m)),
                                     matrix::Constant(1, 1, static_cast<Scalar>(s * s))};
  };
  return oracle::mixture<Scalar>({part(0.5, -1, 0.3), part(0.3, 0.8, 0.2), part(0.2, 2, 0.5)});
}

TEST(Quantile, InvertsTheDistributionFunction) {
  const auto data = three_on_a_line<double>();
  for (const signal_noise level : {signal_noise{1, 0}, {0.6, 0.8}, {1, 30}, {0, 1}})
    for (const double p : {1e-12, 1e-3, 0.2, 0.5, 0.77, 0.999})
      EXPECT_NEAR(cumulative(data, level, quantile(data, level, p)) / p, 1, 1e-12);
}

TEST(Quantile, DensityIsTheDerivativeOfTheDistributionFunction) {
  const auto data = three_on_a_line<double>();
  const signal_noise level{0.6, 0.8};
  const double h = 1e-5;
  for (const double x : {-2.0, 0.1, 1.3}) {
    const double slope =
        (cumulative(data, level, x + h) - cumulative(data, level, x - h)) / (2 * h);
    EXPECT_NEAR(slope, std::exp(data.log_density(level, Eigen::VectorXd::Constant(1, x))), 1e-10);
  }
}

// dx/d(noise level) = -(noise level) score in the gauge alpha = 1 (Karras et al. 2022, eq. 1).
TEST(Flow, SolvesTheProbabilityFlowEquation) {
  const auto data = three_on_a_line<double>();
  for (const double x : {-2.5, 0.3, 4.0})
    for (const double s : {0.1, 1.0, 5.0}) {
      const double h = 1e-5 * s;
      const double slope =
          (flow(data, {1, s}, {1, s + h}, x) - flow(data, {1, s}, {1, s - h}, x)) / (2 * h);
      const double score = data.score({1, s}, Eigen::VectorXd::Constant(1, x))(0, 0);
      EXPECT_NEAR(slope, -s * score, 1e-8 * (1 + std::abs(slope)));
    }
}

TEST(Flow, IsASemigroupAndDoesNotDependOnTheGauge) {
  const auto data = three_on_a_line<double>();
  for (const double x : {-30.0, -1.0, 0.4, 25.0}) {
    const double direct = flow(data, {1, 10}, {1, 0}, x);
    const double halfway = flow(data, {1, 10}, {0.6, 0.8}, x);
    EXPECT_NEAR(flow(data, {0.6, 0.8}, {1, 0}, halfway), direct, 1e-12 * (1 + std::abs(direct)));
    EXPECT_NEAR(flow(data, {0.1, 1}, {1, 0}, x / 10), direct, 1e-12 * (1 + std::abs(direct)));
  }
}

TEST(Flow, GaussianMapIsAffine) {
  const oracle::mixture<double> data(
      {{1.0, Eigen::VectorXd::Constant(1, 0.7), Eigen::MatrixXd::Constant(1, 1, 0.25)}});
  const double x = 2.2;
  const double exact = 0.7 + 0.5 / std::sqrt(0.25 * 0.36 + 0.64) * (x - 0.6 * 0.7);
  EXPECT_NEAR(flow(data, {0.6, 0.8}, {1, 0}, x), exact, 1e-14);
  // Thirty deviations out the upper tail is 5e-198 and the point still exact.
  EXPECT_NEAR(flow(data, {0, 1}, {1, 0}, 30.0), 0.7 + 0.5 * 30, 1e-12);
}

TEST(Flow, FloatAgreesWithDouble) {
  const auto exact = three_on_a_line<double>();
  const auto single = three_on_a_line<float>();
  for (const float x : {-1.5F, 0.2F, 2.F})
    EXPECT_NEAR(flow(single, {0.6, 0.8}, {1, 0}, x), flow(exact, {0.6, 0.8}, {1, 0}, double(x)),
                2e-5);
}

TEST(Quantile, RefusesWhatHasNoAnswer) {
  const auto data = three_on_a_line<double>();
  EXPECT_THROW(quantile(data, {1, 0}, 1.0), std::invalid_argument);
  EXPECT_THROW(quantile(data, {1, 0}, 0.0), std::invalid_argument);
  const oracle::mixture<double> plane(
      {{1.0, Eigen::VectorXd::Zero(2), Eigen::MatrixXd::Identity(2, 2)}});
  EXPECT_THROW(cumulative(plane, {1, 0}, 0.0), std::invalid_argument);
  EXPECT_THROW(flow(data, {1, 0.1}, {1, 0}, 1e6), std::invalid_argument);
}

TEST(Quantile, UpperTailIsTheMirrorOfTheLower) {
  const oracle::mixture<double> normal(
      {{1.0, Eigen::VectorXd::Zero(1), Eigen::MatrixXd::Identity(1, 1)}});
  for (const double p : {1e-3, 1e-6, 1e-12, 1e-15})
    EXPECT_EQ(quantile(normal, {1, 0}, 1 - p), -quantile(normal, {1, 0}, 1 - (1 - p)));
  EXPECT_NEAR(quantile(normal, {1, 0}, 1 - 1e-12), 7.0344869, 5e-8);
  // In float the weights 1/6 add up to less than the largest probability below 1.
  std::vector<oracle::component<float>> parts;
  for (int k = 0; k < 6; ++k)
    parts.push_back(
        {1, Eigen::VectorXf::Constant(1, static_cast<float>(k)), Eigen::MatrixXf::Identity(1, 1)});
  const oracle::mixture<float> six(parts);
  const float p = std::nextafter(1.f, 0.f);
  EXPECT_NEAR(quantile(six, {1, 1}, p), 5 - quantile(six, {1, 1}, 1 - p), 1e-5);
}

}  // namespace
