// Regional prompts, a mixer: every condition guides where its mask stands,
//
//   y = y_0 + sum_i w_i m_i (y_i - y_0),
//
// element by element, with the empty prompt's output first. Masks that are shares of one (shares_of_one)
// blend regions as MultiDiffusion blends windows (Bar-Tal et al. 2023, eq. 5); ones everywhere are composed
// conditions (composed_scales).
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/guidance/guided_outputs.hpp"

namespace tweedie {

/// Masks divided by their sum, element by element; zero where no mask stands.
/// \throws std::invalid_argument unless all have one size and no element is negative or not finite.
inline std::vector<std::vector<double>> shares_of_one(std::vector<std::vector<double>> masks) {
  constexpr const char* name = "shares_of_one";
  for (const auto& mask : masks) {
    detail::require_equal(name, "size of a mask", mask.size(), masks.front().size());
    for (const double m : mask)
      detail::require(m >= 0 && std::isfinite(m), name, "mask", m, "valid: finite and at least 0");
  }
  for (std::size_t e = 0; !masks.empty() && e < masks.front().size(); ++e) {
    double sum = 0;
    for (const auto& mask : masks) sum += mask[e];
    for (auto& mask : masks)
      if (sum > 0) mask[e] /= sum;
  }
  return masks;
}

/// A scale and a mask for each condition. Outputs are {unconditional, condition 1, ..., condition n}. Masks
/// are of one plane or of a whole item, and repeat over what is guided: planes, frames, items. What a
/// condition answers where its mask is zero is not read.
class regional {
 public:
  /// \throws std::invalid_argument for no conditions, other numbers or sizes of masks, and scales or masks
  ///   that are not finite.
  regional(std::vector<double> scales, std::vector<std::vector<double>> masks)
      : weights_(std::move(masks)) {
    constexpr const char* name = "regional";
    detail::require(!scales.empty(), name, "conditions", 0, "valid: at least 1");
    detail::require_equal(name, "masks", weights_.size(), scales.size());
    detail::require(!weights_.front().empty(), name, "size of a mask", 0, "valid: at least 1");
    rest_.assign(weights_.front().size(), 1);
    for (std::size_t i = 0; i < scales.size(); ++i) {
      detail::require(std::isfinite(scales[i]), name, "scale", scales[i], "valid: finite");
      detail::require_equal(name, "size of a mask", weights_[i].size(), rest_.size());
      for (std::size_t e = 0; e < rest_.size(); ++e) {
        double& weight = weights_[i][e];
        detail::require(std::isfinite(weight), name, "mask", weight, "valid: finite");
        weight *= scales[i];
        rest_[e] -= weight;
      }
    }
  }

  std::size_t branches() const { return 1 + weights_.size(); }

  /// Writes the guided output, which may be one of the outputs.
  /// \throws std::invalid_argument unless the outputs are a multiple of the masks' size.
  template <storage_scalar S>
  void operator()(const guidance_point&, std::span<const S* const> outputs,
                  std::span<S> guided) const {
    detail::require(guided.size() % rest_.size() == 0, "regional", "size",
                    static_cast<double>(guided.size()), "valid: a multiple of the masks' size");
    for (std::size_t first = 0; first < guided.size(); first += rest_.size())
      for (std::size_t e = 0; e < rest_.size(); ++e) {
        const auto output = [&](std::size_t branch) {
          return static_cast<double>(outputs[branch][first + e]);
        };
        double sum = rest_[e] == 0 ? 0 : rest_[e] * output(0);
        for (std::size_t i = 0; i < weights_.size(); ++i)
          if (weights_[i][e] != 0) sum += weights_[i][e] * output(1 + i);
        guided[first + e] = static_cast<S>(sum);
      }
  }

 private:
  std::vector<std::vector<double>> weights_;  // scale times mask, of each condition
  std::vector<double> rest_;                  // the empty prompt's
};

}  // namespace tweedie
