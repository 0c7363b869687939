// Dynamic thresholding of the x0 estimate (Saharia et al. 2022, section 2.3).
//
// With q the `ratio`-quantile of |x0| over one batch item and s = clamp(q, minimum, maximum),
//   x0 <- clamp(x0, -s, s) / s        (divided by s / minimum if minimum is not 1)
// so that saturated values are pulled inwards instead of piling up at the border. The quantile
// interpolates linearly between order statistics (tensor/quantile.hpp). Two passes.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <vector>

#include "tweedie/schedule/schedule.hpp"
#include "tweedie/tensor/fused_pass.hpp"
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
      S* const to = item.data();
      const S* const from = item.data();
      const std::array<double, 1> identity{1};
      const std::array<double, 2> weights{0, minimum / s};
      fused_pass<S> pass;
      pass.item_size = length;
      pass.outputs = std::span(&to, 1);
      pass.inputs = std::span(&from, 1);
      pass.weights = weights;
      pass.head = {identity, -s, s};
      apply(pass);
    }
  }

  std::vector<float>& scratch(float) { return floats; }
  std::vector<double>& scratch(double) { return doubles; }

  std::vector<float> floats{};
  std::vector<double> doubles{};
};

}  // namespace tweedie
