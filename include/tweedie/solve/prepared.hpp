// A bound program laid out in one block of memory: what a run needs to know of it, computed once.
//
// Memory holds, each `stride` elements apart: the registers; the scaled network input, if any
// stage scales; the network's outputs, one per branch; the x0 estimate, if something outside a
// pass changes it; the network's variance output, if a draw asks for it; noise made outside a pass.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "tweedie/program/bind.hpp"

namespace tweedie {

/// How a pass gets the x0 estimate.
enum class clean_source {
  folded,  ///< not at all: it is folded into the weights
  head,    ///< computed and clipped inside the pass
  buffer   ///< from memory, after a transform has changed it
};

/// How a pass gets its noise.
enum class draw_source {
  inside,  ///< made inside the pass from a counter
  buffer   ///< from memory, filled by the caller's source
};

/// One pass: streams by their offset, weights as tensor/fused_pass.hpp wants them, row-major over
/// (inputs, the head if any, draws made inside).
struct prepared_pass {
  struct stream {
    std::size_t offset = 0;
    std::size_t branch = 0;  ///< 1 + b if the weight of branch b multiplies its weights, else 0
  };
  std::vector<stream> inputs;
  std::vector<std::size_t> outputs;
  std::vector<double> weights;
  std::vector<double> head;   ///< x0 estimate over the inputs; empty if the pass needs none
  std::vector<int> draws;     ///< draw numbers
  bool transforms = false;    ///< the x0 estimate must be written to its buffer before
  bool scales_input = false;  ///< the last output is the next evaluation's scaled input
  bool sums_only = false;     ///< all streams are in memory and nothing is clipped
  bool evaluates = false;     ///< the network is asked before
  bool reads_scaled = false;  ///< it is shown the scaled input, not the state
  bool marks = false;         ///< ends a step
};

namespace detail {

// At least `size` elements of so many bytes, to the end of a cache line.
inline std::size_t whole_lines(std::size_t size, std::size_t bytes) {
  constexpr std::size_t line = 64;
  return (size * bytes + line - 1) / line * (line / bytes);
}

}  // namespace detail

/// The layout and passes of one program for states of `size` elements of so many bytes.
class prepared_program {
 public:
  prepared_program(std::shared_ptr<const bound_program> plan, std::size_t size, std::size_t bytes,
                   std::size_t branches, clean_source clean, draw_source draws)
      : plan_(std::move(plan)),
        clean_source_(clean),
        draw_source_(draws),
        stride_(detail::whole_lines(size, bytes)) {
    lay_out(branches);
    passes_.reserve(plan_->stages.size());
    for (std::size_t s = 0; s < plan_->stages.size(); ++s) passes_.push_back(prepare(s, branches));
  }

  const bound_program& plan() const { return *plan_; }
  const prepared_pass& pass(std::size_t stage) const { return passes_[stage]; }
  std::size_t stages() const { return passes_.size(); }

  std::size_t memory() const { return end_; }
  std::size_t reg(int r) const { return static_cast<std::size_t>(r) * stride_; }
  std::size_t input() const { return input_; }
  std::size_t output(std::size_t branch) const { return output_ + branch * stride_; }
  std::size_t clean() const { return clean_; }
  std::size_t variance() const { return variance_; }
  bool has_variance() const { return has_variance_; }
  std::size_t draw(std::size_t k) const { return draw_ + k * stride_; }
  /// Where the network reads: the state itself unless it is scaled.
  std::size_t input_of(const bound_stage& s) const {
    return s.input_scale == 1 ? reg(s.state) : input_;
  }
  /// Registers and scaled input: all that must be kept to resume between stages.
  std::size_t resumable() const { return output_; }

 private:
  void lay_out(std::size_t branches) {
    std::size_t most_draws = 0;
    bool scales = false;
    for (const draw_kind& d : plan_->draws) has_variance_ = has_variance_ || d.learned;
    for (const bound_stage& s : plan_->stages) {
      scales = scales || (s.evaluates && s.input_scale != 1);
      std::size_t draws = 0;
      for (const operand& in : s.pass.inputs)
        draws +=
            in.from == source::draw && (draw_source_ == draw_source::buffer ||
                                        plan_->draws[static_cast<std::size_t>(in.index)].learned);
      if (draws > most_draws) most_draws = draws;
    }
    end_ = static_cast<std::size_t>(plan_->registers) * stride_;
    const auto take = [this](std::size_t count) {
      return std::exchange(end_, end_ + count * stride_);
    };
    input_ = take(scales ? 1 : 0);
    output_ = take(branches);
    clean_ = take(clean_source_ == clean_source::buffer ? 1 : 0);
    variance_ = take(has_variance_ ? 1 : 0);
    draw_ = take(most_draws);
  }

  prepared_pass prepare(std::size_t stage, std::size_t branches) const {
    const bound_stage& from = plan_->stages[stage];
    prepared_pass out;
    out.evaluates = from.evaluates;
    out.reads_scaled = from.evaluates && from.input_scale != 1;
    out.marks = from.mark.has_value();
    // Columns of the bound pass behind the inputs, the head and the draws made inside.
    std::vector<std::size_t> columns, head, inside;
    const auto add = [&](std::size_t offset, std::size_t column, std::size_t branch) {
      out.inputs.push_back({offset, branch});
      columns.push_back(column);
    };
    for (std::size_t i = 0; i < from.pass.inputs.size(); ++i) {
      const operand& in = from.pass.inputs[i];
      switch (in.from) {
        case source::stored: add(reg(in.index), i, 0); break;
        case source::output:
          for (std::size_t b = 0; b < branches; ++b) add(output(b), i, 1 + b);
          break;
        case source::clean:
          if (clean_source_ == clean_source::buffer) {
            out.transforms = true;
            add(clean_, i, 0);
          } else {
            head.push_back(i);
          }
          break;
        case source::draw:
          if (draw_source_ == draw_source::buffer)
            add(draw(out.draws.size()), i, 0);
          else
            inside.push_back(i);
          out.draws.push_back(in.index);
          break;
        case source::noise: break;  // bind leaves none
      }
    }
    if (!head.empty()) add_head(from, branches, out, add);
    out.sums_only = head.empty() && out.draws.empty() && !out.transforms;

    columns.insert(columns.end(), head.begin(), head.end());
    columns.insert(columns.end(), inside.begin(), inside.end());
    const auto add_row = [&](std::size_t row, double factor) {
      for (const std::size_t c : columns)
        out.weights.push_back(c == none ? 0 : factor * from.pass.weight(row, c));
    };
    for (std::size_t j = 0; j < from.pass.outputs.size(); ++j) {
      out.outputs.push_back(reg(from.pass.outputs[j]));
      add_row(j, 1);
    }
    // The next network input in the same pass.
    if (stage + 1 < plan_->stages.size()) {
      const bound_stage& next = plan_->stages[stage + 1];
      if (next.evaluates && next.input_scale != 1)
        for (std::size_t j = 0; j < from.pass.outputs.size(); ++j)
          if (from.pass.outputs[j] == next.state) {
            out.outputs.push_back(input_);
            add_row(j, next.input_scale);
            out.scales_input = true;
          }
    }
    return out;
  }

  // Weights of the x0 estimate over the inputs, adding the streams that only it reads.
  template <class Add>
  void add_head(const bound_stage& from, std::size_t branches, prepared_pass& out,
                const Add& add) const {
    const auto weigh = [&](std::size_t offset, std::size_t branch, double weight) {
      std::size_t at = 0;
      while (at < out.inputs.size() && out.inputs[at].offset != offset) ++at;
      if (at == out.inputs.size()) add(offset, none, branch);
      out.head.resize(out.inputs.size());
      out.head[at] = weight;
    };
    weigh(reg(from.state), 0, from.clean.x);
    for (std::size_t b = 0; b < branches; ++b) weigh(output(b), 1 + b, from.clean.y);
  }

  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  std::shared_ptr<const bound_program> plan_;
  clean_source clean_source_;
  draw_source draw_source_;
  std::size_t stride_ = 0;
  std::size_t end_ = 0;
  std::size_t input_ = 0;
  std::size_t output_ = 0;
  std::size_t clean_ = 0;
  std::size_t variance_ = 0;
  bool has_variance_ = false;
  std::size_t draw_ = 0;
  std::vector<prepared_pass> passes_;
};

}  // namespace tweedie
