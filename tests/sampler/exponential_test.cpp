#include "tweedie/sampler/exponential.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace tweedie {
namespace {

TEST(phi, closed_forms) {
  const double e = std::numbers::e;
  EXPECT_DOUBLE_EQ(phi(0, 1), e);
  EXPECT_DOUBLE_EQ(phi(1, 1), e - 1);
  EXPECT_DOUBLE_EQ(phi(2, 1), e - 2);
  EXPECT_NEAR(phi(3, 1), e - 2.5, 3e-16);
  EXPECT_DOUBLE_EQ(phi(2, -1), 1 / e);
  EXPECT_NEAR(phi(3, -1), 0.5 - 1 / e, 3e-16);
  for (const int k : {1, 2, 3, 4, 5}) EXPECT_DOUBLE_EQ(phi(k, 0), 1 / std::tgamma(k + 1));
}

TEST(phi, equals_its_integral_with_full_relative_accuracy) {
  for (const int k : {1, 2, 3, 4, 6})
    for (const double y :
         {-30.0, -8.1, -7.9, -2.0, -1e-3, -1e-9, 1e-9, 1e-3, 2.0, 7.9, 8.1, 30.0}) {
      double integral = 0;
      for (const auto [s, weight] : detail::gauss_legendre<32>())
        integral += weight * std::exp((1 - s) * y) * std::pow(s, k - 1) / std::tgamma(k);
      EXPECT_NEAR(phi(k, y) / integral, 1, 2e-13) << k << ' ' << y;
    }
}

TEST(phi, satisfies_its_recurrence_far_out) {
  for (const double y : {-700.0, -50.0, 50.0, 300.0})
    for (const int k : {1, 2, 3})
      EXPECT_NEAR(y * phi(k + 1, y) / (phi(k, y) - 1 / std::tgamma(k + 1)), 1, 1e-14);
  EXPECT_THROW(phi(-1, 0.5), std::invalid_argument);
}

TEST(exponential_mean_power, runs_from_one_to_zero) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const int k : {1, 2, 3}) {
    EXPECT_EQ(exponential_mean_power(k, -infinity), 1);
    EXPECT_EQ(exponential_mean_power(k, infinity), 0);
    EXPECT_DOUBLE_EQ(exponential_mean_power(k, 0), 1.0 / (k + 1));
    EXPECT_NEAR(exponential_mean_power(k, -700), 1, 0.01);
    EXPECT_NEAR(exponential_mean_power(k, 700), 0, 0.01);
  }
  EXPECT_EQ(exponential_mean_power(0, 3), 1);
}

TEST(interpolation_weights, integrate_polynomials_exactly) {
  const std::vector<double> nodes{0, -0.7, -2.5, 1};
  const std::vector<double> means{1, 0.4, 0.3, 0.21};
  const std::vector<double> w = interpolation_weights(nodes, means);
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    double sum = 0;
    for (std::size_t j = 0; j < nodes.size(); ++j)
      sum += w[j] * std::pow(nodes[j], static_cast<double>(k));
    EXPECT_NEAR(sum, means[k], 1e-15);
  }
}

TEST(interpolation_weights, refuse_repeated_nodes) {
  const std::vector<double> means{1, 0.5};
  EXPECT_THROW(interpolation_weights(std::vector{0.3, 0.3}, means), std::invalid_argument);
  EXPECT_THROW(interpolation_weights(std::vector{0.0, std::nan("")}, means), std::invalid_argument);
}

TEST(step_between, moves_a_known_point_exactly) {
  // With P = x0, or z, constant the step must carry alpha x0 + sigma z to the new level.
  for (const auto& [from, to] : {std::pair<signal_noise, signal_noise>{{0.6, 0.8}, {0.8, 0.6}},
                                 {{1, 80}, {1, 3}},
                                 {{0.1, 0.9}, {0.7, 0.3}},
                                 {{0.6, 0.8}, {1, 0}},
                                 {{0.8, 0.6}, {0.6, 0.8}}}) {
    const exponential_step data = step_between(from, to, clean_row);
    EXPECT_NEAR(data.state * from.alpha + data.gain, to.alpha, 1e-15);
    EXPECT_NEAR(data.state * from.sigma, to.sigma, 1e-15);
    const exponential_step noise = step_between(from, to, noise_row);
    EXPECT_NEAR(noise.state * from.alpha, to.alpha, 1e-15);
    EXPECT_NEAR(noise.state * from.sigma + noise.gain, to.sigma, 1e-14);
  }
  const exponential_step start = step_between({0, 1}, {0.6, 0.8}, clean_row);
  EXPECT_DOUBLE_EQ(start.gain, 0.6);
  EXPECT_DOUBLE_EQ(start.state, 0.8);
}

TEST(step_between, keeps_the_variance_of_the_noise_at_any_stochasticity) {
  for (const double tau : {0.0, 0.3, 1.0, 2.0})
    for (const auto& [from, to] : {std::pair<signal_noise, signal_noise>{{0.6, 0.8}, {0.8, 0.6}},
                                   {{1, 80}, {1, 3}},
                                   {{1, 3}, {1, 0}},
                                   {{0, 1}, {0.3, 0.7}}}) {
      const exponential_step s = step_between(from, to, clean_row, tau);
      EXPECT_NEAR(s.state * from.alpha + s.gain, to.alpha, 1e-15);
      const double carried = s.state * from.sigma;
      EXPECT_NEAR(carried * carried + s.noise * s.noise, to.sigma * to.sigma,
                  1e-15 * std::max(1.0, to.sigma * to.sigma));
    }
}

TEST(step_between, of_the_stochastic_noise_form_exceeds_the_variance_at_second_order) {
  const signal_noise from{0.6, 0.8}, to{0.8, 0.6};
  for (const double tau : {0.3, 1.0}) {
    const exponential_step s = step_between(from, to, noise_row, tau);
    EXPECT_NEAR(s.state * from.alpha, to.alpha, 1e-15);
    const double kept = s.state * from.sigma + s.gain;
    const double excess = to.alpha * from.sigma / from.alpha - to.sigma;
    EXPECT_NEAR(kept * kept + s.noise * s.noise - to.sigma * to.sigma,
                tau * tau * (1 + tau * tau) * excess * excess, 1e-14);
  }
}

TEST(step_between, composes) {
  const signal_noise a{0.2, 0.9}, b{0.5, 0.7}, c{0.9, 0.2};
  for (const double tau : {0.0, 0.6, 1.0}) {
    const exponential_step ab = step_between(a, b, clean_row, tau);
    const exponential_step bc = step_between(b, c, clean_row, tau);
    const exponential_step ac = step_between(a, c, clean_row, tau);
    EXPECT_NEAR(bc.state * ab.state, ac.state, 1e-15);
    EXPECT_NEAR(bc.state * ab.gain + bc.gain, ac.gain, 1e-15);
    EXPECT_NEAR(std::hypot(bc.state * ab.noise, bc.noise), ac.noise, 1e-15);
  }
}

TEST(step_between, of_no_length_changes_nothing) {
  for (const plane_row row : {clean_row, noise_row, straight_row}) {
    const exponential_step s = step_between({0.3, 0.7}, {0.3, 0.7}, row);
    EXPECT_EQ(s.state, 1);
    EXPECT_EQ(s.gain, 0);
    EXPECT_EQ(s.length, 0);
  }
}

TEST(step_between, refuses_what_is_undefined) {
  EXPECT_THROW(step_between({0, 1}, {0.6, 0.8}, noise_row), std::invalid_argument);
  EXPECT_THROW(step_between({0.8, 0.6}, {0.6, 0.8}, clean_row, 1), std::invalid_argument);
  EXPECT_THROW(step_between({0.6, 0.8}, {0.8, 0.6}, clean_row, -1), std::invalid_argument);
  EXPECT_THROW(step_between({0.6, 0.8}, {0.8, 0.6}, straight_row, 1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
