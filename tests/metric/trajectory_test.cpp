#include "tweedie/metric/trajectory.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <numbers>

#include "tweedie/objective/flow_map.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;

TEST(straightness, of_the_flow_to_gaussian_data_has_a_closed_form) {
  const double s2 = 0.3, s = std::sqrt(s2);
  const int n = 4000;
  std::vector<double> times;
  std::vector<MatrixXd> velocities;
  const auto c = [&](double t) { return (1 - t) * (1 - t) * s2 + t * t; };
  for (int k = 0; k <= n; ++k) {
    const double t = static_cast<double>(k) / n;
    times.push_back(t);
    // The trajectory through z = 1 at t = 1: x = sqrt(c).
    velocities.push_back(MatrixXd::Constant(1, 1, (t - (1 - t) * s2) / std::sqrt(c(t))));
  }
  const MatrixXd data = MatrixXd::Constant(1, 1, s), noise = MatrixXd::Constant(1, 1, 1);
  const double value = straightness<MatrixXd>(data, noise, times, velocities)[0];
  EXPECT_NEAR(value, .235084534, 1e-6);
  // After reflow the pair (s z, z) is joined by a straight line.
  const std::vector<MatrixXd> straight(times.size(), MatrixXd::Constant(1, 1, 1 - s));
  EXPECT_NEAR(straightness<MatrixXd>(data, noise, times, straight)[0], 0, 1e-30);
  // One Euler step along its velocity is then the whole flow.
  EXPECT_NEAR(jump(noise(0, 0), straight[0](0, 0), 1, 0), data(0, 0), 1e-16);
  const auto refuses = [&](const std::vector<double>& at, const std::vector<MatrixXd>& along) {
    EXPECT_THROW(straightness<MatrixXd>(data, noise, at, along), std::invalid_argument);
  };
  refuses({0, 0.5}, velocities);
  refuses({0, 0.5}, {noise, noise});
  try {
    straightness<MatrixXd>(data, noise, std::vector<double>{0.5, 1}, std::vector{noise, noise});
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "straightness: times.front() = 0.5; valid: 0");
  }
  refuses({0, 0.7, 0.6, 1}, {noise, noise, noise, noise});
  refuses({0, 1}, {noise, MatrixXd(1, 2)});
}

// A polygon with n sides on an arc of angle a turns n - 1 times by a/n.
TEST(total_curvature, of_an_arc_and_of_a_line) {
  for (const int n : {2, 5, 1000}) {
    std::vector<MatrixXd> states;
    const double angle = 1.25 * std::numbers::pi;
    for (int k = 0; k <= n; ++k) {
      const double a = angle * k / n, speed = std::pow(k, 1.5);
      MatrixXd x(3, 2);
      x << 2 * std::cos(a), speed, 2 * std::sin(a), -3 * speed, 0.5, 1;
      states.push_back(x);
    }
    const std::vector<double> turned = total_curvature<MatrixXd>(states);
    EXPECT_NEAR(turned[0], angle * (n - 1) / n, 1e-12 * n);
    EXPECT_NEAR(turned[1], 0, 1e-12 * n);
  }
}

// A helix of radius r and rise c per radian turns by r/sqrt(r^2 + c^2) per radian.
TEST(total_curvature, rises_to_that_of_a_helix) {
  double last = 0;
  const double exact = 7 * 2 / std::hypot(2.0, 0.7);
  for (const int n : {20, 40, 80, 2000}) {
    std::vector<Eigen::VectorXf> states;
    for (int k = 0; k <= n; ++k) {
      const float a = 7 * static_cast<float>(k) / static_cast<float>(n);
      states.push_back(Eigen::Vector3f(2 * std::cos(a), 2 * std::sin(a), 0.7f * a));
    }
    const double turned = total_curvature<Eigen::VectorXf>(states)[0];
    EXPECT_GT(turned, last);
    EXPECT_LT(turned, exact);
    last = turned;
  }
  EXPECT_NEAR(last, exact, 0.002 * exact);
}

TEST(total_curvature, small_angles_reversals_and_repeated_points) {
  const auto turned = [](std::vector<Eigen::Vector2d> points) {
    return total_curvature<Eigen::Vector2d>(points)[0];
  };
  EXPECT_NEAR(turned({{0, 0}, {1, 0}, {2, 1e-9}}), 1e-9, 1e-24);
  EXPECT_DOUBLE_EQ(turned({{0, 0}, {1, 0}, {0, 0}}), std::numbers::pi);
  EXPECT_DOUBLE_EQ(turned({{0, 0}, {0, 0}, {1, 0}, {1, 0}, {1, 2}, {1, 2}}), std::numbers::pi / 2);
  EXPECT_EQ(turned({{3, 1}, {3, 1}}), 0);
  EXPECT_THROW(turned({{0, 0}}), std::invalid_argument);
  EXPECT_THROW(turned({{0, 0}, {1, NAN}}), std::invalid_argument);
  const std::vector<MatrixXd> sizes = {MatrixXd::Zero(2, 2), MatrixXd::Zero(2, 3)};
  EXPECT_THROW(total_curvature<MatrixXd>(sizes), std::invalid_argument);
}

}  // namespace
