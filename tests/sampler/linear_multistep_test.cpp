#include "tweedie/sampler/linear_multistep.hpp"

#include <gtest/gtest.h>

#include "sampler/exact_flow.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/runge_kutta.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

// The first step cut into pieces that double in length: the start with low orders then costs
// nothing that can be seen, as if the history were exact.
grid with_graded_start(const grid& nodes, const std::function<node(double)>& node_of) {
  const double first = noise_level(nodes[0].level);
  const double second = noise_level(nodes[1].level);
  grid out{nodes[0]};
  for (int k = 20; k > 0; --k) out.push_back(node_of(first + (second - first) * std::exp2(-k)));
  out.insert(out.end(), nodes.begin() + 1, nodes.end());
  return out;
}

TEST(linear_multistep, has_its_order_from_an_exact_history) {
  const auto even = [](int n) { return with_graded_start(geometric_grid(n), noise_level_nodes); };
  const auto uneven = [](int n) { return with_graded_start(uneven_grid(n), noise_level_nodes); };
  const program truth =
      runge_kutta(geometric_grid(3000), dormand_prince_tableau, noise_level_nodes);
  for (const int order : {1, 2, 3, 4}) {
    const auto plan = [order](const grid& g) { return lms(g, order); };
    EXPECT_NEAR(mixture_order(320, truth, even, plan), order, 0.15) << order;
    EXPECT_NEAR(mixture_order(640, truth, uneven, plan), order, 0.5) << order;
  }
}

TEST(linear_multistep, has_its_order_in_flow_time) {
  const auto node_of = [](double level) { return node{level / (1 + level), rectified(level)}; };
  const auto even = [&](int n) { return with_graded_start(straight_grid(n), node_of); };
  const program truth =
      runge_kutta(straight_grid(3000), dormand_prince_tableau, node_of, straight_row);
  for (const int order : {1, 2, 3}) {
    const auto plan = [order](const grid& g) { return flow_adams(g, order); };
    EXPECT_NEAR(mixture_order(320, truth, even, plan), order, 0.15) << order;
  }
}

TEST(linear_multistep, of_order_one_is_ddim_in_every_chart) {
  const grid nodes = straight_grid(5);
  const auto denoise = gaussian_denoiser(0.4, 0.7);
  const program_law b = law(ddim(nodes), denoise, {0.3, 1.1});
  for (const plane_row row : {noise_row, straight_row, clean_row}) {
    const program_law a = law(linear_multistep(nodes, 1, row), denoise, {0.3, 1.1});
    EXPECT_NEAR(a.result.mean, b.result.mean, 1e-14);
    EXPECT_NEAR(a.result.variance, b.result.variance, 1e-14);
  }
}

TEST(linear_multistep, ends_as_asked) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(8));
  const linear_pass last =
      linear_multistep(nodes, 4, noise_row, {.last = last_step::denoises}).stages.back().pass;
  ASSERT_EQ(last.inputs.size(), 1u);
  EXPECT_EQ(last.inputs[0].from, operand_kind::clean);
  EXPECT_EQ(last.weights[0], 1);
  EXPECT_GT(lms(nodes).stages.back().pass.inputs.size(), 1u);
}

TEST(linear_multistep, leaves_pure_noise_out_of_its_history) {
  const grid nodes = straight_grid(6, 1, 0.1);
  for (const stage& s : linear_multistep(nodes, 4, noise_row).stages)
    for (const double w : s.pass.weights) EXPECT_TRUE(std::isfinite(w));
}

TEST(linear_multistep, refuses_orders_below_one) {
  EXPECT_THROW(lms(geometric_grid(3), 0), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
