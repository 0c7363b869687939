// Binds a program, written in terms of x0 and z estimates, to a network that predicts something
// else at another scale and on another clock.
//
// At an evaluation the state is x = alpha x0 + sigma z. The network is shown c x, where c is its
// input scale, told its own time, and answers y = p_x x0 + p_z z with the row p of its prediction
// kind at (c alpha, c sigma). Solving for x0 and z (schedule/prediction.hpp) and substituting folds
// the conversion into the weights of the pass: no tensor is ever converted on its own.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "tweedie/program/program.hpp"
#include "tweedie/schedule/prediction.hpp"

namespace tweedie {

/// What a program must know of a network. The defaults describe the usual noise predictor of a
/// variance-preserving schedule, asked at the schedule's own times.
struct network_description {
  /// Row of the prediction in the (x0, z) plane at the level the network sees.
  std::function<plane_row(const node&)> prediction = predicts_noise;
  /// Factor by which the state is multiplied before the network sees it.
  std::function<double(const node&)> input_scale = [](const node&) { return 1.0; };
  /// The time the network is told.
  std::function<double(const node&)> time = [](const node& n) { return n.time; };
};

/// Input scale 1/sqrt(alpha^2 + sigma^2): the network was trained on a variance-preserving
/// schedule, the state may be kept in any gauge (k-diffusion and ComfyUI keep alpha = 1).
inline constexpr auto variance_preserving_input = [](const node& n) {
  return 1 / std::hypot(n.level.alpha, n.level.sigma);
};

/// One stage whose weights refer to tensors that exist: registers, the network's output, draws and
/// (only if the x0 estimate is transformed before use) the transformed estimate.
struct bound_stage {
  bool evaluates = false;
  int state = 0;           ///< register the network is shown
  double input_scale = 1;  ///< factor on that register
  double time = 0;         ///< what the network is told
  node at;                 ///< level of the state
  state_output clean;      ///< x0 estimate = clean.x * state + clean.y * output
  linear_pass pass;
  std::optional<step_mark> mark;
};

/// What happens to the x0 estimate before the pass uses it.
enum class clean_estimate {
  linear,      ///< nothing: it is folded away
  transformed  ///< clipped, thresholded, projected, ...: the pass reads the result as source::clean
};

/// A program whose weights fit one network.
struct bound_program {
  std::vector<bound_stage> stages;
  std::vector<draw_kind> draws;
  int registers = 1;
  int result = 0;
  node start;
  clean_estimate estimate = clean_estimate::linear;
};

/// Folds the prediction kind of `network` into the weights of `plan`.
/// \throws std::invalid_argument where the prediction does not determine what the program needs,
///   for example x0 from a noise prediction at alpha = 0.
inline bound_program bind(const program& plan, const network_description& network,
                          clean_estimate estimate = clean_estimate::linear);

namespace detail {

// Weights of one pass by source, while conversions are substituted.
class substituted_pass {
 public:
  substituted_pass(const linear_pass& from) : outputs_(from.outputs) {}

  void add(const operand& input, std::size_t output, double weight) {
    if (weight == 0) return;
    for (column& c : columns_)
      if (c.input == input) {
        c.weights[output] += weight;
        return;
      }
    columns_.push_back({input, std::vector<double>(outputs_.size(), 0.0)});
    columns_.back().weights[output] = weight;
  }

  linear_pass finish() const {
    linear_pass out;
    out.outputs = outputs_;
    for (const column& c : columns_) out.inputs.push_back(c.input);
    for (std::size_t j = 0; j < outputs_.size(); ++j)
      for (const column& c : columns_) out.weights.push_back(c.weights[j]);
    return out;
  }

 private:
  struct column {
    operand input;
    std::vector<double> weights;
  };
  std::vector<int> outputs_;
  std::vector<column> columns_;
};

}  // namespace detail

inline bound_program bind(const program& plan, const network_description& network,
                          clean_estimate estimate) {
  bound_program out{std::vector<bound_stage>(plan.stages.size()),
                    plan.draws,
                    plan.registers,
                    plan.result,
                    plan.start,
                    estimate};
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const stage& from = plan.stages[s];
    bound_stage& to = out.stages[s];
    to.mark = from.mark;
    plane_row row;
    if (from.evaluate) {
      to.evaluates = true;
      to.state = from.evaluate->state;
      to.at = from.evaluate->at;
      to.input_scale = network.input_scale(to.at);
      to.time = network.time(to.at);
      const double c = to.input_scale;
      row = network.prediction({to.at.time, {c * to.at.level.alpha, c * to.at.level.sigma}});
    }
    const operand state{source::stored, to.state};
    const operand output{source::output, 0};
    detail::substituted_pass pass(from.pass);
    bool clean_known = false;
    const auto clean = [&] {
      if (!clean_known) to.clean = sample_from(to.at.level, row);
      clean_known = true;
      return to.clean;
    };
    for (std::size_t i = 0; i < from.pass.inputs.size(); ++i) {
      const operand& input = from.pass.inputs[i];
      for (std::size_t j = 0; j < from.pass.outputs.size(); ++j) {
        const double w = from.pass.weight(j, i);
        if (w == 0) continue;
        if (input.from == source::clean) {
          const state_output from_both = clean();
          if (estimate == clean_estimate::transformed) {
            pass.add(input, j, w);
          } else {
            pass.add(state, j, w * from_both.x);
            pass.add(output, j, w * from_both.y);
          }
        } else if (input.from == source::noise) {
          const state_output from_both = noise_from(to.at.level, row);
          pass.add(state, j, w * from_both.x);
          pass.add(output, j, w * from_both.y);
        } else {
          pass.add(input, j, w);
        }
      }
    }
    to.pass = pass.finish();
    // A preview of x0 is offered wherever it is defined, even if the pass does not need it.
    if (to.evaluates && !clean_known) {
      const bool defined = (row.z == 0 && row.x0 != 0) || determinant(to.at.level, row) != 0;
      to.clean = defined ? sample_from(to.at.level, row) : state_output{std::nan(""), std::nan("")};
    }
  }
  return out;
}

}  // namespace tweedie
