#include "tweedie/metric/divergence.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tweedie/distribution/normal_divergence.hpp"

namespace {

using namespace tweedie;

constexpr double infinity = std::numeric_limits<double>::infinity();

// p = N(0, 1), q = N(1, 1.5^2).
double log_p(double x) { return normal_log_density(x, 0.0, 0.0); }
double log_q(double x) { return normal_log_density(x, 1.0, 2 * std::log(1.5)); }

auto uniform(double low, double high) {
  return [=](double x) { return x > low && x < high ? -std::log(high - low) : -infinity; };
}

TEST(divergence, of_discrete_distributions) {
  const std::vector<double> p = {0.5, 0.5, 0}, q = {0, 0.5, 0.5}, r = {0, 0, 1};
  EXPECT_EQ(js_divergence(p, p), 0);
  EXPECT_EQ(kl_divergence(p, p), 0);
  EXPECT_NEAR(js_divergence(p, q), 0.5 * std::log(2), 1e-15);
  EXPECT_EQ(kl_divergence(p, q), infinity);
  EXPECT_DOUBLE_EQ(kl_divergence(r, q), std::log(2));
  const std::vector<double> left = {0.3, 0.7, 0, 0}, right = {0, 0, 0.1, 0.9};
  EXPECT_NEAR(js_divergence(left, right), .693147181, 5e-10);
  EXPECT_LE(js_divergence(p, r), std::log(2));
  EXPECT_EQ(entropy(r), 0);
  EXPECT_DOUBLE_EQ(entropy(std::vector<double>(8, 0.125)), std::log(8));
  // H(p) = log n - KL(p || uniform).
  const std::vector<double> even(4, 0.25);
  EXPECT_NEAR(entropy(left), std::log(4) - kl_divergence(left, even), 1e-15);
  EXPECT_THROW(js_divergence(p, std::vector<double>{1}), std::invalid_argument);
  EXPECT_THROW(kl_divergence(p, std::vector<double>{-1, 1, 1}), std::invalid_argument);
  EXPECT_THROW(entropy(std::vector<double>{0.5, NAN}), std::invalid_argument);
}

TEST(divergence, of_normals_on_the_line_has_a_closed_form) {
  EXPECT_NEAR(kl_divergence(log_p, log_q, -16, 16),
              normal_divergence(0.0, 0.0, 1.0, 2 * std::log(1.5)), 1e-13);
  EXPECT_NEAR(kl_divergence(log_q, log_p, -16, 18),
              normal_divergence(1.0, 2 * std::log(1.5), 0.0, 0.0), 1e-13);
  EXPECT_NEAR(entropy(log_q, -16, 18), normal_entropy(2 * std::log(1.5)), 1e-13);
  EXPECT_NEAR(js_divergence(log_p, log_q, -16, 18), 0.099290097, 5e-10);
  // JS = H(m) - (H(p) + H(q))/2.
  const auto middle = [](double x) {
    return std::log(std::exp(log_p(x)) / 2 + std::exp(log_q(x)) / 2);
  };
  EXPECT_NEAR(js_divergence(log_p, log_q, -16, 18),
              entropy(middle, -16, 18) - (entropy(log_p, -16, 18) + entropy(log_q, -16, 18)) / 2,
              1e-13);
  EXPECT_THROW(js_divergence(log_p, log_q, 1, 1), std::invalid_argument);
  EXPECT_THROW(kl_divergence(log_p, log_q, -1, 1, 1), std::invalid_argument);
}

TEST(divergence, of_densities_that_are_zero_somewhere) {
  // 100 points inside each unit, none at its ends.
  const auto js = [](const auto& p, const auto& q) {
    return js_divergence(p, q, -0.995, 4.005, 501);
  };
  const auto kl = [](const auto& p, const auto& q) {
    return kl_divergence(p, q, -0.995, 4.005, 501);
  };
  EXPECT_NEAR(js(uniform(0, 1), uniform(2, 3)), std::log(2), 1e-12);
  EXPECT_NEAR(js(uniform(0, 1), uniform(0, 1)), 0, 1e-12);
  EXPECT_NEAR(kl(uniform(0, 1), uniform(0, 2)), std::log(2), 1e-12);
  EXPECT_EQ(kl(uniform(0, 2), uniform(0, 1)), infinity);
  EXPECT_NEAR(entropy(uniform(0, 3), -0.995, 4.005, 501), std::log(3), 1e-12);
  // p = 1, q = 1/2 on [0, 1]; q alone on [1, 2].
  EXPECT_NEAR(js(uniform(0, 1), uniform(0, 2)),
              (std::log(4 / 3.) + 0.5 * std::log(2 / 3.) + 0.5 * std::log(2)) / 2, 1e-12);
  const auto normal = [](double x) { return normal_log_density(x); };
  EXPECT_TRUE(std::isfinite(js(uniform(0, 1), normal)));
  EXPECT_THROW(js(normal, [](double) { return static_cast<double>(NAN); }), std::invalid_argument);
  EXPECT_THROW(kl([](double) { return infinity; }, normal), std::invalid_argument);
}

TEST(js_divergence, of_samples_converges_to_the_integral) {
  std::vector<double> at_p, at_q;
  for (int i = 0; i < 4000; ++i) {  // quantiles in place of random numbers
    const double z = normal_quantile((i + 0.5) / 4000);
    at_p.push_back(log_p(z) - log_q(z));
    at_q.push_back(log_p(1 + 1.5 * z) - log_q(1 + 1.5 * z));
  }
  EXPECT_NEAR(js_divergence_of_samples(at_p, at_q), 0.099290097, 1e-4);
  EXPECT_NEAR(js_divergence_of_samples(std::vector<double>{2000.0}, std::vector<double>{-2000.0}),
              std::log(2), 1e-15);
  for (const double l : {-30.0, -1.0, 0.0, 0.4, 30.0}) {
    // The integrands are log(2p/(p + q)) and log(2q/(p + q)).
    const double a = detail::log_share_of_sum(l), b = detail::log_share_of_sum(-l);
    EXPECT_NEAR(std::exp(a) + std::exp(b), 2, 1e-14);
    EXPECT_NEAR(a - b, l, 1e-13);
  }
  EXPECT_THROW(js_divergence_of_samples({}, at_p), std::invalid_argument);
}

}  // namespace
