// Control residuals: outputs of side networks added to the features of a frozen one.
//
//   h' = h + sum_i s_i Z_i(c_i)                      ControlNet, Zhang et al. 2023, eq. 2
//
// Z_i ends in a projection that starts as zero, so that training starts from the frozen network; its
// own gradient does not vanish there, since it is the features it is given. In scores it is an added
// gradient of log p(c | x), which is why several controls add up.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// h += sum_i scales[i] residuals[i]. A scale of 0 leaves the bits of h; its residual is not read.
/// \throws std::invalid_argument unless there is a finite scale for each residual and all have the
///   size of h; h is then as it was.
template <class S>
void add_control(std::span<S> features, std::span<const std::span<const S>> residuals,
                 std::span<const double> scales) {
  using array = Eigen::Array<S, Eigen::Dynamic, 1>;
  detail::require_equal("add_control", "scales.size()", scales.size(), residuals.size());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    detail::require(std::isfinite(scales[i]), "add_control", "scale", scales[i], "valid: finite");
    detail::require_equal("add_control", "residual.size()", residuals[i].size(), features.size());
  }
  const auto n = static_cast<Eigen::Index>(features.size());
  Eigen::Map<array> h(features.data(), n);
  for (std::size_t i = 0; i < scales.size(); ++i)
    if (scales[i] != 0)
      h += static_cast<S>(scales[i]) * Eigen::Map<const array>(residuals[i].data(), n);
}

/// The scale of a control that acts in a part of the steps only: `scale` where the whole step
/// [step / steps, (step + 1) / steps] lies in [start, end], 0 elsewhere. With start = 0 and end = 1
/// it always acts.
/// \throws std::invalid_argument unless 0 <= step < steps and 0 <= start <= end <= 1.
inline double control_scale(double scale, std::size_t step, std::size_t steps, double start,
                            double end) {
  if (step >= steps)
    detail::fail("control_scale", "step", static_cast<double>(step),
                 "valid: below the number of steps, " + std::to_string(steps));
  detail::require(start >= 0 && start <= end && end <= 1, "control_scale", "start", start,
                  "valid: 0 <= start <= end <= 1");
  const auto from = static_cast<double>(step) / static_cast<double>(steps);
  const auto to = static_cast<double>(step + 1) / static_cast<double>(steps);
  return from < start || to > end ? 0 : scale;
}

/// Scales of the residuals of `layers` depths when there is no prompt ("guess mode"): from 0.1 at the
/// finest to 1 at the deepest, evenly in the logarithm.
/// \throws std::invalid_argument for fewer than two layers.
inline std::vector<double> depth_scales(std::size_t layers) {
  detail::require(layers >= 2, "depth_scales", "layers", static_cast<double>(layers),
                  "valid: at least 2");
  std::vector<double> scales;
  for (std::size_t i = 0; i < layers; ++i)
    scales.push_back(std::pow(10, static_cast<double>(i) / static_cast<double>(layers - 1) - 1));
  return scales;
}

}  // namespace tweedie
