#include "tweedie/sampler/multistep.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "sampler/bad_levels.hpp"
#include "sampler/exact_flow.hpp"
#include "sampler/mixture_flow.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

using plan_of_grid = std::function<program(const grid&)>;

TEST(multistep, of_order_one_is_ddim_for_both_outputs) {
  const grid nodes = even_grid(6);
  const program_law reference = law(ddim(nodes), gaussian_denoiser(0.4, 0.7), {0.3, 1.1});
  for (const plane_row row : {clean_row, noise_row}) {
    const program_law ours =
        law(exponential_adams(nodes, 1, row), gaussian_denoiser(0.4, 0.7), {0.3, 1.1});
    EXPECT_NEAR(ours.result.mean, reference.result.mean, 1e-14);
    EXPECT_NEAR(ours.result.variance, reference.result.variance, 1e-14);
  }
  const program_law full =
      law(sde_dpm_solver_plus_plus(nodes, 1), gaussian_denoiser(0.4, 0.7), {0.3, 1.1});
  const program_law posterior = law(ddim(nodes, 1), gaussian_denoiser(0.4, 0.7), {0.3, 1.1});
  EXPECT_NEAR(full.result.mean, posterior.result.mean, 1e-14);
  EXPECT_NEAR(full.result.variance, posterior.result.variance, 1e-14);
}

TEST(multistep, has_the_printed_weights_of_2m) {
  // Lu et al. 2022b, algorithm 2: D = (1 + 1/(2r)) D_i - 1/(2r) D_{i-1}, r = h_{i-1}/h_i.
  const grid nodes{
      {0, variance_preserving(8)}, {1, variance_preserving(3)}, {2, variance_preserving(0.7)}};
  const program plan = dpm_solver_plus_plus(nodes, 2);
  const double h = std::log(3 / 0.7), r = std::log(8.0 / 3) / h;
  const auto [alpha, sigma] = nodes[2].level;
  const linear_pass& pass = plan.stages.back().pass;
  ASSERT_EQ(pass.outputs.size(), 1u);
  for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
    const bool state = pass.inputs[i].from == operand_kind::stored &&
                       pass.inputs[i].index == plan.stages.back().evaluate->state;
    const double expected = state ? sigma / nodes[1].level.sigma
                            : pass.inputs[i].from == operand_kind::clean
                                ? -alpha * std::expm1(-h) * (1 + 0.5 / r)
                                : alpha * std::expm1(-h) * 0.5 / r;
    EXPECT_NEAR(pass.weight(0, i), expected, 1e-14);
  }
}

struct order_case {
  const char* name;
  plan_of_grid plan;
  double order;
  int steps;
};

const order_case order_cases[] = {
    {"2M", [](const grid& g) { return dpm_solver_plus_plus(g, 2); }, 2, 80},
    {"2M exact slope",
     [](const grid& g) { return dpm_solver_plus_plus(g, 2, second_order_term::exact); }, 2, 80},
    {"2M leading slope",
     [](const grid& g) { return dpm_solver_plus_plus(g, 2, second_order_term::leading); }, 2, 80},
    {"3M", [](const grid& g) { return dpm_solver_plus_plus(g, 3); }, 3, 160},
    {"3M as published",
     [](const grid& g) {
       return dpm_solver_plus_plus(g, 3, second_order_term::exact, third_order_term::published);
     },
     2, 320},
    {"DPM-Solver 2", [](const grid& g) { return dpm_solver_multistep(g, 2); }, 2, 80},
    {"DPM-Solver 3", [](const grid& g) { return dpm_solver_multistep(g, 3); }, 3, 160},
    {"DPM-Solver 3 as published",
     [](const grid& g) {
       return dpm_solver_multistep(g, 3, second_order_term::exact, third_order_term::published);
     },
     2, 160},
    {"Adams 2", [](const grid& g) { return exponential_adams(g, 2); }, 2, 80},
    {"Adams 3", [](const grid& g) { return exponential_adams(g, 3); }, 3, 160},
    {"Adams 4", [](const grid& g) { return exponential_adams(g, 4); }, 4, 80},
    {"DEIS 2", [](const grid& g) { return deis(g, 2); }, 2, 80},
    {"DEIS 3", [](const grid& g) { return deis(g, 3); }, 3, 160},
    {"DEIS 4", [](const grid& g) { return deis(g, 4); }, 4, 320},
};

TEST(multistep, orders_on_a_mixture_after_an_exact_start) {
  for (const order_case& c : order_cases) {
    const auto nodes = [&](int n) { return gently_started(even_grid(n)); };
    EXPECT_NEAR(mixture_order(c.steps, nodes, c.plan), c.order, 0.15) << c.name;
  }
}

TEST(multistep, orders_survive_uneven_steps) {
  for (const order_case& c : order_cases) {
    const auto nodes = [&](int n) { return gently_started(uneven_grid(n)); };
    EXPECT_GT(order_between(c.steps, nodes, c.plan), c.order - 0.4) << c.name;
  }
}

TEST(multistep, the_usual_start_leaves_a_second_order_error) {
  const auto nodes = [](int n) { return even_grid(n); };
  const auto plan = [](const grid& g) { return exponential_adams(g, 4); };
  EXPECT_NEAR(mixture_order(640, nodes, plan), 2, 0.15);
}

TEST(multistep, deis_in_time_has_its_order) {
  const variance_preserving_schedule schedule;
  for (const int order : {1, 2, 3, 4}) {
    const auto nodes = [&](int n) {
      grid out{node_at(schedule, 0.9)};
      for (const double fraction : gentle_fractions())
        out.push_back(node_at(schedule, 0.9 - 0.6 / n * fraction));
      for (int i = 1; i <= n; ++i) out.push_back(node_at(schedule, 0.9 - 0.6 * i / n));
      return out;
    };
    const auto plan = [&](const grid& g) { return deis_in_time(schedule, g, order); };
    EXPECT_NEAR(order_between(80, nodes, plan), order, 0.15) << order;
  }
}

TEST(multistep, last_step_to_clean_data_returns_the_estimate) {
  grid nodes = even_grid(5);
  nodes.push_back(clean_node(0));
  for (const program& plan : {dpm_solver_plus_plus(nodes, 3), dpm_solver_multistep(nodes, 3),
                              deis(nodes, 3), sde_dpm_solver_plus_plus(nodes, 3)}) {
    const linear_pass& pass = plan.stages.back().pass;
    const auto [alpha, sigma] = nodes[5].level;
    double clean = 0, noise = 0, state = 0;
    for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
      if (pass.inputs[i].from == operand_kind::clean) clean += pass.weight(0, i);
      if (pass.inputs[i].from == operand_kind::noise) noise += pass.weight(0, i);
      if (pass.inputs[i].from == operand_kind::stored) state += pass.weight(0, i);
    }
    // x0 itself, or the same thing written as (x - sigma z) / alpha.
    EXPECT_NEAR(state, noise == 0 ? 0 : 1 / alpha, 1e-15);
    EXPECT_NEAR(noise, noise == 0 ? 0 : -sigma / alpha, 1e-15);
    EXPECT_EQ(clean, noise == 0 ? 1 : 0);
  }
}

TEST(multistep, weak_orders_of_the_stochastic_methods) {
  const auto slope = [](int n, const plan_of_grid& plan) {
    const grid coarse = geometric_grid(n), fine = geometric_grid(2 * n);
    return std::log2(
        std::abs(variance_error(plan(coarse), coarse) / variance_error(plan(fine), fine)));
  };
  const auto method = [](int order, second_order_term second, third_order_term third) {
    return [=](const grid& g) { return sde_dpm_solver_plus_plus(g, order, 1, second, third); };
  };
  const auto halved = second_order_term::halved;
  const auto exact = third_order_term::exact;
  EXPECT_NEAR(slope(320, method(1, halved, exact)), 1, 0.15);
  EXPECT_NEAR(slope(320, method(2, halved, exact)), 2, 0.15);
  EXPECT_NEAR(slope(320, method(2, second_order_term::exact, exact)), 2, 0.15);
  EXPECT_NEAR(slope(320, method(3, halved, exact)), 2, 0.15);
  EXPECT_NEAR(slope(320, method(3, halved, third_order_term::published)), 2, 0.15);
  EXPECT_NEAR(slope(320, method(3, halved, third_order_term::published_sde)), 1, 0.15);
}

TEST(multistep, first_order_stochastic_steps_keep_the_mean_exactly) {
  // With the exact denoiser of Gaussian data the posterior mean is linear: no error in the mean of
  // single-step conditional laws, here of the whole chain started at the right mean.
  const grid nodes = geometric_grid(7);
  const program_law end =
      law(sde_dpm_solver_plus_plus(nodes, 1), gaussian_denoiser(0.7, 0.25), {0.7, 400.25});
  EXPECT_NEAR(end.result.mean, 0.7, 1e-14);
}

TEST(multistep, inverts_on_a_rising_grid) {
  const grid nodes = even_grid(200);
  grid rising = reversed(nodes);
  const std::vector<int> orders(200, 2);
  const program down = multistep(nodes, orders, {});
  const program up = multistep(rising, orders, {});
  const auto denoise = gaussian_denoiser(0.3, 0.25);
  const program_law there = law(up, denoise, {0.5, 0.1});
  const program_law back = law(down, denoise, there.result);
  EXPECT_NEAR(back.result.mean, 0.5, 1e-3);
  EXPECT_NEAR(back.result.variance, 0.1, 1e-3);
}

TEST(multistep, a_repeated_level_is_a_step_that_does_nothing) {
  grid nodes = even_grid(4);
  const program once = multistep(nodes, ramped_orders(nodes, 2), {});
  nodes.push_back(nodes.back());
  const program twice = multistep(nodes, std::vector{1, 2, 2, 2, 2}, {});
  const auto denoise = gaussian_denoiser(0.3, 0.25);
  EXPECT_EQ(law(once, denoise, {0, 1}).result.mean, law(twice, denoise, {0, 1}).result.mean);
  EXPECT_EQ(twice.evaluations(), 5u);
}

TEST(multistep, refuses_what_is_not_a_level) {
  expect_bad_levels_refused(even_grid(3), [&](const grid& nodes) {
    return multistep(nodes, std::vector{1, 2, 2}, {});
  });
}

TEST(multistep, errors_name_the_method) {
  const grid rising = reversed(even_grid(3));
  const auto starts = [](const std::string& message, const std::string& name) {
    return message.rfind(name + ": ", 0) == 0;
  };
  EXPECT_TRUE(starts(refusal([&] { dpm_solver_plus_plus(rising, 2); }), "dpm_solver_plus_plus"));
  EXPECT_TRUE(starts(refusal([&] { dpm_solver_multistep(rising, 2); }), "dpm_solver_multistep"));
  EXPECT_TRUE(
      starts(refusal([&] { sde_dpm_solver_plus_plus(rising, 2); }), "sde_dpm_solver_plus_plus"));
  EXPECT_TRUE(starts(refusal([&] { exponential_adams(rising, 2); }), "exponential_adams"));
  EXPECT_TRUE(starts(refusal([&] { deis(rising, 2); }), "deis"));
  EXPECT_TRUE(starts(refusal([&] { deis_in_time(variance_preserving_schedule{}, rising, 2); }),
                     "deis_in_time"));
  EXPECT_EQ(refusal([&] { dpm_solver_plus_plus(even_grid(3), 0); }),
            "dpm_solver_plus_plus: order = 0; valid: order >= 1");
  grid pure = even_grid(3);
  pure[0].level = {0, 1};
  EXPECT_NE(refusal([&] { deis(pure, 2); }).find("; valid: "), std::string::npos);
}

TEST(multistep, refuses_bad_input) {
  const grid nodes = even_grid(3);
  EXPECT_THROW(multistep(nodes, std::vector{1, 2}, {}), std::invalid_argument);
  EXPECT_THROW(multistep(nodes, std::vector{1, 0, 2}, {}), std::invalid_argument);
  EXPECT_THROW(multistep(nodes, std::vector{1, 1, 1}, {.row = straight_row}),
               std::invalid_argument);
  EXPECT_THROW(multistep({}, std::vector<int>{}, {}), std::invalid_argument);
  EXPECT_THROW(dpm_solver_plus_plus(nodes, 0), std::invalid_argument);
  for (const double eta : {-1.0, std::nan(""), HUGE_VAL})
    EXPECT_THROW(sde_dpm_solver_plus_plus(nodes, 2, eta), std::invalid_argument);
  const grid repeated{nodes[0], nodes[1], nodes[1], nodes[2]};
  EXPECT_THROW(multistep(repeated, std::vector{1, 2, 3}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
