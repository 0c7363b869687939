// The passes of a run in terms of the tensors of its memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "tweedie/program/lower.hpp"
#include "tweedie/solve/run_memory.hpp"
#include "tweedie/solve/run_parts.hpp"
#include "tweedie/solve/stream_weights.hpp"
#include "tweedie/tensor/weigh.hpp"

namespace tweedie::detail {

// A pass with its streams by their numbers and its columns in the order of tensor/fused_pass.hpp: inputs, the
// clipped estimate if any, draws made inside.
template <storage_scalar S>
struct prepared_pass {
  static constexpr std::size_t most_streams = 6;
  struct stream {
    std::size_t place = 0;
    std::size_t factor = 0;  // 1 + b: its weights are multiplied by that of branch b
  };

  // `remembers`: the pass also writes what guidance remembers from now on, as its last output.
  prepared_pass(const lowered_stage& stage, const linear_pass& from, const memory_layout& at,
                const run_parts<S>& parts, bool remembers);

  // Of output j from input i, for weights of the streams as `stream_weights` gives them.
  double weight(std::size_t j, std::size_t i, std::size_t columns, const double* given) const {
    const std::size_t factor = inputs[i].factor;
    if (j != remembered) return weights[j * columns + i] * given[factor];
    return factor == 0 ? 0 : given[guiding_streams + factor];
  }

  // Finds the one loop that the pass is, for these weights; false if it is none.
  bool find_loop(const run_parts<S>& parts, const stream_weights<S>& given);
  // Runs it.
  void call(const run_memory<S>& memory, std::size_t size) const {
    S* to[outputs_at_once];
    const S* read[most_streams];
    for (std::size_t j = 0; j < outputs.size(); ++j) to[j] = memory[outputs[j]];
    for (std::size_t k = 0; k < streams; ++k) read[k] = memory[from[k]];
    loop(to, {read, nullptr, factors, streams, 0}, 0, size);
  }

  std::vector<stream> inputs;
  std::vector<std::size_t> outputs;
  std::vector<double> weights;
  std::vector<double> head;
  std::vector<int> draws;
  bool sums_only = false;                    // all streams are in memory and nothing is clipped
  std::size_t remembered = outputs_at_once;  // the output that is remembered, if below
  std::size_t guiding_streams = 0;
  // Arguments of the loop, once found.
  weigh_loop<S, S> loop = nullptr;
  std::size_t version = 0;
  std::size_t streams = 0;
  std::size_t from[most_streams] = {};
  arithmetic_t<S> factors[most_streams * outputs_at_once] = {};
};

#if defined(TWEEDIE_DEFINES_ENGINE)

template <storage_scalar S>
prepared_pass<S>::prepared_pass(const lowered_stage& stage, const linear_pass& pass,
                                const memory_layout& at, const run_parts<S>& parts,
                                bool remembers) {
  std::vector<std::size_t> columns, clipped, inside;
  for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
    const operand& in = pass.inputs[i];
    const auto index = static_cast<std::size_t>(in.index);
    const auto add = [&](std::size_t place, std::size_t factor) {
      inputs.push_back({place, factor});
      columns.push_back(i);
    };
    switch (in.from) {
      case operand_kind::stored: add(index, 0); break;
      case operand_kind::output: add(at.stream(parts, stage, index), 1 + index); break;
      case operand_kind::clean:
        if (parts.transform)
          add(at.clean, 0);
        else
          clipped.push_back(i);
        break;
      case operand_kind::draw:
        if (parts.key)
          inside.push_back(i);
        else
          add(at.draw + draws.size(), 0);
        draws.push_back(in.index);
        break;
      case operand_kind::noise: break;  // lowering leaves none
    }
  }
  if (remembers) {
    remembered = pass.outputs.size();
    guiding_streams = parts.streams();
    for (std::size_t factor = 1; factor <= guiding_streams; ++factor) {
      const bool read = std::any_of(inputs.begin(), inputs.end(),
                                    [&](const stream& s) { return s.factor == factor; });
      if (read) continue;
      inputs.push_back({at.stream(parts, stage, factor - 1), factor});
      columns.push_back(pass.inputs.size());  // none of the pass's own
    }
  }
  if (!clipped.empty())
    for (const std::size_t c : columns) {
      const operand in = c < pass.inputs.size() ? pass.inputs[c] : operand{};
      head.push_back(c == pass.inputs.size()                            ? 0
                     : in.from == operand_kind::output                  ? stage.clean.y
                     : in == operand{operand_kind::stored, stage.state} ? stage.clean.x
                                                                        : 0);
    }
  sums_only = clipped.empty() && draws.empty();
  columns.insert(columns.end(), clipped.begin(), clipped.end());
  columns.insert(columns.end(), inside.begin(), inside.end());
  for (std::size_t j = 0; j < pass.outputs.size(); ++j) {
    outputs.push_back(static_cast<std::size_t>(pass.outputs[j]));
    for (const std::size_t c : columns)
      weights.push_back(c < pass.inputs.size() ? pass.weight(j, c) : 0);
  }
  if (remembers) {
    outputs.push_back(at.remembered);
    weights.resize(weights.size() + columns.size());
  }
}

template <storage_scalar S>
bool prepared_pass<S>::find_loop(const run_parts<S>& parts, const stream_weights<S>& given) {
  const std::size_t columns = inputs.size();
  const std::size_t rows = outputs.size();
  if (!sums_only || parts.apply || !given.uniform() || columns > most_streams) return false;
  std::size_t read_streams = 0;
  for (std::size_t i = 0; i < columns; ++i) {
    bool read = false;
    for (std::size_t j = 0; j < rows; ++j) {
      const double w = weight(j, i, columns, given.first().data());
      read = read || w != 0;
      factors[read_streams * rows + j] = static_cast<arithmetic_t<S>>(w);
    }
    if (read) from[read_streams++] = inputs[i].place;
  }
  if (read_streams == 0) return false;
  streams = read_streams;
  loop = weigh_loop_for<S, S>(rows, read_streams, 0);
  version = given.version();
  return true;
}

#endif

}  // namespace tweedie::detail
