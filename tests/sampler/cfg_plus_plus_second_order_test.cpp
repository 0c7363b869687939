#include <gtest/gtest.h>

#include "sampler/exact_flow.hpp"
#include "tweedie/sampler/cfg_plus_plus.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

TEST(cfg_plus_plus_second_order, without_guidance_is_dpm_solver_plus_plus) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(6));
  const auto denoise = gaussian_denoiser(0.4, 0.7);
  const auto compare = [&](const program& a, const program& b) {
    const program_law p = law(a, denoise, {0.3, 2});
    const program_law q = law(b, denoise, {0.3, 2});
    EXPECT_NEAR(p.result.mean, q.result.mean, 1e-12);
    EXPECT_NEAR(p.result.variance, q.result.variance, 1e-12);
    EXPECT_EQ(a.draws.size(), b.draws.size());
  };
  compare(cfg_plus_plus_2m(nodes), dpm_solver_plus_plus(nodes, 2));
  for (const double eta : {0.0, 0.6, 1.0})
    compare(cfg_plus_plus_2s(nodes, noise_level_nodes, eta),
            dpm_solver_ancestral(nodes, 2, noise_level_nodes, eta));
}

// One step with D_u and D_c of two data points puts the guided estimate and the unguided noise
// together, whatever the order.
TEST(cfg_plus_plus_second_order, puts_back_the_unguided_noise) {
  constexpr double x = 1.3, unguided = 0.2, guided = -0.34, to = 1.5;
  const grid nodes{{2, variance_exploding(2)}, {to, variance_exploding(to)}};
  for (const program& plan :
       {cfg_plus_plus_2m(nodes), cfg_plus_plus_2s(nodes, noise_level_nodes, 0)}) {
    std::vector<double> registers(static_cast<std::size_t>(plan.registers), 0.0);
    registers[0] = x;
    for (const stage& s : plan.stages) {
      const double state = s.evaluate ? registers[static_cast<std::size_t>(s.evaluate->state)] : 0;
      const double noise = s.evaluate ? (state - unguided) / s.evaluate->at.level.sigma : 0;
      std::vector<double> written;
      for (std::size_t j = 0; j < s.pass.outputs.size(); ++j) {
        double sum = 0;
        for (std::size_t i = 0; i < s.pass.inputs.size(); ++i) {
          const operand& in = s.pass.inputs[i];
          sum += s.pass.weight(j, i) * (in.from == operand_kind::clean ? guided
                                        : in.from == operand_kind::noise
                                            ? noise
                                            : registers[static_cast<std::size_t>(in.index)]);
        }
        written.push_back(sum);
      }
      for (std::size_t j = 0; j < written.size(); ++j)
        registers[static_cast<std::size_t>(s.pass.outputs[j])] = written[j];
    }
    EXPECT_NEAR(registers[static_cast<std::size_t>(plan.result)], guided + to * (x - unguided) / 2,
                1e-13);
  }
}

TEST(cfg_plus_plus_second_order, needs_signal_only_where_it_divides_by_it) {
  const grid nodes{{1, {0, 1}}, {0.5, {0.5, 0.5}}, {0, {1, 0}}};
  EXPECT_NO_THROW(cfg_plus_plus_2m(nodes));
  EXPECT_THROW(cfg_plus_plus_2s(nodes, noise_level_nodes), std::invalid_argument);
  EXPECT_THROW(cfg_plus_plus_2s(geometric_grid(3), noise_level_nodes, -1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
