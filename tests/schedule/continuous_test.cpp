#include "tweedie/schedule/continuous.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tweedie/schedule/derived.hpp"
#include "tweedie/schedule/prediction.hpp"

namespace tweedie {
namespace {

// The laws of a schedule, for every continuous one.
template <class Schedule>
class continuous_schedule : public testing::Test {};

using every_schedule =
    testing::Types<variance_preserving_schedule, sub_vp_schedule, variance_exploding_schedule,
                   edm_schedule, trigonometric_schedule, cosine_path, rectified_flow>;
TYPED_TEST_SUITE(continuous_schedule, every_schedule);

template <class Schedule>
double time_at(const Schedule& s, double u) {
  return std::lerp(s.clean_time(), s.noisy_time(), u);
}

TYPED_TEST(continuous_schedule, noise_rises_and_ends_are_finite) {
  const TypeParam schedule;
  double last = -1;
  for (int i = 0; i <= 1000; ++i) {
    const signal_noise s = schedule(time_at(schedule, i / 1000.0));
    ASSERT_TRUE(std::isfinite(s.alpha) && std::isfinite(s.sigma));
    EXPECT_GE(s.alpha, 0);
    EXPECT_GE(s.sigma, 0);
    EXPECT_GT(noise_level(s), last);
    last = noise_level(s);
  }
}

TYPED_TEST(continuous_schedule, rates_are_derivatives) {
  const TypeParam schedule;
  for (const double u : {0.05, 0.3, 0.5, 0.8, 0.95}) {
    const double t = time_at(schedule, u);
    const double h = 1e-5 * std::abs(schedule.noisy_time() - schedule.clean_time());
    const signal_noise_rate rate = schedule.rate(t);
    const signal_noise above = schedule(t + h);
    const signal_noise below = schedule(t - h);
    EXPECT_NEAR(rate.alpha, (above.alpha - below.alpha) / (2 * h),
                1e-6 * (1 + std::abs(rate.alpha)));
    EXPECT_NEAR(rate.sigma, (above.sigma - below.sigma) / (2 * h),
                1e-6 * (1 + std::abs(rate.sigma)));
  }
}

TYPED_TEST(continuous_schedule, time_of_inverts) {
  const TypeParam schedule;
  for (const double u : {1e-3, 0.05, 0.3, 0.5, 0.8, 0.999}) {
    const double t = time_at(schedule, u);
    EXPECT_NEAR(schedule.time_of(half_log_snr(schedule(t))), t, 1e-11 * (1 + t));
  }
}

TYPED_TEST(continuous_schedule, sde_moments_solve_their_equations) {
  // mean' = f mean, variance' = 2 f variance + g^2, from u = 0.1 by 4th-order Runge-Kutta.
  const TypeParam schedule;
  const double start = time_at(schedule, 0.1);
  const double end = time_at(schedule, 0.9);
  constexpr int steps = 4000;
  const double h = (end - start) / steps;
  double mean = schedule(start).alpha;
  double variance = std::pow(schedule(start).sigma, 2);
  const auto slope = [&](double t, double m, double v) {
    const diffusion_coefficients c = forward_sde(schedule, t);
    return std::pair{c.drift * m, 2 * c.drift * v + c.squared_diffusion};
  };
  for (int i = 0; i < steps; ++i) {
    const double t = start + i * h;
    const auto [m1, v1] = slope(t, mean, variance);
    const auto [m2, v2] = slope(t + h / 2, mean + h / 2 * m1, variance + h / 2 * v1);
    const auto [m3, v3] = slope(t + h / 2, mean + h / 2 * m2, variance + h / 2 * v2);
    const auto [m4, v4] = slope(std::min(t + h, end), mean + h * m3, variance + h * v3);
    mean += h / 6 * (m1 + 2 * m2 + 2 * m3 + m4);
    variance += h / 6 * (v1 + 2 * v2 + 2 * v3 + v4);
  }
  EXPECT_NEAR(mean, schedule(end).alpha, 1e-9);
  const double expected = std::pow(schedule(end).sigma, 2);
  EXPECT_NEAR(variance, expected, 1e-9 * (1 + expected));
}

TYPED_TEST(continuous_schedule, refuses_times_outside) {
  const TypeParam schedule;
  EXPECT_THROW(schedule(-0.1), std::invalid_argument);
  EXPECT_THROW(schedule(schedule.noisy_time() + 0.1), std::invalid_argument);
  EXPECT_THROW(schedule(std::nan("")), std::invalid_argument);
}

TEST(variance_preserving_schedule, published_levels) {
  const variance_preserving_schedule schedule;  // beta from 0.1 to 20
  EXPECT_NEAR(schedule(1).alpha, 0.0065715865, 1e-10);
  EXPECT_NEAR(half_log_snr(schedule(1)), -5.0249784, 1e-7);
  EXPECT_NEAR(noise_level(schedule(1)), 152.16697, 1e-5);
  EXPECT_NEAR(half_log_snr(schedule(1e-3)), 4.5577149, 1e-7);
  EXPECT_NEAR(noise_level(schedule(1e-3)), 0.010485993, 1e-9);
  EXPECT_NEAR(half_log_snr(schedule(1e-5)), 6.9072578, 1e-7);
  EXPECT_NEAR(std::pow(schedule(1).alpha, 2), 4.3185749e-5, 1e-12);
}

TEST(variance_preserving_schedule, small_times_keep_their_digits) {
  // sigma^2 = -expm1(-2q); forming 1 - alpha^2 loses 3e-2 of it at t = 1e-5 in single precision.
  const variance_preserving_schedule schedule;
  for (const double t : {1e-3, 1e-6, 1e-9, 1e-12}) {
    const double q = t * (t * 19.9 / 4 + 0.05);
    const double exact = std::sqrt(2 * q) * (1 - q / 2 + 5 * q * q / 24);
    EXPECT_NEAR(schedule(t).sigma / exact, 1, 1e-15 + q * q * q);
  }
}

TEST(cosine_path, published_levels) {
  const cosine_path schedule;  // the continuous cosine schedule has offset 0.008; this one none
  EXPECT_NEAR(log_snr(schedule(0.5)), 0, 1e-15);
  EXPECT_NEAR(log_snr(schedule(0.25)), -2 * std::log(std::tan(std::acos(-1.0) / 8)), 1e-13);
}

TEST(signal_noise, transition_refuses_to_denoise) {
  EXPECT_THROW(transition({0.5, 0.8}, {0.9, 0.1}), std::invalid_argument);
  EXPECT_THROW(transition({0, 1}, {0, 1}), std::invalid_argument);
  EXPECT_EQ(transition({0.6, 0.8}, {0.6, 0.8}).variance, 0);
  EXPECT_EQ(transition({0.6, 0.8}, {0, 1}).mean, 0);
  EXPECT_EQ(transition({0.6, 0.8}, {0, 1}).variance, 1);
  EXPECT_THROW(variance_preserving(-1.0), std::invalid_argument);
  EXPECT_THROW(variance_exploding(std::numeric_limits<double>::infinity()), std::invalid_argument);
  EXPECT_THROW(to_variance_exploding({0, 1}), std::invalid_argument);
}

TEST(reshape, zero_terminal_snr_keeps_the_first_level_and_empties_the_last) {
  const auto before = scaled_linear_beta_schedule(1000);
  const auto after = zero_terminal_snr(before);
  EXPECT_EQ(after.at(0), before.at(0));
  EXPECT_EQ(after.at(999).alpha, 0);
  EXPECT_EQ(after.at(999).sigma, 1);
  EXPECT_EQ(after.beta(999), 1);
  EXPECT_NEAR(after.alpha_bar(0), 0.99915, 1e-15);
  // Published values for Stable Diffusion.
  EXPECT_NEAR(after.alpha_bar(998) / 1.967888e-7, 1, 1e-6);
  EXPECT_NEAR(noise_level(after.at(998)), 2254.238, 1e-3);
  // sqrt(alpha_bar) is an affine function of the old one.
  const double first = before.at(0).alpha;
  const double last = before.at(999).alpha;
  for (int k = 1; k < 999; ++k)
    EXPECT_NEAR(after.at(k).alpha, (before.at(k).alpha - last) * first / (first - last), 1e-14);
  EXPECT_THROW(zero_terminal_snr(linear_beta_schedule(1)), std::invalid_argument);
}

TEST(reshape, snr_shift_divides_and_composes) {
  const auto schedule = cosine_schedule(1000);
  const auto shifted = shift_snr(schedule, 64);
  const auto twice = shift_snr(shift_snr(schedule, 4), 16);
  for (const int k : {0, 1, 500, 998, 999}) {
    EXPECT_NEAR(signal_to_noise_ratio(shifted.at(k)) * 64 / signal_to_noise_ratio(schedule.at(k)),
                1, 1e-12);
    EXPECT_NEAR(half_log_snr(twice.at(k)), half_log_snr(shifted.at(k)), 1e-12);
    const double a = schedule.alpha_bar(k);
    EXPECT_NEAR(shifted.alpha_bar(k), a / (64 + (1 - 64.0) * a), 1e-14);
  }
  // Hoogeboom et al. 2023: from 64 to 512 pixels the log-SNR falls by 2 log 8.
  EXPECT_NEAR(log_snr(shifted.at(500)) - log_snr(schedule.at(500)), -4.15888308, 1e-8);
  EXPECT_EQ(shift_snr(zero_terminal_snr(schedule), 4).at(999).alpha, 0);
  // Inputs scaled by b = 1/2: alpha b x0 + sigma z at variance 1.
  const signal_noise whole = schedule.at(300), scaled = shift_snr(schedule, 4).at(300);
  const double size = std::hypot(whole.alpha / 2, whole.sigma);
  EXPECT_NEAR(scaled.alpha, whole.alpha / 2 / size, 1e-13);
  EXPECT_NEAR(scaled.sigma, whole.sigma / size, 1e-13);
  EXPECT_THROW(shift_snr(schedule, 0), std::invalid_argument);
}

TEST(reshape, time_shift_is_a_group_that_multiplies_the_noise_level) {
  for (const double t : {0.0, 1e-9, 0.1, 0.5, 0.9, 1.0}) {
    EXPECT_EQ(shift_time(t, 1), t);
    EXPECT_NEAR(shift_time(shift_time(t, 3), 2.5), shift_time(t, 7.5), 1e-14);
    EXPECT_NEAR(shift_time(shift_time(t, 3), 1.0 / 3), t, 1e-15);
  }
  for (const double t : {0.1, 0.5, 0.9})
    EXPECT_NEAR(log_snr(rectified_flow{}(shift_time(t, 3))) - log_snr(rectified_flow{}(t)),
                -2 * std::log(3.0), 1e-13);
  // Esser et al. 2024, shift 3.
  const double published[][2] = {{.1, .25}, {.25, .5}, {.5, .75}, {.75, .9}, {.9, .964285714}};
  for (const auto& [t, expected] : published) EXPECT_NEAR(shift_time(t, 3), expected, 1e-9);
  EXPECT_THROW(shift_time(0.5, -1), std::invalid_argument);
  EXPECT_THROW(shift_time(1.5, 2), std::invalid_argument);
}

// A shift moves times along a path; it changes neither the path nor its clock.
TEST(reshape, a_shifted_schedule_keeps_path_and_clock) {
  const time_shifted<rectified_flow> shifted({}, 3);
  for (const double t : {0.0, 0.1, 0.5, 0.9, 1.0}) {
    EXPECT_EQ(shifted(t), rectified_flow{}(t));
    EXPECT_EQ(shifted.rate(t).sigma, 1);
    EXPECT_EQ(shifted.spread(t), shift_time(t, 3));
  }
  EXPECT_NEAR(shifted.time_of(half_log_snr(shifted(0.37))), 0.37, 1e-15);
  EXPECT_EQ(predicts_velocity(shifted)(node_at(shifted, 0.3)), (plane_row{-1, 1}));
  EXPECT_THROW(time_shifted(rectified_flow{}, 0), std::invalid_argument);
  EXPECT_THROW(time_shifted(edm_schedule{}, 3), std::invalid_argument);
}

TEST(reshape, resolution_shift_of_flux) {
  EXPECT_NEAR(resolution_log_shift(256), 0.5, 1e-15);
  EXPECT_NEAR(resolution_log_shift(1024), 0.63, 1e-12);
  EXPECT_NEAR(resolution_log_shift(4096), 1.15, 1e-12);
  EXPECT_NEAR(std::exp(resolution_log_shift(1024)), 1.877611, 1e-6);
  EXPECT_NEAR(shift_time(0.5, std::exp(resolution_log_shift(4096))), 0.759511, 1e-6);
}

}  // namespace
}  // namespace tweedie
