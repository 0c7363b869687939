#include "tweedie/process/reverse.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <vector>

#include "tweedie/process/forward.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

struct pair_of_levels {
  signal_noise from;
  signal_noise to;
};

std::vector<pair_of_levels> pairs() {
  std::vector<pair_of_levels> out;
  const auto linear = linear_beta_schedule(1000);
  for (const int k : {1, 2, 10, 500, 999}) out.push_back({linear(k), linear(k - 1)});
  out.push_back({linear(999), linear(399)});
  const rectified_flow flow;
  for (const double t : {0.2, 0.6, 1.0}) out.push_back({flow(t), flow(t / 2)});
  const edm_schedule edm;
  out.push_back({edm(80), edm(3)});
  return out;
}

TEST(posterior, equals_the_product_of_gaussians) {
  for (const auto& [from, to] : pairs()) {
    const auto q = posterior(from, to);
    const auto step = transition(to, from);
    if (step.mean == 0) continue;  // no information flows back through a zero signal
    // p(x_s | x_t, x_0) is proportional to N(x_t; a x_s, b) N(x_s; alpha_s x_0, sigma_s^2).
    const double precision = step.mean * step.mean / step.variance + 1 / (to.sigma * to.sigma);
    EXPECT_NEAR(q.variance * precision, 1, 1e-12);
    EXPECT_NEAR(q.state, step.mean / step.variance / precision, 1e-13);
    EXPECT_NEAR(q.clean, to.alpha / (to.sigma * to.sigma) / precision, 1e-12);
  }
}

TEST(posterior, equals_conditioning_of_the_joint_gaussian) {
  // (x_s, x_t) given x_0 is Gaussian with covariance [[vs, a vs], [a vs, a^2 vs + b]].
  for (const auto& [from, to] : pairs()) {
    const auto step = transition(to, from);
    const double vs = to.sigma * to.sigma;
    const double cross = step.mean * vs;
    const double vt = step.mean * cross + step.variance;
    const auto q = posterior(from, to);
    EXPECT_NEAR(q.state, cross / vt, 1e-14);
    EXPECT_NEAR(q.variance, vs - cross * cross / vt, 1e-13 * (1 + vs));
    EXPECT_NEAR(q.clean, to.alpha - cross / vt * from.alpha, 1e-13);
  }
}

TEST(posterior, bayes_rule_in_logarithms) {
  for (const auto& [from, to] : pairs()) {
    const double x0 = 0.4, xs = 0.9, xt = -0.3;
    const auto step = transition(to, from);
    if (step.variance == 0) continue;
    const auto q = posterior(from, to);
    const auto log_normal = [](double x, double mean, double variance) {
      return isotropic_log_density((x - mean) * (x - mean), variance, 1);
    };
    const double left = log_normal(xs, q.clean * x0 + q.state * xt, q.variance) +
                        log_normal(xt, from.alpha * x0, from.sigma * from.sigma);
    const double right = log_normal(xt, step.mean * xs, step.variance) +
                         log_normal(xs, to.alpha * x0, to.sigma * to.sigma);
    EXPECT_NEAR(left, right, 1e-10 * (1 + std::abs(left)));
  }
}

TEST(posterior, preserves_marginals) {
  // Posterior after forward: mean and variance of x_s given x_0 come back.
  for (const auto& [from, to] : pairs()) {
    const auto q = posterior(from, to);
    EXPECT_NEAR(q.clean + q.state * from.alpha, to.alpha, 1e-13);
    EXPECT_NEAR(q.state * q.state * from.sigma * from.sigma + q.variance, to.sigma * to.sigma,
                1e-13 * (1 + to.sigma * to.sigma));
  }
}

TEST(posterior, published_coefficients) {
  const auto schedule = linear_beta_schedule(1000);
  const auto at_step = [&](int step) {
    return posterior(schedule(index_of_step(step)), schedule(index_of_step(step) - 1));
  };
  EXPECT_EQ(at_step(1).clean, 1);
  EXPECT_EQ(at_step(1).state, 0);
  EXPECT_EQ(at_step(1).variance, 0);
  EXPECT_NEAR(at_step(2).clean, 0.5452915, 1e-7);
  EXPECT_NEAR(at_step(2).state, 0.4547085, 1e-7);
  EXPECT_NEAR(at_step(500).clean, 0.00307007111, 1e-11);
  EXPECT_NEAR(at_step(500).state, 0.99410667, 1e-8);
  EXPECT_NEAR(at_step(1000).clean, 1.28351487e-4, 1e-12);
  EXPECT_NEAR(at_step(1000).state, 0.98994868, 1e-8);
  EXPECT_NEAR(at_step(2).variance / 5.45318766e-5, 1, 1e-8);
  EXPECT_NEAR(at_step(3).variance / 8.54891152e-5, 1, 1e-8);
  EXPECT_NEAR(at_step(1000).variance / 0.0199999835, 1, 1e-8);
  EXPECT_NEAR(std::log(at_step(2).variance), -9.81672513529567, 1e-10);
  const double ratios[][2] = {{2, .454736}, {3, .611336}, {10, .852845}, {100, .981914}};
  for (const auto& [step, ratio] : ratios) {
    const auto q = at_step(static_cast<int>(step));
    EXPECT_NEAR(small_variance(q) / large_variance(q), ratio, 1e-6);
  }
}

TEST(posterior, mean_in_terms_of_the_predicted_noise) {
  const auto schedule = linear_beta_schedule(1000);
  for (const int k : {0, 1, 10, 999}) {
    const signal_noise from = schedule(k);
    const auto q = posterior(from, schedule(k - 1));
    const double x = 0.3, eps = -0.8;
    const double clean = (x - from.sigma * eps) / from.alpha;
    const auto step = transition(schedule(k - 1), from);
    EXPECT_NEAR(q.clean * clean + q.state * x, (x - step.variance / from.sigma * eps) / step.mean,
                1e-12);
    // The same through the noise of the last step: E[eta | x] = last_step_noise * E[eps | x].
    const double eta = last_step_noise(from, schedule(k - 1)) * eps;
    EXPECT_NEAR(q.clean * clean + q.state * x, (x - std::sqrt(step.variance) * eta) / step.mean,
                1e-12);
  }
  EXPECT_NEAR(last_step_noise(schedule(0), schedule(-1)), 1, 1e-14);
  EXPECT_NEAR(last_step_noise(schedule(1), schedule(0)), 0.738, 1e-3);
  EXPECT_NEAR(last_step_noise(schedule(999), schedule(998)), 0.141, 1e-3);
}

TEST(posterior, undefined_ends_are_refused) {
  EXPECT_THROW(last_step_noise({1, 0}, {1, 0}), std::invalid_argument);
  EXPECT_THROW(gaussian_variance({1, 0}, {1, 0}, 0), std::invalid_argument);
  EXPECT_EQ(gaussian_variance({1, 0}, {1, 0}, 0.3), 0);
  for (const double variance : {-1.0, std::nan(""), HUGE_VAL})
    EXPECT_THROW(gaussian_variance({0.6, 0.8}, {1, 0}, variance), std::invalid_argument);
}

TEST(posterior, noise_of_the_last_step_by_regression) {
  // Gaussian data: Cov(eta, x_t) = sqrt(b), Cov(eps, x_t) = sigma, so the two conditional means are
  // in the ratio sqrt(b)/sigma whatever the data variance.
  const auto schedule = linear_beta_schedule(1000);
  for (const double variance : {0.0, 0.3, 1.0}) {
    const signal_noise from = schedule(500);
    const auto step = transition(schedule(499), from);
    const double total = from.alpha * from.alpha * variance + from.sigma * from.sigma;
    const double eta_gain = std::sqrt(step.variance) / total;
    const double eps_gain = from.sigma / total;
    EXPECT_NEAR(eta_gain, last_step_noise(from, schedule(499)) * eps_gain, 1e-14);
  }
}

TEST(posterior, putting_the_whole_noise_where_the_last_steps_belongs_collapses_the_samples) {
  // x <- (x - sqrt(beta) eps)/sqrt(1 - beta) with the exact eps of data of deviation s: after 1000
  // steps the deviation is 7.7e-43 for s = 0.5 and 1.9e-37 for s = 1.
  const auto schedule = linear_beta_schedule(1000);
  const auto collapse = [&](double s) {
    double deviation = 1;
    for (int k = 999; k >= 0; --k) {
      const auto [alpha, sigma] = schedule(k);
      const double gain = sigma / (alpha * alpha * s * s + sigma * sigma);
      deviation *= (1 - std::sqrt(schedule.beta(k)) * gain) / std::sqrt(1 - schedule.beta(k));
    }
    return std::abs(deviation);
  };
  EXPECT_NEAR(collapse(0.5) / 7.7e-43, 1, 0.01);
  EXPECT_NEAR(collapse(1.0) / 1.9e-37, 1, 0.03);
}

TEST(reverse_variances, order_and_exactness) {
  const auto schedule = linear_beta_schedule(1000);
  for (const int k : {1, 10, 500, 999}) {
    const signal_noise from = schedule(k), to = schedule(k - 1);
    const auto q = posterior(from, to);
    EXPECT_NEAR(gaussian_variance(from, to, 0) / small_variance(q), 1, 1e-12);
    EXPECT_NEAR(gaussian_variance(from, to, 1) / large_variance(q), 1, 1e-12);
    for (const double s : {0.01, 0.3, 0.9}) {
      const double exact = gaussian_variance(from, to, s);
      EXPECT_GT(exact, small_variance(q));
      EXPECT_LT(exact, large_variance(q));
      const double clean_variance =
          from.sigma * from.sigma * s / (from.alpha * from.alpha * s + from.sigma * from.sigma);
      EXPECT_NEAR(analytic_variance_of(q, clean_variance) / exact, 1, 1e-12);
      // Of N(0, s): z_hat = sigma x/c, so that E z_hat^2 = sigma^2/c, and Var(z|x) = alpha^2 s/c.
      const double c = from.alpha * from.alpha * s + from.sigma * from.sigma;
      EXPECT_NEAR(clean_variance_of_mean(from, from.sigma * from.sigma / c) / clean_variance, 1,
                  1e-9);
      const double z = 0.7, squared = z * z + from.alpha * from.alpha * s / c;
      EXPECT_NEAR(clean_variance_of_squares(from, z, squared) / clean_variance, 1, 1e-9);
    }
    EXPECT_NEAR(learned_range_variance(q, -1) / small_variance(q), 1, 1e-13);
    EXPECT_NEAR(learned_range_variance(q, 1) / large_variance(q), 1, 1e-13);
    EXPECT_NEAR(learned_range_variance(q, 0), std::sqrt(small_variance(q) * large_variance(q)),
                1e-15);
  }
  EXPECT_EQ(learned_range_variance(posterior(schedule(0), schedule(-1)), 0.5), 0);
  EXPECT_THROW(analytic_variance_of({}, -1), std::invalid_argument);
  EXPECT_EQ(clean_variance_of_mean({0.6, 0.8}, 1.01), 0);
  EXPECT_EQ(clean_variance_of_squares({0.6, 0.8}, 1, 0.9), 0);
  EXPECT_THROW(clean_variance_of_mean({0, 1}, 0.5), std::invalid_argument);
  EXPECT_THROW(clean_variance_of_squares({0, 1}, 0, 0.5), std::invalid_argument);
  EXPECT_THROW(clean_variance_of_mean({0.6, 0.8}, -0.1), std::invalid_argument);
  EXPECT_THROW(posterior({1, 0}, {1, 0}), std::invalid_argument);
  EXPECT_THROW(posterior(schedule(10), schedule(20)), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
