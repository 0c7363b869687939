#include "tweedie/sampler/singlestep.hpp"

#include <gtest/gtest.h>

#include "sampler/bad_levels.hpp"
#include "sampler/mixture_flow.hpp"

namespace tweedie {
namespace {

TEST(singlestep, has_the_order_of_its_blocks) {
  struct block_case {
    const char* name;
    plane_row row;
    int order;
    second_order_term second;
    singlestep_third third;
  };
  for (const block_case& c :
       {block_case{"++1", clean_row, 1, second_order_term::exact, singlestep_third::quadratic},
        {"++2S", clean_row, 2, second_order_term::halved, singlestep_third::quadratic},
        {"++2S, exact", clean_row, 2, second_order_term::exact, singlestep_third::quadratic},
        {"++3S", clean_row, 3, second_order_term::exact, singlestep_third::newest_slope},
        {"++3S, quadratic", clean_row, 3, second_order_term::exact, singlestep_third::quadratic},
        {"2", noise_row, 2, second_order_term::halved, singlestep_third::quadratic},
        {"3, quadratic", noise_row, 3, second_order_term::exact, singlestep_third::quadratic}}) {
    const auto nodes = [](int n) { return even_grid(n); };
    const auto plan = [&](const grid& g) {
      return singlestep(g, block_orders(g, c.order), {.row = c.row, .second = c.second}, c.third);
    };
    EXPECT_NEAR(mixture_order(240, nodes, plan), c.order, 0.15) << c.name;
  }
}

TEST(singlestep, of_the_first_step_of_a_block_is_first_order) {
  const grid nodes = even_grid(6);
  const program_law whole =
      law(singlestep(nodes, block_orders(nodes, 3)), gaussian_denoiser(0.4, 0.3), {1, 2});
  const grid block(nodes.begin() + 3, nodes.begin() + 5);
  const program_law step = law(singlestep(block, block_orders(block, 3)),
                               gaussian_denoiser(0.4, 0.3), whole.marks[2].second);
  EXPECT_NEAR(step.result.mean, whole.marks[3].second.mean, 1e-15);
}

TEST(singlestep, fresh_noise_in_a_block_has_weak_order_one) {
  const auto error = [](int n) {
    const grid nodes = geometric_grid(n);
    multistep_model model{.second = second_order_term::halved};
    model.stochasticity = [](const node&) { return 1.0; };
    return variance_error(singlestep(nodes, block_orders(nodes, 2), model), nodes);
  };
  EXPECT_NEAR(std::log2(std::abs(error(320) / error(640))), 1, 0.15);
}

TEST(singlestep, lowers_orders_above_what_is_known) {
  const grid nodes = even_grid(3);
  const program a = singlestep(nodes, std::vector{3, 3, 3});
  const program b = singlestep(nodes, std::vector{1, 2, 3});
  EXPECT_EQ(law(a, gaussian_denoiser(0, 1), {1, 0}).result.mean,
            law(b, gaussian_denoiser(0, 1), {1, 0}).result.mean);
}

TEST(singlestep, refuses_what_is_not_a_level) {
  expect_bad_levels_refused(
      even_grid(3), [&](const grid& nodes) { return singlestep(nodes, block_orders(nodes, 2)); });
}

TEST(singlestep, refuses_bad_input) {
  const grid nodes = even_grid(3);
  EXPECT_THROW(singlestep(nodes, std::vector{1, 2}), std::invalid_argument);
  EXPECT_THROW(singlestep(nodes, std::vector{1, 2, 4}), std::invalid_argument);
  EXPECT_THROW(singlestep(nodes, std::vector{0, 1, 2}), std::invalid_argument);
  EXPECT_THROW(block_orders(nodes, 0), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
