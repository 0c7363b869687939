// The forward process run step by step, as a program that draws and never asks a network:
//
//   x_k = a_k x_{k-1} + sqrt(b_k) z_k
//
// over a grid of rising noise. Its law at every mark is the closed form q(x_t | x_0), whatever
// levels are visited.
#pragma once

#include "tweedie/process/renoise.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// One draw per step, draw k for step k.
/// \throws std::invalid_argument if a step goes to less noise.
inline program forward_chain(const legs& steps) {
  check_walk("forward_chain", steps);
  return walk_anywhere("forward_chain", steps, [&](recorder& r, linear x, const leg& l) {
    return renoised(r, x, l.from.level, l.to.level);
  });
}

}  // namespace tweedie
