#include "tweedie/edit/exact_inversion.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "edit/smooth_network.hpp"
#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/run.hpp"

namespace tweedie {
namespace {

using tweedie_test::smooth_network;

template <class S>
std::vector<S> ended(const program& plan, std::vector<S> x, const network_description& network) {
  run(plan, network, x, smooth_network);
  return x;
}

std::vector<grid> grids() {
  const auto table = scaled_linear_beta_schedule(1000);
  grid noisy = karras(table, 12);
  noisy.pop_back();
  return {trailing(linear_beta_schedule(1000), 50), karras(table, 12), noisy, karras(table, 2)};
}

TEST(exact_inversion, ends_in_the_picture_whatever_the_network) {
  const std::vector<double> picture{0.3, -1, 0.7, 0, 1};
  for (const grid& nodes : grids())
    for (const auto& network :
         {network_description{predicts_noise}, network_description{predicts_v}}) {
      for (const double p : {0.93, 0.7, 1.0}) {
        // Rounding grows by 1/p^2 a step, and by what the network makes of it.
        const program plan = edict_round_trip(nodes, p);
        EXPECT_EQ(plan.evaluations(), 4 * (nodes.size() - 1));
        const auto back = ended(plan, picture, network);
        const double growth = std::pow(p, -2.0 * static_cast<double>(nodes.size()));
        for (std::size_t i = 0; i < 5; ++i)
          EXPECT_NEAR(back[i], picture[i], 2e-12 * growth) << nodes.size() << ' ' << p;
      }
      for (const double g : {1.0, 0.9}) {
        const auto back = ended(bdia_round_trip(nodes, g), picture, network);
        const double growth = std::pow(g, -1.0 * static_cast<double>(nodes.size()));
        for (std::size_t i = 0; i < 5; ++i)
          EXPECT_NEAR(back[i], picture[i], 2e-12 * growth) << nodes.size() << ' ' << g;
      }
    }
}

TEST(exact_inversion, ddim_and_back_does_not) {
  grid nodes = trailing(linear_beta_schedule(1000), 50);
  nodes.pop_back();
  std::vector<double> x{0.3};
  run(ddim_inversion(reversed(nodes)), network_description{predicts_noise}, x, smooth_network);
  run(ddim(nodes), network_description{predicts_noise}, x, smooth_network);
  EXPECT_GT(std::abs(x[0] - 0.3), 1e-3);
}

// Every iteration brings the end nearer, by about the same factor, down to rounding.
TEST(implicit_inversion, is_undone_by_ddim) {
  const std::vector<double> picture{0.3, -1, 0.7, 0, 1};
  for (const grid& nodes : grids()) {
    if (nodes.size() == 3) continue;  // two steps are too wide for a network of slope 1.1
    for (const auto& network :
         {network_description{predicts_noise}, network_description{predicts_v}}) {
      const auto missed = [&](int iterations) {
        const program up = implicit_inversion(nodes, iterations);
        EXPECT_EQ(up.evaluations(), (nodes.size() - 1) * static_cast<std::size_t>(iterations));
        const auto back = ended(ddim(nodes), ended(up, picture, network), network);
        double largest = 0;
        for (std::size_t i = 0; i < 5; ++i)
          largest = std::max(largest, std::abs(back[i] - picture[i]));
        return largest;
      };
      const double few = missed(3), more = missed(6);
      EXPECT_LT(more, 0.2 * few);
      EXPECT_LT(missed(40), 1e-10) << nodes.size();
    }
  }
}

TEST(implicit_inversion, ends_at_the_level_of_the_first_node_and_refuses_no_iteration) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 4);
  const program plan = implicit_inversion(nodes, 2);
  EXPECT_EQ(plan.start.level, nodes.back().level);
  EXPECT_EQ(plan.stages.back().mark->at.level, nodes.front().level);
  EXPECT_EQ(refusal([&] { implicit_inversion(nodes, 0); }),
            "implicit_inversion: iterations = 0; valid: at least 1");
}

TEST(exact_inversion, float_states_lose_what_the_comment_says) {
  const std::vector<float> picture{0.3f, -1, 0.7f};
  const grid nodes = trailing(linear_beta_schedule(1000), 50);
  const auto coupled = ended(edict_round_trip(nodes), picture, network_description{predicts_noise});
  const auto symmetric =
      ended(bdia_round_trip(nodes), picture, network_description{predicts_noise});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(coupled[i], picture[i], 1e-3);
    EXPECT_NEAR(symmetric[i], picture[i], 1e-4);
  }
}

TEST(exact_inversion, another_prompt_after_the_turn_edits) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 12);
  const std::vector<double> picture{0.3, -1};
  sampling s(edict_round_trip(nodes), network_description{predicts_noise}, picture);
  while (s.next()) {
    smooth_network(s.input(), s.network_time(), s.output());
    if (s.steps_done() >= 12)
      for (double& v : s.output()) v += 0.1;
  }
  EXPECT_GT(std::abs(s.state()[0] - 0.3), 0.05);
  EXPECT_EQ(s.steps_done(), 24u);
  EXPECT_EQ(s.reached().level.sigma, 0);
}

// Error of the final mean and deviation on data N(0.7, 0.25) from the exact flow, as it falls with the steps.
double error(program (*plan)(const grid&, double), double parameter, int steps) {
  const auto table = linear_beta_schedule(1000);
  grid nodes;
  for (int i = 0; i <= steps; ++i)
    nodes.push_back(node_of_level(table, std::exp(3.0 - 5.0 * i / steps)));
  const auto [alpha, sigma] = nodes.front().level;
  const auto [a, s] = nodes.back().level;
  const double m = 0.7, v = 0.25;
  std::vector<double> x{alpha * m + 1.0 * std::sqrt(alpha * alpha * v + sigma * sigma)};
  sampling run(plan(nodes, parameter), network_description{predicts_sample}, x);
  while (run.next()) {
    const signal_noise l = run.at().level;
    run.output()[0] = m + l.alpha * v / (l.alpha * l.alpha * v + l.sigma * l.sigma) *
                              (run.input()[0] - l.alpha * m);
  }
  return std::abs(run.state()[0] - (a * m + std::sqrt(a * a * v + s * s)));
}

TEST(exact_inversion, orders) {
  EXPECT_NEAR(std::log2(error(edict, 0.93, 80) / error(edict, 0.93, 160)), 1, 0.1);
  EXPECT_NEAR(std::log2(error(bdia, 0, 80) / error(bdia, 0, 160)), 1, 0.1);
  EXPECT_NEAR(std::log2(error(bdia, 1, 80) / error(bdia, 1, 160)), 2, 0.15);
}

TEST(exact_inversion, bdia_without_its_memory_is_ddim) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 8);
  const std::vector<double> x{0.4, -2};
  const auto ours = ended(bdia(nodes, 0), x, network_description{predicts_noise});
  const auto ddims = ended(ddim(nodes), x, network_description{predicts_noise});
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(ours[i], ddims[i], 1e-12);
}

TEST(exact_inversion, refuses_what_cannot_be_undone) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 4);
  EXPECT_THROW(edict(nodes, 0.5), std::invalid_argument);
  EXPECT_THROW(edict_round_trip(nodes, std::nan("")), std::invalid_argument);
  EXPECT_THROW(edict_round_trip(reversed(nodes)), std::invalid_argument);
  EXPECT_THROW(bdia_round_trip(nodes, 0), std::invalid_argument);
  EXPECT_THROW(bdia(nodes, 1.1), std::invalid_argument);
  EXPECT_THROW(bdia_round_trip(karras(scaled_linear_beta_schedule(1000), 1)),
               std::invalid_argument);
  EXPECT_THROW(edict(grid{{1, {0, 1}}, {0, {1, 0}}}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
