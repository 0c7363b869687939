#include "tweedie/sampler/midpoint.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "sampler/exact_flow.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

TEST(dpm_2, is_of_second_order_with_and_without_even_steps) {
  const auto plan = [](const grid& g) { return dpm_2(g, noise_level_nodes); };
  EXPECT_NEAR(order_between(
                  160, [](int n) { return geometric_grid(n); }, plan),
              2, 0.15);
  EXPECT_NEAR(order_between(
                  160, [](int n) { return uneven_grid(n); }, plan),
              2, 0.3);
}

TEST(dpm_2_ancestral, without_noise_is_dpm_2) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(5));
  const auto denoise = gaussian_denoiser(0.4, 0.7);
  const program_law a = law(dpm_2_ancestral(nodes, noise_level_nodes, 0), denoise, {0.3, 2});
  const program_law b = law(dpm_2(nodes, noise_level_nodes), denoise, {0.3, 2});
  EXPECT_DOUBLE_EQ(a.result.mean, b.result.mean);
  EXPECT_DOUBLE_EQ(a.result.variance, b.result.variance);
}

TEST(dpm_2, refuses_pure_noise_and_noise_scales_out_of_range) {
  const grid pure = uniform(rectified_flow{}, 4);
  EXPECT_EQ(refusal([&] { dpm_2(pure, noise_level_nodes); }),
            "dpm_2: alpha of node 0 = 0; valid: alpha > 0; below_pure_noise(grid) starts where "
            "there is signal");
  EXPECT_EQ(refusal([&] { dpm_2_ancestral(pure, noise_level_nodes); }),
            "dpm_2_ancestral: alpha of node 0 = 0; valid: alpha > 0; below_pure_noise(grid) starts "
            "where there is signal");
  for (const double scale : {-1.0, std::nan(""), HUGE_VAL})
    EXPECT_THROW(dpm_2_ancestral(geometric_grid(3), noise_level_nodes, 1, scale),
                 std::invalid_argument);
}

TEST(power_midpoint, has_order_two_and_keeps_its_stage_at_the_clean_end) {
  const auto plan = [](const grid& g) { return power_midpoint(g, noise_level_nodes); };
  EXPECT_NEAR(order_between(
                  160, [](int n) { return geometric_grid(n); }, plan),
              2, 0.15);
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(4));
  EXPECT_EQ(plan(nodes).evaluations(), 10U);
}

}  // namespace
}  // namespace tweedie
