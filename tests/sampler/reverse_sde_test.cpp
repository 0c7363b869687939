#include "tweedie/sampler/reverse_sde.hpp"

#include <gtest/gtest.h>

#include "sampler/exact_flow.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

TEST(reverse_sde, predictors_have_weak_order_one) {
  const variance_preserving_schedule schedule;
  const auto nodes = [&](int n) {
    grid g;
    for (int i = 0; i <= n; ++i)
      g.push_back(node_at(schedule, std::lerp(1.0, 0.05, static_cast<double>(i) / n)));
    return g;
  };
  const auto order = [&](const auto& plan) {
    const grid coarse = nodes(1000), fine = nodes(2000);
    return std::log2(variance_error(plan(coarse), coarse) / variance_error(plan(fine), fine));
  };
  for (const reverse_process p : {reverse_process::sde, reverse_process::probability_flow}) {
    EXPECT_NEAR(order([&](const grid& g) { return reverse_diffusion(g, p); }), 1, 0.15);
    EXPECT_NEAR(order([&](const grid& g) { return euler_maruyama(schedule, g, p); }), 1, 0.15);
  }
}

TEST(reverse_sde, probability_flow_draws_nothing_and_the_clean_step_neither) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(4));
  EXPECT_EQ(reverse_diffusion(nodes).draws.size(), 4U);
  EXPECT_TRUE(reverse_diffusion(nodes, reverse_process::probability_flow).draws.empty());
}

}  // namespace
}  // namespace tweedie
