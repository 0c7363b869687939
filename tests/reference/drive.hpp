// Runs a program through the library's own runtime with recorded noise, keeping what was asked and
// answered.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "outcome.hpp"
#include "tweedie/grid/subset.hpp"
#include "tweedie/process/reverse.hpp"
#include "tweedie/solve/sampling.hpp"

namespace reference {

/// Hands out a recorded list of noises, times a factor.
class recorded_noise {
 public:
  recorded_noise(const std::vector<std::vector<double>>& values, double scale = 1)
      : values_(&values), scale_(scale) {}

  template <class S>
  void fill(const tweedie::noise_request& request, std::span<S> out) const {
    const auto draw = static_cast<std::size_t>(request.draw);
    if (draw >= values_->size())
      throw std::runtime_error("draw " + std::to_string(draw) + " was not recorded");
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<S>(scale_ * (*values_)[draw][i]);
  }

 private:
  const std::vector<std::vector<double>>* values_;
  double scale_;
};

/// (what the network is shown, the time it is told, the level of the state) -> answer.
using answer =
    std::function<std::vector<double>(std::span<const double>, double, const tweedie::node&)>;

struct driven;

/// Changes the state after a step.
using state_hook = std::function<void(std::span<double> state, const driven& so_far)>;

struct driven {
  std::vector<std::vector<double>> states;   ///< state at each evaluation, before input scaling
  std::vector<double> times;                 ///< what the network was told
  std::vector<tweedie::node> nodes;          ///< where each evaluation stands
  std::vector<double> levels;                ///< sigma / alpha there
  std::vector<std::size_t> steps;            ///< step during which each evaluation was made
  std::vector<std::vector<double>> outputs;  ///< what it answered
  std::vector<std::vector<double>> marks;    ///< the sample after each step
  std::vector<double> result;
};

template <class Transform = tweedie::unchanged>
driven drive(const tweedie::program& plan, const tweedie::network_description& network,
             const std::vector<double>& x, const answer& model,
             const std::vector<std::vector<double>>& noises = {}, Transform transform = {},
             double noise_scale = 1, const answer& variance = {}, const state_hook& on_step = {}) {
  tweedie::sampling s(plan, network, x, recorded_noise(noises, noise_scale), std::move(transform));
  driven out;
  const auto copy = [](auto&& view) { return std::vector<double>(view.begin(), view.end()); };
  for (;;) {
    const tweedie::sampling_event event = s.advance();
    if (event == tweedie::sampling_event::finished) break;
    if (event == tweedie::sampling_event::step) {
      if (on_step) on_step(s.state(), out);
      out.marks.push_back(copy(s.state()));
      continue;
    }
    out.states.push_back(copy(s.state()));
    out.times.push_back(s.network_time());
    out.steps.push_back(out.marks.size());
    out.nodes.push_back(s.at());
    out.levels.push_back(tweedie::noise_level(s.at().level));
    out.outputs.push_back(model(s.input(), s.network_time(), s.at()));
    std::copy(out.outputs.back().begin(), out.outputs.back().end(), s.output().begin());
    if (variance) {
      const std::vector<double> v = variance(s.input(), s.network_time(), s.at());
      std::copy(v.begin(), v.end(), s.variance_output().begin());
    }
  }
  out.result = copy(s.state());
  return out;
}

/// State at the first evaluation of each step.
inline std::vector<std::vector<double>> first_states(const driven& run) {
  std::vector<std::vector<double>> states;
  for (std::size_t i = 0; i < run.states.size(); ++i)
    if (i == 0 || run.steps[i] != run.steps[i - 1]) states.push_back(run.states[i]);
  return states;
}

/// The x0 estimates of a run, before clipping.
inline std::vector<std::vector<double>> estimates(const driven& run,
                                                  const tweedie::network_description& network) {
  std::vector<std::vector<double>> all;
  for (std::size_t i = 0; i < run.states.size(); ++i) {
    const auto [time, level] = run.nodes[i];
    const double c = network.input_scale(run.nodes[i]);
    const tweedie::state_output d =
        tweedie::sample_from(level, network.prediction({time, {c * level.alpha, c * level.sigma}}));
    std::vector<double> clean(run.states[i].size());
    for (std::size_t j = 0; j < clean.size(); ++j)
      clean[j] = d.x * run.states[i][j] + d.y * run.outputs[i][j];
    all.push_back(std::move(clean));
  }
  return all;
}

/// The mean of the previous state as a prediction, for networks asked at the nodes of `falling`:
/// c0 x0 + ct (alpha x0 + sigma z) with the posterior weights of the step from there.
inline auto predicts_previous(tweedie::grid falling) {
  return [nodes = std::move(falling)](const tweedie::node& n) {
    std::size_t i = 0;
    while (nodes.at(i).time != n.time) ++i;
    const tweedie::posterior_weights q = tweedie::posterior(nodes[i].level, nodes.at(i + 1).level);
    return tweedie::plane_row{q.clean + q.state * n.level.alpha, q.state * n.level.sigma};
  };
}

/// Kept times of guided-diffusion: "ddimN", "a,b,c", [a, b, c] or null for all.
inline std::vector<int> kept_times(int levels, const json& spacing) {
  std::vector<int> counts;
  if (spacing.is_string()) {
    const std::string text = spacing;
    if (text.starts_with("ddim")) return tweedie::strided_times(levels, std::stoi(text.substr(4)));
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      counts.push_back(std::stoi(text.substr(at, comma - at)));
      at = comma + 1;
    }
  } else if (spacing.is_null()) {
    counts = {levels};
  } else {
    counts = spacing.get<std::vector<int>>();
  }
  return tweedie::sectioned_times(levels, counts);
}

/// The replayed case, any exception being a failure.
template <class Body>
outcome attempt(const std::string& id, const std::string& subject, const std::string& group,
                const Body& body, double tolerance = comparison::tight) {
  outcome o{id, subject, group, verdict::passed, 0, ""};
  comparison c(tolerance);
  try {
    body(c);
  } catch (const std::exception& error) {
    c.fail(error.what());
  }
  c.into(o);
  return o;
}

}  // namespace reference
