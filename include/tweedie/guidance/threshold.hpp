// Dynamic thresholding of the x0 estimate (Saharia et al. 2022, section 2.3).
//
// With q the `ratio`-quantile of |x0| over one batch item and s = clamp(q, minimum, maximum),
//   x0 <- clamp(x0, -s, s) / s        (divided by s / minimum if minimum is not 1)
// so that saturated values are pulled inwards instead of piling up at the border. The quantile
// interpolates linearly between order statistics.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// Quantile of `values`, which are reordered: linear between order statistics, ratio in [0, 1].
inline double quantile_of(std::span<double> values, double ratio) {
  detail::require(!values.empty(), "quantile_of", "values", 0, "valid: at least one value");
  detail::require(ratio >= 0 && ratio <= 1, "quantile_of", "ratio", ratio,
                  "valid: 0 <= ratio <= 1");
  const double rank = ratio * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::ptrdiff_t>(rank);
  const auto middle = values.begin() + low;
  std::nth_element(values.begin(), middle, values.end());
  const double fraction = rank - static_cast<double>(low);
  if (fraction == 0) return *middle;
  return *middle + fraction * (*std::min_element(middle + 1, values.end()) - *middle);
}

/// A transform of x0 estimates for `sampling`. The memory for one item is kept between calls.
struct dynamic_threshold {
  double ratio = 0.995;
  double maximum = std::numeric_limits<double>::infinity();
  double minimum = 1;

  template <class S>
  void operator()(std::span<S> clean, std::size_t items, const node&) {
    const std::size_t length = items == 0 ? 0 : clean.size() / items;
    sizes.resize(length);
    for (std::size_t i = 0; i < items && length > 0; ++i) {
      const std::span<S> item = clean.subspan(i * length, length);
      std::transform(item.begin(), item.end(), sizes.begin(),
                     [](S v) { return std::abs(static_cast<double>(v)); });
      const double s = std::min(std::max(quantile_of(sizes, ratio), minimum), maximum);
      for (S& v : item) v = static_cast<S>(std::clamp(static_cast<double>(v), -s, s) * minimum / s);
    }
  }

  std::vector<double> sizes{};
};

}  // namespace tweedie
