// DDIM in what a network answers: x_s = a x + b y, y its answer to the scaled state.
#pragma once

#include "tweedie/program/network.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie {

/// The weights {a, b} of the deterministic DDIM step between two nodes; {1, 0} where their levels are equal.
/// \throws std::invalid_argument where the answer does not determine x0, and from clean data.
inline state_output ddim_step_of_answer(const network_description& network, const node& from,
                                        const node& to) {
  if (from.level == to.level) return {1, 0};
  const state_output clean = sample_from(from.level, answer_row(network, from));
  const ddim_weights w = ddim_step(from.level, to.level);
  return {w.state + w.clean * clean.x, w.clean * clean.y};
}

}  // namespace tweedie
