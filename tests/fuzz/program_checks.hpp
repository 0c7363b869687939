// What every accepted program keeps.
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "fuzz/bytes.hpp"
#include "tweedie/program/program.hpp"

namespace fuzz {

inline void expect_finite(const tweedie::program& plan, const std::string& name) {
  const auto finite = [&](const tweedie::node& at) {
    expect(std::isfinite(at.level.alpha) && std::isfinite(at.level.sigma),
           name + ": finite levels");
  };
  for (const tweedie::stage& s : plan.stages) {
    if (s.evaluate) finite(s.evaluate->at);
    if (s.mark) finite(s.mark->at);
    for (const double w : s.pass.weights) expect(std::isfinite(w), name + ": finite weights");
  }
}

/// A mean, and how large the terms of a sample with that mean are, noise of size one included: what its
/// rounding is relative to.
struct rounded {
  double value = 0;
  double magnitude = 0;
};

/// The registers of the marks are alpha x0 for a network that knows x0, from alpha x0 and without noise: the
/// mean of the state of every sampler that keeps marginals. Looks no further where numbers leave the range of
/// double on the way, or raw outputs are mixed, and not where products of two levels would be below it.
inline void expect_reproduces_perfect_denoiser(const tweedie::program& plan, double x0,
                                               const std::string& name) {
  const auto ordinary = [](const tweedie::node& at) {
    const auto [alpha, sigma] = at.level;
    return (alpha == 0 || std::abs(alpha) > 1e-150) && (sigma == 0 || std::abs(sigma) > 1e-150);
  };
  if (!ordinary(plan.start)) return;
  for (const tweedie::stage& s : plan.stages)
    if ((s.evaluate && !ordinary(s.evaluate->at)) || (s.mark && !ordinary(s.mark->at))) return;
  std::vector<rounded> registers(static_cast<std::size_t>(plan.registers));
  const double first = plan.start.level.alpha * x0;
  registers[0] = {first, std::abs(first) + plan.start.level.sigma};
  const auto matches = [&](const rounded& state, const tweedie::node& at) {
    if (!(state.magnitude < 1e280)) return false;
    const double expected = at.level.alpha * x0;
    const double allowed = 1e-11 * (state.magnitude + std::abs(expected)) + 1e-290;
    if (std::abs(state.value - expected) <= allowed) return true;
    char text[200];
    std::snprintf(text, sizeof text, ": a mark is %.17g, alpha x0 = %.17g, magnitude %g",
                  state.value, expected, state.magnitude);
    expect(false, name + text);
    return false;
  };
  for (const tweedie::stage& s : plan.stages) {
    std::vector<rounded> inputs;
    for (const tweedie::operand& in : s.pass.inputs) switch (in.from) {
        case tweedie::operand_kind::stored:
          inputs.push_back(registers[static_cast<std::size_t>(in.index)]);
          break;
        case tweedie::operand_kind::clean: inputs.push_back({x0, std::abs(x0)}); break;
        case tweedie::operand_kind::noise: {
          const rounded& x = registers[static_cast<std::size_t>(s.evaluate->state)];
          const auto [alpha, sigma] = s.evaluate->at.level;
          if (sigma == 0)
            inputs.push_back({0, 0});
          else
            inputs.push_back(
                {(x.value - alpha * x0) / sigma, (x.magnitude + std::abs(alpha * x0)) / sigma});
          break;
        }
        case tweedie::operand_kind::output: return;
        case tweedie::operand_kind::draw: inputs.push_back({0, 1}); break;
      }
    std::vector<rounded> outputs(s.pass.outputs.size());
    for (std::size_t j = 0; j < outputs.size(); ++j)
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        outputs[j].value += s.pass.weight(j, i) * inputs[i].value;
        outputs[j].magnitude += std::abs(s.pass.weight(j, i)) * inputs[i].magnitude;
      }
    for (std::size_t j = 0; j < outputs.size(); ++j)
      registers[static_cast<std::size_t>(s.pass.outputs[j])] = outputs[j];
    if (s.mark && !matches(registers[static_cast<std::size_t>(s.mark->state)], s.mark->at)) return;
  }
}

}  // namespace fuzz
