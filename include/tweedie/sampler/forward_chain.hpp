// The forward process run step by step, as a program that draws and never asks a network:
//
//   x_k = a_k x_{k-1} + sqrt(b_k) z_k
//
// over a grid of rising noise. Its law at every mark is the closed form q(x_t | x_0), whatever
// levels are visited.
#pragma once

#include "tweedie/grid/grid.hpp"
#include "tweedie/process/renoise.hpp"
#include "tweedie/program/recorder.hpp"

namespace tweedie {

/// One draw per step, draw k for step k.
/// \throws std::invalid_argument if a step goes to less noise.
inline program forward_chain(const grid& nodes) {
  check_walk("forward_chain", nodes);
  recorder r(nodes.front());
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const renoise_weights w = renoise(nodes[i].level, nodes[i + 1].level);
    x = w.state * x + w.noise * r.draw();
    r.mark(x, nodes[i + 1]);
  }
  return r.finish(x);
}

}  // namespace tweedie
