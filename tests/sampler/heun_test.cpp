#include "tweedie/sampler/heun.hpp"

#include <gtest/gtest.h>

#include "sampler/exact_flow.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

TEST(gradient_estimation, is_euler_for_gamma_one) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(6));
  expect_same_law(gradient_estimation(nodes, 1), ddim(nodes), 1e-13);
}

TEST(gradient_estimation, refuses_weights_that_are_not_finite) {
  for (const double gamma : {std::nan(""), HUGE_VAL})
    EXPECT_THROW(gradient_estimation(geometric_grid(3), gamma), std::invalid_argument);
}

TEST(gradient_estimation, is_adams_bashforth_for_gamma_three_halves_on_equal_levels) {
  const auto equal = [](int n) {
    grid nodes;
    for (int i = 0; i <= n; ++i) {
      const double level = std::lerp(10.0, 1.0, static_cast<double>(i) / n);
      nodes.push_back({level, variance_exploding(level)});
    }
    return nodes;
  };
  const auto plan = [](double gamma) {
    return [gamma](const grid& g) { return gradient_estimation(g, gamma); };
  };
  EXPECT_NEAR(order_between(160, equal, plan(1.5)), 2, 0.15);
  EXPECT_NEAR(order_between(640, equal, plan(2)), 1, 0.15);
}

TEST(heun_plus_plus, costs_three_evaluations_a_step_and_fewer_at_the_end) {
  EXPECT_EQ(heun_plus_plus(geometric_grid(5)).evaluations(), 3u * 3 + 2 + 1);
  EXPECT_EQ(heun_plus_plus(geometric_grid(1)).evaluations(), 1u);
}

TEST(heun_plus_plus, is_of_first_order) {
  const auto plan = [](const grid& g) { return heun_plus_plus(g); };
  EXPECT_NEAR(order_between(
                  320, [](int n) { return geometric_grid(n); }, plan),
              1, 0.15);
}

TEST(heun_plus_plus, keeps_the_marginals_of_a_known_data_point) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(5));
  for (const auto& [at, state] :
       law(heun_plus_plus(nodes), perfect_denoiser(1.3), {1.3, 400}).marks) {
    EXPECT_NEAR(state.mean, 1.3, 1e-13);
    EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 1e-11);
  }
}

}  // namespace
}  // namespace tweedie
