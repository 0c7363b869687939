// What a program must know of a network: what it answers, how its input is scaled, which time it
// is told.
//
//   shown = c(node) x,   y = p_x x0 + p_z z with the row p of its prediction kind at (c alpha, c sigma)
#pragma once

#include <cmath>
#include <functional>

#include "tweedie/schedule/prediction.hpp"

namespace tweedie {

/// The defaults describe the usual noise predictor of a variance-preserving schedule, asked at the
/// schedule's own times.
struct network_description {
  /// Row of the prediction in the (x0, z) plane at the level the network sees.
  std::function<plane_row(const node&)> prediction = predicts_noise;
  /// Factor by which the state is multiplied before the network sees it.
  std::function<double(const node&)> input_scale = [](const node&) { return 1.0; };
  /// The time the network is told.
  std::function<double(const node&)> time = [](const node& n) { return n.time; };
};

/// The row of what the network answers to the scaled state at a node.
inline plane_row answer_row(const network_description& network, const node& at) {
  const double c = network.input_scale(at);
  return network.prediction({at.time, {c * at.level.alpha, c * at.level.sigma}});
}

/// Input scale 1/sqrt(alpha^2 + sigma^2): the network was trained on a variance-preserving
/// schedule, the state may be kept in any gauge (k-diffusion and ComfyUI keep alpha = 1).
inline constexpr auto variance_preserving_input = [](const node& n) {
  return 1 / std::hypot(n.level.alpha, n.level.sigma);
};

}  // namespace tweedie
