#include "tweedie/sampler/runge_kutta.hpp"

#include <gtest/gtest.h>

#include "sampler/exact_flow.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/heun.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

const auto straight_nodes = [](double level) {
  return node{level / (1 + level), rectified(level)};
};

struct method_case {
  const char* name;
  butcher_tableau method;
  int order;
  int steps;
  double above = 0.15;  // pre-asymptotic: methods of order 5 reach rounding before their last slope
};

const method_case methods[] = {
    {"Euler", euler_tableau, 1, 320},
    {"Heun", heun_tableau, 2, 160},
    {"midpoint", midpoint_tableau, 2, 160},
    {"Ralston", ralston_tableau, 2, 160},
    {"Bogacki-Shampine", bogacki_shampine_tableau, 3, 160},
    {"Kutta", kutta_tableau, 4, 160},
    {"Dormand-Prince", dormand_prince_tableau, 5, 40, 1.6},
    {"Tsitouras", tsitouras_tableau, 5, 40, 1.6},
};

TEST(runge_kutta, has_the_order_of_its_tableau_in_the_noise_level) {
  const program truth =
      runge_kutta(geometric_grid(3000), dormand_prince_tableau, noise_level_nodes);
  for (const method_case& m : methods) {
    const auto plan = [&](const grid& g) { return runge_kutta(g, m.method, noise_level_nodes); };
    const auto even = [](int n) { return geometric_grid(n); };
    const auto uneven = [](int n) { return uneven_grid(n); };
    EXPECT_EQ(order_of(m.method), m.order) << m.name;
    const double slope = mixture_order(m.steps, truth, even, plan);
    EXPECT_GT(slope, m.order - 0.15) << m.name;
    EXPECT_LT(slope, m.order + m.above) << m.name;
    EXPECT_GT(mixture_order(m.steps, truth, uneven, plan), m.order - 0.3) << m.name;
  }
}

TEST(runge_kutta, has_the_order_of_its_tableau_in_flow_time) {
  const auto plan_of = [](const butcher_tableau& method) {
    return [&](const grid& g) { return runge_kutta(g, method, straight_nodes, straight_row); };
  };
  const auto even = [](int n) { return straight_grid(n); };
  const program truth = plan_of(dormand_prince_tableau)(even(3000));
  for (const method_case& m : methods) {
    const double slope = mixture_order(m.steps, truth, even, plan_of(m.method));
    EXPECT_GT(slope, m.order - 0.15) << m.name;
    EXPECT_LT(slope, m.order + m.above) << m.name;
  }
}

TEST(runge_kutta, skips_stages_that_only_embedded_weights_use) {
  const grid nodes = geometric_grid(4);
  const auto cost = [&](const butcher_tableau& m) {
    return runge_kutta(nodes, m, noise_level_nodes).evaluations();
  };
  EXPECT_EQ(cost(heun_tableau), 8u);
  EXPECT_EQ(cost(bogacki_shampine_tableau), 12u);
  EXPECT_EQ(cost(kutta_tableau), 16u);
  EXPECT_EQ(cost(dormand_prince_tableau), 24u);
}

TEST(runge_kutta, of_first_order_is_ddim_in_every_chart) {
  const grid nodes = straight_grid(5);
  const program reference = ddim(nodes);
  for (const plane_row row : {noise_row, straight_row, clean_row}) {
    const program plan = runge_kutta(nodes, euler_tableau, row);
    const auto denoise = gaussian_denoiser(0.4, 0.7);
    const program_law a = law(plan, denoise, {0.3, 1.1});
    const program_law b = law(reference, denoise, {0.3, 1.1});
    EXPECT_NEAR(a.result.mean, b.result.mean, 1e-14);
    EXPECT_NEAR(a.result.variance, b.result.variance, 1e-14);
  }
}

TEST(runge_kutta, contains_heun) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(6));
  const auto denoise = gaussian_denoiser(0.4, 0.7);
  const program_law a = law(runge_kutta(nodes, heun_tableau), denoise, {0.3, 2});
  const program_law b = law(heun(nodes), denoise, {0.3, 2});
  EXPECT_NEAR(a.result.mean, b.result.mean, 1e-14);
  EXPECT_NEAR(a.result.variance, b.result.variance, 1e-14);
}

TEST(runge_kutta, starts_from_pure_noise_in_flow_time) {
  grid nodes = straight_grid(20, 1, 0);
  nodes.back() = clean_node(0);
  const program plan = runge_kutta(nodes, kutta_tableau, straight_nodes, straight_row);
  const program_law end = law(plan, gaussian_denoiser(2, variance_of_data), {0, 1});
  EXPECT_NEAR(end.result.mean, 2, 1e-12);
  EXPECT_NEAR(end.result.variance, variance_of_data, 0.02);
  EXPECT_THROW(runge_kutta(nodes, heun_tableau), std::invalid_argument);
}

TEST(runge_kutta, asks_for_a_node_maker_only_between_the_nodes) {
  const grid nodes = geometric_grid(3);
  EXPECT_NO_THROW(runge_kutta(nodes, heun_tableau));
  EXPECT_THROW(runge_kutta(nodes, midpoint_tableau), std::invalid_argument);
  EXPECT_NO_THROW(runge_kutta(nodes, midpoint_tableau, nodes_of(edm_schedule{})));
}

TEST(second_order_tableau, refuses_stages_outside_the_step) {
  for (const double c : {0.0, -0.5, 1.5, std::nan("")})
    EXPECT_THROW(second_order_tableau(c), std::invalid_argument);
}

TEST(order_of, refuses_inconsistent_tableaux) {
  butcher_tableau wrong = kutta_tableau;
  wrong.b = {0.25, 0.25, 0.25, 0.25};
  EXPECT_EQ(order_of(wrong), 2);
  wrong.b = {0.5, 0.25, 0.25, 0.25};
  EXPECT_EQ(order_of(wrong), 0);
  wrong = heun_tableau;
  wrong.c[1] = 0.9;
  EXPECT_EQ(order_of(wrong), 0);
  EXPECT_EQ(order_of(second_order_tableau(1)), 2);
}

}  // namespace
}  // namespace tweedie
