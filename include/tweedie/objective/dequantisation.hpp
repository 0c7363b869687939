// Likelihood of data in bins, such as pixels of 256 values, from a density.
//
//   P(x) = integral of p(x + u) over the bin >= exp(E_u log p(x + u)) width^d,  u uniform in the bin
//
// (Theis, van den Oord and Bethge 2016, section 3.1): the density of data to which uniform noise was added
// bounds the probability of the bins from below. It is the variational bound E_r[log p(x + u) - log r(u)]
// whose r is uniform (Ho et al. 2019, eq. 12), the gap the divergence of r from p(. | bin); several draws
// in one logarithm narrow it, as an importance bound.
//
// Bits per dimension are -log2 P(x)/d, of the data as they are counted: the width is that of a bin in the
// scale that p sees, 2/255 for pixels mapped to [-1, 1], which adds log2(127.5) to -log2 p/d.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <concepts>
#include <span>

#include "tweedie/objective/vae.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {

/// x + width u with u uniform in [-1/2, 1/2): bins are centred on their values. Keyed by (seed, column,
/// draw, row).
/// \throws std::invalid_argument unless 0 < width < inf.
inline Eigen::MatrixXd dequantised(const Eigen::MatrixXd& x, double width, std::uint64_t seed,
                                   std::uint32_t draw = 0) {
  detail::require(width > 0 && std::isfinite(width), "dequantised", "width", width,
                  "valid: 0 < width < inf");
  Eigen::MatrixXd u(x.rows(), x.cols());
  fill_standard_uniform(u, seed, draw);
  return x.array() + width * (u.array() - 0.5);
}

/// Lower bounds of log P of each column, in nats.
struct binned_likelihood {
  Eigen::VectorXd variational;  ///< mean over the draws of log p(x + u) + d log width
  Eigen::VectorXd deviation;    ///< standard error of that mean
  Eigen::VectorXd importance;   ///< all draws in one logarithm: never below `variational`
};

/// log_density(columns) is log p in nats of each column, exact or by any estimate without bias.
/// \throws std::invalid_argument as `dequantised`, and for fewer than 2 draws.
template <class LogDensity>
requires requires(const LogDensity& p, const Eigen::MatrixXd& x) {
  { p(x) } -> std::convertible_to<Eigen::VectorXd>;
}
binned_likelihood log_probability_of_bins(const LogDensity& log_density, const Eigen::MatrixXd& x,
                                          double width, int draws, std::uint64_t seed) {
  constexpr const char* name = "log_probability_of_bins";
  detail::require(draws >= 2, name, "draws", draws, "valid: at least 2");
  Eigen::MatrixXd values(draws, x.cols());
  for (int k = 0; k < draws; ++k) {
    const Eigen::VectorXd now =
        log_density(dequantised(x, width, seed, static_cast<std::uint32_t>(k)));
    detail::require_equal(name, "log densities", static_cast<std::size_t>(now.size()),
                          static_cast<std::size_t>(x.cols()));
    values.row(k) = now.transpose();
  }
  const double volume = static_cast<double>(x.rows()) * std::log(width);
  binned_likelihood out;
  out.variational = values.colwise().mean().transpose().array() + volume;
  const Eigen::ArrayXXd off = values.rowwise() - values.colwise().mean();
  out.deviation = (off.square().colwise().sum() / (static_cast<double>(draws) * (draws - 1)))
                      .sqrt()
                      .transpose();
  out.importance.resize(x.cols());
  for (Eigen::Index i = 0; i < x.cols(); ++i) {
    const Eigen::VectorXd column = values.col(i);
    out.importance[i] =
        importance_bound(std::span(column.data(), static_cast<std::size_t>(column.size()))) +
        volume;
  }
  return out;
}

}  // namespace tweedie
