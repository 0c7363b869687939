// What a call asks for: the number of steps, a list in its place, where the run begins.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "tweedie/grid/grid.hpp"
#include "tweedie/interop/huggingface/loaded_sampler.hpp"

namespace tweedie::huggingface {

/// num_inference_steps, which must be there and within `least` ... `most`.
inline int read_steps(const config& c, const request& how, int least = 1,
                      int most = (std::numeric_limits<int>::max)()) {
  const std::optional<int>& steps = how.num_inference_steps;
  if (steps && *steps >= least && *steps <= most) return *steps;
  c.fail("num_inference_steps",
         (steps ? std::to_string(*steps) : "(absent)") + "; valid: " + std::to_string(least) +
             (most == (std::numeric_limits<int>::max)() ? " or more" : " ... ") +
             (most == (std::numeric_limits<int>::max)() ? "" : std::to_string(most)));
}

/// num_train_timesteps, `least` ... 1,000,000: tables have as many entries, and a file must not ask for all
/// memory. Published files say 1000.
inline int read_train_steps(const config& c, int otherwise = 1000, int least = 1) {
  constexpr int most = 1000000;
  const int steps = c.integer("num_train_timesteps", otherwise);
  if (steps < least || steps > most)
    c.refuse("num_train_timesteps", std::to_string(least) + " ... " + std::to_string(most));
  return steps;
}

/// The list that set_timesteps is given in place of a number of steps, if it is: at least `least`
/// values, each below the one before if it `falls`.
inline std::optional<std::vector<double>> read_list(const request& how, const char* key,
                                                    bool falls = true, std::size_t least = 1) {
  auto list = how.set_timesteps.numbers(key);
  if (!list) return list;
  if (how.num_inference_steps) how.set_timesteps.refuse(key, "without num_inference_steps");
  if (list->size() < least)
    how.set_timesteps.refuse(key, "at least " + std::to_string(least) + " values");
  for (std::size_t i = 1; falls && i < list->size(); ++i)
    if (!((*list)[i] < (*list)[i - 1])) how.set_timesteps.refuse(key, "descending");
  return list;
}

/// The timesteps that remain after skipping `begin_index` solver steps.
inline std::vector<double> remaining(const config& c, const std::vector<double>& timesteps,
                                     int begin_index) {
  if (begin_index >= static_cast<int>(timesteps.size()))
    c.fail("begin_index", std::to_string(begin_index) + "; valid: below the number of steps, " +
                              std::to_string(timesteps.size()));
  return {timesteps.begin() + begin_index, timesteps.end()};
}

/// Nodes of listed timesteps and levels from step `begin_index` on, the last one at the level that
/// follows, told at time `end`.
template <class Level>
grid listed_nodes(const config& c, const request& how, const std::vector<double>& timesteps,
                  const std::vector<double>& levels, double end, const Level& level_of) {
  remaining(c, timesteps, how.begin_index);
  grid nodes;
  for (auto i = static_cast<std::size_t>(how.begin_index); i < timesteps.size(); ++i)
    nodes.push_back({timesteps[i], level_of(levels[i])});
  nodes.push_back({end, level_of(levels[timesteps.size()])});
  return nodes;
}

}  // namespace tweedie::huggingface
