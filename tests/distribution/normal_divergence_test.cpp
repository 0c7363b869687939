#include "tweedie/distribution/normal_divergence.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"
#include "tweedie/objective/vae.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;

TEST(numeric, stable_functions_equal_their_definitions_and_slopes) {
  for (const double x : {-60.0, -3.0, -0.49, -1e-3, -1e-9, 1e-9, 1e-3, 0.49, 0.51, 3.0, 60.0}) {
    const auto slope_of = [&](auto f) { return forward_mode(f, x); };
    EXPECT_NEAR(slope_of([](auto v) { return softplus(v); }), sigmoid(x), 1e-15);
    EXPECT_NEAR(slope_of([](auto v) { return sigmoid(v); }), sigmoid(x) * sigmoid(-x), 1e-15);
    EXPECT_NEAR(slope_of([](auto v) { return exp_minus_linear(v); }) / std::expm1(x), 1, 1e-14);
    EXPECT_NEAR(softplus(x) - softplus(-x), x, 1e-13);
    EXPECT_NEAR(sigmoid(x) + sigmoid(-x), 1, 1e-15);
  }
  EXPECT_EQ(forward_mode([](auto v) { return softplus(v); }, 0), 0.5);
  EXPECT_EQ(forward_mode([](auto v) { return sigmoid(v); }, 0), 0.25);
  EXPECT_EQ(forward_mode([](auto v) { return exp_minus_linear(v); }, 0), 0);
  // mpmath: e^x - 1 - x at 1e-9 and -0.3.
  EXPECT_NEAR(exp_minus_linear(1e-9) / 5.0000000016666666671e-19, 1, 1e-15);
  EXPECT_NEAR(exp_minus_linear(-0.3) / 0.040818220681717866, 1, 1e-14);
  EXPECT_EQ(softplus(1e4), 1e4);
  EXPECT_EQ(softplus(-1e4), 0);
  EXPECT_NEAR(softplus(-60.0), std::exp(-60.0), 1e-40);
  EXPECT_FLOAT_EQ(softplus(30.0f), 30.0f);
  EXPECT_FLOAT_EQ(softplus(-30.0f), std::exp(-30.0f));
}

TEST(normal_divergence, is_zero_only_for_equal_distributions) {
  EXPECT_EQ(normal_divergence(0.3, -2.0, 0.3, -2.0), 0);
  for (const double d : {1e-8, 1e-3, 0.4, 0.6, 30.0}) {
    EXPECT_GT(normal_divergence(0.3, d, 0.3, 0.0), 0);
    EXPECT_GT(normal_divergence(0.3, 0.0, 0.3, d), 0);
    EXPECT_GT(normal_divergence(0.3 + d, 0.0, 0.3, 0.0), 0);
  }
  // 1/2 (r - 1 - log r) with r = 1 + 1e-8: d^2/4.
  EXPECT_NEAR(normal_divergence(0.0, std::log1p(1e-8), 0.0, 0.0) / 0.25e-16, 1, 1e-7);
}

TEST(normal_divergence, equals_quadrature) {
  const double m = 0.4, l = -0.7, m2 = -0.3, l2 = 0.5;
  double sum = 0, entropy = 0;
  const double s = std::exp(l / 2), h = 1e-3;
  for (double z = -12; z <= 12; z += h) {
    const double x = m + s * z;
    const double log_p = normal_log_density(x, m, l);
    sum += h * s * std::exp(log_p) * (log_p - normal_log_density(x, m2, l2));
    entropy -= h * s * std::exp(log_p) * log_p;
  }
  EXPECT_NEAR(normal_divergence(m, l, m2, l2), sum, 1e-12);
  EXPECT_NEAR(normal_entropy(l), entropy, 1e-12);
}

TEST(normal_divergence, gradients_at_typical_and_extreme_variances) {
  for (const double l : {-30.0, -1.0, 0.0, 0.3, 30.0})
    for (const double m : {-2.0, 0.0, 1.5}) {
      Eigen::VectorXd mean(1), log_variance(1), dm(1), dl(1);
      mean << m;
      log_variance << l;
      standard_normal_divergences(mean, log_variance, reduction::sum_over_dimensions, dm, dl);
      const auto of_mean = [&](auto x) {
        return standard_normal_divergence(x, detail::constant_like(x, l));
      };
      const auto of_log = [&](auto x) {
        return standard_normal_divergence(detail::constant_like(x, m), x);
      };
      EXPECT_LT(relative_error(dm[0], forward_mode(of_mean, m)), 1e-13);
      EXPECT_LT(relative_error(dl[0], forward_mode(of_log, l)), 1e-13);
      EXPECT_LT(relative_error(dl[0], central_difference(of_log, l, 1e-5)), 1e-8);

      Eigen::VectorXd x(1);
      x << 0.7;
      const double value = normal_negative_log_likelihoods(
          x, mean, log_variance, reduction::sum_over_dimensions, dm, dl)[0];
      EXPECT_LT(relative_error(value, -normal_log_density(0.7, m, l)), 1e-14);
      const auto nll_of_mean = [&](auto v) -> decltype(v) {
        return -normal_log_density(detail::constant_like(v, 0.7), v, detail::constant_like(v, l));
      };
      const auto nll_of_log = [&](auto v) -> decltype(v) {
        return -normal_log_density(detail::constant_like(v, 0.7), detail::constant_like(v, m), v);
      };
      EXPECT_LT(relative_error(dm[0], forward_mode(nll_of_mean, m)), 1e-12);
      EXPECT_LT(relative_error(dl[0], forward_mode(nll_of_log, l)), 1e-12);
    }
}

TEST(normal_divergence, batches_equal_loops) {
  const Eigen::MatrixXf mean = Eigen::MatrixXf::Random(201, 3),
                        log_variance = 3 * Eigen::MatrixXf::Random(201, 3);
  Eigen::MatrixXf dm(201, 3), dl(201, 3);
  const auto values =
      standard_normal_divergences(mean, log_variance, reduction::mean_over_dimensions, dm, dl);
  for (int i = 0; i < 3; ++i) {
    double sum = 0;
    for (int j = 0; j < 201; ++j)
      sum += standard_normal_divergence<double>(mean(j, i), log_variance(j, i));
    EXPECT_NEAR(values[nth(i)], sum / 201, 1e-13);
  }
}

TEST(normal_divergence, gradients_equal_central_differences) {
  for (const double l : {-30.0, -1.0, 0.3, 30.0}) {
    const Eigen::VectorXd mean = Eigen::VectorXd::Constant(1, 1.5),
                          log_variance = Eigen::VectorXd::Constant(1, l);
    Eigen::VectorXd x = Eigen::VectorXd::Constant(1, 0.7), dm(1), dl(1), unused(1);
    const auto value = [&](double m, double v) {
      return normal_negative_log_likelihoods(x, Eigen::VectorXd::Constant(1, m).eval(),
                                             Eigen::VectorXd::Constant(1, v).eval(),
                                             reduction::bits_per_dimension, unused, unused)[0];
    };
    normal_negative_log_likelihoods(x, mean, log_variance, reduction::bits_per_dimension, dm, dl);
    const double h = 1e-4;
    EXPECT_LT(relative_error(dm[0], (value(1.5 + h, l) - value(1.5 - h, l)) / (2 * h)), 1e-8);
    EXPECT_LT(relative_error(dl[0], (value(1.5, l + h) - value(1.5, l - h)) / (2 * h)), 1e-8);
  }
}

// Every argument of the divergence of two normals and of their transport distance, by its formula.
TEST(normal_divergence, forward_mode_equals_the_textbook_derivatives) {
  for (const double l : {-30.0, -0.7, 30.0})
    for (const double l2 : {-30.0, 0.5, 30.0}) {
      const double m = 0.4, m2 = -0.3, ratio = std::exp(l - l2), precision = std::exp(-l2);
      const auto slope = [&](auto f, double at, double exact, double third_derivative = 0) {
        EXPECT_LT(relative_error(forward_mode(f, at), exact), 1e-13) << l << " " << l2;
        EXPECT_LT(std::abs(central_difference(f, at, 1e-4) - exact),
                  1e-7 * std::abs(exact) + 1e-8 * third_derivative + 1e-11 * std::abs(f(at)) + 1e-9)
            << l << " " << l2;
      };
      slope(
          [&](auto v) {
            return normal_divergence(v, decltype(v)(l), decltype(v)(m2), decltype(v)(l2));
          },
          m, (m - m2) * precision);
      slope(
          [&](auto v) {
            return normal_divergence(decltype(v)(m), v, decltype(v)(m2), decltype(v)(l2));
          },
          l, std::expm1(l - l2) / 2);
      slope(
          [&](auto v) {
            return normal_divergence(decltype(v)(m), decltype(v)(l), v, decltype(v)(l2));
          },
          m2, (m2 - m) * precision);
      slope(
          [&](auto v) {
            return normal_divergence(decltype(v)(m), decltype(v)(l), decltype(v)(m2), v);
          },
          l2, (1 - ratio - (m - m2) * (m - m2) * precision) / 2);
      slope(
          [&](auto v) {
            return normal_transport(v, decltype(v)(l), decltype(v)(m2), decltype(v)(l2));
          },
          m, 2 * (m - m2));
      slope(
          [&](auto v) {
            return normal_transport(decltype(v)(m), v, decltype(v)(m2), decltype(v)(l2));
          },
          l, std::exp(l / 2) * (std::exp(l / 2) - std::exp(l2 / 2)), std::exp(l));
    }
}

TEST(normal_transport, is_the_quantile_distance) {
  EXPECT_NEAR(normal_transport(1.0, std::log(4.0), -1.0, std::log(9.0)), 4 + 1, 1e-14);
  // int_0^1 (F^-1(p) - G^-1(p))^2 dp with p = Phi(z), by the trapezoidal rule in z.
  double sum = 0;
  const double h = 0.05;
  for (double z = -10; z <= 10; z += h) {
    const double q = z < 0 ? normal_quantile(normal_cdf(z)) : -normal_quantile(normal_cdf(-z));
    const double difference = (1 + 2 * q) - (-1 + 3 * q);
    sum += h * std::exp(normal_log_density(z)) * difference * difference;
  }
  EXPECT_NEAR(normal_transport(1.0, std::log(4.0), -1.0, std::log(9.0)), sum, 1e-9);
}

}  // namespace
