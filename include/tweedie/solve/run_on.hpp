// Runs a program on any tensor that can be added up: on a GPU, a remote device, a lazy graph.
//
//   struct device {
//     Tensor combine(std::span<const double> weights, std::span<const Tensor* const> from);  // sum_i w_i x_i
//     Tensor normal(const noise_request& request);                                           // where it draws
//   };
//   Tensor picture = run_on(plan, network, std::move(x), device, [&](const Tensor& shown, double time) {
//     return engine(shown, time);
//   });
//
// The same lowered passes as `sampling` carries out, each output one call of combine; tensors are moved and
// assigned, never looked into. What `combine` does with weights in double is the device's to decide. A
// network that is asked about several conditions mixes its outputs itself: guidance is linear, and commutes
// with all conversions.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/program/lower.hpp"
#include "tweedie/solve/noise.hpp"

namespace tweedie {

/// A device for `run_on`.
template <class Device, class Tensor>
concept tensor_arithmetic = requires(Device& device, std::span<const double> weights,
                                     std::span<const Tensor* const> from) {
  { device.combine(weights, from) } -> std::convertible_to<Tensor>;
};

/// Runs `plan` from x, which stands at plan.start, and returns the result.
/// \param evaluate the network: evaluate(shown, time) returns its output
/// \param transform changes an x0 estimate: transform(Tensor, const node&) returns what stands for it;
///   leave it out where estimates are used as they are
/// \throws std::invalid_argument where the network does not determine what the program needs, for a
///   program with learned variance, and for one that draws on a device without `normal`; and whatever the
///   callables throw.
template <class Tensor, class Device, class Evaluate, class... Transform>
requires tensor_arithmetic<Device, Tensor> Tensor run_on(const program& plan,
                                                         const network_description& network,
                                                         Tensor x, Device&& device,
                                                         Evaluate&& evaluate,
                                                         Transform&&... transform) {
  static_assert(sizeof...(Transform) <= 1, "run_on takes one transform of x0 estimates");
  constexpr bool transforms = sizeof...(Transform) == 1;
  constexpr bool draws = requires(noise_request request) {
    { device.normal(request) } -> std::convertible_to<Tensor>;
  };
  if (detail::any_learned(plan.draws))
    detail::fail("run_on", "the program draws with learned variance");
  if (!draws && !plan.draws.empty())
    detail::fail("run_on", "the program draws noise; give the device normal(const noise_request&)");

  const lowered_program lowered =
      lower(plan, network, {.branches = 1, .transformed = transforms, .caller = "run_on"});
  std::vector<std::optional<Tensor>> registers(static_cast<std::size_t>(lowered.registers));
  std::vector<std::optional<Tensor>> noise(lowered.draws.size());
  std::optional<Tensor> output, clean;
  const auto reg = [&](int r) -> std::optional<Tensor>& {
    return registers[static_cast<std::size_t>(r)];
  };
  const auto tensor_of = [&](const operand& in) -> const Tensor& {
    switch (in.from) {
      case operand_kind::stored: return *reg(in.index);
      case operand_kind::draw: return *noise[static_cast<std::size_t>(in.index)];
      case operand_kind::clean: return *clean;
      default: return *output;
    }
  };
  std::vector<double> weights;
  std::vector<const Tensor*> from;
  const auto sum = [&] {
    return device.combine(std::span<const double>(weights), std::span<const Tensor* const>(from));
  };
  reg(0).emplace(std::move(x));
  bool shown_is_ready = false;
  for (std::size_t k = 0; k < lowered.stages.size(); ++k) {
    const lowered_stage& stage = lowered.stages[k];
    if (stage.evaluates) {
      if (stage.shown != stage.state && !shown_is_ready) {
        weights = {stage.input_scale};
        from = {&*reg(stage.state)};
        reg(stage.shown) = sum();
      }
      output = evaluate(std::as_const(*reg(stage.shown)), stage.time);
    }
    // What the passes read besides registers and outputs.
    for (const linear_pass& pass : stage.passes)
      for (const operand& in : pass.inputs) {
        if constexpr (transforms)
          if (in.from == operand_kind::clean) {
            weights = {stage.clean.x, stage.clean.y};
            from = {&*reg(stage.state), &*output};
            clean = (transform(sum(), stage.at), ...);
          }
        if constexpr (draws)
          if (in.from == operand_kind::draw && !noise[static_cast<std::size_t>(in.index)])
            noise[static_cast<std::size_t>(in.index)] = device.normal(
                noise_request{in.index, lowered.draws[static_cast<std::size_t>(in.index)], 1});
      }
    shown_is_ready = false;
    for (const linear_pass& pass : stage.passes) {
      std::vector<Tensor> results;
      for (std::size_t j = 0; j < pass.outputs.size(); ++j) {
        weights.clear();
        from.clear();
        for (std::size_t i = 0; i < pass.inputs.size(); ++i)
          if (pass.weight(j, i) != 0) {
            weights.push_back(pass.weight(j, i));
            from.push_back(&tensor_of(pass.inputs[i]));
          }
        results.push_back(sum());
      }
      for (std::size_t j = 0; j < results.size(); ++j) {
        reg(pass.outputs[j]) = std::move(results[j]);
        if (k + 1 < lowered.stages.size() && lowered.stages[k + 1].shown == pass.outputs[j] &&
            lowered.stages[k + 1].shown != lowered.stages[k + 1].state)
          shown_is_ready = true;
      }
    }
    for (const linear_pass& pass : stage.passes)
      for (const operand& in : pass.inputs)
        if (in.from == operand_kind::draw) noise[static_cast<std::size_t>(in.index)].reset();
  }
  return std::move(*reg(lowered.result));
}

}  // namespace tweedie
