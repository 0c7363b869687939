#include "tweedie/continuous/critically_damped.hpp"

#include <gtest/gtest.h>

#include <Eigen/LU>

#include "refusal.hpp"

namespace tweedie {
namespace {

using Eigen::Matrix2d;

Matrix2d drift_of(const critically_damped& process) {
  const double m = process.mass();
  return (Matrix2d() << 0, 1 / m, -1, -process.friction() / m).finished();
}
Matrix2d noise_of(const critically_damped& process) {
  return (Matrix2d() << 0, 0, 0, 2 * process.friction()).finished();
}

// Mean and covariance solve dE/du = A E and dS/du = A S + S A^T + B.
TEST(critically_damped, laws_solve_the_moment_equations) {
  for (const double mass : {0.25, 1.0, 3.0}) {
    const critically_damped process(mass);
    EXPECT_NEAR(process.friction() * process.friction(), 4 * mass, 1e-14);
    const Matrix2d a = drift_of(process);
    for (const double u : {0.01, 0.4, 2.0, 9.0}) {
      const double h = 1e-5;
      const phase_law here = process.transition(u), up = process.transition(u + h),
                      down = process.transition(u - h);
      EXPECT_LT(((up.mean - down.mean) / (2 * h) - a * here.mean).cwiseAbs().maxCoeff(), 1e-8);
      const Matrix2d rate =
          a * here.covariance + here.covariance * a.transpose() + noise_of(process);
      EXPECT_LT(((up.covariance - down.covariance) / (2 * h) - rate).cwiseAbs().maxCoeff(), 1e-8);
    }
  }
}

TEST(critically_damped, transitions_compose) {
  const critically_damped process(0.25);
  const phase_law first = process.transition(0.3), second = process.transition(0.9),
                  whole = process.transition(1.2);
  EXPECT_LT((second.mean * first.mean - whole.mean).cwiseAbs().maxCoeff(), 1e-14);
  const Matrix2d composed =
      second.mean * first.covariance * second.mean.transpose() + second.covariance;
  EXPECT_LT((composed - whole.covariance).cwiseAbs().maxCoeff(), 1e-14);
}

TEST(critically_damped, keeps_its_stationary_law_and_forgets_the_data) {
  const critically_damped process(0.25);
  const Matrix2d stationary = Eigen::Vector2d(1, 0.25).asDiagonal();
  for (const double u : {1e-6, 0.1, 1.0, 5.0}) {
    const phase_law law = process.transition(u);
    EXPECT_LT((law.mean * stationary * law.mean.transpose() + law.covariance - stationary)
                  .cwiseAbs()
                  .maxCoeff(),
              1e-14);
  }
  const phase_law late = process.marginal(40);
  EXPECT_LT(late.mean.cwiseAbs().maxCoeff(), 1e-30);
  EXPECT_LT((late.covariance - stationary).cwiseAbs().maxCoeff(), 1e-15);
  const phase_law first = process.marginal(0, 0.04);
  EXPECT_EQ(first.mean(0, 0), 1);
  EXPECT_EQ(first.covariance(0, 0), 0);
  EXPECT_DOUBLE_EQ(first.covariance(1, 1), 0.01);
  // Velocities that begin in their own stationary law leave x0 the only thing to forget.
  EXPECT_NEAR(process.marginal(0.7, 1).covariance(1, 1),
              0.25 - std::pow(process.transition(0.7).mean(1, 0), 2), 1e-14);
}

// Noise reaches x through v, twice integrated: 2 G u^3/(3 M^2) at first, G = 2 sqrt(M).
TEST(critically_damped, small_variances_keep_their_digits) {
  const critically_damped process(0.25);
  for (const double u : {1e-8, 1e-5}) {
    const phase_law law = process.transition(u);
    EXPECT_NEAR(law.covariance(0, 0) / (2 * process.friction() * u * u * u / (3 * 0.0625)), 1,
                1e-4);
    EXPECT_NEAR(law.covariance(1, 1) / (2 * process.friction() * u), 1, 1e-4);
    EXPECT_GT(law.covariance.determinant(), 0);
  }
  // Series and closed form meet at y = 2 u/sqrt(M) = 1.
  EXPECT_NEAR(process.transition(0.25 * (1 - 1e-12)).covariance(0, 0),
              process.transition(0.25 * (1 + 1e-12)).covariance(0, 0), 1e-12);
}

TEST(critically_damped, refuses_what_is_no_time) {
  EXPECT_EQ(refusal([] { critically_damped(0); }).find("critically_damped: mass = 0"), 0U);
  EXPECT_THROW(critically_damped().transition(-1), std::invalid_argument);
  EXPECT_THROW(critically_damped().transition(NAN), std::invalid_argument);
  EXPECT_THROW(critically_damped().marginal(1, -1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
