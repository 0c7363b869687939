// What a program costs, counted without running it.
#pragma once

#include <cstddef>

#include "tweedie/program/program.hpp"

namespace tweedie {

/// What a program costs: network calls, draws, and tensors read and written by its passes.
struct program_cost {
  std::size_t evaluations = 0;
  std::size_t draws = 0;
  std::size_t tensors_read = 0;
  std::size_t tensors_written = 0;
  int registers = 0;
};

/// Counted as the program is written: a pass reads its inputs and writes its outputs once each.
inline program_cost cost(const program& plan) {
  program_cost c;
  c.evaluations = plan.evaluations();
  c.registers = plan.registers;
  for (const stage& s : plan.stages) {
    c.tensors_written += s.pass.outputs.size();
    for (const operand& in : s.pass.inputs) {
      if (in.from == operand_kind::draw)
        ++c.draws;
      else
        ++c.tensors_read;
    }
  }
  return c;
}

}  // namespace tweedie
