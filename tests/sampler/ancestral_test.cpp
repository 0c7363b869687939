#include "tweedie/sampler/ancestral.hpp"

#include <gtest/gtest.h>

#include "sampler/exact_flow.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

// Weak order from the exact law of the chain: error of the end variance at 320 and 640 steps.
double weak_order(const sde_options& options) {
  const auto error = [&](int n) {
    const grid nodes = geometric_grid(n);
    return std::abs(variance_error(dpmpp_sde(nodes, noise_level_nodes, options), nodes));
  };
  return std::log2(error(320) / error(640));
}

TEST(dpmpp_sde, is_of_weak_order_two_on_one_brownian_path_and_of_one_without) {
  EXPECT_NEAR(weak_order({}), 2, 0.15);
  EXPECT_NEAR(weak_order({.noise = stage_noise::independent}), 1, 0.15);
}

// mathematics of the chain on N(0, 0.25), noise levels 20 to 0.05, 640 steps.
TEST(dpmpp_sde, has_the_measured_variance_errors) {
  const grid nodes = geometric_grid(640);
  EXPECT_NEAR(variance_error(dpmpp_sde(nodes, noise_level_nodes), nodes), -1.1e-5, 1e-6);
  EXPECT_NEAR(variance_error(
                  dpmpp_sde(nodes, noise_level_nodes, {.noise = stage_noise::independent}), nodes),
              -9.2e-3, 1e-4);
}

TEST(dpmpp_sde, without_noise_is_the_exponential_midpoint_method) {
  const auto plan = [](const grid& g) { return dpmpp_sde(g, noise_level_nodes, {.eta = 0}); };
  EXPECT_TRUE(plan(geometric_grid(3)).draws.empty());
  EXPECT_NEAR(order_between(
                  160, [](int n) { return geometric_grid(n); }, plan),
              2, 0.15);
}

TEST(dpmpp_sde, draws_increments_of_one_path) {
  const program plan = dpmpp_sde(geometric_grid(2), noise_level_nodes);
  ASSERT_EQ(plan.draws.size(), 4u);
  EXPECT_EQ(plan.draws[0].from, 20);
  EXPECT_DOUBLE_EQ(plan.draws[0].to, plan.draws[1].from);
  EXPECT_DOUBLE_EQ(plan.draws[1].to, plan.draws[2].from);
}

TEST(dpmpp_sde, refuses_noise_out_of_range) {
  const grid nodes = geometric_grid(3);
  for (const double bad : {-1.0, std::nan(""), HUGE_VAL})
    EXPECT_THROW(dpmpp_sde(nodes, noise_level_nodes, {.noise_scale = bad}), std::invalid_argument);
  for (const double bad : {-1.0, std::nan("")})
    EXPECT_THROW(dpmpp_sde(nodes, noise_level_nodes, {.eta = bad}), std::invalid_argument);
}

TEST(dpmpp_sde, refuses_a_middle_outside_the_step) {
  const grid nodes = geometric_grid(3);
  EXPECT_THROW(dpmpp_sde(nodes, noise_level_nodes, {.middle = 0}), std::invalid_argument);
  EXPECT_THROW(dpmpp_sde(nodes, noise_level_nodes, {.middle = 1}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
