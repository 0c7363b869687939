#include "tweedie/sampler/unipc_varying.hpp"

#include <gtest/gtest.h>

#include "sampler/mixture_flow.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

program published(const grid& nodes, int order) {
  std::vector<adams_step> steps;
  for (const int p : ramped_orders(nodes, order)) steps.push_back({p, p + 1});
  return unipc_published_varying(nodes, steps);
}

program exact(const grid& nodes, int order) {
  return unipc(nodes, order, second_order_term::exact);
}

TEST(unipc_varying, of_one_output_is_the_formula_of_the_paper) {
  const grid nodes = even_grid(9);
  EXPECT_NEAR(mixture_end(published(nodes, 1), 0.7), mixture_end(exact(nodes, 1), 0.7), 1e-13);
}

TEST(unipc_varying, predictors_are_the_formula_of_the_paper) {
  const grid nodes = even_grid(9);
  std::vector<adams_step> steps;
  for (const int p : ramped_orders(nodes, 3)) steps.push_back({p, 0});
  EXPECT_NEAR(mixture_end(unipc_published_varying(nodes, steps), 0.7),
              mixture_end(unip(nodes, 3, second_order_term::exact), 0.7), 1e-13);
}

TEST(unipc_varying, published_corrector_loses_the_order_the_exact_one_gains) {
  const auto nodes = [](int n) { return gently_started(even_grid(n)); };
  for (const int order : {2, 3}) {
    const double paper = mixture_order(160, nodes, [&](const grid& g) { return exact(g, order); });
    const double code =
        mixture_order(160, nodes, [&](const grid& g) { return published(g, order); });
    EXPECT_NEAR(paper, order + 1, 0.3);
    EXPECT_NEAR(code, 1, 0.15);
  }
}

TEST(unipc_varying, leaves_pure_noise_out_of_its_polynomials) {
  const grid nodes = at_times(rectified_flow{}, std::vector{1.0, 0.6, 0.3, 0.1, 0.0});
  EXPECT_NEAR(mixture_end(published(nodes, 1), 0.7), mixture_end(exact(nodes, 1), 0.7), 1e-13);
  std::vector<adams_step> steps;
  for (const int p : ramped_orders(nodes, 3)) steps.push_back({p, 0});
  EXPECT_NEAR(mixture_end(unipc_published_varying(nodes, steps), 0.7),
              mixture_end(unip(nodes, 3, second_order_term::exact), 0.7), 1e-13);
  for (const int order : {1, 2, 3})
    for (const stage& s : published(nodes, order).stages)
      for (const double w : s.pass.weights) EXPECT_TRUE(std::isfinite(w)) << order;
}

TEST(unipc_varying, refuses_bad_input) {
  const grid nodes = even_grid(2);
  EXPECT_THROW(unipc_published_varying(nodes, std::vector<adams_step>{{1, 0}}),
               std::invalid_argument);
  EXPECT_THROW(unipc_published_varying(nodes, std::vector<adams_step>{{1, 0}, {-1, 0}}),
               std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
