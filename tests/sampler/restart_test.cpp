#include "tweedie/sampler/restart.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "sampler/exact_flow.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

const std::vector<restart_interval> two_intervals{{0.3, 2, 3, 2}, {0.1, 0.4, 2, 1}};

TEST(restart, without_intervals_is_the_ode_method) {
  const grid nodes = geometric_grid(6);
  EXPECT_EQ(gain_error(restart(nodes, noise_level_nodes, {}), nodes),
            gain_error(runge_kutta(nodes, heun_tableau, noise_level_nodes), nodes));
}

TEST(restart, keeps_the_law_of_a_perfect_denoiser_at_every_mark) {
  const grid nodes = geometric_grid(8);
  const program plan = restart(nodes, noise_level_nodes, two_intervals);
  EXPECT_EQ(plan.evaluations(), 2U * (8 + 3 * 2 + 2));
  EXPECT_EQ(plan.draws.size(), 3U);
  for (const auto& [at, l] : law(plan, perfect_denoiser(0.7), {0.7, 400}).marks) {
    EXPECT_NEAR(l.mean, 0.7, 1e-11);
    EXPECT_NEAR(l.variance / (at.level.sigma * at.level.sigma), 1, 1e-11);
  }
}

// What the ODE got wrong above the interval is mixed with fresh noise below it.
TEST(restart, contracts_the_error_of_a_wrong_start) {
  const grid nodes = geometric_grid(40);
  const auto end = [&](const program& plan, double variance) {
    return law(plan, gaussian_denoiser(0, variance_of_data), {0, variance}).result.variance;
  };
  const program plain = runge_kutta(nodes, heun_tableau, noise_level_nodes);
  const program restarted = restart(nodes, noise_level_nodes, {{{0.1, 3, 20, 2}}});
  const double right = total_variance(nodes.front().level);
  const double plain_shift = end(plain, 1.5 * right) - end(plain, right);
  const double shift = end(restarted, 1.5 * right) - end(restarted, right);
  EXPECT_LT(shift, 0.01 * plain_shift);
}

TEST(restart, refuses_empty_intervals) {
  const grid nodes = geometric_grid(6);
  EXPECT_THROW(restart(nodes, noise_level_nodes, {{{2, 1, 1, 1}}}), std::invalid_argument);
  EXPECT_THROW(restart(nodes, noise_level_nodes, {{{0.3, 2, 0, 1}}}), std::invalid_argument);
  EXPECT_EQ(refusal([&] {
              restart(nodes, noise_level_nodes, {{{0.3, 2, 1, -1}}});
            }),
            "restart: repeats = -1; valid: repeats >= 0");
  EXPECT_EQ(refusal([&] {
              restart(nodes, noise_level_nodes, {{{-1, 0.5, 1, 1}}});
            }),
            "restart: lowest = -1; valid: lowest > 0");
}

}  // namespace
}  // namespace tweedie
