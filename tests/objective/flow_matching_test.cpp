#include "tweedie/objective/flow_matching.hpp"

#include <gtest/gtest.h>

#include "tweedie/objective/flow_map.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/objective/training_batch.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;

TEST(optimal_transport_path, rate_is_the_derivative_and_ends_are_exact) {
  const optimal_transport_path path(1e-2);
  EXPECT_EQ(path(0), (signal_noise{1, 1e-2}));
  EXPECT_EQ(path(1), (signal_noise{0, 1}));
  for (const double t : {0.1, 0.5, 0.9}) {
    EXPECT_NEAR(path.rate(t).alpha, (path(t + 1e-5).alpha - path(t - 1e-5).alpha) / 2e-5, 1e-10);
    EXPECT_NEAR(path.rate(t).sigma, (path(t + 1e-5).sigma - path(t - 1e-5).sigma) / 2e-5, 1e-10);
  }
  // Lipman et al. 2023, eq. 21 in their time s = 1 - t: u = (x1 - (1 - m) x)/(1 - (1 - m) s).
  const double t = 0.3, s = 1 - t, m = 1e-2, x0 = 0.7, z = -1.1;
  const double x = path(t).alpha * x0 + path(t).sigma * z;
  EXPECT_NEAR(-(path.rate(t).alpha * x0 + path.rate(t).sigma * z),
              (x0 - (1 - m) * x) / (1 - (1 - m) * s), 1e-14);
  EXPECT_THROW(optimal_transport_path(1), std::invalid_argument);
}

TEST(interpolant, rates_are_derivatives_and_ends_are_the_data) {
  const double h = 1e-6;
  for (const auto path :
       {linear_interpolant, trigonometric_interpolant, encoding_decoding_interpolant})
    for (const double t : {0.01, 0.3, 0.49, 0.7, 0.99}) {
      const interpolant p = path(t), up = path(t + h), down = path(t - h);
      EXPECT_NEAR(p.rate.first, (up.at.first - down.at.first) / (2 * h), 1e-6);
      EXPECT_NEAR(p.rate.second, (up.at.second - down.at.second) / (2 * h), 1e-6);
      EXPECT_NEAR(p.rate.noise, (up.at.noise - down.at.noise) / (2 * h), 1e-5);
    }
  const interpolant start = encoding_decoding_interpolant(0),
                    end = encoding_decoding_interpolant(1);
  EXPECT_EQ(start.at.first, 1);
  EXPECT_NEAR(end.at.second, 1, 1e-15);
  EXPECT_NEAR(end.at.noise, 0, 1e-15);
  EXPECT_THROW(linear_interpolant(0), std::invalid_argument);
}

TEST(interpolate, writes_states_and_velocities) {
  const MatrixXd a = MatrixXd::Random(200, 2), b = MatrixXd::Random(200, 2),
                 z = MatrixXd::Random(200, 2);
  MatrixXd x(200, 2), v(200, 2), next(200, 2), unused(200, 2);
  const double h = 1e-6;
  interpolate(a, b, z, std::vector{linear_interpolant(0.3), trigonometric_interpolant(0.6)}, x, v);
  interpolate(a, b, z, std::vector{linear_interpolant(0.3 + h), trigonometric_interpolant(0.6 + h)},
              next, unused);
  EXPECT_LT(((next - x) / h - v).cwiseAbs().maxCoeff(), 1e-4);
}

// Data N(0, s^2), linear model v = w x at one time. The gradient in w of conditional and of
// marginal flow matching is the same, their values differ by a constant.
TEST(flow_matching, conditional_and_marginal_gradients_agree) {
  const double s2 = 0.3, t = 0.4, alpha = 1 - t, sigma = t;
  const double c = alpha * alpha * s2 + sigma * sigma;
  const double marginal = (-alpha * s2 + sigma) / c;  // v(x) = E[z - x0 | x] = marginal * x
  const auto losses = [&](double w) {
    // E over x0 and z: second moments, by regression on points with those moments.
    const double r = std::sqrt(s2);
    MatrixXd output(1, 4), target(1, 4), exact(1, 4);
    int k = 0;
    for (const double x0 : {-r, r})
      for (const double z : {-1.0, 1.0}) {
        const double x = alpha * x0 + sigma * z;
        output(0, k) = w * x;
        target(0, k) = z - x0;
        exact(0, k++) = marginal * x;
      }
    const std::vector<double> weights(4, 0.25);
    const auto sum = [&](const MatrixXd& goal) {
      double total = 0;
      for (const double v :
           regression(output, goal, weights, squared_error{}, reduction::sum_over_dimensions))
        total += v;
      return total;
    };
    return std::pair(sum(target), sum(exact));
  };
  const auto [c0, m0] = losses(0.1);
  const auto [c1, m1] = losses(0.9);
  const auto [c2, m2] = losses(-2);
  EXPECT_NEAR(c0 - m0, c1 - m1, 1e-14);
  EXPECT_NEAR(c0 - m0, c2 - m2, 1e-14);
  EXPECT_NEAR(losses(marginal).second, 0, 1e-30);
}

// Data N(0, s^2): the flow multiplies x by sqrt(c), c = (1 - t)^2 s^2 + t^2.
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
  EXPECT_THROW(straightness<MatrixXd>(data, noise, std::vector<double>{0, 0.5}, velocities),
               std::invalid_argument);
}

TEST(flow_map, exact_gaussian_maps_satisfy_every_identity) {
  const double s2 = 0.3;
  const auto c = [&](double t) { return (1 - t) * (1 - t) * s2 + t * t; };
  const auto map = [&](double x, double t, double r) { return x * std::sqrt(c(r) / c(t)); };
  const auto velocity = [&](double x, double t) { return x * (t - (1 - t) * s2) / c(t); };
  const auto average = [&](double x, double t, double r) { return (x - map(x, t, r)) / (t - r); };
  const double x = 0.8, t = 0.9, r = 0.2, m = 0.6, h = 1e-5;
  EXPECT_NEAR(jump(x, average(x, t, r), t, r), map(x, t, r), 1e-15);
  // du/dt along the trajectory.
  const double total =
      (average(map(x, t, t + h), t + h, r) - average(map(x, t, t - h), t - h, r)) / (2 * h);
  EXPECT_NEAR(mean_flow_target(velocity(x, t), total, t, r), average(x, t, r), 1e-9);
  EXPECT_NEAR(composed_velocity(average(x, t, m), average(map(x, t, m), m, r), t, m, r),
              average(x, t, r), 1e-14);
  EXPECT_NEAR(map(map(x, t, m), m, r), map(x, t, r), 1e-15);
  EXPECT_EQ(trajectory_jump(x, 5.0, t, t), x);
  EXPECT_EQ(trajectory_jump(x, 5.0, t, 0.0), 5.0);
  EXPECT_THROW(trajectory_jump(x, 5.0, t, t + 0.1), std::invalid_argument);
  EXPECT_THROW(composed_velocity(1.0, 1.0, t, t, t), std::invalid_argument);
}

}  // namespace
