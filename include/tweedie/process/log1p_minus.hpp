// log(1 + x) - x: half of a divergence between normals of variances 1 and 1 + x, changed in sign,
//
//   KL(N(0, 1 + x) | N(0, 1)) = -(log(1 + x) - x)/2,
//
// which is x^2/4 near 0, where the difference of the two terms has no digits left.
#pragma once

#include <cmath>

#include "tweedie/requirements.hpp"

namespace tweedie {

/// log(1 + x) - x for x >= -1, to full relative accuracy also near 0; -inf at -1.
inline double log1p_minus(double x) {
  if (std::abs(x) > 0.1) return std::log1p(x) - x;
  double sum = 0;
  for (int k = 20; k >= 2; --k) sum = (k % 2 == 0 ? -1.0 : 1.0) / k + x * sum;
  return sum * x * x;
}

}  // namespace tweedie
