#include "tweedie/edit/staggered.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "edit/smooth_network.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/run.hpp"

namespace tweedie {
namespace {

using tweedie_test::smooth_network;

template <class S>
std::vector<S> sampled(const grid& nodes, const network_description& network,
                       const std::vector<S>& x, scheduling_matrix positions) {
  staggered_sampling<S> s(nodes, network, x, std::move(positions));
  while (s.next()) {
    const std::size_t length = x.size() / s.times().size();
    for (std::size_t f = 0; f < s.times().size(); ++f)
      smooth_network(s.input().subspan(f * length, length), s.times()[f],
                     s.output().subspan(f * length, length));
  }
  return {s.state().begin(), s.state().end()};
}

const std::vector<double> start{0.3, -1, 0.7, 2, 0.1, 0.5};

// A network that treats frames alone makes of each what it would make of it alone, whatever the pace.
template <class S>
void ends_as_ddim(S tolerance) {
  const std::vector<S> x(start.begin(), start.end());
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 7);
  for (const auto& network : {network_description{predicts_noise}, network_description{predicts_v},
                              network_description{predicts_noise, [](const node& n) {
                                                    return 1 /
                                                           std::hypot(n.level.alpha, n.level.sigma);
                                                  }}}) {
    std::vector<S> together = x;
    run(ddim(nodes), network, together, smooth_network);
    for (const std::size_t delay : {0u, 1u, 3u, 7u}) {
      const auto ours = sampled<S>(nodes, network, x, pyramid(3, 7, delay));
      for (std::size_t i = 0; i < 6; ++i)
        EXPECT_NEAR(ours[i], together[i], tolerance * (1 + std::abs(together[i]))) << delay;
    }
  }
}

TEST(staggered_sampling, frames_that_are_independent_end_as_they_would_alone) {
  ends_as_ddim<double>(1e-12);
  ends_as_ddim<float>(2e-6f);
}

TEST(staggered_sampling, known_frames_keep_their_bits_and_are_shown_as_clean) {
  grid nodes = trailing(linear_beta_schedule(1000), 5);
  nodes.back().time = 0;  // what the network is told of clean frames
  const std::vector<std::size_t> starts{5, 0, 2};
  const std::vector<float> x(start.begin(), start.end());
  staggered_sampling<float> s(nodes, network_description{predicts_noise}, x, waiting(starts, 5));
  std::vector<std::vector<double>> told;
  while (s.next()) {
    told.emplace_back(s.times().begin(), s.times().end());
    for (float& v : s.output()) v = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t i = 2; i < 6; ++i) s.output()[i] = 0.1f;
    if (s.steps_done() < 2) s.output()[4] = s.output()[5] = std::nanf("");  // it waits
  }
  EXPECT_EQ(s.state()[0], x[0]);
  EXPECT_EQ(s.state()[1], x[1]);
  for (std::size_t i = 2; i < 6; ++i) EXPECT_TRUE(std::isfinite(s.state()[i]));
  ASSERT_EQ(told.size(), 5u);
  EXPECT_EQ(told[0], (std::vector<double>{0, nodes[0].time, nodes[2].time}));
  EXPECT_EQ(told[4], (std::vector<double>{0, nodes[4].time, nodes[4].time}));
}

TEST(scheduling_matrix, pyramid_and_waiting) {
  EXPECT_EQ(pyramid(3, 2, 1),
            (scheduling_matrix{{0, 0, 0}, {1, 0, 0}, {2, 1, 0}, {2, 2, 1}, {2, 2, 2}}));
  EXPECT_EQ(pyramid(2, 2, 2), (scheduling_matrix{{0, 0}, {1, 0}, {2, 0}, {2, 1}, {2, 2}}));
  EXPECT_EQ(pyramid(1, 1, 5), (scheduling_matrix{{0}, {1}}));
  const std::vector<std::size_t> starts{0, 2}, beyond{3};
  EXPECT_EQ(waiting(starts, 2), (scheduling_matrix{{0, 2}, {1, 2}, {2, 2}}));
  EXPECT_THROW(waiting(beyond, 2), std::invalid_argument);
  EXPECT_THROW(waiting({}, 2), std::invalid_argument);
  EXPECT_THROW(pyramid(0, 2, 1), std::invalid_argument);
  EXPECT_THROW(pyramid(2, 0, 1), std::invalid_argument);
}

// diffusers' FlowMatchEulerDiscreteScheduler.step with per_token_timesteps: x + (sigma_token - next) output,
// next the largest sigma of the grid below the token's, for an output that is minus the velocity.
TEST(step_items, is_per_token_euler_of_flow_networks) {
  const grid nodes = uniform(rectified_flow(), 4);
  const std::vector<double> tokens{1, 0.7, 0.5, 0};
  std::vector<double> x{0.3, -1, 0.7, 2}, expected = x;
  const std::vector<double> velocity{0.5, 0.2, -0.4, 3};
  std::vector<node> from, to;
  for (std::size_t i = 0; i < 4; ++i) {
    double next = 0;
    for (const node& n : nodes)
      if (n.level.sigma < tokens[i] - 1e-6) next = std::max(next, n.level.sigma);
    from.push_back({tokens[i], {1 - tokens[i], tokens[i]}});
    to.push_back({next, {1 - next, next}});
    expected[i] += (tokens[i] - next) * -velocity[i];
  }
  step_items<double>(x, velocity, network_description{predicts_rectified_velocity}, from, to);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(x[i], expected[i], 1e-14);
  EXPECT_EQ(x[3], 2);
}

TEST(step_items, refuses_answers_that_are_not_finite_and_leaves_the_items) {
  const auto table = linear_beta_schedule(1000);
  const std::vector<node> from{node_at(table, 500), node_at(table, 300)},
      to{node_at(table, 400), node_at(table, 300)};
  std::vector<float> x{1, 2};
  const network_description noise{predicts_noise};
  const std::vector<float> bad{std::nanf(""), 0}, unread{0, std::nanf("")};
  EXPECT_THROW(step_items<float>(x, bad, noise, from, to), std::invalid_argument);
  EXPECT_EQ(x, (std::vector<float>{1, 2}));
  step_items<float>(x, unread, noise, from, to);  // the second item stays
  EXPECT_EQ(x[1], 2);
  // A change of scale alone multiplies the answer by 0.
  const std::vector<node> plain{{0, {1, 1}}, {0, {1, 1}}}, scaled{{0, {2, 2}}, {0, {2, 2}}};
  x = {1, 2};
  EXPECT_THROW(step_items<float>(x, bad, noise, plain, scaled), std::invalid_argument);
  EXPECT_EQ(x, (std::vector<float>{1, 2}));
}

TEST(staggered_sampling, refuses_walks_that_are_none) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 2);
  const network_description noise{predicts_noise};
  const auto make = [&](scheduling_matrix m) {
    staggered_sampling<double>(nodes, noise, start, std::move(m));
  };
  EXPECT_THROW(make({}), std::invalid_argument);
  EXPECT_THROW(make({{0, 0}}), std::invalid_argument);
  EXPECT_THROW(make({{0, 0, 0, 0}, {1, 1, 1, 1}}), std::invalid_argument);
  EXPECT_THROW(make({{1, 0}, {0, 1}}), std::invalid_argument);
  EXPECT_THROW(make({{0, 0}, {1, 3}}), std::invalid_argument);
  EXPECT_THROW(make({{0, 0}, {1}}), std::invalid_argument);
  std::vector<double> x{1, 2};
  const std::vector<node> one{nodes[0]}, two{nodes[0], nodes[0]}, next{nodes[1], nodes[1]};
  EXPECT_THROW(step_items<double>(x, x, noise, two, one), std::invalid_argument);
  EXPECT_THROW(step_items<double>(x, std::vector<double>(3), noise, two, next),
               std::invalid_argument);
  const std::vector<node> pure{{0, {0, 1}}, {0, {0, 1}}};
  EXPECT_THROW(step_items<double>(x, x, noise, pure, next), std::invalid_argument);
  EXPECT_EQ(x, (std::vector<double>{1, 2}));
}

}  // namespace
}  // namespace tweedie
