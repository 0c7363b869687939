// Log-likelihood by the probability-flow ODE (Song et al. 2021, eq. 39; Chen et al. 2018):
//
//   log p_0(x_0) = log p_T(x_T) + integral of div f along the trajectory from x_0 to x_T
//
// in the gauge alpha = 1 with the noise level u as time: f(x, u) = (x - D(x, u))/u, so that
// div f = (d - tr dD/dx)/u, and the prior is N(0, u_max^2 I). The result is the density of the data
// with noise of level u_min, in nats per item.
//
// tr dD/dx is exact where an oracle knows it, or estimated without bias by v^T (dD/dx) v with
// random v of unit covariance (Hutchinson 1989), one v for the whole trajectory; signs (Rademacher)
// have the smaller variance, 2 (|J|_F^2 - sum_i J_ii^2) for symmetric J. With a Gaussian q near the data
// only the difference of the two Jacobians is probed,
//
//   tr J = tr J_q + E v^T (J - J_q) v,   tr J_q = sum_i s_i^2/(s_i^2 + u^2)
//
// a control variate: exact for Gaussian data. Of data far from any Gaussian the difference may vary more than the
// whole, which deviations tell.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <numbers>
#include <utility>

#include "tweedie/schedule/signal_noise.hpp"
#include "tweedie/solve/ode.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {

/// Noise levels between which the trajectory runs.
struct likelihood_range {
  double lowest = 0.01;
  double highest = 80;
  ode_tolerance allowed{1e-7, 1e-7};
};

/// Log densities and where each item ends, one column an item.
struct flow_likelihood {
  Eigen::VectorXd log_density;
  Eigen::MatrixXd latent;
  std::size_t evaluations = 0;
};

/// D(x, u) and tr dD/dx of each column.
struct denoised_with_trace {
  Eigen::MatrixXd clean;
  Eigen::VectorXd trace;
};

/// Log-likelihood of each column of x. `denoise(x, u)` returns denoised_with_trace.
/// \throws std::invalid_argument for levels out of order, or answers of another size than x;
///   std::domain_error as `integrate`.
template <class Denoiser>
requires requires(const Denoiser& d, const Eigen::MatrixXd& x) {
  { d(x, 1.0) } -> std::convertible_to<denoised_with_trace>;
}
flow_likelihood log_likelihood(const Denoiser& denoise, const Eigen::MatrixXd& x,
                               const likelihood_range& range = {}) {
  constexpr const char* name = "log_likelihood";
  detail::require(range.lowest > 0, name, "lowest", range.lowest, "valid: lowest > 0");
  detail::require(range.highest > range.lowest && std::isfinite(range.highest), name, "highest",
                  range.highest, "valid: lowest < highest < inf");
  const Eigen::Index d = x.rows();
  const Eigen::Index n = x.cols();
  Eigen::VectorXd state(d * n + n);
  state.head(d * n) = x.reshaped();
  state.tail(n).setZero();

  const auto rate = [&](double u, const Eigen::VectorXd& y) {
    const Eigen::MatrixXd at = y.head(d * n).reshaped(d, n);
    const denoised_with_trace e = denoise(at, u);
    detail::require_equal(name, "rows of the denoised", static_cast<std::size_t>(e.clean.rows()),
                          static_cast<std::size_t>(d));
    detail::require_equal(name, "columns of the denoised", static_cast<std::size_t>(e.clean.cols()),
                          static_cast<std::size_t>(n));
    detail::require_equal(name, "traces", static_cast<std::size_t>(e.trace.size()),
                          static_cast<std::size_t>(n));
    Eigen::VectorXd out(d * n + n);
    out.head(d * n) = ((at - e.clean) / u).reshaped();
    out.tail(n) = ((static_cast<double>(d) - e.trace.array()) / u).matrix();
    return out;
  };
  const auto norm = [&](const Eigen::VectorXd& v) {
    return (std::max)(root_mean_square(v.head(d * n)), root_mean_square(v.tail(n)));
  };
  const ode_result end = integrate(rate, state, range.lowest, range.highest, range.allowed, norm);

  flow_likelihood out;
  out.evaluations = end.evaluations;
  out.latent = end.state.head(d * n).reshaped(d, n);
  const double log_scale = std::log(range.highest) + std::log(2 * std::numbers::pi) / 2;
  out.log_density = (end.state.tail(n).array() -
                     out.latent.colwise().squaredNorm().transpose().array() /
                         (2 * range.highest * range.highest) -
                     static_cast<double>(d) * log_scale)
                        .matrix();
  return out;
}

/// Hutchinson's estimate for a denoiser whose Jacobian-vector products are known: `clean(x, u)` is
/// D, `product(x, u, v)` is (dD/dx) v, column by column; v holds one probe a column.
template <class Clean, class Product>
auto hutchinson_trace(Clean clean, Product product, Eigen::MatrixXd probes) {
  return [clean = std::move(clean), product = std::move(product), v = std::move(probes)](
             const Eigen::MatrixXd& x, double u) {
    constexpr const char* name = "hutchinson_trace";
    detail::require_equal(name, "rows of the probes", static_cast<std::size_t>(v.rows()),
                          static_cast<std::size_t>(x.rows()));
    detail::require_equal(name, "columns of the probes", static_cast<std::size_t>(v.cols()),
                          static_cast<std::size_t>(x.cols()));
    denoised_with_trace e;
    e.clean = clean(x, u);
    e.trace = v.cwiseProduct(product(x, u, v)).colwise().sum().transpose();
    return e;
  };
}

/// The same by the difference from a Gaussian, as `oracle::gaussian` with mean and covariance of the data.
/// \param reference reference.denoise(level, x), affine, and reference.variances(), along its principal axes
template <class Clean, class Product, class Reference>
requires requires(const Reference& q, const Eigen::MatrixXd& x) {
  { q.denoise(signal_noise{}, x) } -> std::convertible_to<Eigen::MatrixXd>;
  { q.variances().sum() } -> std::convertible_to<double>;
}
auto hutchinson_trace(Clean clean, Product product, Reference reference, Eigen::MatrixXd probes) {
  const auto rest = [product = std::move(product), reference](
                        const Eigen::MatrixXd& x, double u,
                        const Eigen::MatrixXd& v) -> Eigen::MatrixXd {
    const Eigen::MatrixXd of_reference =
        reference.denoise(signal_noise{1, u}, v) -
        reference.denoise(signal_noise{1, u}, Eigen::MatrixXd(0 * v));
    return product(x, u, v) - of_reference;
  };
  return [reference = std::move(reference),
          difference = hutchinson_trace(std::move(clean), rest, std::move(probes))](
             const Eigen::MatrixXd& x, double u) {
    denoised_with_trace e = difference(x, u);
    double known = 0;
    for (const double s : reference.variances()) known += s / (s + u * u);
    e.trace.array() += known;
    return e;
  };
}

/// The exact trace, along one axis after the other: d products a call, for small d.
template <class Clean, class Product>
auto trace_by_axes(Clean clean, Product product) {
  return
      [clean = std::move(clean), product = std::move(product)](const Eigen::MatrixXd& x, double u) {
        denoised_with_trace e;
        e.clean = clean(x, u);
        e.trace = Eigen::VectorXd::Zero(x.cols());
        Eigen::MatrixXd axis = Eigen::MatrixXd::Zero(x.rows(), x.cols());
        for (Eigen::Index i = 0; i < x.rows(); ++i) {
          axis.row(i).setOnes();
          const Eigen::MatrixXd along = product(x, u, axis);
          e.trace += along.row(i).transpose();
          axis.row(i).setZero();
        }
        return e;
      };
}

/// Estimates over several probes, in nats, one a column of x.
struct probed_likelihood {
  Eigen::VectorXd log_density;  ///< mean over the probes, without bias
  Eigen::VectorXd deviation;    ///< standard error of that mean
  std::size_t evaluations = 0;  ///< of all probes at once, in batches of probes * columns
};

namespace detail {

/// Means over `probes` random signs an item; trace_of(signs) is the denoiser that these probe.
template <class TraceOf>
probed_likelihood mean_over_probes(const TraceOf& trace_of, const Eigen::MatrixXd& x, int probes,
                                   std::uint64_t seed, const likelihood_range& range) {
  require(probes >= 2, "log_likelihood_by_probes", "probes", probes, "valid: at least 2");
  Eigen::MatrixXd signs(x.rows(), x.cols() * probes);
  fill_standard_uniform(signs, seed);
  signs = signs.unaryExpr([](double u) { return u < 0.5 ? -1.0 : 1.0; });
  const flow_likelihood all =
      log_likelihood(trace_of(std::move(signs)), x.replicate(1, probes), range);
  const Eigen::ArrayXXd found = all.log_density.reshaped(x.cols(), probes);
  const Eigen::ArrayXd mean = found.rowwise().mean();
  const double pairs = static_cast<double>(probes) * (probes - 1);
  return {mean.matrix(),
          ((found.colwise() - mean).square().rowwise().sum() / pairs).sqrt().matrix(),
          all.evaluations};
}

}  // namespace detail

/// Log-likelihood with `probes` random signs an item, each kept along its trajectory.
/// \throws std::invalid_argument for fewer than 2 probes, and as `log_likelihood`.
template <class Clean, class Product>
probed_likelihood log_likelihood_by_probes(const Clean& clean, const Product& product,
                                           const Eigen::MatrixXd& x, int probes, std::uint64_t seed,
                                           const likelihood_range& range = {}) {
  return detail::mean_over_probes(
      [&](Eigen::MatrixXd signs) { return hutchinson_trace(clean, product, std::move(signs)); }, x,
      probes, seed, range);
}

/// The same by the difference from a Gaussian, as in `hutchinson_trace`.
/// \throws as above.
template <class Clean, class Product, class Reference>
probed_likelihood log_likelihood_by_probes(const Clean& clean, const Product& product,
                                           const Reference& reference, const Eigen::MatrixXd& x,
                                           int probes, std::uint64_t seed,
                                           const likelihood_range& range = {}) {
  return detail::mean_over_probes(
      [&](Eigen::MatrixXd signs) {
        return hutchinson_trace(clean, product, reference, std::move(signs));
      },
      x, probes, seed, range);
}

/// (dD/dx) v by central differences, with a step relative to the size of x: two more evaluations,
/// about ten digits.
template <class Clean>
auto central_difference_product(Clean clean) {
  return [clean = std::move(clean)](const Eigen::MatrixXd& x, double u, const Eigen::MatrixXd& v) {
    const double h =
        6e-6 * (1 + x.cwiseAbs().maxCoeff()) / (std::max)(1.0, v.cwiseAbs().maxCoeff());
    const Eigen::MatrixXd up = clean(x + h * v, u);
    const Eigen::MatrixXd down = clean(x - h * v, u);
    return Eigen::MatrixXd((up - down) / (2 * h));
  };
}

}  // namespace tweedie
