// What the calls in the tables of names (docs/names.md) refer to.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tweedie/tweedie.hpp"

namespace readme {

/// A call as the page writes it, and what it makes.
template <class Made>
struct named {
  std::string call;
  std::function<Made()> make;
};

// Written by extract.awk.
std::vector<named<tweedie::program>> samplers();
std::vector<named<tweedie::grid>> grids();
std::vector<std::string> need_signal();

/// A row of the table of families (docs/families.md).
struct family {
  std::string name;
  tweedie::network_description network;
  tweedie::grid nodes;
  double starting_scale;
};
std::vector<family> families();

namespace given {

inline const auto schedule = tweedie::scaled_linear_beta_schedule(1000);
inline tweedie::grid g = tweedie::karras(schedule, 12);  // tests put other grids here
inline const tweedie::grid up =
    tweedie::reversed(tweedie::grid(g.begin(), g.end() - 1));  // z is undefined in clean data
inline std::function<tweedie::node(double)> at = tweedie::nodes_of(schedule);
inline const std::vector<tweedie::restart_interval> intervals{
    {.lowest = 0.1, .highest = 0.5, .steps = 3, .repeats = 2}};
inline const tweedie::legs jumps{{g[0], g[4]}, {g[4], g[9]}, {g[9], g[12]}};

}  // namespace given

}  // namespace readme
