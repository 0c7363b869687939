// Likelihood of a reverse chain, path by path: with the levels 0 (noisy) ... n (clean data),
//
//   w = log p(x_0) + sum_k log p(x_k | x_(k-1)) - log q(x_0 ... x_(n-1) | x_n)
//   p(x_k | x_(k-1)) = N(posterior mean at the denoised x_(k-1), variance I),  p(x_0) = N(0, sigma^2 I)
//
// for paths drawn from the forward process. The mean of w is the ELBO (Ho et al. 2020, eq. 3), the log of
// the mean of e^w over K paths rises with K from the ELBO to log p(x) of the chain (`importance_bound`,
// Burda et al. 2016). Where the reverse kernels are those of the data, every w is log p(x): no variance.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <concepts>
#include <span>
#include <vector>

#include "tweedie/process/forward.hpp"
#include "tweedie/process/reverse.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {

/// w in nats, one row a path, one column an item (a column of x).
/// \param denoise   denoise(level, x) = E[x0 | x], for each column
/// \param levels    from noisy to clean; the last is (1, 0), the data
/// \param variance  variance(from, to) > 0 of each reverse kernel, isotropic
/// \param seed      of the paths' noise
/// \throws std::invalid_argument for fewer than two levels, a last one that is not (1, 0), fewer than
///   one path, or a variance that is not positive.
template <class Denoiser, class Variance>
requires requires(const Denoiser& d, const Variance& v, signal_noise level,
                  const Eigen::MatrixXd& x) {
  { d(level, x) } -> std::convertible_to<Eigen::MatrixXd>;
  { v(level, level) } -> std::convertible_to<double>;
}
Eigen::MatrixXd chain_log_weights(const Denoiser& denoise, const Eigen::MatrixXd& x,
                                  std::span<const signal_noise> levels, const Variance& variance,
                                  int paths, std::uint64_t seed) {
  using Eigen::Index;
  using Eigen::MatrixXd;
  constexpr const char* name = "chain_log_weights";
  detail::require(levels.size() >= 2, name, "levels", static_cast<double>(levels.size()),
                  "valid: at least two");
  detail::require(levels.back().alpha == 1 && levels.back().sigma == 0, name,
                  "sigma of the last level", levels.back().sigma, "valid: the data, (1, 0)");
  detail::require(paths >= 1, name, "paths", paths, "valid: at least one");
  const auto d = static_cast<double>(x.rows());
  const auto add = [d](Eigen::RowVectorXd& sum, const MatrixXd& off, double v, double sign) {
    for (Index i = 0; i < off.cols(); ++i)
      sum[i] += sign * isotropic_log_density(off.col(i).squaredNorm(), v, d);
  };
  MatrixXd out(paths, x.cols());
  MatrixXd z(x.rows(), x.cols());
  std::uint32_t draw = 0;
  for (int path = 0; path < paths; ++path) {
    Eigen::RowVectorXd w = Eigen::RowVectorXd::Zero(x.cols());
    const auto [alpha, sigma] = levels.front();
    fill_standard_normal(z, seed, draw++);
    MatrixXd now = alpha * x + sigma * z;
    add(w, now, sigma * sigma, 1);
    add(w, sigma * z, sigma * sigma, -1);
    for (std::size_t k = 0; k + 1 < levels.size(); ++k) {
      const posterior_weights q = posterior(levels[k], levels[k + 1]);
      const MatrixXd mean = q.clean * denoise(levels[k], now) + q.state * now;
      MatrixXd next = q.clean * x + q.state * now;
      if (q.variance > 0) {
        fill_standard_normal(z, seed, draw++);
        next += std::sqrt(q.variance) * z;
        add(w, std::sqrt(q.variance) * z, q.variance, -1);
      }
      const double v = variance(levels[k], levels[k + 1]);
      detail::require(v > 0, name, "variance of a reverse kernel", v, "valid: > 0");
      add(w, next - mean, v, 1);
      now = next;
    }
    out.row(path) = w;
  }
  return out;
}

}  // namespace tweedie
