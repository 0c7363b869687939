#include "tweedie/continuous/langevin_dynamics.hpp"

#include <gtest/gtest.h>

#include "tweedie/tensor/normal.hpp"

namespace tweedie {
namespace {

// Variance after a step of N(0, v) towards N(0, s^2), from the step itself: it is linear in x and z.
double variance_after(double v, double s, double e) {
  std::vector<double> of_x{1}, of_z{0};
  langevin_step(of_x, std::vector<double>{-1 / (s * s)}, std::vector<double>{0}, e);
  langevin_step(of_z, std::vector<double>{0}, std::vector<double>{1}, e);
  return of_x[0] * of_x[0] * v + of_z[0] * of_z[0];
}

TEST(langevin_dynamics, unadjusted_steps_settle_at_a_variance_that_is_too_large) {
  for (const double e : {0.01, 0.1, 0.5}) {
    double v = 5;
    for (int k = 0; k < 5000; ++k) v = variance_after(v, 0.8, e);
    EXPECT_NEAR(v, 0.64 / (1 - e / (2 * 0.64)), 1e-12);
  }
  double v = 1;
  for (int k = 0; k < 100; ++k) v = variance_after(v, 0.8, 2 * 0.64);
  EXPECT_GT(v, 100);
}

struct double_well {
  void operator()(scored_point& p) const {
    const double x = p.x[0];
    p.log_density = -(x * x - 1) * (x * x - 1);
    p.score = {-4 * x * (x * x - 1)};
  }
};
scored_point at(double x) {
  scored_point p{{x}, 0, {}};
  double_well{}(p);
  return p;
}

TEST(langevin_dynamics, adjusted_moves_are_in_detailed_balance) {
  const double e = 0.1;
  const auto flow = [&](const scored_point& a, const scored_point& b) {
    const double d = b.x[0] - a.x[0] - e * a.score[0];
    return std::exp(a.log_density - d * d / (4 * e)) *
           std::min(1.0, std::exp(log_acceptance(a, b, e)));
  };
  for (const double x : {-1.7, -0.2, 0.4, 1.1})
    for (const double y : {-1.1, 0.1, 0.9, 2.0})
      EXPECT_NEAR(flow(at(x), at(y)), flow(at(y), at(x)), 1e-14);
  EXPECT_EQ(log_acceptance(at(0.3), at(0.3), e), 0);
}

TEST(langevin_dynamics, adjusted_steps_have_the_moments_of_the_density) {
  // E x^2 under exp(-(x^2 - 1)^2), by the trapezium rule.
  double mass = 0, second = 0;
  for (double x = -4; x <= 4; x += 1e-3) {
    const double p = std::exp(-(x * x - 1) * (x * x - 1));
    mass += p;
    second += x * x * p;
  }
  const std::size_t n = 200000;
  std::vector<double> z(n), u(n);
  fill_normal(noise_key{1, 0, 0}, 0, std::span(z));
  fill_uniform(noise_key{1, 0, 0}, 0, std::span(u));
  scored_point now = at(0.5);
  double sum = 0;
  std::size_t moved = 0;
  for (std::size_t k = 0; k < n; ++k) {
    moved += adjusted_langevin_step(now, double_well{}, std::span(&z[k], 1), u[k], 0.2);
    sum += now.x[0] * now.x[0];
  }
  // x^2 has deviation 0.56 and is correlated over about 10 steps: five standard errors.
  EXPECT_NEAR(sum / static_cast<double>(n), second / mass,
              5 * 0.56 * std::sqrt(10.0 / static_cast<double>(n)));
  EXPECT_GT(moved, n / 2);
  EXPECT_LT(moved, n);
}

TEST(langevin_dynamics, leaves_the_point_where_a_proposal_is_none) {
  scored_point now = at(0.5);
  const auto outside = [](scored_point& p) { p.log_density = -HUGE_VAL; };
  const auto broken = [](scored_point& p) { p.log_density = std::nan(""); };
  const std::vector<double> z{1};
  EXPECT_FALSE(adjusted_langevin_step(now, outside, z, 0.0, 0.1));
  EXPECT_THROW(adjusted_langevin_step(now, broken, z, 0.5, 0.1), std::invalid_argument);
  EXPECT_THROW(adjusted_langevin_step(now, double_well{}, z, 0.5, 0), std::invalid_argument);
  EXPECT_EQ(now.x[0], 0.5);
  std::vector<double> x{1};
  EXPECT_THROW(langevin_step(x, std::vector<double>{}, z, 0.1), std::invalid_argument);
  EXPECT_THROW(langevin_step(x, z, z, -0.1), std::invalid_argument);
  langevin_step(x, z, z, 0);
  EXPECT_EQ(x[0], 1);
}

}  // namespace
}  // namespace tweedie
