// Quantile function of the Beta(a, b) distribution, for beta-spaced grids.
//
// The regularised incomplete beta function I_x(a, b) is evaluated by its continued fraction
// (Numerical Recipes, 3rd ed., eq. 6.4.5; modified Lentz), the quantile by bracketed Newton steps
// on it. Relative error of the smaller of x and 1 - x: about 1e-14.
#pragma once

#include <cmath>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

namespace detail {

// Continued fraction of I_x(a, b); converges fast for x < (a + 1)/(a + b + 2).
inline double incomplete_beta_fraction(double a, double b, double x) {
  constexpr double tiny = 1e-300;
  constexpr double precision = 1e-16;
  double c = 1;
  double d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < tiny ? tiny : d);
  double h = d;
  for (int m = 1; m < 1000; ++m) {
    for (const double term : {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                              -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))}) {
      d = 1 + term * d;
      c = 1 + term / c;
      d = 1 / (std::abs(d) < tiny ? tiny : d);
      if (std::abs(c) < tiny) c = tiny;
      h *= d * c;
    }
    if (std::abs(d * c - 1) < precision) break;
  }
  return h;
}

inline double log_beta_function(double a, double b) {
  return std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b);
}

// Quantile for u at most the distribution function at the mean, where x is the small one.
inline double lower_beta_quantile(double u, double a, double b);

}  // namespace detail

/// Regularised incomplete beta function I_x(a, b), the distribution function of Beta(a, b).
/// 0 <= x <= 1; a, b > 0.
inline double beta_distribution(double x, double a, double b) {
  detail::require(x >= 0 && x <= 1, "beta_distribution", "x", x, "valid: 0 <= x <= 1");
  if (x == 0 || x == 1) return x;
  const double front =
      std::exp(a * std::log(x) + b * std::log1p(-x) - detail::log_beta_function(a, b));
  if (x < (a + 1) / (a + b + 2)) return front * detail::incomplete_beta_fraction(a, b, x) / a;
  return 1 - front * detail::incomplete_beta_fraction(b, a, 1 - x) / b;
}

/// x with I_x(a, b) = u. 0 <= u <= 1; a, b > 0; the ends are exact.
inline double beta_quantile(double u, double a, double b) {
  detail::require(u >= 0 && u <= 1, "beta_quantile", "u", u, "valid: 0 <= u <= 1");
  detail::require(a > 0 && std::isfinite(a), "beta_quantile", "a", a, "valid: 0 < a < inf");
  detail::require(b > 0 && std::isfinite(b), "beta_quantile", "b", b, "valid: 0 < b < inf");
  if (u == 0 || u == 1) return u;
  const double middle = beta_distribution(a / (a + b), a, b);
  return u <= middle ? detail::lower_beta_quantile(u, a, b)
                     : 1 - detail::lower_beta_quantile(1 - u, b, a);
}

namespace detail {

inline double lower_beta_quantile(double u, double a, double b) {
  const double log_norm = log_beta_function(a, b);
  // Newton on log I as a function of log x, which is nearly linear for small x.
  double low = std::log(1e-300);
  double high = std::log(a / (a + b)) + 1e-9;
  double y = std::fmin((std::log(u) + std::log(a) + log_norm) / a, high);
  for (int i = 0; i < 200; ++i) {
    const double x = std::exp(y);
    const double p = beta_distribution(x, a, b);
    const double error = std::log(p / u);
    (error > 0 ? high : low) = y;
    const double slope = std::exp(a * y + (b - 1) * std::log1p(-x) - log_norm) / p;
    double next = y - error / slope;
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (std::abs(next - y) < 1e-16 * std::abs(y) + 1e-17) break;
    y = next;
  }
  return std::exp(y);
}

}  // namespace detail

}  // namespace tweedie
