// Distances between two sets of points that need no model of them.
//
//   MMD^2       E k(x, x') + E k(y, y') - 2 E k(x, y)            Gretton et al. 2012, eq. 3
//               with k = (x.y/d + 1)^3 on features: KID          Binkowski et al. 2018
//   energy      2 E|x - y| - E|x - x'| - E|y - y'|               Szekely and Rizzo 2013
//   sliced W_p  mean over directions of the distance of sorted projections   Bonneel et al. 2015
//
// Columns are points, which must be finite. Cost n^2 d, for sliced distances n d per direction. Sums
// are in double, in the order of the points.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// (x.y/d + 1)^3, the kernel of KID.
struct cubic_kernel {
  template <class X, class Y>
  double operator()(const X& x, const Y& y) const {
    const double base = x.dot(y) / static_cast<double>(x.size()) + 1;
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

  template <class X, class Y>
  double operator()(const X& x, const Y& y) const {
    const double distance = (x - y).norm() / width_;
    return std::exp(-distance * distance / 2);
  }

 private:
  double width_;
};

/// Which estimate: pairs of a point with itself left out (unbiased, may be negative) or not (biased,
/// >= 0, 0 for equal sets).
enum class pair_estimate { unbiased, biased };

/// Squared maximum mean discrepancy.
template <class First, class Second, class Kernel>
double squared_mmd(const Eigen::MatrixBase<First>& first, const Eigen::MatrixBase<Second>& second,
                   const Kernel& kernel, pair_estimate estimate);

/// Energy distance, biased: >= 0, 0 for equal sets.
template <class First, class Second>
double energy_distance(const Eigen::MatrixBase<First>& first,
                       const Eigen::MatrixBase<Second>& second);

/// W_p^p between two one-dimensional samples, also of different sizes: int |F^-1 - G^-1|^p.
inline double wasserstein_power(std::vector<double> first, std::vector<double> second, double p);

/// (mean over the columns of `directions` of W_p^p of the projections)^(1/p). Directions are scaled
/// to length 1.
template <class First, class Second, class Directions>
double sliced_wasserstein(const Eigen::MatrixBase<First>& first,
                          const Eigen::MatrixBase<Second>& second,
                          const Eigen::MatrixBase<Directions>& directions, double p = 2);

namespace detail {

/// At least `least` finite points each, of one dimension.
template <class First, class Second>
void require_points(const char* function, const Eigen::MatrixBase<First>& first,
                    const Eigen::MatrixBase<Second>& second, Eigen::Index least) {
  if (first.rows() != second.rows())
    fail(function, "rows of the second", static_cast<double>(second.rows()),
         "valid: the dimension of the first, " + std::to_string(first.rows()));
  const Eigen::Index points = (std::min)(first.cols(), second.cols());
  require(points >= least, function, "points", static_cast<double>(points),
          least == 1 ? "valid: at least one" : "valid: at least two");
  if (!first.allFinite() || !second.allFinite()) fail(function, "points must be finite");
}

/// Mean of f over pairs of different points of one set, or over all pairs of two.
template <class F>
double mean_within(const Eigen::MatrixXd& x, const F& f, bool with_itself) {
  double sum = 0;
  for (Eigen::Index i = 0; i < x.cols(); ++i) {
    for (Eigen::Index j = 0; j < i; ++j) sum += 2 * f(x.col(i), x.col(j));
    if (with_itself) sum += f(x.col(i), x.col(i));
  }
  const auto n = static_cast<double>(x.cols());
  return sum / (with_itself ? n * n : n * (n - 1));
}
template <class F>
double mean_between(const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, const F& f) {
  double sum = 0;
  for (Eigen::Index i = 0; i < x.cols(); ++i)
    for (Eigen::Index j = 0; j < y.cols(); ++j) sum += f(x.col(i), y.col(j));
  return sum / (static_cast<double>(x.cols()) * static_cast<double>(y.cols()));
}

}  // namespace detail

template <class First, class Second, class Kernel>
double squared_mmd(const Eigen::MatrixBase<First>& first, const Eigen::MatrixBase<Second>& second,
                   const Kernel& kernel, pair_estimate estimate) {
  const bool biased = estimate == pair_estimate::biased;
  detail::require_points("squared_mmd", first, second, biased ? 1 : 2);
  const Eigen::MatrixXd x = first.template cast<double>(), y = second.template cast<double>();
  return detail::mean_within(x, kernel, biased) + detail::mean_within(y, kernel, biased) -
         2 * detail::mean_between(x, y, kernel);
}

template <class First, class Second>
double energy_distance(const Eigen::MatrixBase<First>& first,
                       const Eigen::MatrixBase<Second>& second) {
  detail::require_points("energy_distance", first, second, 1);
  const Eigen::MatrixXd x = first.template cast<double>(), y = second.template cast<double>();
  const auto distance = [](const auto& a, const auto& b) { return (a - b).norm(); };
  return 2 * detail::mean_between(x, y, distance) - detail::mean_within(x, distance, true) -
         detail::mean_within(y, distance, true);
}

inline double wasserstein_power(std::vector<double> first, std::vector<double> second, double p) {
  constexpr const char* name = "wasserstein_power";
  detail::require(!first.empty() && !second.empty(), name, "points", 0, "valid: at least one");
  detail::require(p >= 1 && std::isfinite(p), name, "p", p, "valid: 1 <= p < inf");
  for (const std::vector<double>* points : {&first, &second})
    for (const double x : *points)
      detail::require(std::isfinite(x), name, "point", x, "valid: finite");
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  const auto n = static_cast<double>(first.size()), m = static_cast<double>(second.size());
  double sum = 0, at = 0;
  std::size_t i = 0, j = 0;
  while (i < first.size() && j < second.size()) {
    // Both quantile functions are constant up to the nearer of their next steps.
    const double end_first = static_cast<double>(i + 1) / n;
    const double end_second = static_cast<double>(j + 1) / m;
    const double end = (std::min)(end_first, end_second);
    sum += (end - at) * std::pow(std::abs(first[i] - second[j]), p);
    at = end;
    // Compared as integers: (i + 1)/n against (j + 1)/m.
    const std::size_t a = (i + 1) * second.size(), b = (j + 1) * first.size();
    if (a <= b) ++i;
    if (b <= a) ++j;
  }
  return sum;
}

template <class First, class Second, class Directions>
double sliced_wasserstein(const Eigen::MatrixBase<First>& first,
                          const Eigen::MatrixBase<Second>& second,
                          const Eigen::MatrixBase<Directions>& directions, double p) {
  constexpr const char* name = "sliced_wasserstein";
  detail::require_points(name, first, second, 1);
  detail::require_points(name, first, directions, 1);
  const Eigen::MatrixXd x = first.template cast<double>(), y = second.template cast<double>();
  double sum = 0;
  for (Eigen::Index k = 0; k < directions.cols(); ++k) {
    const Eigen::VectorXd v = directions.col(k).template cast<double>();
    const double length = v.norm();
    detail::require(length > 0, name, "length of a direction", length, "valid: > 0");
    const Eigen::VectorXd a = x.transpose() * v / length, b = y.transpose() * v / length;
    sum += wasserstein_power({a.begin(), a.end()}, {b.begin(), b.end()}, p);
  }
  return std::pow(sum / static_cast<double>(directions.cols()), 1 / p);
}

}  // namespace tweedie
