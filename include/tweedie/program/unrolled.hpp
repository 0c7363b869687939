// A deterministic program without its registers: what each network call sees, and the result, as a
// combination of the initial sample and of the x0 estimates before.
//
//   x_i = row_i[0] x_start + sum_{j < i} row_i[1 + j] D_j,   D_j = D(x_j),   x_N the result
//
// Any deterministic sampler is such a triangle of numbers ("non-stationary solvers", Shaul et al.
// 2024), whatever it calls its steps, stages, slopes and correctors. Two samplers are the same if and
// only if their triangles are.
#pragma once

#include <cstddef>
#include <vector>

#include "tweedie/program/program.hpp"

namespace tweedie {

/// Invariant: rows.size() = at.size() + 1, rows[i].size() = 1 + i.
struct unrolled_program {
  std::vector<node> at;                   ///< where the network is called
  std::vector<std::vector<double>> rows;  ///< states of the calls, then the result
};

/// The triangle of `plan`. z estimates are taken as (x - alpha D)/sigma.
/// \throws std::invalid_argument if the program draws, mixes raw network outputs, or uses the noise of
///   clean data (sigma = 0).
inline unrolled_program unroll(const program& plan) {
  constexpr const char* name = "unroll";
  using row = std::vector<double>;
  check_program(name, plan);
  const std::size_t calls = plan.evaluations();
  std::vector<row> registers(static_cast<std::size_t>(plan.registers), row(calls + 1, 0.0));
  registers[0][0] = 1;
  unrolled_program out;
  const auto keep = [&out](const row& r, std::size_t known) {
    out.rows.emplace_back(r.begin(), r.begin() + static_cast<std::ptrdiff_t>(known) + 1);
  };
  for (const stage& s : plan.stages) {
    row clean(calls + 1, 0.0);
    row noise;
    if (s.evaluate) {
      const row& state = registers[static_cast<std::size_t>(s.evaluate->state)];
      keep(state, out.at.size());
      out.at.push_back(s.evaluate->at);
      clean[out.at.size()] = 1;
      const auto [alpha, sigma] = s.evaluate->at.level;
      if (sigma > 0) {
        noise = state;
        for (std::size_t k = 0; k <= calls; ++k) noise[k] = (state[k] - alpha * clean[k]) / sigma;
      }
    }
    std::vector<row> written;
    for (std::size_t j = 0; j < s.pass.outputs.size(); ++j) {
      row sum(calls + 1, 0.0);
      for (std::size_t i = 0; i < s.pass.inputs.size(); ++i) {
        const double weight = s.pass.weight(j, i);
        if (weight == 0) continue;
        const operand& in = s.pass.inputs[i];
        if (in.from == operand_kind::draw)
          detail::fail(name, "the program draws; valid: deterministic");
        if (in.from == operand_kind::output)
          detail::fail(name, "the program mixes raw network outputs; valid: x0 and z estimates");
        if (in.from == operand_kind::noise && noise.empty())
          detail::fail(name, "sigma of an evaluation", 0, "valid: > 0 where z is used");
        const row& from = in.from == operand_kind::stored
                              ? registers[static_cast<std::size_t>(in.index)]
                              : (in.from == operand_kind::clean ? clean : noise);
        for (std::size_t k = 0; k <= calls; ++k) sum[k] += weight * from[k];
      }
      written.push_back(std::move(sum));
    }
    for (std::size_t j = 0; j < written.size(); ++j)
      registers[static_cast<std::size_t>(s.pass.outputs[j])] = std::move(written[j]);
  }
  keep(registers[static_cast<std::size_t>(plan.result)], calls);
  return out;
}

}  // namespace tweedie
