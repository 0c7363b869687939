#include "tweedie/sampler/flow.hpp"

#include <gtest/gtest.h>

#include "sampler/exact_flow.hpp"
#include "tweedie/program/lower.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

TEST(flow_euler, is_ddim) {
  expect_same_law(flow_euler(straight_grid(7)), ddim(straight_grid(7)), 1e-14);
  expect_same_law(flow_euler(geometric_grid(7)), ddim(geometric_grid(7)), 1e-13);
}

TEST(flow_euler, adds_the_velocity_times_the_step) {
  const lowered_program plan =
      lower(flow_euler(straight_grid(4, 1, 0)), {predicts_rectified_velocity});
  for (const lowered_stage& s : plan.stages)
    for (std::size_t k = 0; k < s.passes.at(0).inputs.size(); ++k)
      EXPECT_NEAR(s.passes[0].weights[k],
                  s.passes[0].inputs[k].from == operand_kind::output ? -0.25 : 1, 1e-15);
}

// Runs a plan on the exact velocity E[z - x0 | x] of data N(0, variance_of_data).
double flow_end(const program& plan, double x) {
  const lowered_program bound = lower(plan, {predicts_rectified_velocity});
  std::vector<double> registers(static_cast<std::size_t>(bound.registers));
  registers[0] = x;
  for (const lowered_stage& s : bound.stages) {
    const linear_pass& pass = s.passes.at(0);
    const auto [alpha, sigma] = s.at.level;
    const double state = registers[static_cast<std::size_t>(s.state)];
    const double velocity = (sigma - alpha * variance_of_data) / total_variance(s.at.level) * state;
    double next = 0;
    for (std::size_t k = 0; k < pass.inputs.size(); ++k) {
      const operand& in = pass.inputs[k];
      next += pass.weight(0, k) * (in.from == operand_kind::output
                                       ? velocity
                                       : registers[static_cast<std::size_t>(in.index)]);
    }
    registers[static_cast<std::size_t>(pass.outputs[0])] = next;
  }
  return registers[static_cast<std::size_t>(bound.result)];
}

TEST(flow_euler, runs_from_clean_data_and_back_with_velocity_predictions) {
  constexpr double start = 0.3;
  const auto errors = [](int n) {
    const grid down = straight_grid(n, 1, 0);
    const double noise = flow_end(flow_euler(reversed(down)), start);
    return std::pair{noise - start / std::sqrt(variance_of_data),
                     flow_end(flow_euler(down), noise) - start};
  };
  const auto [there, back] = errors(200);
  const auto [finer_there, finer_back] = errors(400);
  EXPECT_LT(std::abs(there), 0.01);
  EXPECT_LT(std::abs(back), 0.01);
  EXPECT_NEAR(std::log2(there / finer_there), 1, 0.1);
  EXPECT_NEAR(std::log2(back / finer_back), 1, 0.1);
}

TEST(flow_euler, refuses_what_is_not_a_level) {
  grid nodes = straight_grid(2);
  nodes[0].level = {-1, 3};
  EXPECT_THROW(flow_euler(nodes), std::invalid_argument);
}

TEST(flow_ancestral, keeps_the_marginals_of_a_known_data_point) {
  for (const double eta : {0.0, 0.4, 1.0}) {
    const program plan = flow_ancestral(straight_grid(6, 1, 0), eta);
    EXPECT_EQ(plan.draws.size(), eta == 0 ? 0u : 5u);
    for (const auto& [at, state] : law(plan, perfect_denoiser(1.3), {0, 1}).marks) {
      EXPECT_NEAR(state.mean, at.level.alpha * 1.3, 1e-14);
      EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 1e-14);
    }
  }
  EXPECT_THROW(flow_ancestral(straight_grid(3), 1.5), std::invalid_argument);
  for (const double scale : {-1.0, std::nan(""), HUGE_VAL})
    EXPECT_THROW(flow_ancestral(straight_grid(3), 1, scale), std::invalid_argument);
}

TEST(flow_map, with_the_mean_velocity_of_an_exact_map_jumps_anywhere) {
  // One jump over several intervals is their sum for a straight velocity.
  const grid nodes = straight_grid(3, 1, 0.1);
  const legs jumps{{nodes[0], nodes[1]}, {nodes[1], nodes[2]}, {nodes[2], nodes[3]}};
  expect_same_law(flow_map(jumps), flow_euler(nodes), 1e-15);
  EXPECT_THROW(flow_map({}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
