// Data that is a single point: the denoiser knows the answer. q(x_t) = N(alpha x0, sigma^2 I).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/schedule/prediction.hpp"

namespace tweedie::oracle {

/// All mass at one point of R^d.
class point {
 public:
  explicit point(std::vector<double> x0) : x0_(std::move(x0)) {}

  std::size_t dimensions() const { return x0_.size(); }
  const std::vector<double>& mean() const { return x0_; }

  /// E[x0 | x] = x0, whatever x.
  void denoise(std::span<const double> x, signal_noise, std::span<double> out) const {
    check(x.size(), out.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = x0_[i];
  }

  /// grad log p_t(x) = -(x - alpha x0)/sigma^2. Needs sigma > 0.
  void score(std::span<const double> x, signal_noise level, std::span<double> out) const {
    check(x.size(), out.size());
    detail::require(level.sigma > 0, "point::score", "sigma", level.sigma, "valid: sigma > 0");
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = -(x[i] - level.alpha * x0_[i]) / (level.sigma * level.sigma);
  }

  /// What an exact network of the given kind answers: p_x x0 + p_z (x - alpha x0)/sigma.
  void predict(std::span<const double> x, signal_noise level, plane_row row,
               std::span<double> out) const {
    check(x.size(), out.size());
    const bool needs_noise = row.z != 0;
    if (needs_noise)
      detail::require(level.sigma > 0, "point::predict", "sigma", level.sigma, "valid: sigma > 0");
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = row.x0 * x0_[i] +
               (needs_noise ? row.z * (x[i] - level.alpha * x0_[i]) / level.sigma : 0.0);
  }

 private:
  void check(std::size_t given, std::size_t out) const {
    if (given != x0_.size() || out != x0_.size())
      detail::fail("oracle::point", "dimensions", static_cast<double>(given),
                   "valid: the dimensions of the data, " + std::to_string(x0_.size()));
  }
  std::vector<double> x0_;
};

}  // namespace tweedie::oracle
