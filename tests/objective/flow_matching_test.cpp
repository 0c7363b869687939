#include "tweedie/objective/flow_matching.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"
#include "tweedie/objective/flow_map.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/training/training_batch.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;
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
  EXPECT_THROW(optimal_transport_path(-0.1), std::invalid_argument);
  EXPECT_THROW(path(1.1), std::invalid_argument);
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
  // The same by forward mode through the formulas, up to the ends of the range.
  const auto gamma = [](auto t) {
    using std::sqrt;
    return decltype(t)(sqrt(decltype(t)(2 * t * (1 - t))));
  };
  const auto sine = [](auto t) {
    using std::sin;
    return decltype(t)(sin(decltype(t)(std::numbers::pi / 2 * t)));
  };
  const auto hidden = [](auto t) {
    using std::sin;
    const decltype(t) root = sin(decltype(t)(std::numbers::pi * t));
    return decltype(t)(root * root);
  };
  for (const double t : {1e-9, 1e-4, 0.3, 0.7, 1 - 1e-4, 1 - 1e-9}) {
    const double rate = forward_mode(gamma, t);
    EXPECT_NEAR(linear_interpolant(t).rate.noise / rate, 1, 1e-12);
    EXPECT_NEAR(trigonometric_interpolant(t).rate.noise / rate, 1, 1e-12);
    EXPECT_NEAR(trigonometric_interpolant(t).rate.second, forward_mode(sine, t), 1e-14);
    EXPECT_NEAR(encoding_decoding_interpolant(t).rate.noise, forward_mode(hidden, t), 1e-14);
  }
  const interpolant start = encoding_decoding_interpolant(0),
                    end = encoding_decoding_interpolant(1);
  EXPECT_EQ(start.at.first, 1);
  EXPECT_NEAR(end.at.second, 1, 1e-15);
  EXPECT_NEAR(end.at.noise, 0, 1e-15);
  EXPECT_THROW(linear_interpolant(0), std::invalid_argument);
  EXPECT_THROW(trigonometric_interpolant(1), std::invalid_argument);
  EXPECT_THROW(encoding_decoding_interpolant(1.1), std::invalid_argument);
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

// Residual of the continuity equation d_t p + d_x(p v) = 0 by central differences of step h, largest
// over a grid of points, for density(t, x) and velocity(t, x).
template <class Density, class Velocity>
double continuity_residual(const Density& density, const Velocity& velocity, double t, double h) {
  double worst = 0;
  for (double x = -3; x <= 3; x += 0.1) {
    const auto flux = [&](double at) { return density(t, at) * velocity(t, at); };
    const double residual =
        (density(t + h, x) - density(t - h, x)) / (2 * h) + (flux(x + h) - flux(x - h)) / (2 * h);
    worst = std::max(worst, std::abs(residual));
  }
  return worst;
}

template <class Density, class Velocity>
void expect_continuity(const Density& density, const Velocity& velocity) {
  for (const double t : {0.15, 0.5, 0.85}) {
    const double coarse = continuity_residual(density, velocity, t, 4e-3);
    const double fine = continuity_residual(density, velocity, t, 2e-3);
    EXPECT_LT(fine, 2e-3);
    EXPECT_NEAR(std::log2(coarse / fine), 2, 0.15);
  }
}

oracle::mixture<double> two_modes() {
  const auto part = [](double weight, double mean, double variance) {
    return oracle::component<double>{weight, Eigen::VectorXd::Constant(1, mean),
                                     MatrixXd::Constant(1, 1, variance)};
  };
  return oracle::mixture<double>({part(0.4, -1, 0.2), part(0.6, 0.9, 0.4)});
}

// E[alpha' x0 + sigma' z | x], of which the conditional velocity of the batch is an unbiased target,
// moves mass exactly as the noised densities do.
template <class Path>
void expect_marginal_velocity(const Path& path) {
  const auto data = two_modes();
  const auto at = [](double x) { return Eigen::VectorXd::Constant(1, x); };
  expect_continuity([&](double t, double x) { return std::exp(data.log_density(path(t), at(x))); },
                    [&](double t, double x) {
                      const signal_noise level = path(t);
                      const double clean = data.denoise(level, at(x))(0, 0);
                      const double noise = (x - level.alpha * clean) / level.sigma;
                      const plane_row row = predicts_velocity(path)({t, level});
                      return row.x0 * clean + row.z * noise;
                    });
}

TEST(flow_matching, marginal_velocities_solve_the_continuity_equation) {
  expect_marginal_velocity(rectified_flow{});
  expect_marginal_velocity(optimal_transport_path(0.1));
  expect_marginal_velocity(trigonometric_schedule{});
  expect_marginal_velocity(variance_preserving_schedule{});
}

// Between N(-1, 0.3) and N(0.8, 0.6): the interpolant is Gaussian and E[rate | x] is affine.
TEST(interpolant, velocities_solve_the_continuity_equation) {
  for (const auto path : {linear_interpolant, trigonometric_interpolant}) {
    const auto moments = [&](double t) {
      const auto [a, b, g] = path(t).at;
      return std::pair(-a + 0.8 * b, 0.3 * a * a + 0.6 * b * b + g * g);
    };
    expect_continuity(
        [&](double t, double x) {
          const auto [mean, variance] = moments(t);
          return std::exp(-(x - mean) * (x - mean) / (2 * variance)) /
                 std::sqrt(2 * std::numbers::pi * variance);
        },
        [&](double t, double x) {
          const auto [mean, variance] = moments(t);
          const interpolant p = path(t);
          const double covariance = 0.3 * p.at.first * p.rate.first +
                                    0.6 * p.at.second * p.rate.second + p.at.noise * p.rate.noise;
          return -p.rate.first + 0.8 * p.rate.second + covariance / variance * (x - mean);
        });
  }
}

// Data N(0, s^2), linear model v = w x at one time. The gradient in w of conditional and of
// marginal flow matching is the same, their values differ by a constant.
TEST(flow_matching, conditional_and_marginal_gradients_agree) {
  const double s2 = 0.3, t = 0.4, alpha = 1 - t, sigma = t;
  const double c = alpha * alpha * s2 + sigma * sigma;
  const double marginal = (-alpha * s2 + sigma) / c;  // v(x) = E[z - x0 | x] = marginal * x
  // E over x0 and z: four points with their second moments.
  const double r = std::sqrt(s2);
  const Eigen::RowVector4d x0(-r, -r, r, r), z(-1, 1, -1, 1);
  const MatrixXd x = alpha * x0 + sigma * z, target = z - x0, exact = marginal * x;
  struct loss {
    double value, slope;  // the slope carried from the outputs to w
  };
  const auto loss_of = [&](double w, const MatrixXd& goal) {
    const MatrixXd output = w * x;
    MatrixXd gradient(1, 4);
    double total = 0;
    for (const double v : regression(output, goal, std::vector<double>(4, 0.25), squared_error{},
                                     reduction::sum_over_dimensions, gradient))
      total += v;
    return loss{total, (gradient.array() * x.array()).sum()};
  };
  const double gap = loss_of(0, target).value - loss_of(0, exact).value;
  for (const double w : {0.1, 0.9, -2.0, 60.0}) {
    EXPECT_NEAR(loss_of(w, target).value - loss_of(w, exact).value, gap, 1e-12);
    EXPECT_NEAR(loss_of(w, target).slope, loss_of(w, exact).slope, 1e-13);
    EXPECT_NEAR(loss_of(w, exact).slope, 2 * (w - marginal) * c, 1e-13);
  }
  EXPECT_NEAR(loss_of(marginal, exact).value, 0, 1e-30);
  EXPECT_NEAR(loss_of(marginal, target).slope, 0, 1e-15);
}

// Data N(0, s^2): the flow multiplies x by sqrt(c), c = (1 - t)^2 s^2 + t^2.
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
  // With the inner network of the exact map, jumps of the trajectory model are exact, and as s -> t
  // their mean velocity tends to (x - g)/t, the velocity at t (Kim et al. 2024, section 3.1); here on
  // noise levels u of x = x0 + u z, x_s = sqrt(c(s)/c(u)) x.
  const auto exploding = [&](double u) { return s2 + u * u; };
  const double u = 1.4;
  const auto inner = [&](double s) {
    return x * (std::sqrt(exploding(s) / exploding(u)) - s / u) / (1 - s / u);
  };
  EXPECT_NEAR(trajectory_jump(x, inner(0.3), u, 0.3), x * std::sqrt(exploding(0.3) / exploding(u)),
              1e-15);
  for (const double gap : {1e-2, 1e-4}) {
    const double s = u - gap;
    const double exact = x * u / exploding(u);
    EXPECT_NEAR((x - trajectory_jump(x, inner(s), u, s)) / gap, exact, 0.2 * gap);
    EXPECT_NEAR((x - inner(s)) / u, exact, 0.2 * gap);
  }
  EXPECT_EQ(trajectory_jump(x, 5.0, t, t), x);
  EXPECT_EQ(trajectory_jump(x, 5.0, t, 0.0), 5.0);
  EXPECT_THROW(trajectory_jump(x, 5.0, t, t + 0.1), std::invalid_argument);
  EXPECT_THROW(trajectory_jump(x, 5.0, 0, 0), std::invalid_argument);
  EXPECT_THROW(composed_velocity(1.0, 1.0, t, t, t), std::invalid_argument);
}

}  // namespace
