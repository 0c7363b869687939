#include "tweedie/sampler/sa_solver.hpp"

#include <gtest/gtest.h>

#include "sampler/mixture_flow.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie {
namespace {

auto always(double tau) {
  return [tau](const node&) { return tau; };
}

double weak_order(int n, const std::function<program(const grid&)>& plan) {
  const grid coarse = geometric_grid(n), fine = geometric_grid(2 * n);
  return std::log2(
      std::abs(variance_error(plan(coarse), coarse) / variance_error(plan(fine), fine)));
}

TEST(sa_solver, weak_orders) {
  for (const double tau : {0.5, 1.0}) {
    EXPECT_NEAR(weak_order(160, [&](const grid& g) { return sa_solver(g, always(tau), 1, 0); }), 1,
                0.15);
    EXPECT_NEAR(weak_order(160, [&](const grid& g) { return sa_solver(g, always(tau), 2, 0); }), 2,
                0.15);
    EXPECT_NEAR(weak_order(160, [&](const grid& g) { return sa_solver(g, always(tau), 1, 2); }), 2,
                0.15);
  }
}

TEST(sa_solver, without_stochasticity_has_the_orders_of_adams_pairs) {
  const auto nodes = [](int n) { return gently_started(even_grid(n)); };
  const auto order = [&](int predictor, int corrector) {
    return mixture_order(
        160, nodes, [=](const grid& g) { return sa_solver(g, always(0), predictor, corrector); });
  };
  EXPECT_NEAR(order(1, 0), 1, 0.15);
  EXPECT_NEAR(order(2, 0), 2, 0.15);
  EXPECT_NEAR(order(3, 0), 3, 0.15);
  EXPECT_NEAR(order(1, 2), 2, 0.15);
  EXPECT_NEAR(order(2, 3), 3, 0.15);
  EXPECT_NEAR(order(3, 4), 4, 0.15);
}

TEST(sa_solver, of_order_one_is_ddim_at_matching_noise) {
  // tau = 1 is DDIM with eta = 1, tau = 0 DDIM without noise (Xue et al. 2023, section 5.3).
  const grid nodes = even_grid(5);
  for (const double tau : {0.0, 1.0}) {
    const program_law a =
        law(sa_solver(nodes, always(tau), 1, 0), gaussian_denoiser(0.4, 0.3), {1, 2});
    const program_law b = law(ddim(nodes, tau), gaussian_denoiser(0.4, 0.3), {1, 2});
    EXPECT_NEAR(a.result.mean, b.result.mean, 1e-14);
    EXPECT_NEAR(a.result.variance, b.result.variance, 1e-14);
  }
}

TEST(sa_solver, keeps_the_marginals_for_any_control) {
  const grid nodes = even_grid(9);
  for (const second_order_term rule : {second_order_term::exact, second_order_term::leading})
    for (const auto& [p, c] : {std::pair{1, 1}, {2, 2}, {3, 4}, {4, 3}}) {
      const auto control = [](const node& n) { return n.time > 1 ? 1.0 : 0.3; };
      const program plan = sa_solver(nodes, control, p, c, rule);
      const auto [alpha, sigma] = nodes.front().level;
      for (const auto& [at, state] :
           law(plan, perfect_denoiser(1.3), {alpha * 1.3, sigma * sigma}).marks) {
        EXPECT_NEAR(state.mean, at.level.alpha * 1.3, 1e-13);
        EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 1e-13);
      }
    }
}

TEST(sa_solver, draws_once_a_step_whatever_the_control) {
  const grid nodes = even_grid(6);
  EXPECT_EQ(sa_solver(nodes, stochastic_between(2, 5)).draws.size(), 6u);
  EXPECT_EQ(sa_solver(nodes, always(0)).draws.size(), 6u);
  EXPECT_EQ(stochastic_between(2, 5, 0.7)({2, {}}), 0.7);
  EXPECT_EQ(stochastic_between(2, 5)({5.1, {}}), 0);
}

TEST(sa_solver, refuses_bad_input) {
  const grid nodes = even_grid(3);
  EXPECT_THROW(sa_solver(nodes, always(-0.1)), std::invalid_argument);
  EXPECT_THROW(sa_solver(nodes, always(1), 0), std::invalid_argument);
  EXPECT_THROW(sa_solver(nodes, always(1), 1, -1), std::invalid_argument);
  EXPECT_THROW(sa_solver(reversed(nodes), always(1)), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
