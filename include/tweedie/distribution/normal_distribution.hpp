// The standard normal distribution function, its logarithm and its inverse, in double.
//
//   Phi(x) = erfc(-x / sqrt 2) / 2
//   phi(x)/Phi(x) = a + 1/(a + 2/(a + 3/(a + ...))),   a = -x, used for x < -5
//
// The relative error of Phi below -1 and of log Phi and phi/Phi above 1 is up to x^2 units of 1e-16,
// which is what rounding x does to them; elsewhere, and that of the quantile, a few units.
#pragma once

#include <cmath>
#include <limits>
#include <numbers>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// log(2 pi)/2.
inline constexpr double half_log_two_pi = 0.91893853320467274178;

/// log phi(x).
inline double normal_log_density(double x) { return -x * x / 2 - half_log_two_pi; }

/// Phi(x).
inline double normal_cdf(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

/// d log Phi / dx = phi / Phi.
inline double normal_hazard(double x) {
  if (x > -5) return std::exp(normal_log_density(x)) / normal_cdf(x);
  double tail = -x;
  for (int k = 60; k >= 1; --k) tail = k / tail - x;
  return tail;
}

/// log Phi(x), finite down to x = -1e154, where `hazard` = normal_hazard(x) is known already.
inline double log_normal_cdf(double x, double hazard) {
  if (x > 0) return std::log1p(-std::erfc(x / std::numbers::sqrt2) / 2);
  if (x > -5) return std::log(normal_cdf(x));
  return normal_log_density(x) - std::log(hazard);
}

inline double log_normal_cdf(double x) { return log_normal_cdf(x, x > -5 ? 0 : normal_hazard(x)); }

/// Mean and standard deviation of |z| for z ~ N(0, I) in d dimensions.
struct normal_length {
  double mean = 0;
  double deviation = 0;
};

/// mean = sqrt(2) Gamma((d + 1)/2)/Gamma(d/2), variance d - mean^2. Coordinates are near 0, points are not: all
/// lie near a sphere of radius sqrt(d), within a deviation that tends to sqrt(1/2). In 3072 dimensions, a
/// picture of 32 x 32, lengths are 55.42 and 0.71 off.
/// \throws std::invalid_argument unless 1 <= d < inf.
inline normal_length length_of_normals(double d) {
  detail::require(d >= 1 && std::isfinite(d), "length_of_normals", "d", d, "valid: 1 <= d < inf");
  if (d > 300) {  // the difference of large numbers by its series in 1/d
    const double variance = 0.5 - (1 + (0.5 - 5 / (16 * d)) / d) / (8 * d);
    return {std::sqrt(d - variance), std::sqrt(variance)};
  }
  const double mean = std::numbers::sqrt2 * std::exp(std::lgamma((d + 1) / 2) - std::lgamma(d / 2));
  return {mean, std::sqrt(d - mean * mean)};
}

/// x with Phi(x) = p; -inf at 0 and +inf at 1.
inline double normal_quantile(double p) {
  detail::require(p >= 0 && p <= 1, "normal_quantile", "p", p, "valid: 0 <= p <= 1");
  if (p > 0.5) return -normal_quantile(1 - p);
  if (p == 0) return -std::numeric_limits<double>::infinity();
  // Newton's iteration, from one side: for log Phi, which is concave, from below, as Phi(-a) <
  // exp(-a^2/2)/2; near 1/2, where log Phi - log p would lose digits, from 0 for Phi - 1/2, convex
  // below 0.
  const bool central = p > 0.25;
  const double target = central ? p - 0.5 : std::log(p);
  double x = central ? 0 : -std::sqrt(-2 * target);
  for (int i = 0; i < 50; ++i) {
    const double step =
        central ? (target - std::erf(x / std::numbers::sqrt2) / 2) / std::exp(normal_log_density(x))
                : (target - log_normal_cdf(x)) / normal_hazard(x);
    x += step;
    if (std::abs(step) <= 1e-15 * std::abs(x)) break;
  }
  return x;
}

}  // namespace tweedie
