// A program as formulas that a person can read.
//
//   ask the network at r0 (t = 999, alpha = ..., sigma = ...)
//   r1 = 0.9511 r0 + 0.3090 D             D: x0 estimate, E: z estimate, Y: raw output
//   z0, z1, ...                           draws
//
// Registers are named as they are reused; `step i` marks finished steps.
#pragma once

#include <cstdio>
#include <ostream>
#include <string>

#include "tweedie/program/cost.hpp"

namespace tweedie {

namespace detail {

inline std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

inline std::string name_of(const operand& in) {
  switch (in.from) {
    case operand_kind::stored: return "r" + std::to_string(in.index);
    case operand_kind::clean: return "D";
    case operand_kind::noise: return "E";
    case operand_kind::output: return "Y";
    case operand_kind::draw: return "z" + std::to_string(in.index);
  }
  return "?";
}

inline std::string level_text(const node& n) {
  return "t = " + short_number(n.time) + ", alpha = " + short_number(n.level.alpha) +
         ", sigma = " + short_number(n.level.sigma);
}

}  // namespace detail

/// Writes every stage as formulas.
inline std::ostream& operator<<(std::ostream& out, const program& plan) {
  out << "r0 at " << detail::level_text(plan.start) << '\n';
  std::size_t step = 0;
  for (const stage& s : plan.stages) {
    if (s.evaluate)
      out << "ask the network at r" << s.evaluate->state << " ("
          << detail::level_text(s.evaluate->at) << ")\n";
    for (std::size_t j = 0; j < s.pass.outputs.size(); ++j) {
      out << "  r" << s.pass.outputs[j] << (s.pass.outputs.size() > 1 ? "' = " : " = ");
      bool first = true;
      for (std::size_t i = 0; i < s.pass.inputs.size(); ++i) {
        const double w = s.pass.weight(j, i);
        if (w == 0) continue;
        if (first)
          out << (w < 0 ? "-" : "");
        else
          out << (w < 0 ? " - " : " + ");
        if (w != 1 && w != -1) out << detail::short_number(w < 0 ? -w : w) << ' ';
        out << detail::name_of(s.pass.inputs[i]);
        first = false;
      }
      out << (first ? "0\n" : "\n");
    }
    if (s.mark)
      out << "step " << ++step << ": r" << s.mark->state << " at " << detail::level_text(s.mark->at)
          << '\n';
  }
  const program_cost c = cost(plan);
  return out << "result: r" << plan.result << "; " << c.evaluations << " evaluations, " << c.draws
             << " draws, " << c.registers << " registers, " << c.tensors_read << " tensors read, "
             << c.tensors_written << " written\n";
}

}  // namespace tweedie
