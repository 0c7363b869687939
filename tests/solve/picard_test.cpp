#include "tweedie/solve/picard.hpp"

#include <gtest/gtest.h>

#include "sampler/exact_flow.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/corrector.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/heun.hpp"
#include "tweedie/solve/run.hpp"

namespace tweedie {
namespace {

const network_description denoiser{.prediction = predicts_sample,
                                   .time = [](const node& n) { return n.level.sigma; }};

const auto evaluate_all = [](std::span<const picard_request<double>> requests) {
  for (const auto& r : requests)
    for (std::size_t i = 0; i < r.input.size(); ++i)
      r.output[i] = mixture_denoiser(r.input[i], {1, r.time});
};

std::vector<double> sequential(const program& plan, std::vector<double> x) {
  run(
      plan, denoiser, x,
      [](auto input, double level, auto output) {
        for (std::size_t i = 0; i < input.size(); ++i)
          output[i] = mixture_denoiser(input[i], {1, level});
      },
      gaussian_noise{4});
  return x;
}

TEST(picard, is_sequential_execution_for_every_kind_of_program) {
  const grid nodes = geometric_grid(12);
  const std::vector<double> start{-15, 2, 31};
  for (const program& plan : {ddim(nodes), heun(nodes), unipc(nodes, 3), euler_ancestral(nodes)}) {
    for (const std::size_t window : {1U, 4U, 100U}) {
      std::vector<double> x = start;
      const picard_cost cost = picard(plan, denoiser, x, evaluate_all, gaussian_noise{4},
                                      picard_options{.tolerance = 0, .window = window});
      const std::vector<double> expected = sequential(plan, start);
      for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], expected[i], 1e-12);
      EXPECT_LE(cost.sweeps, plan.evaluations());
    }
  }
}

TEST(picard, takes_fewer_rounds_than_steps) {
  const program plan = ddim(geometric_grid(200));
  std::vector<double> x{-15, 2, 31};
  const std::vector<double> expected = sequential(plan, x);
  const picard_cost cost =
      picard(plan, denoiser, x, evaluate_all, picard_options{.tolerance = 1e-6, .window = 200});
  EXPECT_LT(cost.sweeps, 40U);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], expected[i], 1e-4);
}

TEST(picard, refuses_what_it_cannot_do) {
  const grid nodes = geometric_grid(4);
  std::vector<double> x{1, 2};
  EXPECT_THROW(picard(ddim(nodes), denoiser, x, evaluate_all, picard_options{.window = 0}),
               std::invalid_argument);
  EXPECT_THROW(picard(ddim(nodes), denoiser, x, evaluate_all, picard_options{.tolerance = -1}),
               std::invalid_argument);
  recorder r(nodes.front());
  linear drawn = r.state();
  drawn += r.draw({.learned = true});
  EXPECT_THROW(picard(r.finish(drawn), denoiser, x, evaluate_all, gaussian_noise{}),
               std::invalid_argument);
  EXPECT_THROW(picard(euler_ancestral(nodes), denoiser, x, evaluate_all), std::invalid_argument);
  EXPECT_EQ(x, (std::vector<double>{1, 2}));
}

}  // namespace
}  // namespace tweedie
