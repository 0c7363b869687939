#include "tweedie/sampler/restart.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "sampler/exact_flow.hpp"
#include "tweedie/sampler/own_time.hpp"
#include "tweedie/sampler/power_midpoint.hpp"
#include "tweedie/sampler/reverse_sde.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/gauge.hpp"

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
    return law(plan, gaussian_denoiser(0, data_variance), {0, variance}).result.variance;
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

TEST(power_midpoint, has_order_two_and_keeps_its_stage_at_the_clean_end) {
  const auto plan = [](const grid& g) { return power_midpoint(g, noise_level_nodes); };
  EXPECT_NEAR(order_between(
                  160, [](int n) { return geometric_grid(n); }, plan),
              2, 0.15);
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(4));
  EXPECT_EQ(plan(nodes).evaluations(), 10U);
}

TEST(own_time, has_its_order_on_every_clock_and_scaling) {
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

TEST(own_time, skips_stages_that_only_embedded_weights_use) {
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

TEST(own_time, is_heun_in_noise_levels_on_the_edm_clock) {
  grid nodes = geometric_grid(9);
  EXPECT_NEAR(gain_error(runge_kutta_in_time(edm_schedule{}, nodes), nodes),
              gain_error(runge_kutta(nodes, heun_tableau), nodes), 1e-13);
}

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
