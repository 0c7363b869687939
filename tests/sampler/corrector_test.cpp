#include "tweedie/sampler/corrector.hpp"

#include <gtest/gtest.h>

#include "sampler/bad_levels.hpp"
#include "sampler/mixture_flow.hpp"

namespace tweedie {
namespace {

const second_order_term rules[] = {second_order_term::exact, second_order_term::halved,
                                   second_order_term::leading};

TEST(unipc, gains_an_order_from_the_corrector) {
  for (const second_order_term rule : rules)
    for (const auto path :
         {+[](double u) { return variance_preserving(u); },
          +[](double u) { return variance_exploding(u); }, +[](double u) { return rectified(u); }})
      for (const int p : {1, 2}) {
        const auto nodes = [&](int n) { return even_grid(n, path); };
        const auto plan = [&](const grid& g) { return unipc(g, p, rule); };
        EXPECT_NEAR(order_between(160, nodes, plan), p + 1, 0.15) << p;
      }
}

TEST(unipc, of_order_three_and_noise_prediction) {
  // The start with order 1, corrected to order 2, leaves a third-order error; here it is exact.
  const auto nodes = [](int n) { return gently_started(even_grid(n)); };
  for (const plane_row row : {clean_row, noise_row}) {
    const auto plan = [&](int p) {
      return [=](const grid& g) { return unipc(g, p, second_order_term::halved, row); };
    };
    EXPECT_NEAR(mixture_order(320, nodes, plan(1)), 2, 0.15);
    EXPECT_NEAR(mixture_order(320, nodes, plan(2)), 3, 0.2);
    EXPECT_NEAR(mixture_order(320, nodes, plan(3)), 4, 0.15);
  }
}

TEST(unip, has_the_order_of_its_name) {
  const auto nodes = [](int n) { return gently_started(even_grid(n)); };
  for (const int p : {1, 2, 3}) {
    const auto plan = [&](const grid& g) { return unip(g, p); };
    EXPECT_NEAR(mixture_order(160, nodes, plan), p, 0.15) << p;
  }
}

TEST(unipc, keeps_a_fixed_number_of_registers) {
  EXPECT_EQ(unipc(even_grid(10), 3).registers, unipc(even_grid(50), 3).registers);
}

TEST(unipc, costs_one_evaluation_a_step) {
  const grid nodes = even_grid(7);
  const program plan = unipc(nodes, 3);
  EXPECT_EQ(plan.evaluations(), 7u);
  EXPECT_EQ(plan.steps(), 7u);
  EXPECT_TRUE(plan.draws.empty());
}

TEST(unipc, of_the_first_step_is_ddim_corrected_by_the_trapezoid) {
  // x_1 corrected = (sigma_1/sigma_0) x_0 + alpha_1 (1 - e^-h) (D_0 + D_1)/2 (bh2), Zhao et al. 2023,
  // then the first-order step to node 2.
  const grid nodes{
      {0, variance_exploding(4)}, {1, variance_exploding(2)}, {2, variance_exploding(1)}};
  const std::vector<adams_step> steps{{1, 2}, {1, 0}};
  const program plan = predictor_corrector(nodes, steps, {.second = second_order_term::halved});
  const auto denoise = [](const node& n) { return affine_denoiser{1 / (1 + n.time), 0.1}; };
  const double x0 = 3, d0 = x0 + 0.1, x1 = 0.5 * x0 + 0.5 * d0;
  const double d1 = x1 / 2 + 0.1, corrected = 0.5 * x0 + 0.25 * (d0 + d1);
  EXPECT_NEAR(law(plan, denoise, {x0, 0}).result.mean, 0.5 * corrected + 0.5 * d1, 1e-15);
}

TEST(predictor_corrector, without_a_corrector_is_multistep) {
  const grid nodes = even_grid(6);
  std::vector<adams_step> steps;
  for (const int p : ramped_orders(nodes, 3)) steps.push_back({p, 0});
  const program_law a = law(predictor_corrector(nodes, steps), gaussian_denoiser(0.4, 0.3), {1, 2});
  const program_law b = law(exponential_adams(nodes, 3), gaussian_denoiser(0.4, 0.3), {1, 2});
  EXPECT_EQ(a.result.mean, b.result.mean);
  EXPECT_EQ(a.result.variance, b.result.variance);
}

TEST(predictor_corrector, refuses_what_is_not_a_level) {
  const std::vector<adams_step> steps{{1, 0}, {2, 2}, {2, 2}};
  expect_bad_levels_refused(even_grid(3),
                            [&](const grid& nodes) { return predictor_corrector(nodes, steps); });
}

TEST(predictor_corrector, refuses_bad_input) {
  const grid nodes = even_grid(2);
  const std::vector<adams_step> one{{1, 0}}, zero{{1, 0}, {0, 1}};
  EXPECT_THROW(predictor_corrector(nodes, one), std::invalid_argument);
  EXPECT_THROW(predictor_corrector(nodes, zero), std::invalid_argument);
  EXPECT_THROW(unipc(nodes, 0), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
