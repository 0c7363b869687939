// A sampler as data: the straight-line program that every sampler in use turns out to be.
//
//   stage = [ask the network]  then one linear pass over tensors  then [a mark: a step is done]
//
// All weights are doubles that depend on the schedule and the walk of times only. A program holds
// no tensor and no state: it is immutable, shared freely between threads, printed, costed and
// proved (program/law.hpp) without touching data, and executed by solve/sampling.hpp or by
// anybody's own kernels, since every weight is public.
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// Where a pass reads from.
enum class operand_kind {
  stored,  ///< register `index`, kept between stages
  clean,   ///< x0 estimate of this stage's evaluation, after clipping or thresholding if any
  noise,   ///< z estimate of this stage's evaluation, from the network's own output (never clipped)
  output,  ///< the network's raw output in this stage
  draw     ///< standard normal tensor number `index`
};

/// One input of a pass.
struct operand {
  operand_kind from = operand_kind::stored;
  int index = 0;  ///< register or draw number; 0 for the products of an evaluation
  friend bool operator==(const operand&, const operand&) = default;
};

/// A request to the network: evaluate at register `state`, which satisfies
/// x = alpha x0 + sigma z with `at.level`, and tell the network the time `at.time`.
struct evaluation {
  int state = 0;
  node at;
};

/// One linear pass: register outputs[j] = sum_i weights[j * inputs.size() + i] * inputs[i].
/// Outputs may name registers that are also inputs: all inputs are read before any is written.
struct linear_pass {
  std::vector<operand> inputs;
  std::vector<int> outputs;
  std::vector<double> weights;

  double weight(std::size_t output, std::size_t input) const {
    return weights[output * inputs.size() + input];
  }
};

/// A finished step: register `state` holds the sample at noise level `at`.
struct step_mark {
  int state = 0;
  node at;
};

/// Evaluate (optional), mix, mark (optional).
struct stage {
  std::optional<evaluation> evaluate;
  linear_pass pass;
  std::optional<step_mark> mark;
};

/// How a draw is made. A plain draw is N(0, I), independent of all others.
struct draw_kind {
  /// Brownian clock interval [from, to] whose normalised increment (W(to) - W(from)) /
  /// sqrt(|to - from|) this draw is. Equal ends: no interval, simply an independent draw.
  double from = 0;
  double to = 0;
  /// Elementwise standard deviation exp(log_variance / 2) taken from the network's second output v:
  /// log_variance = ((1 + v) log_upper + (1 - v) log_lower) / 2 (Nichol and Dhariwal 2021, eq. 15,
  /// with v rescaled from [-1, 1]).
  bool learned = false;
  double log_lower = 0;
  double log_upper = 0;

  friend bool operator==(const draw_kind&, const draw_kind&) = default;
};

namespace detail {

inline bool any_learned(const std::vector<draw_kind>& draws) {
  for (const draw_kind& d : draws)
    if (d.learned) return true;
  return false;
}

}  // namespace detail

/// The whole program. Register 0 holds the initial sample; `result` holds the final one.
struct program {
  std::vector<stage> stages;
  std::vector<draw_kind> draws;
  int registers = 1;
  int result = 0;
  node start;  ///< level at which register 0 starts

  /// Number of network calls.
  std::size_t evaluations() const {
    std::size_t count = 0;
    for (const stage& s : stages) count += s.evaluate.has_value();
    return count;
  }
  /// Number of marked steps.
  std::size_t steps() const {
    std::size_t count = 0;
    for (const stage& s : stages) count += s.mark.has_value();
    return count;
  }
};

/// Throws unless `plan` can be run: every register and draw that it names is there, products of an evaluation
/// are read in stages that have one, a pass has a weight for each pair of input and output and writes no
/// register twice, and weights and levels are finite. Programs of planners and of the recorder are so; it is
/// asked of all, since a program is public data.
/// \throws std::invalid_argument in the name of `function`
void check_program(const char* function, const program& plan);

#if defined(TWEEDIE_DEFINES_ENGINE)

TWEEDIE_INLINE void check_program(const char* function, const program& plan) {
  std::size_t number = 0;
  const auto where = [&](const char* what) { return detail::numbered(what, number); };
  const auto check_below = [&](const char* what, int index, std::size_t count) {
    if (index < 0 || static_cast<std::size_t>(index) >= count)
      detail::fail(function, where(what), index,
                   "valid: 0 ... number of them - 1, " + std::to_string(count) + " are there");
  };
  const auto check_finite = [&](const char* what, double value) {
    if (!std::isfinite(value))
      detail::fail(function, where(what), value,
                   "valid: finite; levels whose products and ratios are in the range of double");
  };
  const auto check_register = [&](const char* what, int index) {
    check_below(what, index, static_cast<std::size_t>(plan.registers));
  };
  const auto check_node = [&](const node& at) {
    check_finite("alpha of stage", at.level.alpha);
    check_finite("sigma of stage", at.level.sigma);
  };
  detail::require(plan.registers >= 1, function, "registers", plan.registers, "valid: at least 1");
  for (const stage& s : plan.stages) {
    const auto& [inputs, outputs, weights] = s.pass;
    if (s.evaluate) {
      check_register("evaluated register of stage", s.evaluate->state);
      check_node(s.evaluate->at);
    }
    for (const operand& in : inputs)
      if (in.from == operand_kind::stored)
        check_register("input register of stage", in.index);
      else if (in.from == operand_kind::draw)
        check_below("draw of stage", in.index, plan.draws.size());
      else if (!s.evaluate)
        detail::fail(function,
                     where("an input of stage") + " is a product of an evaluation; there is none");
    for (std::size_t j = 0; j < outputs.size(); ++j) {
      check_register("output register of stage", outputs[j]);
      for (std::size_t k = 0; k < j; ++k)
        if (outputs[j] == outputs[k])
          detail::fail(function, where("output register of stage"), outputs[j],
                       "valid: written once");
    }
    if (weights.size() != inputs.size() * outputs.size())
      detail::fail(
          function, where("number of weights of stage"), static_cast<double>(weights.size()),
          "valid: inputs times outputs, " + std::to_string(inputs.size() * outputs.size()));
    for (const double weight : weights) check_finite("weight of stage", weight);
    if (s.mark) {
      check_register("marked register of stage", s.mark->state);
      check_node(s.mark->at);
    }
    ++number;
  }
  if (plan.result < 0 || plan.result >= plan.registers)
    detail::fail(function, "result", plan.result,
                 "valid: a register, 0 ... " + std::to_string(plan.registers - 1));
}

#endif

}  // namespace tweedie
