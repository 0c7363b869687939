// Dynamic thresholding of the x0 estimate (Saharia et al. 2022, section 2.3).
//
// With q the `ratio`-quantile of |x0| over one batch item and s = clamp(q, minimum, maximum),
//   x0 <- clamp(x0, -s, s) / s        (divided by s / minimum if minimum is not 1)
// so that saturated values are pulled inwards instead of piling up at the border. The quantile
// interpolates linearly between order statistics (tensor/quantile.hpp). Two passes over all items,
// the first of which only reads.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "tweedie/schedule/schedule.hpp"
#include "tweedie/tensor/clamp.hpp"
#include "tweedie/tensor/quantile.hpp"

namespace tweedie {

/// A transform of x0 estimates for `sampling`. The memory for one item is kept between calls.
/// 0 <= ratio <= 1, 0 < minimum <= maximum.
struct dynamic_threshold {
  double ratio = 0.995;
  double maximum = std::numeric_limits<double>::infinity();
  double minimum = 1;

  /// \throws std::invalid_argument for members out of range, items that do not divide the elements,
  /// NaNs, and infinite thresholds, and leaves the estimate as it was.
  template <class S>
  void operator()(std::span<S> clean, std::size_t items, const node&) {
    constexpr const char* name = "dynamic_threshold";
    detail::require(ratio >= 0 && ratio <= 1, name, "ratio", ratio, "valid: 0 <= ratio <= 1");
    detail::require(minimum > 0, name, "minimum", minimum, "valid: minimum > 0");
    detail::require(maximum >= minimum, name, "maximum", maximum, "valid: maximum >= minimum");
    detail::require(items == 0 ? clean.empty() : clean.size() % items == 0, name, "items",
                    static_cast<double>(items), "valid: a divisor of the number of elements");
    if (clean.empty()) return;
    const std::size_t length = clean.size() / items;
    thresholds.resize(items);
    for (std::size_t i = 0; i < items; ++i) {
      const std::span<const S> item = clean.subspan(i * length, length);
      const double quantile = magnitude_quantile<S>(item, ratio, scratch(arithmetic_t<S>()));
      const double s = (std::min)((std::max)(quantile, minimum), maximum);
      detail::require(std::isfinite(s), name, "threshold", s, "valid: finite");
      thresholds[i] = s;
    }
    for (std::size_t i = 0; i < items; ++i) {
      const double s = thresholds[i];
      detail::clamp_block(clean.data() + i * length, -s, s, minimum / s, length);
    }
  }

  std::vector<float>& scratch(float) { return floats; }
  std::vector<double>& scratch(double) { return doubles; }

  std::vector<float> floats{};
  std::vector<double> doubles{};
  std::vector<double> thresholds{};
};

}  // namespace tweedie
