#include "tweedie/grid/grid.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/derived.hpp"

namespace tweedie {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

grid falling() { return {{2, {1, 2}}, {1, {1, 1}}, {0, {1, 0}}}; }

grid with(std::size_t index, signal_noise level) {
  grid nodes = falling();
  nodes[index].level = level;
  return nodes;
}

TEST(check_levels, refuses_what_is_not_a_level_at_every_node) {
  const double nan = std::nan("");
  for (const auto check : {check_levels, check_descending, check_walk})
    for (std::size_t i = 0; i < 3; ++i)
      for (const signal_noise level :
           {signal_noise{nan, 1}, signal_noise{1, nan}, signal_noise{1, infinity},
            signal_noise{infinity, 1}, signal_noise{-1, 3}, signal_noise{1, -0.1},
            signal_noise{0, 0}})
        EXPECT_NE(refusal([&] { check("x", with(i, level)); }), "") << i << ' ' << level.sigma;
  for (const auto check : {check_levels, check_descending, check_walk}) {
    EXPECT_EQ(refusal([&] { check("x", falling()); }), "");
    EXPECT_EQ(refusal([&] { check("x", with(0, {0, 1})); }), "");
    EXPECT_EQ(refusal([&] { check("x", grid{}); }),
              "x: steps = 0; valid: at least 1, a grid of 2 nodes");
  }
}

TEST(check_levels, names_the_node_and_the_number) {
  EXPECT_EQ(refusal([] {
              check_levels("x", with(2, {1, -0.1}));
            }),
            "x: sigma of node 2 = -0.1; valid: alpha, sigma finite, >= 0 and not both 0");
  EXPECT_EQ(refusal([] {
              check_levels("x", with(1, {-1, 3}));
            }),
            "x: alpha of node 1 = -1; valid: alpha, sigma finite, >= 0 and not both 0");
}

TEST(check_levels, leaves_rising_and_repeated_levels) {
  const grid nodes = falling();
  EXPECT_EQ(refusal([&] { check_levels("x", reversed(nodes)); }), "");
  EXPECT_EQ(refusal([&] { check_levels("x", grid{nodes[0], nodes[0]}); }), "");
}

TEST(starting_at, keeps_a_node_or_refuses) {
  const grid nodes = falling();
  for (const std::size_t first : {0u, 1u, 2u}) {
    const grid rest = starting_at(nodes, first);
    EXPECT_EQ(rest.size(), 3u - first);
    EXPECT_EQ(rest.front(), nodes[first]);
  }
  for (const std::size_t first : {std::size_t{3}, std::size_t(-2), std::size_t(-1)})
    EXPECT_THROW(starting_at(nodes, first), std::invalid_argument);
  EXPECT_EQ(refusal([&] { starting_at(nodes, 3); }),
            "starting_at: first = 3; valid: at most number of steps = 2");
  EXPECT_THROW(starting_at({}, 0), std::invalid_argument);
}

// s = level / (1 + level) on the straight path; other grids are left alone.
TEST(below_pure_noise, moves_the_first_node_along_the_path) {
  const grid flow = uniform(time_shifted(rectified_flow{}, 3), 20);
  for (const double level : {1e2, 1e4, 1e8}) {
    const grid moved = below_pure_noise(flow, level);
    ASSERT_EQ(moved.size(), flow.size());
    EXPECT_NEAR(noise_level(moved[0].level) / level, 1, 1e-14);
    EXPECT_NEAR(moved[0].time, level / (1 + level), 1e-15);
    EXPECT_NEAR(moved[0].level.sigma, moved[0].time, 1e-15);
    for (std::size_t i = 1; i < flow.size(); ++i) EXPECT_EQ(moved[i], flow[i]);
  }
  const grid table = trailing(zero_terminal_snr(linear_beta_schedule(1000)), 10);
  const grid moved = below_pure_noise(table);
  EXPECT_NEAR(noise_level(moved[0].level) / 1e4, 1, 1e-12);
  EXPECT_NEAR(moved[0].time, 999, 1);
  EXPECT_EQ(below_pure_noise(falling()), falling());
}

// The exact flow of N(2, 1/4) from x = sigma z at noise level 20.
TEST(below_pure_noise, costs_what_it_says) {
  constexpr double m = 2, s = 0.5, level = 20;
  grid nodes = at_levels(rectified_flow{}, exponential_levels(1500, 19.9, 1e-5));
  nodes.insert(nodes.begin(), {1, {0, 1}});
  const program plan = exponential_adams(below_pure_noise(nodes, level), 4, noise_row);
  const double sigma = plan.start.level.sigma;
  const scalar_law end = law(plan, gaussian_denoiser(m, s * s), {0, sigma * sigma}).result;
  EXPECT_NEAR(end.mean, m - m * s / std::hypot(level, s), 1e-4);
  EXPECT_NEAR(std::sqrt(end.variance), s / std::sqrt(1 + s * s / (level * level)), 1e-4);
  EXPECT_GT(m - end.mean, 0.045);
}

TEST(below_pure_noise, refuses_what_it_cannot_move) {
  const grid flow = uniform(rectified_flow{}, 10);  // node 1 at noise level 9
  EXPECT_EQ(refusal([&] { below_pure_noise(flow, 9); }),
            "below_pure_noise: level = 9; valid: above the noise level of node 1");
  EXPECT_THROW(below_pure_noise(flow, 0), std::invalid_argument);
  EXPECT_THROW(below_pure_noise({flow[0]}), std::invalid_argument);
  EXPECT_THROW(below_pure_noise({flow[0], flow[0]}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
