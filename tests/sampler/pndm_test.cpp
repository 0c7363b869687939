#include "tweedie/sampler/pndm.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "sampler/exact_flow.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/lower.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ipndm.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

// Equal steps in the noise level, where the transfer part is Euler's step.
grid equal_steps(int n) {
  grid nodes;
  for (int i = 0; i <= n; ++i) {
    const double level = std::lerp(1, 0.2, static_cast<double>(i) / n);
    nodes.push_back({level, variance_exploding(level)});
  }
  return nodes;
}

// Steps that change by a part of themselves from one to the next.
grid slowly_changing_steps(int n) {
  grid nodes;
  for (int i = 0; i <= n; ++i) {
    const double s = static_cast<double>(i) / n;
    const double level = 1 - 0.8 * s * (1 + s) / 2;
    nodes.push_back({level, variance_exploding(level)});
  }
  return nodes;
}

// A step, and one of twice its length, by turns.
grid alternating_steps(int n) {
  grid nodes;
  for (int i = 0; i <= n; ++i) {
    const double level = 1 - 0.8 * (3 * (i / 2) + i % 2) / (1.5 * n);
    nodes.push_back({level, variance_exploding(level)});
  }
  return nodes;
}

double observed_order(const auto& plan_of, grid (*steps)(int) = equal_steps) {
  const grid coarse = steps(320);
  const grid fine = steps(640);
  return std::log2(gain_error(plan_of(coarse), coarse) / gain_error(plan_of(fine), fine));
}

TEST(transfer, is_the_ddim_step) {
  const grid nodes = trailing(linear_beta_schedule(1000), 5);
  recorder r(nodes[0]);
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const estimate e = r.evaluate(x, nodes[i]);
    x = transfer(x, e.noise, nodes[i].level, nodes[i + 1].level);
    r.mark(x, nodes[i + 1]);
  }
  const program plan = r.finish(x);
  const auto denoise = gaussian_denoiser(0.3, 0.5);
  const program_law a = law(plan, denoise, {0.1, 1});
  const program_law b = law(ddim(nodes), denoise, {0.1, 1});
  EXPECT_NEAR(a.result.mean, b.result.mean, 1e-12);
  EXPECT_NEAR(a.result.variance, b.result.variance, 1e-12);
}

TEST(transfer, refuses_pure_noise) {
  EXPECT_THROW(transfer(linear(0), linear(1), {0, 1}, {0.5, 0.5}), std::invalid_argument);
}

// A pseudo Heun step and one step of order 2 at the start leave third order.
TEST(plms, is_of_third_order_on_equal_steps) {
  EXPECT_NEAR(observed_order([](const grid& g) { return plms(g); }), 3, 0.15);
}

TEST(pndm, is_of_fourth_order_on_equal_steps) {
  EXPECT_NEAR(observed_order([](const grid& g) { return pndm(edm_schedule{}, g); }), 4, 0.15);
}

// The weights are those of equal steps.
TEST(plms, loses_order_where_steps_change) {
  const auto of_plms = [](const grid& g) { return plms(g); };
  const auto of_pndm = [](const grid& g) { return pndm(edm_schedule{}, g); };
  EXPECT_NEAR(observed_order(of_plms, slowly_changing_steps), 2, 0.15);
  EXPECT_NEAR(observed_order(of_pndm, slowly_changing_steps), 2, 0.15);
  EXPECT_NEAR(observed_order(of_plms, alternating_steps), 1, 0.15);
  EXPECT_NEAR(observed_order(of_pndm, alternating_steps), 1, 0.15);
}

TEST(pndm, asks_four_times_in_each_of_the_first_three_steps) {
  const auto schedule = linear_beta_schedule(1000);
  const grid nodes = trailing(schedule, 10);
  EXPECT_EQ(pndm(schedule, nodes).evaluations(), 19u);
  EXPECT_EQ(pndm(schedule, nodes).steps(), 10u);
  EXPECT_EQ(plms(nodes).evaluations(), 11u);
  EXPECT_EQ(plms(trailing(schedule, 1)).evaluations(), 1u);
}

TEST(pndm, keeps_the_marginals_with_a_perfect_denoiser) {
  const auto schedule = linear_beta_schedule(1000);
  const grid nodes = trailing(schedule, 10);
  const auto [alpha, sigma] = nodes.front().level;
  for (const program& plan : {plms(nodes), pndm(schedule, nodes)}) {
    const program_law l = law(plan, perfect_denoiser(1.7), {alpha * 1.7, sigma * sigma});
    for (const auto& [at, state] : l.marks) {
      EXPECT_NEAR(state.mean, at.level.alpha * 1.7, 1e-11);
      EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 1e-11);
    }
  }
}

TEST(pndm, refuses_grids_without_room_for_its_start) {
  const auto schedule = linear_beta_schedule(1000);
  EXPECT_THROW(pndm(schedule, trailing(schedule, 2)), std::invalid_argument);
  // Three Runge-Kutta steps do not fit where the third ends in clean data.
  for (const grid& nodes : {trailing(schedule, 3), linspace(schedule, 3), leading(schedule, 3)})
    EXPECT_EQ(refusal([&] { pndm(schedule, nodes); }),
              "pndm: sigma of node 3 = 0; valid: sigma > 0; take at least 4 steps if the grid ends "
              "in clean data");
  for (const grid& nodes : {trailing(schedule, 4), linspace(schedule, 4), leading(schedule, 4)})
    for (const stage& s : pndm(schedule, nodes).stages)
      if (s.evaluate) {
        EXPECT_GT(s.evaluate->at.level.sigma, 0);
      }
  EXPECT_EQ(pndm(edm_schedule{}, equal_steps(3)).evaluations(), 12u);
  EXPECT_THROW(plms(reversed(trailing(schedule, 4))), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
