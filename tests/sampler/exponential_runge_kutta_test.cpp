#include "tweedie/sampler/exponential_runge_kutta.hpp"

#include <gtest/gtest.h>

#include "sampler/mixture_flow.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

struct tableau_case {
  const char* name;
  exponential_tableau method;
  int order;
  int evaluations;
};

const std::vector<tableau_case>& tableaux() {
  static const std::vector<tableau_case> all{{"etd2", etd2(), 2, 2},
                                             {"etd2(1)", etd2(1), 2, 2},
                                             {"dpm_solver_2", dpm_solver_2(), 2, 2},
                                             {"etd3", etd3(), 3, 3},
                                             {"dpm_solver_3", dpm_solver_3(), 3, 3},
                                             {"cox_matthews", cox_matthews(), 4, 4},
                                             {"krogstad", krogstad(), 4, 4},
                                             {"hochbruck_ostermann", hochbruck_ostermann(), 4, 5}};
  return all;
}

const auto preserving_nodes = [](double level) { return node{level, variance_preserving(level)}; };

TEST(exponential_runge_kutta, has_the_order_of_its_tableau) {
  for (const tableau_case& c : tableaux())
    for (const plane_row row : {clean_row, noise_row}) {
      const auto nodes = [](int n) { return even_grid(n); };
      const auto plan = [&](const grid& g) {
        return exponential_runge_kutta(g, c.method, preserving_nodes, {.row = row});
      };
      EXPECT_NEAR(mixture_order(c.order == 4 ? 80 : 160, nodes, plan), c.order, 0.15) << c.name;
    }
}

TEST(exponential_runge_kutta, keeps_its_order_on_uneven_steps) {
  for (const tableau_case& c : tableaux()) {
    const auto nodes = [](int n) { return uneven_grid(n); };
    const auto plan = [&](const grid& g) {
      return exponential_runge_kutta(g, c.method, noise_level_nodes);
    };
    EXPECT_GT(order_between(c.order == 4 ? 80 : 160, nodes, plan), c.order - 0.4) << c.name;
  }
}

TEST(exponential_runge_kutta, stages_of_a_step_without_length_weigh_as_classical_methods) {
  // phi_k(0) = 1/k!: Cox-Matthews and Krogstad become the classical Runge-Kutta method.
  for (const exponential_tableau& m : {cox_matthews(), krogstad()}) {
    EXPECT_NEAR(m.entry(4, 1, 0), 1.0 / 3, 1e-15);
    EXPECT_NEAR(m.entry(4, 2, 0), 1.0 / 3, 1e-15);
    EXPECT_NEAR(m.entry(4, 3, 0), 1.0 / 6, 1e-15);
    EXPECT_NEAR(m.entry(2, 1, 0), 0.5, 1e-15);
    EXPECT_NEAR(m.entry(3, 2, 0), 1, 1e-15);
  }
  EXPECT_NEAR(etd2(0.5).entry(2, 1, 0), 1, 1e-15);
  EXPECT_NEAR(hochbruck_ostermann().entry(5, 4, 0), 2.0 / 3, 1e-15);
}

TEST(exponential_runge_kutta, satisfies_the_stiff_conditions_of_order_three) {
  // sum_j b_j(z) c_j = phi_2(z) for every z (Hochbruck and Ostermann 2010, table 2).
  for (const exponential_tableau& m : {etd2(0.3), etd3(0.5, 1), etd3(0.25, 0.75), dpm_solver_3(),
                                       krogstad(), hochbruck_ostermann()})
    for (const double z : {-5.0, -0.1, 0.0, 2.0}) {
      double sum = 0;
      for (std::size_t j = 1; j < m.c.size(); ++j) sum += m.entry(m.c.size(), j, z) * m.c[j];
      EXPECT_NEAR(sum, phi(2, z), 1e-14);
    }
  // sum_j b_j(z) c_j^2 / 2 = phi_3(z): order 4 and above.
  for (const exponential_tableau& m : {cox_matthews(), krogstad(), hochbruck_ostermann()})
    for (const double z : {-5.0, -0.1, 0.0, 2.0}) {
      double sum = 0;
      for (std::size_t j = 1; j < m.c.size(); ++j)
        sum += m.entry(m.c.size(), j, z) * m.c[j] * m.c[j] / 2;
      EXPECT_NEAR(sum, phi(3, z), 1e-14);
    }
}

TEST(exponential_runge_kutta, counts_evaluations_and_ends_at_first_order) {
  grid nodes = even_grid(4);
  nodes.push_back(clean_node(0));
  for (const tableau_case& c : tableaux()) {
    const program plan = exponential_runge_kutta(nodes, c.method, preserving_nodes);
    EXPECT_EQ(plan.evaluations(), static_cast<std::size_t>(4 * c.evaluations + 1)) << c.name;
    EXPECT_TRUE(plan.draws.empty());
  }
}

TEST(exponential_runge_kutta, starts_from_pure_noise_with_a_first_order_step) {
  const rectified_flow schedule;
  const grid nodes = at_times(schedule, std::vector{1.0, 0.6, 0.3});
  const program plan = exponential_runge_kutta(nodes, krogstad(), nodes_of(schedule));
  EXPECT_EQ(plan.evaluations(), 5u);
  const grid first(nodes.begin(), nodes.begin() + 2);
  EXPECT_EQ(law(plan, gaussian_denoiser(0.4, 0.3), {0, 1}).marks[0].second.mean,
            law(ddim(first), gaussian_denoiser(0.4, 0.3), {0, 1}).result.mean);
}

TEST(seeds, have_weak_order_two_because_their_noises_are_one_path) {
  const auto slope = [](const std::function<program(const grid&)>& plan) {
    const grid coarse = geometric_grid(160), fine = geometric_grid(320);
    return std::log2(
        std::abs(variance_error(plan(coarse), coarse) / variance_error(plan(fine), fine)));
  };
  EXPECT_NEAR(slope([](const grid& g) { return seeds_2(g, noise_level_nodes); }), 2, 0.15);
  EXPECT_NEAR(slope([](const grid& g) { return seeds_3(g, noise_level_nodes); }), 2, 0.15);
  EXPECT_NEAR(slope([](const grid& g) { return seeds_2(g, noise_level_nodes, 0.5); }), 2, 0.15);
}

TEST(seeds, draw_one_noise_a_stage_on_neighbouring_intervals) {
  const grid nodes = geometric_grid(1, 8, 1);
  const program plan = seeds_3(nodes, noise_level_nodes);
  ASSERT_EQ(plan.draws.size(), 3u);
  EXPECT_DOUBLE_EQ(plan.draws[0].from, 8);
  EXPECT_NEAR(plan.draws[0].to, 4, 1e-14);
  EXPECT_EQ(plan.draws[1].from, plan.draws[0].to);
  EXPECT_EQ(plan.draws[2].from, plan.draws[1].to);
  EXPECT_EQ(plan.draws[2].to, 1);
  EXPECT_TRUE(seeds_2(nodes, noise_level_nodes, 0).draws.empty());
}

TEST(exponential_runge_kutta, refuses_bad_input) {
  const grid nodes = even_grid(2);
  EXPECT_THROW(exponential_runge_kutta(nodes, etd2(), preserving_nodes, {.row = straight_row}),
               std::invalid_argument);
  EXPECT_THROW(exponential_runge_kutta(reversed(nodes), etd2(), preserving_nodes),
               std::invalid_argument);
  EXPECT_THROW(etd3(2.0 / 3, 1), std::invalid_argument);
  for (const double bad : {0.0, -0.5, 1.5, std::nan("")}) {
    EXPECT_THROW(etd2(bad), std::invalid_argument);
    EXPECT_THROW(dpm_solver_2(bad), std::invalid_argument);
    EXPECT_THROW(etd3(bad, 1), std::invalid_argument);
    EXPECT_THROW(etd3(0.5, bad), std::invalid_argument);
    EXPECT_THROW(dpm_solver_3(bad, 0.5), std::invalid_argument);
    EXPECT_THROW(dpm_solver_3(0.5, bad), std::invalid_argument);
    EXPECT_THROW(seeds_2(nodes, preserving_nodes, 1, bad), std::invalid_argument);
    const exponential_tableau own{{0, bad}, {{2, 1, 1, 2, 1}}};
    EXPECT_THROW(exponential_runge_kutta(nodes, own, preserving_nodes), std::invalid_argument);
  }
  for (const double bad : {-1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(seeds_2(nodes, preserving_nodes, bad), std::invalid_argument);
    EXPECT_THROW(seeds_3(nodes, preserving_nodes, bad), std::invalid_argument);
    EXPECT_THROW(exponential_runge_kutta(nodes, etd2(), preserving_nodes, {.stochasticity = bad}),
                 std::invalid_argument);
  }
}

}  // namespace
}  // namespace tweedie
