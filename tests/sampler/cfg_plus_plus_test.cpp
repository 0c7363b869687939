#include "tweedie/sampler/cfg_plus_plus.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "sampler/exact_flow.hpp"
#include "tweedie/program/lower.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/solve/sampling.hpp"

namespace tweedie {
namespace {

TEST(cfg_plus_plus, without_guidance_is_ddim_and_euler_ancestral) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(5));
  const auto denoise = gaussian_denoiser(0.4, 0.7);
  const auto compare = [&](const program& a, const program& b) {
    const program_law p = law(a, denoise, {0.3, 2});
    const program_law q = law(b, denoise, {0.3, 2});
    EXPECT_NEAR(p.result.mean, q.result.mean, 1e-13);
    EXPECT_NEAR(p.result.variance, q.result.variance, 1e-13);
    EXPECT_EQ(a.draws.size(), b.draws.size());
  };
  compare(cfg_plus_plus(nodes), ddim(nodes));
  compare(cfg_plus_plus(nodes, 1), euler_ancestral(nodes));
  compare(cfg_plus_plus(nodes, 0.4), euler_ancestral(nodes, 0.4));
}

// With D_u and D_c of two data points, one step with lambda is one DDIM step guided by
// w = lambda / (1 - e^(-h)).
TEST(cfg_plus_plus, is_guidance_with_a_weight_that_grows_as_steps_shrink) {
  constexpr double x = 1.3, unconditional = 0.2, conditional = -0.7, lambda = 0.6;
  for (const double to : {1.0, 1.9, 1.999}) {
    const grid nodes{{2, variance_exploding(2)}, {to, variance_exploding(to)}};
    const linear_pass pass = cfg_plus_plus(nodes).stages.front().pass;
    const double noise = (x - unconditional) / 2;
    double stepped = 0;
    for (std::size_t i = 0; i < pass.inputs.size(); ++i)
      stepped += pass.weight(0, i) * (pass.inputs[i].from == operand_kind::clean
                                          ? unconditional + lambda * (conditional - unconditional)
                                          : noise);
    const double weight = lambda / (1 - to / 2);
    const double guided = unconditional + weight * (conditional - unconditional);
    EXPECT_NEAR(stepped, guided + to / 2 * (x - guided), 1e-12);
  }
}

TEST(cfg_plus_plus, starts_from_pure_noise_without_ancestral_noise_only) {
  const grid nodes{{1, {0, 1}}, {0.5, {0.5, 0.5}}};
  EXPECT_NO_THROW(cfg_plus_plus(nodes));
  EXPECT_THROW(cfg_plus_plus(nodes, 1), std::invalid_argument);
  EXPECT_THROW(cfg_plus_plus(nodes, -1), std::invalid_argument);
}

// With lambda = 1 on data N(0, 1) among N(0, 2) the variance falls to nothing as the steps shrink, where classifier-free
// guidance converges: a sampler that has no limit. From the prior N(0, 100^2) down to a level of 0.001, even
// in log u, 50, 500 and 5000 steps give 0.0507, 1.8e-14 and nothing.
TEST(cfg_plus_plus, samples_less_and_less_spread_as_steps_shrink) {
  const auto variance = [](int steps) {
    double x = 1;
    grid nodes;
    for (int i = 0; i <= steps; ++i) {
      const double level = 100 * std::pow(1e-5, static_cast<double>(i) / steps);
      nodes.push_back({level, {1, level}});
    }
    sampling<std::vector<double>> s(cfg_plus_plus(nodes), network_description{predicts_sample},
                                    std::vector<double>{x},
                                    [](std::span<double> clean, std::size_t, const node& at) {
                                      // From the unconditional estimate to the conditional one.
                                      const double v = at.level.sigma * at.level.sigma;
                                      clean[0] *= (1 / (1 + v)) / (2 / (2 + v));
                                    });
    while (s.next()) {
      const double v = s.at().level.sigma * s.at().level.sigma;
      s.output()[0] = 2 / (2 + v) * s.input()[0];
    }
    return s.state()[0] * s.state()[0] * 100 * 100;
  };
  EXPECT_NEAR(variance(50), 0.050730120938191, 1e-12);
  EXPECT_NEAR(variance(500) / 1.7652005619637e-14, 1, 1e-9);
  EXPECT_LT(variance(5000), 1e-138);
}

}  // namespace
}  // namespace tweedie
