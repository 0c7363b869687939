// Distances between two sets of points by averages over their pairs.
//
//   MMD^2       E k(x, x') + E k(y, y') - 2 E k(x, y)            Gretton et al. 2012, eq. 3
//               with k = (x.y/d + 1)^3 on features: KID          Binkowski et al. 2018
//   energy      2 E|x - y| - E|x - x'| - E|y - y'|               Szekely and Rizzo 2013
//
// Columns are points, which must be finite. Cost (n + m)^2 d in blocks, in double.
#pragma once

#include <cmath>

#include "tweedie/metric/pairs.hpp"

namespace tweedie {

/// (x.y/d + 1)^3, the kernel of KID.
struct cubic_kernel {
  double operator()(const point_pair& p) const {
    const double base = p.product / static_cast<double>(p.dimension) + 1;
    return base * base * base;
  }
};

/// exp(-|x - y|^2 / (2 width^2)).
class gaussian_kernel {
 public:
  /// \throws std::invalid_argument unless 0 < width < inf.
  explicit gaussian_kernel(double width = 1) : width_(width) {
    detail::require(width > 0 && std::isfinite(width), "gaussian_kernel", "width", width,
                    "valid: 0 < width < inf");
  }
  double operator()(const point_pair& p) const {
    const double distance = std::sqrt(p.squared_distance) / width_;
    return std::exp(-distance * distance / 2);
  }

 private:
  double width_;
};

/// Which estimate: pairs of a point with itself left out (unbiased, may be negative) or not (biased,
/// >= 0, 0 for equal sets).
enum class pair_estimate { unbiased, biased };

namespace detail {

/// Mean of f over the pairs of one set of different points, or of all, or over the pairs of two sets.
template <class F>
double mean_within(const Eigen::MatrixXd& x, const F& f, bool with_itself) {
  double sum = 0;
  visit_pairs(x, x, true, [&](auto, auto, const point_pair& p) { sum += 2 * f(p); });
  if (with_itself)
    for (Eigen::Index i = 0; i < x.cols(); ++i)
      sum += f(point_pair{x.col(i).squaredNorm(), 0, x.rows()});
  const auto n = static_cast<double>(x.cols());
  return sum / (with_itself ? n * n : n * (n - 1));
}
template <class F>
double mean_between(const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, const F& f) {
  double sum = 0;
  visit_pairs(x, y, false, [&](auto, auto, const point_pair& p) { sum += f(p); });
  return sum / (static_cast<double>(x.cols()) * static_cast<double>(y.cols()));
}

}  // namespace detail

/// Squared maximum mean discrepancy; `kernel` is a function of a point_pair.
template <class First, class Second, class Kernel>
double squared_mmd(const Eigen::MatrixBase<First>& first, const Eigen::MatrixBase<Second>& second,
                   const Kernel& kernel, pair_estimate estimate) {
  const bool biased = estimate == pair_estimate::biased;
  const Eigen::MatrixXd x = first.template cast<double>(), y = second.template cast<double>();
  detail::require_points("squared_mmd", x, y, biased ? 1 : 2);
  return detail::mean_within(x, kernel, biased) + detail::mean_within(y, kernel, biased) -
         2 * detail::mean_between(x, y, kernel);
}

/// Energy distance, biased: >= 0, 0 for equal sets.
template <class First, class Second>
double energy_distance(const Eigen::MatrixBase<First>& first,
                       const Eigen::MatrixBase<Second>& second) {
  return squared_mmd(
      first, second, [](const point_pair& p) { return -std::sqrt(p.squared_distance); },
      pair_estimate::biased);
}

}  // namespace tweedie
