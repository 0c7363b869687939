#include "tweedie/sampler/stochastic_edm.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "sampler/bad_levels.hpp"
#include "sampler/exact_flow.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/lower.hpp"
#include "tweedie/sampler/euler.hpp"
#include "tweedie/sampler/heun.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/gauge.hpp"

namespace tweedie {
namespace {

TEST(churn, raises_levels_in_its_range_by_at_most_the_square_root_of_two) {
  const churn c{.amount = 30, .lowest = 0.1, .highest = 5};
  EXPECT_DOUBLE_EQ(c.raise(1, 100), 0.3);
  EXPECT_DOUBLE_EQ(c.raise(1, 10), std::sqrt(2.0) - 1);
  EXPECT_EQ(c.raise(0.05, 100), 0);
  EXPECT_EQ(c.raise(6, 100), 0);
}

TEST(stochastic_edm, without_churn_is_the_method_itself) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(6));
  const auto denoise = gaussian_denoiser(0.4, 0.7);
  const program_law a = law(stochastic_edm(nodes, noise_level_nodes, {}), denoise, {0.3, 2});
  const program_law b = law(heun(nodes), denoise, {0.3, 2});
  EXPECT_NEAR(a.result.mean, b.result.mean, 1e-14);
  EXPECT_NEAR(a.result.variance, b.result.variance, 1e-14);
  EXPECT_TRUE(stochastic_edm(nodes, noise_level_nodes, {}).draws.empty());
  EXPECT_EQ(
      stochastic_edm(nodes, noise_level_nodes, {.draws = churn_draws::every_step}).draws.size(),
      7u);
}

TEST(stochastic_edm, evaluates_at_the_raised_level) {
  const program plan = stochastic_edm(geometric_grid(2), noise_level_nodes, {.amount = 0.2});
  ASSERT_TRUE(plan.stages[1].evaluate.has_value());
  EXPECT_DOUBLE_EQ(noise_level(plan.stages[1].evaluate->at.level), 20 * 1.1);
}

TEST(stochastic_edm, keeps_the_marginals_of_gaussian_data_to_the_order_of_its_method) {
  const auto error = [](int n, const butcher_tableau& method) {
    const grid nodes = geometric_grid(n);
    return std::abs(
        variance_error(stochastic_edm(nodes, noise_level_nodes, {.amount = 5}, method), nodes));
  };
  EXPECT_NEAR(std::log2(error(320, heun_tableau) / error(640, heun_tableau)), 2, 0.15);
  EXPECT_NEAR(std::log2(error(320, euler_tableau) / error(640, euler_tableau)), 1, 0.15);
}

// A noise predictor at the level u, y = (x - D)/u: converted as diffusers does, at the raised
// level.
TEST(late_churn_euler, without_churn_is_euler) {
  const grid nodes = geometric_grid(4);
  const program plan = late_churn_euler(nodes, {}, [](double, double v) {
    return state_output{1, -v};
  });
  const lowered_program late = lower(plan, {predicts_noise});
  const lowered_program plain = lower(euler(nodes), {predicts_noise});
  ASSERT_EQ(late.stages.size(), plain.stages.size());
  for (std::size_t s = 0; s < late.stages.size(); ++s)
    for (std::size_t k = 0; k < plain.stages[s].passes.at(0).inputs.size(); ++k)
      EXPECT_NEAR(late.stages[s].passes.at(0).weights[k], plain.stages[s].passes[0].weights[k],
                  1e-14);
}

TEST(late_churn_euler, evaluates_at_the_level_before_the_churn) {
  const program plan = late_churn_euler(geometric_grid(2), {.amount = 0.2}, [](double, double v) {
    return state_output{1, -v};
  });
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(plan.stages[i].evaluate->at, geometric_grid(2)[i]);
  EXPECT_EQ(plan.draws.size(), 2u);
}

TEST(late_churn_euler, refuses_what_is_not_a_level) {
  const auto plan = [](const grid& nodes, const churn& noise = {}) {
    return late_churn_euler(nodes, noise, [](double, double v) { return state_output{1, -v}; });
  };
  expect_bad_levels_refused(geometric_grid(3), [&](const grid& nodes) { return plan(nodes); });
  EXPECT_THROW(plan(geometric_grid(3), {.amount = -1}), std::invalid_argument);
}

TEST(stochastic_edm, refuses_churn_out_of_range) {
  const double nan = std::nan("");
  for (const churn& noise :
       {churn{.amount = -1}, churn{.amount = nan}, churn{.lowest = nan}, churn{.highest = nan},
        churn{.lowest = 2, .highest = 1}, churn{.amount = 1, .noise_scale = nan},
        churn{.amount = 1, .noise_scale = -1}, churn{.amount = 1, .noise_scale = HUGE_VAL}})
    EXPECT_THROW(stochastic_edm(geometric_grid(3), noise_level_nodes, noise),
                 std::invalid_argument);
}

TEST(runge_kutta_in_time, has_its_order_on_every_clock_and_scaling) {
  const auto order = [](const auto& schedule, const butcher_tableau& method, int steps = 1280) {
    const auto nodes = [&](int n) {
      grid g;
      const double first = schedule.time_of(std::log(1 / 20.0));
      const double last = schedule.time_of(std::log(1 / 0.2));
      for (int i = 0; i <= n; ++i)
        g.push_back(node_at(schedule, std::lerp(first, last, static_cast<double>(i) / n)));
      return g;
    };
    return order_between(steps, nodes,
                         [&](const grid& g) { return runge_kutta_in_time(schedule, g, method); });
  };
  const variance_preserving_schedule vp;
  EXPECT_NEAR(order(vp, euler_tableau), 1, 0.15);
  EXPECT_NEAR(order(vp, heun_tableau), 2, 0.15);
  EXPECT_NEAR(order(in_exploding_gauge(vp), second_order_tableau(0.5)), 2, 0.15);
  EXPECT_NEAR(order(in_preserving_gauge(edm_schedule{}), heun_tableau), 2, 0.15);
  EXPECT_NEAR(order(rectified_flow{}, kutta_tableau, 40), 4, 0.3);
}

TEST(runge_kutta_in_time, skips_stages_that_only_embedded_weights_use) {
  const grid nodes = geometric_grid(4);
  const grid clean = ending_clean(edm_schedule{}, nodes);
  const auto cost = [&](const grid& g, const butcher_tableau& m) {
    return runge_kutta_in_time(edm_schedule{}, g, m).evaluations();
  };
  EXPECT_EQ(cost(nodes, heun_tableau), 8u);
  EXPECT_EQ(cost(nodes, bogacki_shampine_tableau), 12u);
  EXPECT_EQ(cost(nodes, dormand_prince_tableau), 24u);
  EXPECT_EQ(cost(nodes, tsitouras_tableau), 24u);
  EXPECT_EQ(cost(clean, bogacki_shampine_tableau), 13u);
  // On the EDM clock the methods are those of the noise level.
  for (const butcher_tableau& m : {bogacki_shampine_tableau, dormand_prince_tableau})
    expect_same_law(runge_kutta_in_time(edm_schedule{}, clean, m),
                    runge_kutta(clean, m, noise_level_nodes), 1e-12);
}

TEST(runge_kutta_in_time, is_heun_in_noise_levels_on_the_edm_clock) {
  grid nodes = geometric_grid(9);
  EXPECT_NEAR(gain_error(runge_kutta_in_time(edm_schedule{}, nodes), nodes),
              gain_error(runge_kutta(nodes, heun_tableau), nodes), 1e-13);
}

}  // namespace
}  // namespace tweedie
