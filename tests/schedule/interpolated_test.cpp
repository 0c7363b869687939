#include "tweedie/schedule/interpolated.hpp"

#include <gtest/gtest.h>

#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/gauge.hpp"

namespace tweedie {
namespace {

TEST(interpolated_schedule, meets_the_table_and_inverts_itself) {
  const discrete_schedule table = linear_beta_schedule(100, 1e-3, 0.2);
  const interpolated_schedule schedule = interpolated(table);
  for (int k = 0; k < 100; ++k) {
    const signal_noise s = schedule((k + 1) / 100.0);
    EXPECT_NEAR(s.alpha, table.at(k).alpha, 1e-14);
    EXPECT_NEAR(s.sigma, table.at(k).sigma, 1e-14);
  }
  for (const double t : {0.008, 0.01, 0.0137, 0.5, 0.999, 1.0, 1.02})
    EXPECT_NEAR(schedule.time_of(half_log_snr(schedule(t))), t, 1e-12);
}

TEST(interpolated_schedule, is_cut_where_the_signal_is_lost) {
  const interpolated_schedule cut = interpolated(cosine_schedule(1000), -5.1);
  EXPECT_EQ(cut.steps(), 996);
  EXPECT_GE(half_log_snr(cut(1)), -5.1);
  EXPECT_THROW(interpolated_schedule({-1, -0.5}), std::invalid_argument);
  EXPECT_THROW(cut(-1), std::invalid_argument);
}

TEST(interpolated_schedule, continues_its_last_piece_to_any_finite_time) {
  const interpolated_schedule schedule({-0.1, -0.3, -0.6});  // falls by 0.3 a third of the clock
  for (const double t : {1.0, 2.0, 50.0})
    EXPECT_NEAR(schedule(t).alpha, std::exp(-0.6 - 0.9 * (t - 1)), 1e-14);
  EXPECT_EQ(schedule(1e300).alpha, 0);
  for (const double t : {std::nan(""), HUGE_VAL, -HUGE_VAL})
    EXPECT_THROW(schedule(t), std::invalid_argument);
}

template <class Schedule>
void expect_rates(const Schedule& schedule, std::initializer_list<double> times) {
  for (const double t : times) {
    const double h = 1e-6 * t;
    const signal_noise_rate rate = schedule.rate(t);
    EXPECT_NEAR(rate.alpha, (schedule(t + h).alpha - schedule(t - h).alpha) / (2 * h),
                1e-7 * (1 + std::abs(rate.alpha)));
    EXPECT_NEAR(rate.sigma, (schedule(t + h).sigma - schedule(t - h).sigma) / (2 * h),
                1e-7 * (1 + std::abs(rate.sigma)));
    EXPECT_NEAR(schedule.time_of(half_log_snr(schedule(t))), t, 1e-12 * (1 + t));
  }
}

TEST(gauge, rates_are_derivatives_and_levels_stay) {
  const variance_preserving_schedule vp;
  expect_rates(in_exploding_gauge(vp), {0.01, 0.3, 0.9});
  expect_rates(in_preserving_gauge(edm_schedule{}), {0.01, 1.0, 30.0});
  expect_rates(in_preserving_gauge(heat_schedule{}), {0.01, 1.0, 30.0});
  expect_rates(in_exploding_gauge(rectified_flow{}), {0.1, 0.5, 0.9});
  for (const double t : {0.01, 0.5, 1.0})
    EXPECT_NEAR(noise_level(in_exploding_gauge(vp)(t)) / noise_level(vp(t)), 1, 1e-14);
}

}  // namespace
}  // namespace tweedie
