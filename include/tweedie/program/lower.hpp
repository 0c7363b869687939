// Lowers a program, written in terms of x0 and z estimates, to passes over tensors that exist, for a
// network that predicts something else at another scale and on another clock.
//
// At an evaluation the state is x = alpha x0 + sigma z. The network is shown c x, where c is its
// input scale, told its own time, and answers y = p_x x0 + p_z z with the row p of its prediction
// kind at (c alpha, c sigma). Solving for x0 and z (schedule/prediction.hpp) and substituting folds
// the conversion into the weights of the pass: no tensor is ever converted on its own. The next
// scaled input c' x' is one more output of the pass that makes x'.
//
// What comes out is all that an executor needs: registers, numbers of draws, weights in doubles.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "tweedie/program/network.hpp"
#include "tweedie/program/program.hpp"

namespace tweedie {

/// One stage whose weights refer to tensors that exist.
struct lowered_stage {
  bool evaluates = false;
  int state = 0;           ///< register of the state that is evaluated
  int shown = 0;           ///< register the network is shown: the state or its scaled copy
  double input_scale = 1;  ///< shown = input_scale * state
  double time = 0;         ///< what the network is told
  node at;                 ///< level of the state
  state_output clean;      ///< x0 estimate = clean.x * state + clean.y * output; NaN: undefined
  /// One after the other; mostly one, none if nothing is computed. Inputs are registers, outputs of
  /// the network by branch (still without the weights of the branches), draws and, where x0
  /// estimates are transformed, the transformed estimate. A pass that reads the latter also lists
  /// the state and all outputs, with weight 0 if only the estimate reads them.
  std::vector<linear_pass> passes;
  std::optional<step_mark> mark;
};

/// What a run does besides the program.
struct lowering {
  int branches = 1;          ///< outputs of the network, mixed with weights that the run chooses
  bool transformed = false;  ///< x0 estimates are changed before use and read by passes
  bool reads_state = false;  ///< one of the outputs is the state itself (guidance/rule.hpp)
  const char* caller = "lower";  ///< whom errors name
};

/// A program whose passes fit one network, one number of outputs and the kernels.
struct lowered_program {
  std::vector<lowered_stage> stages;
  std::vector<draw_kind> draws;
  int registers = 1;  ///< those of the program, then those that lowering adds
  int result = 0;
  node start;
  lowering how;
};

/// A wider pass than this is split, since one sweep over memory takes no more (tensor/fused_pass.hpp).
/// The library's planners ask for at most 4 outputs, 6 inputs and 1 draw on a grid; walks that rise
/// by several steps at once for more draws.
inline constexpr std::size_t most_pass_outputs = 3;
inline constexpr std::size_t most_pass_inputs = 16;
inline constexpr std::size_t most_pass_draws = 2;

/// The passes of `plan` for `network`.
/// \throws std::invalid_argument for no branch, for a program that `check_program` refuses, and where the prediction does not determine what
///   the program needs, for example x0 from a noise prediction at alpha = 0.
lowered_program lower(const program& plan, const network_description& network,
                      const lowering& how = {});

#if defined(TWEEDIE_DEFINES_ENGINE)

namespace detail {

// A pass by columns, one per input, each with a weight for every output.
struct pass_columns {
  struct column {
    operand input;
    std::vector<double> weights;
  };
  std::vector<int> outputs;
  std::vector<column> columns;

  column& at(const operand& input) {
    for (column& c : columns)
      if (c.input == input) return c;
    columns.push_back({input, std::vector<double>(outputs.size(), 0.0)});
    return columns.back();
  }
  void add(const operand& input, std::size_t output, double weight) {
    if (weight != 0) at(input).weights[output] += weight;
  }
  // One more output, `factor` times another.
  void add_multiple(int target, std::size_t of, double factor) {
    outputs.push_back(target);
    for (column& c : columns) c.weights.push_back(factor * c.weights[of]);
  }
  bool reads(int reg) const {
    for (const column& c : columns)
      if (c.input == operand{operand_kind::stored, reg}) return true;
    return false;
  }
  linear_pass pass(const std::vector<int>& targets) const {
    linear_pass out;
    out.outputs = targets;
    for (const column& c : columns) out.inputs.push_back(c.input);
    for (std::size_t j = 0; j < outputs.size(); ++j)
      for (const column& c : columns) out.weights.push_back(c.weights[j]);
    return out;
  }
};

// Registers of a program that is lowered: where each is now, and which are free. Only a pass that is
// split moves any, where it would overwrite what its later parts read.
class moving_registers {
 public:
  explicit moving_registers(int registers) : count_(registers) {
    for (int r = 0; r < registers; ++r) home_.push_back(r);
  }
  int count() const { return count_; }
  int home(int r) const { return home_[static_cast<std::size_t>(r)]; }
  int take() {
    if (free_.empty()) return count_++;
    const int r = free_.back();
    free_.pop_back();
    return r;
  }
  void move(int r, int to) {
    free_.push_back(std::exchange(home_[static_cast<std::size_t>(r)], to));
  }

 private:
  int count_;
  std::vector<int> home_;
  std::vector<int> free_;
};

// Parts of at most most_pass_... outputs, inputs and draws. Outputs of later parts see the registers
// as they were before the first.
// A target that is read moves; `targets` then names where it is.
inline std::vector<linear_pass> split(const pass_columns& whole, moving_registers& registers,
                                      std::vector<int>& targets) {
  std::vector<linear_pass> parts;
  const std::size_t outputs = whole.outputs.size();
  std::size_t draws = 0;
  for (const auto& c : whole.columns) draws += c.input.from == operand_kind::draw;
  if (outputs <= most_pass_outputs && draws <= most_pass_draws &&
      whole.columns.size() - draws <= most_pass_inputs) {
    parts.push_back(whole.pass(targets));
    return parts;
  }
  for (int& target : targets)
    if (whole.reads(target)) target = registers.take();
  for (std::size_t first = 0; first < outputs; first += most_pass_outputs) {
    const std::size_t rows = (std::min)(outputs - first, most_pass_outputs);
    const auto to = targets.begin() + static_cast<std::ptrdiff_t>(first);
    const std::vector<int> group(to, to + static_cast<std::ptrdiff_t>(rows));
    pass_columns part;
    std::size_t part_draws = 0;
    const auto begin = [&](bool continues) {
      part = {group, {}};
      part_draws = 0;
      for (std::size_t j = 0; continues && j < rows; ++j)
        part.add({operand_kind::stored, group[j]}, j, 1);
    };
    begin(false);
    for (const auto& c : whole.columns) {
      const bool draw = c.input.from == operand_kind::draw;
      if (draw ? part_draws == most_pass_draws
               : part.columns.size() - part_draws == most_pass_inputs) {
        parts.push_back(part.pass(group));
        begin(true);
      }
      part_draws += draw;
      const auto from = c.weights.begin() + static_cast<std::ptrdiff_t>(first);
      part.at(c.input).weights.assign(from, from + static_cast<std::ptrdiff_t>(rows));
    }
    parts.push_back(part.pass(group));
  }
  return parts;
}

// The evaluation of a stage, and x0 and z in terms of state and output.
struct lowered_evaluation {
  lowered_evaluation(const evaluation& from, const network_description& network)
      : at(from.at), scale(network.input_scale(from.at)), row(answer_row(network, from.at)) {}
  bool determines_clean() const {
    return (row.z == 0 && row.x0 != 0) || determinant(at.level, row) != 0;
  }
  state_output clean(const char* caller) const {
    if (!determines_clean())
      fail(caller, "alpha of an evaluation", at.level.alpha,
           "x0 is undefined from this prediction; at alpha = 0 use a v, sample or velocity "
           "prediction");
    return sample_from(at.level, row);
  }
  state_output noise(const char* caller) const {
    if (!(row.x0 == 0 && row.z != 0) && determinant(at.level, row) == 0)
      fail(caller, "sigma of an evaluation", at.level.sigma,
           "z is undefined from this prediction; at sigma = 0 use a noise or velocity prediction");
    return noise_from(at.level, row);
  }

  node at;
  double scale;
  plane_row row;
};

}  // namespace detail

TWEEDIE_INLINE lowered_program lower(const program& plan, const network_description& network,
                                     const lowering& how) {
  detail::require(how.branches > 0, how.caller, "branches", how.branches, "valid: at least 1");
  check_program(how.caller, plan);
  lowered_program out{{}, plan.draws, plan.registers, plan.result, plan.start, how};
  std::vector<std::optional<detail::lowered_evaluation>> asked(plan.stages.size() + 1);
  bool scales = false;
  for (std::size_t s = 0; s < plan.stages.size(); ++s)
    if (plan.stages[s].evaluate) {
      asked[s].emplace(*plan.stages[s].evaluate, network);
      scales = scales || asked[s]->scale != 1;
    }
  const int scaled = plan.registers;  // holds scaled inputs, if there are any
  detail::moving_registers registers(plan.registers + (scales ? 1 : 0));

  out.stages.resize(plan.stages.size());
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const stage& from = plan.stages[s];
    lowered_stage& to = out.stages[s];
    if (from.evaluate) {
      to.evaluates = true;
      to.at = asked[s]->at;
      to.state = registers.home(from.evaluate->state);
      to.input_scale = asked[s]->scale;
      to.shown = to.input_scale == 1 ? to.state : scaled;
      to.time = network.time(to.at);
      // A preview of x0 is offered wherever it is defined, even if the pass does not need it.
      to.clean = asked[s]->determines_clean() ? asked[s]->clean(how.caller)
                                              : state_output{std::nan(""), std::nan("")};
    }
    detail::pass_columns pass{from.pass.outputs, {}};
    const auto add_both = [&](std::size_t j, double w, state_output weights) {
      pass.add({operand_kind::stored, to.state}, j, w * weights.x);
      for (int b = 0; b < how.branches; ++b) pass.add({operand_kind::output, b}, j, w * weights.y);
      if (how.reads_state) pass.at({operand_kind::stored, to.state});
    };
    bool head = false;
    for (std::size_t i = 0; i < from.pass.inputs.size(); ++i) {
      operand input = from.pass.inputs[i];
      if (input.from == operand_kind::stored) input.index = registers.home(input.index);
      for (std::size_t j = 0; j < from.pass.outputs.size(); ++j) {
        const double w = from.pass.weight(j, i);
        if (w == 0) continue;
        if (input.from == operand_kind::clean) {
          const state_output clean = asked[s]->clean(how.caller);
          head = head || how.transformed;
          if (how.transformed)
            pass.add(input, j, w);
          else
            add_both(j, w, clean);
        } else if (input.from == operand_kind::noise) {
          add_both(j, w, asked[s]->noise(how.caller));
        } else if (input.from == operand_kind::output) {
          add_both(j, w, {0, 1});
        } else {
          pass.add(input, j, w);
        }
      }
    }
    if (head) {
      pass.at({operand_kind::stored, to.state});
      for (int b = 0; b < how.branches; ++b) pass.at({operand_kind::output, b});
    }
    std::vector<int> targets;
    for (const int r : from.pass.outputs) targets.push_back(registers.home(r));
    const std::size_t kept = targets.size();
    if (asked[s + 1] && asked[s + 1]->scale != 1)
      for (std::size_t j = 0; j < kept; ++j)
        if (from.pass.outputs[j] == plan.stages[s + 1].evaluate->state) {
          pass.add_multiple(scaled, j, asked[s + 1]->scale);
          targets.push_back(scaled);
        }
    if (!targets.empty()) to.passes = detail::split(pass, registers, targets);
    for (std::size_t j = 0; j < kept; ++j)
      if (registers.home(from.pass.outputs[j]) != targets[j])
        registers.move(from.pass.outputs[j], targets[j]);
    to.mark = from.mark;
    if (to.mark) to.mark->state = registers.home(to.mark->state);
  }
  out.registers = registers.count();
  out.result = registers.home(plan.result);
  return out;
}

#endif

}  // namespace tweedie
