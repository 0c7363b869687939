// Derivatives by forward-mode automatic differentiation and by central differences.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <unsupported/Eigen/AutoDiff>

namespace tweedie_test {

using differentiated = Eigen::AutoDiffScalar<Eigen::Matrix<double, 1, 1>>;

inline differentiated variable(double x) { return {x, 1, 0}; }

/// The number without its derivative.
inline double plain(double x) { return x; }
inline double plain(const differentiated& x) { return x.value(); }

template <class F>
double forward_mode(const F& f, double x) {
  const differentiated y = f(variable(x));
  return y.derivatives()[0];
}

template <class F>
double central_difference(const F& f, double x, double h) {
  return (f(x + h) - f(x - h)) / (2 * h);
}

/// An index of Eigen as one of the standard library.
inline std::size_t nth(Eigen::Index i) { return static_cast<std::size_t>(i); }

/// |a - b| relative to the larger of 1 and |b|.
inline double relative_error(double a, double b) {
  return std::abs(a - b) / std::max(1.0, std::abs(b));
}

}  // namespace tweedie_test
