// Distances between two sets of points by averages over their pairs.
//
//   MMD^2       E k(x, x') + E k(y, y') - 2 E k(x, y)            Gretton et al. 2012, eq. 3
//               with k = (x.y/d + 1)^3 on features: KID          Binkowski et al. 2018
//   energy      2 E|x - y| - E|x - x'| - E|y - y'|               Szekely and Rizzo 2013
//
// Columns are points, which must be finite. Cost (n + m)^2 d in blocks, in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/metric/pairs.hpp"
#include "tweedie/tensor/normal.hpp"

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

/// Mean and standard deviation of estimates from subsets.
struct subset_estimate {
  double mean = 0;
  double deviation = 0;  ///< of one subset's estimate; that of the mean is smaller by sqrt(subsets)
};

/// KID as published: squared_mmd, unbiased, over `subsets` pairs of random subsets of `size` points of each set,
/// drawn without repetition, subset by subset anew (Binkowski et al. 2018, section 4: 100 subsets of 1000).
/// \throws std::invalid_argument unless 2 <= size <= points of each set and subsets >= 2.
template <class First, class Second, class Kernel>
subset_estimate squared_mmd_of_subsets(const Eigen::MatrixBase<First>& first,
                                       const Eigen::MatrixBase<Second>& second,
                                       const Kernel& kernel, int subsets, Eigen::Index size,
                                       std::uint64_t seed) {
  constexpr const char* name = "squared_mmd_of_subsets";
  const Eigen::MatrixXd x = first.template cast<double>(), y = second.template cast<double>();
  detail::require_points(name, x, y, 2);
  detail::require(subsets >= 2, name, "subsets", subsets, "valid: >= 2");
  detail::require(size >= 2 && size <= (std::min)(x.cols(), y.cols()), name, "size",
                  static_cast<double>(size), "valid: 2 <= size <= points of each set");
  // The first `size` places of a shuffle (Fisher and Yates) by numbers of (seed, draw).
  const auto picked = [&](const Eigen::MatrixXd& points, std::uint32_t draw) {
    std::vector<Eigen::Index> order(static_cast<std::size_t>(points.cols()));
    std::iota(order.begin(), order.end(), Eigen::Index{0});
    std::vector<double> uniforms(static_cast<std::size_t>(size));
    fill_uniform(noise_key{seed, draw, 0}, 0, std::span(uniforms));
    for (std::size_t i = 0; i < uniforms.size(); ++i) {
      const auto left = static_cast<double>(order.size() - i);
      std::swap(order[i], order[i + static_cast<std::size_t>(uniforms[i] * left)]);
    }
    Eigen::MatrixXd out(points.rows(), size);
    for (Eigen::Index i = 0; i < size; ++i)
      out.col(i) = points.col(order[static_cast<std::size_t>(i)]);
    return out;
  };
  double sum = 0, squares = 0;
  for (int k = 0; k < subsets; ++k) {
    const auto draw = 2 * static_cast<std::uint32_t>(k);
    const double estimate =
        squared_mmd(picked(x, draw), picked(y, draw + 1), kernel, pair_estimate::unbiased);
    sum += estimate;
    squares += estimate * estimate;
  }
  const double mean = sum / subsets;
  return {mean, std::sqrt((std::max)(0.0, squares - sum * mean) / (subsets - 1))};
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
