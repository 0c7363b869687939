// The standard normal distribution function, its logarithm and its inverse, in double.
//
//   Phi(x) = erfc(-x / sqrt 2) / 2;  for x < -5, log Phi(-a) = log phi(a) - log(a + 1/(a + 2/(a +
//   ...)))
// Relative errors are a few units of 1e-16 for |x| <= 38 and below 1e-14 beyond.
#pragma once

#include <cmath>
#include <limits>
#include <numbers>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

inline constexpr double half_log_two_pi = 0.91893853320467274178;

inline double normal_log_density(double x) { return -x * x / 2 - half_log_two_pi; }

inline double normal_cdf(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

/// log Phi(x), finite down to x = -1e154.
inline double log_normal_cdf(double x) {
  if (x > 0) return std::log1p(-std::erfc(x / std::numbers::sqrt2) / 2);
  if (x > -5) return std::log(normal_cdf(x));
  const double a = -x;
  double tail = a;
  for (int k = 60; k >= 1; --k) tail = a + k / tail;
  return normal_log_density(x) - std::log(tail);
}

/// d log Phi / dx = phi / Phi.
inline double normal_hazard(double x) {
  return std::exp(normal_log_density(x) - log_normal_cdf(x));
}

/// x with Phi(x) = p; -inf at 0 and +inf at 1.
inline double normal_quantile(double p) {
  detail::require(p >= 0 && p <= 1, "normal_quantile", "p", p, "valid: 0 <= p <= 1");
  if (p > 0.5) return -normal_quantile(1 - p);
  if (p == 0) return -std::numeric_limits<double>::infinity();
  if (p == 0.5) return 0;
  // log Phi is concave and Phi(-a) < exp(-a^2/2)/2: Newton's iteration rises to the root.
  const double target = std::log(p);
  double x = -std::sqrt(-2 * target);
  for (int i = 0; i < 50; ++i) {
    const double step = (target - log_normal_cdf(x)) / normal_hazard(x);
    x += step;
    if (std::abs(step) <= 1e-15 * std::abs(x)) break;
  }
  return x;
}

}  // namespace tweedie
