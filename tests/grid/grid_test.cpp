#include "tweedie/grid/grid.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "refusal.hpp"

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
    EXPECT_EQ(refusal([&] { check("x", grid{falling()[0]}); }),
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

TEST(starting_at, keeps_two_nodes_or_refuses) {
  const grid nodes = falling();
  EXPECT_EQ(starting_at(nodes, 0).size(), 3u);
  EXPECT_EQ(starting_at(nodes, 1).size(), 2u);
  for (const std::size_t first :
       {std::size_t{2}, std::size_t{3}, std::size_t(-2), std::size_t(-1)}) {
    EXPECT_THROW(starting_at(nodes, first), std::invalid_argument);
    EXPECT_THROW(starting_at({}, first), std::invalid_argument);
  }
  EXPECT_THROW(starting_at({nodes[0]}, 0), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
