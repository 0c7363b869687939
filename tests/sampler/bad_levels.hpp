// Levels that no planner takes, at either end of a grid that it does take.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "tweedie/grid/grid.hpp"

namespace tweedie {

inline void expect_bad_levels_refused(const grid& good, const auto& plan) {
  EXPECT_NO_THROW(plan(good));
  for (const std::size_t i : {std::size_t{0}, good.size() - 1})
    for (const signal_noise level :
         {signal_noise{std::nan(""), 1}, signal_noise{1, -0.1}, signal_noise{0, 0}}) {
      grid nodes = good;
      nodes[i].level = level;
      EXPECT_THROW(plan(nodes), std::invalid_argument) << i;
    }
}

}  // namespace tweedie
