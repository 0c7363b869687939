// Where the tensors of a run stand in its memory, and its passes in terms of those places.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include "tweedie/program/lower.hpp"
#include "tweedie/solve/run_parts.hpp"
#include "tweedie/solve/stream_weights.hpp"
#include "tweedie/tensor/weigh.hpp"

namespace tweedie::detail {

// Memory in whole cache lines, whatever instructions its users are compiled for.
template <class S>
struct cache_lines {
  using value_type = S;
  static constexpr std::align_val_t line{64};

  S* allocate(std::size_t n) { return static_cast<S*>(::operator new(n * sizeof(S), line)); }
  void deallocate(S* p, std::size_t) { ::operator delete(p, line); }
  friend bool operator==(cache_lines, cache_lines) { return true; }
};

// Offsets in elements, each a whole number of cache lines: registers first, then what guidance
// remembers, if it does; the network's outputs, one per branch; the x0 estimate, if a callable changes
// it; the network's variance output and noise made outside a pass, if there are any.
struct memory_layout {
  std::size_t stride = 0;
  std::size_t remembered = 0;
  std::size_t fresh_memory = 0;  // what is remembered from now on, while the old is still read
  std::size_t output = 0;
  std::size_t clean = 0;
  std::size_t variance = 0;
  std::size_t draw = 0;
  std::size_t end = 0;
  bool has_variance = false;

  template <storage_scalar S>
  static memory_layout of(const lowered_program& plan, const run_parts<S>& parts,
                          std::size_t size) {
    memory_layout out;
    constexpr std::size_t line = 64;
    out.stride = (size * sizeof(S) + line - 1) / line * (line / sizeof(S));
    for (const draw_kind& d : plan.draws) out.has_variance = out.has_variance || d.learned;
    std::size_t most_draws = 0;
    for (const lowered_stage& s : plan.stages)
      for (const linear_pass& p : s.passes) {
        std::size_t draws = 0;
        for (const operand& in : p.inputs)
          draws += in.from == operand_kind::draw &&
                   (!parts.key || plan.draws[static_cast<std::size_t>(in.index)].learned);
        most_draws = (std::max)(most_draws, draws);
      }
    const bool remembers = parts.guidance && parts.guidance->memory;
    out.end = static_cast<std::size_t>(plan.registers) * out.stride;
    const auto take = [&](std::size_t count) {
      return std::exchange(out.end, out.end + count * out.stride);
    };
    out.remembered = take(remembers ? 1 : 0);
    out.output = take(parts.branches());
    out.fresh_memory = remembers && parts.guidance->state ? take(1) : out.remembered;
    out.clean = take(parts.transform ? 1 : 0);
    out.variance = take(out.has_variance ? 1 : 0);
    out.draw = take(most_draws);
    return out;
  }

  // What passes of stage `now` read as output `stream`: outputs, what is remembered, the state.
  template <storage_scalar S>
  std::size_t stream(const run_parts<S>& parts, const lowered_stage& now, std::size_t k) const {
    const std::size_t outputs = parts.branches();
    if (k < outputs) return output + k * stride;
    if (k == outputs && parts.guidance->memory) return remembered;
    return static_cast<std::size_t>(now.state) * stride;
  }
};

// A pass with its streams by offset and its columns in the order of tensor/fused_pass.hpp: inputs, the
// clipped estimate if any, draws made inside.
template <storage_scalar S>
struct prepared_pass {
  static constexpr std::size_t most_streams = 6;
  struct stream {
    std::size_t offset = 0;
    std::size_t factor = 0;  // 1 + b: its weights are multiplied by that of branch b
  };

  prepared_pass(const lowered_stage& stage, const linear_pass& from, const memory_layout& at,
                const run_parts<S>& parts);

  // Finds the one loop that the pass is, for these weights; false if it is none.
  bool find_loop(const run_parts<S>& parts, const stream_weights<S>& given);
  // Runs it.
  void call(S* memory, std::size_t size) const {
    S* to[outputs_at_once];
    const S* read[most_streams];
    for (std::size_t j = 0; j < outputs.size(); ++j) to[j] = memory + outputs[j];
    for (std::size_t k = 0; k < streams; ++k) read[k] = memory + from[k];
    loop(to, {read, nullptr, factors, streams, 0}, 0, size);
  }

  std::vector<stream> inputs;
  std::vector<std::size_t> outputs;
  std::vector<double> weights;
  std::vector<double> head;
  std::vector<int> draws;
  bool sums_only = false;  // all streams are in memory and nothing is clipped
  // Arguments of the loop, once found.
  weigh_loop<S, S> loop = nullptr;
  std::size_t version = 0;
  std::size_t streams = 0;
  std::size_t from[most_streams] = {};
  arithmetic_t<S> factors[most_streams * outputs_at_once] = {};
};

template <storage_scalar S>
prepared_pass<S>::prepared_pass(const lowered_stage& stage, const linear_pass& pass,
                                const memory_layout& at, const run_parts<S>& parts) {
  std::vector<std::size_t> columns, clipped, inside;
  for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
    const operand& in = pass.inputs[i];
    const auto index = static_cast<std::size_t>(in.index);
    const auto add = [&](std::size_t offset, std::size_t factor) {
      inputs.push_back({offset, factor});
      columns.push_back(i);
    };
    switch (in.from) {
      case operand_kind::stored: add(index * at.stride, 0); break;
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
          add(at.draw + draws.size() * at.stride, 0);
        draws.push_back(in.index);
        break;
      case operand_kind::noise: break;  // lowering leaves none
    }
  }
  if (!clipped.empty())
    for (const std::size_t c : columns) {
      const operand& in = pass.inputs[c];
      head.push_back(in.from == operand_kind::output                    ? stage.clean.y
                     : in == operand{operand_kind::stored, stage.state} ? stage.clean.x
                                                                        : 0);
    }
  sums_only = clipped.empty() && draws.empty();
  columns.insert(columns.end(), clipped.begin(), clipped.end());
  columns.insert(columns.end(), inside.begin(), inside.end());
  for (std::size_t j = 0; j < pass.outputs.size(); ++j) {
    outputs.push_back(static_cast<std::size_t>(pass.outputs[j]) * at.stride);
    for (const std::size_t c : columns) weights.push_back(pass.weight(j, c));
  }
}

template <storage_scalar S>
bool prepared_pass<S>::find_loop(const run_parts<S>& parts, const stream_weights<S>& given) {
  const std::size_t columns = inputs.size();
  const std::size_t rows = outputs.size();
  if (!sums_only || parts.apply || !given.uniform() || columns > most_streams) return false;
  std::size_t read_streams = 0;
  for (std::size_t i = 0; i < columns; ++i) {
    const double factor = given.first()[inputs[i].factor];
    bool read = false;
    for (std::size_t j = 0; j < rows; ++j) {
      const double weight = weights[j * columns + i] * factor;
      read = read || weight != 0;
      factors[read_streams * rows + j] = static_cast<arithmetic_t<S>>(weight);
    }
    if (read) from[read_streams++] = inputs[i].offset;
  }
  if (read_streams == 0) return false;
  streams = read_streams;
  loop = weigh_loop_for<S, S>(rows, read_streams, 0);
  version = given.version();
  return true;
}

}  // namespace tweedie::detail
