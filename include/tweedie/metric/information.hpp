// Mutual information, and what noise does to the entropy of data that are known exactly.
//
//   I(a; b)     = KL(p(a, b) || p(a) p(b))
//   x           = alpha x0 + sigma z,  snr = alpha^2/sigma^2,  d dimensions
//   I(x0; x)    = h(x) - h(sigma z)                                          h differential entropy
//   dI/dsnr     = E tr Cov[x0 | x] / 2      I-MMSE                  Guo, Shamai and Verdu 2005, eq. 1
//   dh/dsigma^2 = E|score(x)|^2 / 2         de Bruijn, alpha fixed  Stam 1959, eq. 2.9
//   sigma^2 E|score|^2 + snr E tr Cov[x0 | x] = d                   ties both (Tweedie)
//
// In nats. From the denoising errors of a network the first law is an integral: I up to an SNR is
// `continuous_diffusion_bound` (objective/diffusion_bound.hpp) from log SNR = -inf to there.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "tweedie/distribution/normal_distribution.hpp"
#include "tweedie/metric/divergence.hpp"
#include "tweedie/oracle/distribution.hpp"
#include "tweedie/solve/noise.hpp"

namespace tweedie {

/// Of two discrete variables from their joint probabilities p(a, b), one row for each a; 0 if and only if they are
/// independent, at most the entropy of either.
/// \throws std::invalid_argument unless probabilities are >= 0 and sum to 1 within 1e-9.
inline double mutual_information(const Eigen::MatrixXd& joint) {
  constexpr const char* name = "mutual_information";
  for (const double p : joint.reshaped())
    detail::require(p >= 0, name, "p", p, "valid: probabilities >= 0");
  detail::require(std::abs(joint.sum() - 1) <= 1e-9, name, "sum of the probabilities", joint.sum(),
                  "valid: 1");
  const Eigen::VectorXd a = joint.rowwise().sum(), b = joint.colwise().sum();
  double sum = 0;
  for (Eigen::Index i = 0; i < joint.rows(); ++i)
    for (Eigen::Index j = 0; j < joint.cols(); ++j)
      sum += detail::divergence_share(joint(i, j), a[i] * b[j]);
  return sum;
}

/// Of the first `first` coordinates of a Gaussian with the others: 1/2 log(det S_aa det S_bb / det S). +inf if one
/// determines a direction of the other.
/// \throws std::invalid_argument unless the covariance is square, finite and positive semidefinite with positive
///   variances, and 0 <= first <= dimension.
template <class Derived>
double gaussian_mutual_information(const Eigen::MatrixBase<Derived>& covariance,
                                   Eigen::Index first) {
  using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;
  constexpr const char* name = "gaussian_mutual_information";
  const Eigen::Index d = covariance.rows();
  detail::require(covariance.cols() == d, name, "columns of the covariance",
                  static_cast<double>(covariance.cols()), "valid: as many as rows");
  detail::require(first >= 0 && first <= d, name, "first", static_cast<double>(first),
                  "valid: 0 <= first <= dimension");
  if (!covariance.allFinite()) detail::fail(name, "the covariance must be finite");
  for (const double v : covariance.diagonal())
    detail::require(v > 0, name, "variance", v, "valid: > 0");
  const auto log_determinant = [&](const matrix& correlation) {
    const Eigen::LDLT<matrix> factors(correlation);
    double sum = 0;
    for (const double v : factors.vectorD()) {
      detail::require(v > -1e-12, name, "pivot of the correlation", v,
                      "valid: a positive semidefinite covariance");
      sum += std::log((std::max)(v, 0.0));
    }
    return sum;
  };
  const Eigen::VectorXd scale = covariance.diagonal().cwiseSqrt().cwiseInverse();
  const matrix r = scale.asDiagonal() * covariance * scale.asDiagonal();
  const double parts = log_determinant(r.topLeftCorner(first, first)) +
                       log_determinant(r.bottomRightCorner(d - first, d - first));
  if (!std::isfinite(parts))
    detail::fail(name, "either part is degenerate by itself; valid: parts with a density");
  return (parts - log_determinant(r)) / 2;
}

/// An average, with its standard error: 0 for what was integrated.
struct average {
  double value = 0;
  double error = 0;
};

/// What data and noise have in common at a level.
struct noised_information {
  average entropy;             ///< h(x) = -E log p(x)
  average mutual_information;  ///< I(x0; x), which rises from 0 at alpha = 0
  average denoising_error;     ///< E|x0 - E[x0|x]|^2 = E tr Cov[x0|x]
  average fisher_information;  ///< E|score(x)|^2
};

/// By `count` samples of data and noise. The entropy of the noise in I is drawn with the same noise, so that the error
/// falls with I.
/// \throws std::invalid_argument for fewer than 2 samples, or unless 0 < sigma < inf.
template <oracle::distribution Data>
noised_information information_of_noised(const Data& data, signal_noise level, Eigen::Index count,
                                         std::uint64_t seed) {
  constexpr const char* name = "information_of_noised";
  detail::require(count >= 2, name, "count", static_cast<double>(count), "valid: at least 2");
  detail::require(level.sigma > 0 && std::isfinite(level.sigma), name, "sigma", level.sigma,
                  "valid: 0 < sigma < inf");
  Eigen::MatrixXd z(data.dimension(), count);
  fill_standard_normal(z, seed);
  const Eigen::MatrixXd clean = data.sample(count, oracle::sample_key{seed});
  const Eigen::MatrixXd x = level.alpha * clean + level.sigma * z;
  const auto mean_of = [&](const Eigen::ArrayXd& values) -> average {
    const double mean = values.mean();
    const auto n = static_cast<double>(count);
    return {mean, std::sqrt((values - mean).square().sum() / (n - 1) / n)};
  };
  const Eigen::ArrayXd surprise = -oracle::log_density(data, level, x).array();
  const double scale =
      static_cast<double>(data.dimension()) * (half_log_two_pi + std::log(level.sigma));
  const Eigen::ArrayXd of_noise = z.colwise().squaredNorm().transpose().array() / 2 + scale;
  return {mean_of(surprise), mean_of(surprise - of_noise),
          mean_of((clean - data.denoise(level, x)).colwise().squaredNorm().transpose()),
          mean_of(data.score(level, x).colwise().squaredNorm().transpose())};
}

/// Of data on the line, by the trapezoidal rule over x in [low, high], which should hold all of alpha x0 + sigma z.
/// \throws std::invalid_argument for data of another dimension, unless 0 < sigma < inf, and as `entropy`.
template <oracle::distribution Data>
noised_information information_on_the_line(const Data& data, signal_noise level, double low,
                                           double high, int points = 4001) {
  constexpr const char* name = "information_on_the_line";
  detail::require(data.dimension() == 1, name, "dimension", static_cast<double>(data.dimension()),
                  "valid: 1");
  detail::require(level.sigma > 0 && std::isfinite(level.sigma), name, "sigma", level.sigma,
                  "valid: 0 < sigma < inf");
  const auto at = [](double x) { return Eigen::VectorXd(Eigen::VectorXd::Constant(1, x)); };
  const auto log_p = [&](double x) { return oracle::log_density(data, level, at(x))[0]; };
  const auto mean_of = [&](const auto& f) -> average {
    return {detail::trapezoidal(name, low, high, points,
                                [&](double x) {
                                  const double p = std::exp(log_p(x));
                                  return p > 0 ? p * f(at(x)) : 0;
                                }),
            0};
  };
  const double whole = entropy(log_p, low, high, points);
  return {
      {whole, 0},
      {whole - half_log_two_pi - 0.5 - std::log(level.sigma), 0},
      mean_of([&](const Eigen::VectorXd& x) { return oracle::covariance(data, level, x)(0, 0); }),
      mean_of([&](const Eigen::VectorXd& x) { return data.score(level, x).squaredNorm(); })};
}

}  // namespace tweedie
