#include "tweedie/schedule/discrete.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace tweedie::discrete_test {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double relative(double a, double b) { return std::abs(a - b) / std::max(1e-300, std::abs(b)); }

std::vector<discrete_schedule> every_schedule(int steps) {
  return {linear_beta_schedule(steps),
          scaled_linear_beta_schedule(steps),
          quadratic_beta_schedule(steps),
          constant_beta_schedule(steps, 0.02),
          jsd_schedule(steps),
          warmup_beta_schedule(steps, 1e-4, 0.02, 0.1),
          warmup_beta_schedule(steps, 1e-4, 0.02, 0.5),
          sigmoid_beta_schedule(steps),
          cosine_schedule(steps),
          exponential_schedule(steps),
          laplace_schedule(steps),
          cauchy_schedule(steps),
          sqrt_schedule(steps),
          sigmoid_signal_schedule(steps)};
}

TEST(discrete_schedule, published_terminal_values) {
  const auto ddpm = linear_beta_schedule(1000);
  EXPECT_LT(relative(ddpm.alpha_bar(999), 4.035829765375676e-5), 1e-13);
  EXPECT_NEAR(std::sqrt(ddpm.alpha_bar(999)), 0.006352818, 1e-9);
  EXPECT_LT(relative(signal_to_noise_ratio(ddpm.at(999)), 4.0359926511684e-5), 1e-12);
  EXPECT_NEAR(log_snr(ddpm.at(999)), -10.117673183, 1e-9);
  EXPECT_NEAR(log_snr(ddpm.at(0)), 9.210240367, 1e-9);
  EXPECT_NEAR(noise_level(ddpm.at(999)), 157.40728, 1e-5);
  EXPECT_NEAR(noise_level(ddpm.at(0)), 0.0100005, 1e-8);

  const auto stable_diffusion = scaled_linear_beta_schedule(1000);
  EXPECT_LT(relative(stable_diffusion.alpha_bar(999), 0.004660098513077), 1e-12);
  EXPECT_NEAR(noise_level(stable_diffusion.at(999)), 14.614641229, 1e-9);
  EXPECT_NEAR(noise_level(stable_diffusion.at(0)), 0.029167158152, 1e-12);

  const auto cosine = cosine_schedule(1000);
  EXPECT_LT(relative(cosine.alpha_bar(999), 2.4287669070e-9), 1e-10);
  EXPECT_NEAR(cosine.beta(995), 0.36, 1e-4);
  EXPECT_NEAR(cosine.beta(996), 0.4375, 1e-4);
  EXPECT_NEAR(cosine.beta(997), 0.55555, 1e-4);
  EXPECT_NEAR(cosine.beta(998), 0.74999, 1e-4);
  EXPECT_NEAR(cosine.beta(999), 0.999, 1e-12);
  EXPECT_LT(relative(cosine.alpha_bar(997), 9.71504e-6), 1e-5);
}

// The continuous cosine schedule of dpm-solver's code stops at t = 0.9946: log(alpha/sigma) there, and at
// 0.9999, from a table of 10,000 steps, of which only the last is clipped.
TEST(discrete_schedule, cosine_levels_where_continuous_samplers_stop) {
  const discrete_schedule table = cosine_schedule(10'000);
  const auto half_log_snr = [&](int step) {
    const auto [alpha, sigma] = table(step - 1);
    return std::log(alpha / sigma);
  };
  EXPECT_NEAR(half_log_snr(9946), -4.7776405, 5e-8);
  EXPECT_NEAR(half_log_snr(9999), -8.7666481, 5e-8);
}

TEST(discrete_schedule, published_first_levels) {
  // Nichol and Dhariwal 2021, section 3.2: sqrt(beta_0) slightly smaller than 1/127.5.
  EXPECT_NEAR(std::sqrt(cosine_schedule(1000).beta(0)), 0.0064253, 1e-6);
  EXPECT_NEAR(std::sqrt(cosine_schedule(4000).beta(0)), 0.0031410, 1e-6);
}

TEST(discrete_schedule, alpha_bar_along_the_way) {
  const auto linear = linear_beta_schedule(1000);
  const auto cosine = cosine_schedule(1000);
  const double expected_linear[] = {0.89701815, 0.52408537, 0.07858724, 0.00335055};
  const double expected_cosine[] = {0.97209274, 0.84701216, 0.49384359, 0.1442721};
  const int steps[] = {100, 250, 500, 750};
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(linear.alpha_bar(index_of_step(steps[i])), expected_linear[i], 6e-9);
    EXPECT_NEAR(cosine.alpha_bar(index_of_step(steps[i])), expected_cosine[i], 6e-8);
  }
}

TEST(discrete_schedule, other_published_tables) {
  EXPECT_LT(relative(quadratic_beta_schedule(1000).alpha_bar(999), 7.33412e-4), 1e-5);
  EXPECT_LT(relative(constant_beta_schedule(1000, 0.02).alpha_bar(999), 1.68297e-9), 1e-5);
  EXPECT_LT(relative(warmup_beta_schedule(1000, 1e-4, 0.02, 0.1).alpha_bar(999), 4.61369e-9), 1e-5);
  EXPECT_LT(relative(warmup_beta_schedule(1000, 1e-4, 0.02, 0.5).alpha_bar(999), 2.60614e-7), 1e-5);
  EXPECT_LT(relative(sigmoid_beta_schedule(1000).alpha_bar(999), 3.96818e-5), 1e-5);
  EXPECT_EQ(jsd_schedule(1000).alpha_bar(999), 0);
  // Betas rescaled by 1000/T keep the product (guided diffusion's linear schedule).
  EXPECT_LT(relative(linear_beta_schedule(100, 1e-3, 0.2).alpha_bar(99), 2.0390e-5), 1e-4);
  EXPECT_LT(relative(linear_beta_schedule(4000, 2.5e-5, 0.005).alpha_bar(3999), 4.24665e-5), 1e-5);
}

TEST(discrete_schedule, product_of_signals_equals_sum_of_logarithms) {
  const auto schedule = linear_beta_schedule(1000);
  long double product = 1;
  for (int k = 0; k < 1000; ++k) {
    product *= 1 - (1e-4L + (0.02L - 1e-4L) * k / 999);
    EXPECT_LT(relative(schedule.alpha_bar(k), static_cast<double>(product)), 1e-12);
    // The noise of the clean end keeps its digits too.
    EXPECT_LT(
        relative(std::exp(schedule.log_one_minus_alpha_bar(k)), static_cast<double>(1 - product)),
        1e-12);
  }
}

TEST(discrete_schedule, betas_come_back) {
  std::vector<double> betas;
  for (int k = 0; k < 1000; ++k) betas.push_back(1e-4 + (0.02 - 1e-4) * k / 999);
  const auto schedule = from_betas(betas);
  for (int k = 0; k < 1000; ++k) EXPECT_LT(relative(schedule.beta(k), betas[k]), 2e-11);
}

TEST(discrete_schedule, closed_forms) {
  const auto jsd = jsd_schedule(50);
  const auto constant = constant_beta_schedule(50, 0.1);
  for (int k = 0; k < 50; ++k) {
    EXPECT_NEAR(jsd.alpha_bar(k), (50 - step_of_index(k)) / 50.0, 1e-15);
    EXPECT_LT(relative(constant.alpha_bar(k), std::pow(0.9, k + 1)), 1e-13);
    EXPECT_NEAR(jsd.beta(k), 1.0 / (50 - k), 1e-13);
  }
}

TEST(discrete_schedule, signal_falls_strictly_and_both_ends_are_finite) {
  for (const int steps : {1, 2, 7, 1000})
    for (const auto& schedule : every_schedule(steps)) {
      EXPECT_EQ(schedule(-1), (signal_noise{1, 0}));
      double last = infinity;
      for (int k = 0; k < steps; ++k) {
        const signal_noise s = schedule.at(k);
        EXPECT_NEAR(s.alpha * s.alpha + s.sigma * s.sigma, 1, 1e-14);
        EXPECT_LT(half_log_snr(s), last);
        last = half_log_snr(s);
      }
    }
}

TEST(discrete_schedule, time_of_inverts_the_schedule) {
  const auto schedule = scaled_linear_beta_schedule(1000);
  for (double t = 0; t <= 999; t += 0.37)
    EXPECT_NEAR(schedule.time_of(half_log_snr(schedule(t))), t, 1e-9);
  EXPECT_EQ(schedule.time_of(infinity), -1);
  EXPECT_EQ(schedule.time_of(half_log_snr(schedule(999))), 999);
  EXPECT_EQ(schedule.time_of(half_log_snr(schedule(0))), 0);
  EXPECT_EQ(linear_beta_schedule(1).time_of(half_log_snr(linear_beta_schedule(1)(0))), 0);
}

TEST(discrete_schedule, levels_below_the_table_keep_their_level_and_are_told_time_zero) {
  const auto schedule = scaled_linear_beta_schedule(1000);
  const double least = noise_level(schedule.at(0));
  for (const double level : {1e-6, least / 2, std::nextafter(least, 0)}) {
    EXPECT_EQ(node_of_level(schedule, level).time, 0);
    EXPECT_NEAR(noise_level(node_of_level(schedule, level).level) / level, 1, 1e-15);
  }
  EXPECT_EQ(node_of_level(schedule, 0), (node{-1, {1, 0}}));
  EXPECT_NEAR(node_of_level(schedule, noise_level(schedule(700.5))).time, 700.5, 1e-9);
  EXPECT_THROW(node_of_level(schedule, 15), std::invalid_argument);
}

TEST(discrete_schedule, clocks_convert_into_each_other_over_24_units_of_log_snr) {
  for (double h = -12; h <= 12; h += 0.125) {
    const double level = noise_level_of(h);
    const signal_noise s = variance_preserving(level);
    EXPECT_NEAR(half_log_snr(s), h, 1e-13 * std::max(1.0, std::abs(h)));
    EXPECT_LT(relative(noise_level(s), level), 1e-14);
    EXPECT_LT(relative(noise_level(rectified(level)), level), 1e-13);
    EXPECT_EQ(noise_level(variance_exploding(level)), level);
    for (const auto& schedule :
         {from_sigmas(std::vector{level}), from_snrs(std::vector{1 / (level * level)})})
      EXPECT_LT(relative(noise_level(schedule.at(0)), level), 1e-13);
    const double alpha_bar = s.alpha * s.alpha;
    if (alpha_bar < 0.99) {
      EXPECT_LT(relative(noise_level(from_alpha_bars(std::vector{alpha_bar}).at(0)), level), 1e-12);
    }
  }
}

TEST(discrete_schedule, refuses_what_is_not_a_schedule) {
  const double nan = std::nan("");
  EXPECT_THROW(from_betas(std::vector<double>{}), std::invalid_argument);
  EXPECT_THROW(from_betas(std::vector{0.1, -0.1}), std::invalid_argument);
  EXPECT_THROW(from_betas(std::vector{0.1, 1.1}), std::invalid_argument);
  EXPECT_THROW(from_betas(std::vector{0.1, nan}), std::invalid_argument);
  EXPECT_THROW(from_betas(std::vector{0.0, 0.1}), std::invalid_argument);  // clean data twice
  EXPECT_THROW(from_betas(std::vector{1.0, 0.1}), std::invalid_argument);  // nothing left to lose
  EXPECT_THROW(from_alpha_bars(std::vector{0.5, 0.6}), std::invalid_argument);
  EXPECT_THROW(from_alpha_bars(std::vector{nan}), std::invalid_argument);
  EXPECT_THROW(from_snrs(std::vector{1.0, 2.0}), std::invalid_argument);
  EXPECT_THROW(from_sigmas(std::vector{2.0, 1.0}), std::invalid_argument);
  EXPECT_THROW(from_sigmas(std::vector{0.0}), std::invalid_argument);
  EXPECT_THROW(linear_beta_schedule(0), std::invalid_argument);
  EXPECT_THROW(warmup_beta_schedule(10, 1e-4, 0.02, 1.5), std::invalid_argument);
  const auto schedule = linear_beta_schedule(10);
  EXPECT_THROW(schedule(-0.5), std::invalid_argument);
  EXPECT_THROW(schedule(9.5), std::invalid_argument);
  EXPECT_THROW(schedule(nan), std::invalid_argument);
  EXPECT_THROW(schedule.at(10), std::out_of_range);
  EXPECT_THROW(schedule.time_of(100), std::invalid_argument);
  EXPECT_THROW(jsd_schedule(10)(8.5), std::invalid_argument);
}

TEST(discrete_schedule, a_step_may_add_no_noise) {
  const auto schedule = from_betas(std::vector{0.1, 0.0, 0.0, 0.2, 0.0});
  const double expected[] = {0.9, 0.9, 0.9, 0.72, 0.72};
  for (int k = 0; k < 5; ++k) EXPECT_NEAR(schedule.alpha_bar(k), expected[k], 1e-15);
  EXPECT_EQ(schedule.beta(1), 0);
  EXPECT_NEAR(schedule(0.5).sigma, schedule(2.0).sigma, 1e-15);
  EXPECT_LE(schedule.time_of(half_log_snr(schedule.at(0))), 2 + 1e-12);
  EXPECT_EQ(schedule.time_of(half_log_snr(schedule.at(4))), 4);
  for (const double t : {2.25, 2.5, 2.75})  // between the plateaus
    EXPECT_NEAR(schedule.time_of(half_log_snr(schedule(t))), t, 1e-12);
  EXPECT_THROW(from_betas(std::vector{0.1, 1.0, 0.0}), std::invalid_argument);  // pure noise twice
}

TEST(discrete_schedule, an_error_names_function_argument_value_and_what_is_valid) {
  try {
    from_betas(std::vector{0.5, 1.5});
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "from_betas: beta = 1.5; valid: 0 <= beta <= 1");
  }
}

TEST(discrete_schedule, approaches_the_vp_sde) {
  // T (log alpha_bar_T + 10.05) tends to a constant: the chain is a first-order method for the SDE.
  const auto gap = [](int steps) {
    return steps *
           (linear_beta_schedule(steps, 0.1 / steps, 20.0 / steps).log_alpha_bar(steps - 1) +
            10.05);
  };
  EXPECT_NEAR(gap(100), -75.0, 0.05);
  EXPECT_NEAR(gap(400), -68.8, 0.05);
  EXPECT_NEAR(gap(1600), -67.4, 0.05);
  EXPECT_NEAR(gap(3200), -67.2, 0.05);
}

// Hang et al. 2024, table 1: log SNR = mu - b sign(1/2 - t) log(1 - 2 |t - 1/2|), t = (k + 1)/T.
TEST(sigmoid_signal_schedule, falls_along_its_sigmoid) {
  const discrete_schedule s = sigmoid_signal_schedule(1000);
  EXPECT_NEAR(s.alpha_bar(499), 0.5, 1e-12);
  for (const int k : {9, 199, 398}) EXPECT_NEAR(s.alpha_bar(k) + s.alpha_bar(998 - k), 1, 1e-12);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_NEAR(s.alpha_bar(749), (sigmoid(3) - sigmoid(1.5)) / (sigmoid(3) - sigmoid(-3)), 1e-12);
  // A large temperature leaves a straight line.
  EXPECT_NEAR(sigmoid_signal_schedule(1000, -3, 3, 1e4).alpha_bar(299), 0.7, 1e-8);
  EXPECT_THROW(sigmoid_signal_schedule(1000, 3, 3), std::invalid_argument);
  EXPECT_THROW(sigmoid_signal_schedule(1000, -3, 3, 0), std::invalid_argument);
}

TEST(laplace_schedule, has_its_log_snr) {
  for (const auto& [mu, b] : {std::pair{0.0, 0.5}, std::pair{0.7, 0.3}}) {
    const discrete_schedule s = b == 0.5 ? laplace_schedule(1000) : laplace_schedule(1000, mu, b);
    for (const int k : {49, 249, 399, 499, 599, 899}) {
      const double t = (k + 1) / 1000.0;
      const double side = t < 0.5 ? 1 : t > 0.5 ? -1 : 0;
      EXPECT_NEAR(2 * half_log_snr(s.at(k)), mu - b * side * std::log(1 - 2 * std::abs(t - 0.5)),
                  1e-12)
          << k;
    }
  }
}

TEST(cauchy_schedule, has_its_log_snr) {
  for (const auto& [mu, gamma] : {std::pair{0.0, 0.5}, std::pair{0.7, 0.3}}) {
    const discrete_schedule s = cauchy_schedule(1000, mu, gamma);
    for (const int k : {49, 249, 499, 599, 899}) {
      const double t = (k + 1) / 1000.0;
      EXPECT_NEAR(2 * half_log_snr(s.at(k)),
                  mu + gamma * std::tan(std::numbers::pi / 2 * (1 - 2 * t)), 1e-12)
          << k;
    }
  }
  EXPECT_THROW(cauchy_schedule(10, 0, 0), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie::discrete_test
