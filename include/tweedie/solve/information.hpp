// Log-likelihood as an integral of denoising errors, one for each point (Kong, Brekelmans and Ver Steeg
// 2023, eq. 9; the pointwise form of I-MMSE, Guo, Shamai and Verdu 2005):
//
//   log p(x) = -d/2 log(2 pi e) + 1/2 integral over g from 0 to inf of (d/(1 + g) - mmse(x, g)) dg
//   mmse(x, g) = E_z |x - D(alpha x + sigma z)|^2,   g = alpha^2/sigma^2
//
// d/(1 + g) is the error for standard normal data, whose entropy the first term is. No ODE and no
// divergence: the price is the mean over z. The exact denoiser makes it an identity; with any
// other the mean over the data is lower, by half the integral of its excess error.
//
// Against a distribution q that is known, errors of the same z are subtracted, whose noise is much the same:
//
//   log p(x) = log q(x) + 1/2 integral of E_z(|x - D_q|^2 - |x - D|^2) dg
//
// a control variate; it also takes away what the range leaves out as far as q has it. A Gaussian with mean and
// covariance of the data will do.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <concepts>
#include <numbers>

#include "tweedie/schedule/signal_noise.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {

/// Where and how finely the integral is taken. What is left out is of the order of d lowest
/// (|x|^2/d - 1) and of 1/(highest * smallest variance).
struct information_range {
  double lowest_snr = 1e-6;
  double highest_snr = 1e6;
  int levels = 200;  ///< even in log g; the trapezoidal rule
  int draws = 64;    ///< pairs z, -z at each level
  std::uint64_t seed = 1;
};

/// Estimates in nats, with their standard deviations from the draws.
struct information_likelihood {
  Eigen::VectorXd log_density;
  Eigen::VectorXd deviation;
};

namespace detail {

/// Half the integral over g of E_z of excess(level, g, alpha x + sigma z), one for each column, and its deviation.
template <class Excess>
information_likelihood half_integral_over_snr(const Eigen::MatrixXd& x,
                                              const information_range& range,
                                              const Excess& excess) {
  using Eigen::ArrayXd;
  constexpr const char* name = "log_likelihood_by_information";
  require(range.lowest_snr > 0, name, "lowest_snr", range.lowest_snr, "valid: > 0");
  require(range.highest_snr > range.lowest_snr && std::isfinite(range.highest_snr), name,
          "highest_snr", range.highest_snr, "valid: lowest_snr < highest_snr < inf");
  require(range.levels >= 2, name, "levels", range.levels, "valid: >= 2");
  require(range.draws >= 2, name, "draws", range.draws, "valid: >= 2");
  const double from = std::log(range.lowest_snr);
  const double step = std::log(range.highest_snr / range.lowest_snr) / (range.levels - 1);
  ArrayXd integral = ArrayXd::Zero(x.cols());
  ArrayXd variance = ArrayXd::Zero(x.cols());
  Eigen::MatrixXd z(x.rows(), x.cols());
  std::uint32_t draw = 0;
  for (int i = 0; i < range.levels; ++i) {
    const double snr = std::exp(from + i * step);
    const signal_noise level = variance_preserving(1 / std::sqrt(snr));
    ArrayXd sum = ArrayXd::Zero(x.cols());
    ArrayXd squares = ArrayXd::Zero(x.cols());
    for (int k = 0; k < range.draws; ++k) {
      fill_standard_normal(z, range.seed, draw++);
      ArrayXd both = ArrayXd::Zero(x.cols());
      for (const double side : {1.0, -1.0})
        both += excess(level, snr, Eigen::MatrixXd(level.alpha * x + side * level.sigma * z)) / 2;
      sum += both;
      squares += both.square();
    }
    const double n = range.draws;
    const double end = i == 0 || i == range.levels - 1 ? 0.5 : 1.0;
    const double weight = end * step * snr / 2;
    integral += weight * sum / n;
    variance += weight * weight * ((squares / n - (sum / n).square()).max)(0) / (n - 1);
  }
  return {integral.matrix(), variance.sqrt().matrix()};
}

template <class Denoiser>
Eigen::ArrayXd squared_errors(const Denoiser& denoise, signal_noise level, const Eigen::MatrixXd& x,
                              const Eigen::MatrixXd& noised) {
  const Eigen::MatrixXd clean = denoise(level, noised);
  return (x - clean).colwise().squaredNorm().transpose().array();
}

}  // namespace detail

/// log p of each column of x; denoise(level, x) = E[x0 | x] on variance-preserving levels.
/// \throws std::invalid_argument for an empty range, fewer than 2 levels or draws.
template <class Denoiser>
requires requires(const Denoiser& d, signal_noise level, const Eigen::MatrixXd& x) {
  { d(level, x) } -> std::convertible_to<Eigen::MatrixXd>;
}
information_likelihood log_likelihood_by_information(const Denoiser& denoise,
                                                     const Eigen::MatrixXd& x,
                                                     const information_range& range = {}) {
  const auto d = static_cast<double>(x.rows());
  information_likelihood out = detail::half_integral_over_snr(
      x, range,
      [&](signal_noise level, double snr, const Eigen::MatrixXd& noised) -> Eigen::ArrayXd {
        return d / (1 + snr) - detail::squared_errors(denoise, level, x, noised);
      });
  out.log_density.array() -= d / 2 * std::log(2 * std::numbers::pi * std::numbers::e);
  return out;
}

/// The same by the difference from a known distribution, as `oracle::gaussian`: exact where it is that of the data.
/// \param reference reference.denoise(level, x), and reference.log_density(level, x) with one number for each column
/// \throws std::invalid_argument as above, and what the reference throws for points it has no density at.
template <class Denoiser, class Reference>
requires requires(const Denoiser& d, const Reference& q, signal_noise level,
                  const Eigen::MatrixXd& x) {
  { d(level, x) } -> std::convertible_to<Eigen::MatrixXd>;
  { q.denoise(level, x) } -> std::convertible_to<Eigen::MatrixXd>;
  { q.log_density(level, x) } -> std::convertible_to<Eigen::VectorXd>;
}
information_likelihood log_likelihood_by_information(const Denoiser& denoise,
                                                     const Reference& reference,
                                                     const Eigen::MatrixXd& x,
                                                     const information_range& range = {}) {
  const auto of_reference = [&](signal_noise level, const Eigen::MatrixXd& at) -> Eigen::MatrixXd {
    return reference.denoise(level, at);
  };
  information_likelihood out = detail::half_integral_over_snr(
      x, range, [&](signal_noise level, double, const Eigen::MatrixXd& noised) -> Eigen::ArrayXd {
        return detail::squared_errors(of_reference, level, x, noised) -
               detail::squared_errors(denoise, level, x, noised);
      });
  out.log_density += reference.log_density(signal_noise{1, 0}, x);
  return out;
}

}  // namespace tweedie
