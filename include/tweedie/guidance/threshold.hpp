// Dynamic thresholding of the x0 estimate (Saharia et al. 2022, section 2.3).
//
// With q the `ratio`-quantile of |x0| over one batch item and s = clamp(q, minimum, maximum),
//   x0 <- clamp(x0, -s, s) / s        (divided by s / minimum if minimum is not 1)
// so that saturated values are pulled inwards instead of piling up at the border. The quantile
// interpolates linearly between order statistics (tensor/quantile.hpp). Two passes, the first of
// which only reads.
#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "tweedie/schedule/schedule.hpp"
#include "tweedie/tensor/clamp.hpp"
#include "tweedie/tensor/quantile.hpp"

namespace tweedie {

/// A transform of x0 estimates for `sampling`. The memory for one item is kept between calls.
struct dynamic_threshold {
  double ratio = 0.995;
  double maximum = std::numeric_limits<double>::infinity();
  double minimum = 1;

  template <class S>
  void operator()(std::span<S> clean, std::size_t items, const node&) {
    const std::size_t length = items == 0 ? 0 : clean.size() / items;
    for (std::size_t i = 0; i < items && length > 0; ++i) {
      const std::span<S> item = clean.subspan(i * length, length);
      const double quantile = magnitude_quantile<S>(item, ratio, scratch(arithmetic_t<S>()));
      const double s = std::min(std::max(quantile, minimum), maximum);
      detail::clamp_block(item.data(), -s, s, minimum / s, length);
    }
  }

  std::vector<float>& scratch(float) { return floats; }
  std::vector<double>& scratch(double) { return doubles; }

  std::vector<float> floats{};
  std::vector<double> doubles{};
};

}  // namespace tweedie
