#include "tweedie/continuous/bridge.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/process/reverse.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

template <class Check>
void on_schedules(const Check& check) {
  check(variance_preserving_schedule{}, 1.0);
  check(sub_vp_schedule{}, 0.8);
  check(edm_schedule{80}, 3.0);
  check(rectified_flow{}, 0.9);
}

// p(x_t | x_0, x_T) proportional to p(x_t | x_0) p(x_T | x_t): precisions add.
TEST(bridge, is_bayes) {
  on_schedules([](const auto& schedule, double end) {
    const signal_noise last = schedule(end);
    for (const double u : {0.1, 0.5, 0.9}) {
      const signal_noise level = schedule(u * end);
      const transition_kernel rest = transition(level, last);
      const double from_start = 1 / (level.sigma * level.sigma);
      const double from_end = rest.mean * rest.mean / rest.variance;
      const bridge_weights b = bridge(level, last);
      EXPECT_NEAR(b.variance * (from_start + from_end), 1, 1e-12);
      EXPECT_NEAR(b.clean, b.variance * from_start * level.alpha, 1e-12);
      EXPECT_NEAR(b.end, b.variance * rest.mean / rest.variance, 1e-12);
    }
  });
}

TEST(bridge, begins_at_the_data_and_ends_where_it_is_told) {
  on_schedules([](const auto& schedule, double end) {
    const signal_noise last = schedule(end);
    const bridge_weights first = bridge({1, 0}, last), there = bridge(last, last);
    EXPECT_EQ(first.clean, 1);
    EXPECT_EQ(first.end, 0);
    EXPECT_EQ(first.variance, 0);
    EXPECT_NEAR(there.clean, 0, 1e-15);
    EXPECT_NEAR(there.end, 1, 1e-15);
    EXPECT_NEAR(there.variance, 0, 1e-15);
  });
}

// Averaged over x_T | x_0 the bridge is the process without an end.
TEST(bridge, averages_to_the_process) {
  on_schedules([](const auto& schedule, double end) {
    const signal_noise last = schedule(end), level = schedule(0.4 * end);
    const bridge_weights b = bridge(level, last);
    EXPECT_NEAR(b.clean + b.end * last.alpha, level.alpha, 1e-14);
    EXPECT_NEAR(b.variance + b.end * b.end * last.sigma * last.sigma, level.sigma * level.sigma,
                1e-13);
  });
}

// Run back by DDPM's posterior, given x_0, a bridge stays on its law: the steps of I2SB and of DDBM.
TEST(bridge, is_kept_by_the_posterior_step) {
  on_schedules([](const auto& schedule, double end) {
    const signal_noise last = schedule(end), from = schedule(0.7 * end), to = schedule(0.2 * end);
    const bridge_weights a = bridge(from, last), b = bridge(to, last);
    const posterior_weights step = posterior(from, to);
    EXPECT_NEAR(step.clean + step.state * a.clean, b.clean, 1e-13);
    EXPECT_NEAR(step.state * a.end, b.end, 1e-13);
    EXPECT_NEAR(step.variance + step.state * step.state * a.variance, b.variance, 1e-13);
  });
}

// Mean and variance solve the moment equations of dx = (f x + g^2 h) dt + g dW.
TEST(pull_to_end, drives_the_bridge) {
  on_schedules([](const auto& schedule, double end) {
    const signal_noise last = schedule(end);
    const double x0 = 0.7, xT = -1.3;
    const auto mean = [&](double t) {
      const bridge_weights b = bridge(schedule(t), last);
      return b.clean * x0 + b.end * xT;
    };
    const auto variance = [&](double t) { return bridge(schedule(t), last).variance; };
    for (const double u : {0.2, 0.5, 0.9}) {
      const double t = u * end;
      constexpr double h = 1e-5;
      const diffusion_coefficients c = forward_sde(schedule, t);
      const doob_drift pull = pull_to_end(schedule(t), last);
      const double slope = c.drift + c.squared_diffusion * pull.state;
      EXPECT_NEAR((mean(t + h) - mean(t - h)) / (2 * h),
                  slope * mean(t) + c.squared_diffusion * pull.end * xT, 1e-6);
      EXPECT_NEAR((variance(t + h) - variance(t - h)) / (2 * h),
                  2 * slope * variance(t) + c.squared_diffusion, 1e-6);
    }
  });
}

TEST(bridge,
     of_even_noise_is_the_brownian_bridge) {  // sigma^2 = t: mean by distance, variance t (1 - t)
  for (const double t : {0.0, 0.3, 0.8}) {
    const bridge_weights b = bridge({1, std::sqrt(t)}, {1, 1});
    EXPECT_NEAR(b.clean, 1 - t, 1e-15);
    EXPECT_NEAR(b.end, t, 1e-15);
    EXPECT_NEAR(b.variance, t * (1 - t), 1e-15);
  }
}

TEST(bridge, refuses_what_is_none) {
  EXPECT_EQ(refusal([] { bridge({1, 0}, {1, 0}); }).find("bridge: sigma of the end = 0"), 0U);
  EXPECT_THROW(bridge({1, 2}, {1, 1}), std::invalid_argument);
  EXPECT_EQ(refusal([] {
              pull_to_end({1, 1}, {1, 1});
            }).find("pull_to_end: variance of what is left = 0"),
            0U);
}

}  // namespace
}  // namespace tweedie
