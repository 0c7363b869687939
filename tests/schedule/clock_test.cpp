#include "tweedie/schedule/clock.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/derived.hpp"
#include "tweedie/schedule/prediction.hpp"

namespace tweedie {
namespace {

// Esser et al. 2024, shift 3: 3/4 -> .9, 1/2 -> .75, 1/4 -> .5.
TEST(clock, a_shifted_flow_is_told_its_sigma) {
  const grid nodes = uniform(time_shifted(rectified_flow{}, 3), 4);
  const double expected[] = {1, .9, .75, .5, 0};
  ASSERT_EQ(nodes.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(nodes[i].time, expected[i], 1e-15);
    EXPECT_EQ(nodes[i].time, nodes[i].level.sigma);
    EXPECT_NEAR(flow_time(nodes[i]), expected[i], 1e-15);
    EXPECT_NEAR(flow_time_in_thousands(nodes[i]), 1000 * expected[i], 1e-12);
    EXPECT_NEAR(data_time(nodes[i]), 1 - expected[i], 1e-15);
  }
}

TEST(clock, depends_on_the_noise_level_alone) {
  for (const double t : {1e-6, 0.2, 0.5, 0.9, 0.999}) {
    const node straight = node_at(rectified_flow{}, t);
    const node exploding{7, to_variance_exploding(straight.level)};
    const node preserving{7, to_variance_preserving(straight.level)};
    for (const node& n : {exploding, preserving}) {
      EXPECT_NEAR(flow_time(n), t, 1e-15);
      EXPECT_NEAR(data_time(n), 1 - t, 1e-15);
      EXPECT_NEAR(noise_level_time(n), t / (1 - t), 1e-12 * t / (1 - t));
    }
  }
}

TEST(clock, is_finite_at_both_ends_but_for_the_noise_level_of_pure_noise) {
  const node clean = clean_node(0);
  const node noise{1, {0, 1}};
  EXPECT_EQ(flow_time(clean), 0);
  EXPECT_EQ(flow_time(noise), 1);
  EXPECT_EQ(flow_time_in_thousands(noise), 1000);
  EXPECT_EQ(data_time(clean), 1);
  EXPECT_EQ(data_time(noise), 0);
  EXPECT_EQ(noise_level_time(clean), 0);
  EXPECT_TRUE(std::isinf(noise_level_time(noise)));
}

// d/ds of (1 - s) z + s x0 at s = 1 - t is the opposite of d/dt of (1 - t) x0 + t z.
TEST(clock, velocity_to_data_recovers_the_sample_at_both_ends) {
  constexpr double x0 = 1.3, z = -0.7;
  for (const double t : {0.0, 0.25, 1.0}) {
    const node n = node_at(rectified_flow{}, t);
    const plane_row row = predicts_velocity_to_data(n);
    const state_output clean = sample_from(n.level, row);
    const double x = n.level.alpha * x0 + n.level.sigma * z;
    const double told = data_time(n);
    EXPECT_NEAR(clean.x * x + clean.y * (x0 - z), x0, 1e-15);
    EXPECT_NEAR(x + (1 - told) * (x0 - z), x0, 1e-15);
  }
}

TEST(clock, finds_the_index_of_a_table_from_a_noise_level) {
  const auto schedule = scaled_linear_beta_schedule(1000);
  const auto index = table_time(schedule);
  for (const int k : {0, 1, 500, 999}) {
    const node n = {-5, to_variance_exploding(schedule.at(k))};
    EXPECT_NEAR(index(n), k, 1e-9);
  }
  EXPECT_EQ(index(clean_node(0)), -1);
  EXPECT_THROW(index({0, variance_exploding(20)}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
