#include "tweedie/process/forward.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "tweedie/process/renoise.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

std::vector<discrete_schedule> schedules() {
  return {linear_beta_schedule(1000), scaled_linear_beta_schedule(1000), cosine_schedule(1000),
          jsd_schedule(1000)};
}

TEST(forward, chain_of_steps_is_the_closed_form) {
  for (const auto& schedule : schedules()) {
    transition_kernel chain;
    for (int k = 0; k < schedule.steps(); ++k) {
      chain = compose(chain, forward_step(schedule.beta(k)));
      EXPECT_NEAR(chain.mean, schedule.at(k).alpha, 1e-11);
      EXPECT_NEAR(chain.variance, std::pow(schedule.at(k).sigma, 2), 1e-11);
    }
  }
}

TEST(forward, chain_noises_add_up_to_the_closed_form_noise_of_every_path) {
  std::mt19937_64 engine(1);
  std::normal_distribution<double> normal;
  for (const auto& schedule : schedules()) {
    double x = 0.8;  // one path, one coordinate
    std::vector<double> noises;
    for (int k = 0; k < 999; ++k) {
      noises.push_back(normal(engine));
      const auto step = forward_step(schedule.beta(k));
      x = step.mean * x + std::sqrt(step.variance) * noises.back();
      if (k % 111 != 0 && k != 998) continue;
      const auto weights = chain_noise_weights(schedule, k);
      const double z = std::inner_product(weights.begin(), weights.end(), noises.begin(), 0.0);
      const auto [alpha, sigma] = schedule.at(k);
      EXPECT_NEAR(x, alpha * 0.8 + sigma * z, 1e-11);
      EXPECT_NEAR(std::inner_product(weights.begin(), weights.end(), weights.begin(), 0.0), 1,
                  1e-11);
    }
  }
}

TEST(forward, transitions_compose_over_every_triple) {
  const auto check = [](const auto& schedule, double r, double s, double t) {
    const auto through =
        compose(forward_transition(schedule, r, s), forward_transition(schedule, s, t));
    const auto direct = forward_transition(schedule, r, t);
    EXPECT_NEAR(through.mean, direct.mean, 1e-14);
    EXPECT_NEAR(through.variance / direct.variance, 1, 1e-12);
  };
  for (const auto& schedule : schedules())
    for (int r = -1; r < 990; r += 157)
      for (int s = r + 1; s < 995; s += 143)
        for (int t = s + 1; t < 999; t += 171) check(schedule, r, s, t);
  for (const double r : {0.1, 0.3})
    for (const double s : {0.35, 0.5})
      for (const double t : {0.6, 0.99}) {
        check(variance_preserving_schedule{}, r, s, t);
        check(rectified_flow{}, r, s, t);
        check(trigonometric_schedule{}, r, s, t);
      }
}

TEST(forward, any_subsequence_has_the_same_marginals) {
  const auto schedule = cosine_schedule(1000);
  for (const int stride : {7, 100, 333}) {
    transition_kernel chain;
    int at = -1;
    for (int k = 0; k < 1000; k += stride) {
      chain = compose(chain, forward_transition(schedule, at, k));
      at = k;
      EXPECT_NEAR(chain.mean, schedule.at(k).alpha, 1e-13);
      EXPECT_NEAR(chain.variance, std::pow(schedule.at(k).sigma, 2), 1e-13);
    }
  }
}

TEST(forward, respaced_betas_give_the_kept_levels_again) {
  // beta'_i = 1 - alpha_bar(tau_i)/alpha_bar(tau_{i-1}) (Nichol and Dhariwal 2021, section 4).
  const auto schedule = linear_beta_schedule(1000);
  std::vector<double> betas;
  int last = -1;
  for (int k = 19; k < 1000; k += 20) {
    betas.push_back(1 - schedule.alpha_bar(k) / schedule.alpha_bar(last));
    last = k;
  }
  const auto respaced = from_betas(betas);
  for (int i = 0; i < 50; ++i)
    EXPECT_NEAR(respaced.alpha_bar(i) / schedule.alpha_bar(20 * i + 19), 1, 1e-13);
}

TEST(forward, increments_are_markov) {
  // Joint precision of (x_{k-1}, x_k, x_{k+1}) given x_0 is tridiagonal: the conditional covariance
  // of the outer two given the middle one vanishes.
  const auto schedule = linear_beta_schedule(1000);
  for (const int k : {1, 10, 500, 998}) {
    const double v = std::pow(schedule.at(k - 1).sigma, 2);
    const auto first = forward_step(schedule.beta(k));
    const auto second = forward_step(schedule.beta(k + 1));
    const double cov_before_middle = first.mean * v;
    const double var_middle = first.mean * first.mean * v + first.variance;
    const double cov_middle_after = second.mean * var_middle;
    const double cov_before_after = second.mean * first.mean * v;
    EXPECT_NEAR(cov_before_after - cov_before_middle * cov_middle_after / var_middle, 0, 1e-15);
  }
}

TEST(forward, ends_of_a_step) {
  EXPECT_EQ(forward_step(0).mean, 1);
  EXPECT_EQ(forward_step(0).variance, 0);
  EXPECT_EQ(forward_step(1).mean, 0);
  EXPECT_EQ(forward_step(1).variance, 1);
  for (const double bad : {-1e-9, 1.0001, std::nan("")})
    EXPECT_THROW(forward_step(bad), std::invalid_argument);
}

TEST(forward, log_density_integrates_to_one_and_satisfies_bayes) {
  // Bayes in the forward direction: log q(x_s|x_t,x_0) + log q(x_t|x_0)
  //   = log q(x_t|x_s) + log q(x_s|x_0), checked in reverse_test; here the normalisation.
  const transition_kernel k{0.7, 0.3};
  double mass = 0;
  constexpr double h = 1e-3;
  for (double x = -8; x < 8; x += h) {
    const double d = x - k.mean * 0.5;
    mass += h * std::exp(isotropic_log_density(d * d, k.variance, 1));
  }
  EXPECT_NEAR(mass, 1, 1e-12);
  EXPECT_NEAR(isotropic_log_density(3, 2, 4),
              -0.5 * (3.0 / 2 + 4 * std::log(2 * std::acos(-1.0) * 2)), 1e-14);
  EXPECT_THROW(isotropic_log_density(1, 0, 1), std::invalid_argument);
}

TEST(forward, noise_weights_need_noise) {
  EXPECT_THROW(chain_noise_weights(linear_beta_schedule(10), -1), std::invalid_argument);
  EXPECT_THROW(chain_noise_weights(linear_beta_schedule(10), 10), std::out_of_range);
  EXPECT_DOUBLE_EQ(chain_noise_weights(linear_beta_schedule(10), 0).front(), 1);
}

TEST(renoise, goes_to_the_level_and_composes) {
  const signal_noise low{0.9, 0.3}, middle{0.6, 0.7}, high{0.2, 1.1};
  const auto up = renoise(low, high);
  EXPECT_NEAR(up.state * low.alpha, high.alpha, 1e-15);
  EXPECT_NEAR(std::hypot(up.state * low.sigma, up.noise), high.sigma, 1e-15);
  const auto a = renoise(low, middle);
  const auto b = renoise(middle, high);
  EXPECT_NEAR(a.state * b.state, up.state, 1e-15);
  EXPECT_NEAR(std::hypot(b.state * a.noise, b.noise), up.noise, 1e-15);
  EXPECT_EQ(renoise(low, low).state, 1);
  EXPECT_EQ(renoise(low, low).noise, 0);
  EXPECT_THROW(renoise(high, low), std::invalid_argument);
}

TEST(renoise, churn_keeps_small_increments) {
  const signal_noise level{1, 3};
  for (const double gamma : {0.0, 1e-12, 1e-5, 0.41421356}) {
    const auto up = churn_step(level, gamma);
    EXPECT_NEAR(std::hypot(level.sigma, up.noise), churned(level, gamma).sigma, 1e-14);
    EXPECT_NEAR(up.noise, level.sigma * std::sqrt(2 * gamma * (1 + gamma / 2)), 1e-15);
  }
  EXPECT_THROW(churn_step(level, -0.1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
