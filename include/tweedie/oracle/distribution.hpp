// What oracles of columns answer, whatever their data: one set of questions for laws, samplers and examples.
//
//   log_density(data, level, x)    log p of alpha x0 + sigma z, one number a column
//   score, denoise                 members of each oracle: grad log p and E[x0|x]
//   sample(count, {.seed = 1})     a member too: data, one column a sample
//   noise(data, level, x)          E[z|x] = (x - alpha E[x0|x])/sigma
//   velocity(data, level, rate, x) E[alpha' x0 + sigma' z|x], dx/dt of the probability flow
//   covariance(data, level, x)     Cov[x0|x]
//
// Tweedie ties them: score = -E[z|x]/sigma, Cov[x0|x] = sigma^2/alpha dE[x0|x]/dx.
#pragma once

#include <Eigen/Core>
#include <concepts>

#include "tweedie/oracle/sample_key.hpp"
#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie::oracle {

/// Data whose diffusion model is known: scores and denoisers of the columns of a matrix at any level,
/// and samples of the data.
template <class Data>
concept distribution = requires(const Data& data, signal_noise level, const Eigen::MatrixXd& x,
                                sample_key key) {
  { data.dimension() } -> std::convertible_to<Eigen::Index>;
  { data.score(level, x) } -> std::convertible_to<Eigen::MatrixXd>;
  { data.denoise(level, x) } -> std::convertible_to<Eigen::MatrixXd>;
  { data.sample(Eigen::Index(1), key) } -> std::convertible_to<Eigen::MatrixXd>;
};

/// log p of each column of x at a level, in nats.
template <distribution Data>
Eigen::VectorXd log_density(const Data& data, signal_noise level, const Eigen::MatrixXd& x) {
  if constexpr (std::convertible_to<decltype(data.log_density(level, Eigen::VectorXd(x.col(0)))),
                                    double>) {
    Eigen::VectorXd out(x.cols());
    for (Eigen::Index i = 0; i < x.cols(); ++i)
      out[i] = data.log_density(level, Eigen::VectorXd(x.col(i)));
    return out;
  } else {
    return data.log_density(level, x);
  }
}

/// Cov[x0 | x] at one point.
template <distribution Data>
Eigen::MatrixXd covariance(const Data& data, signal_noise level, const Eigen::VectorXd& x) {
  if constexpr (requires { data.posterior_covariance(level, x); })
    return data.posterior_covariance(level, x);
  else
    return data.posterior_covariance(level);
}

/// E[z | x], for each column of x.
/// \throws std::invalid_argument at sigma = 0, where x holds no noise.
template <distribution Data>
Eigen::MatrixXd noise(const Data& data, signal_noise level, const Eigen::MatrixXd& x) {
  detail::require(level.sigma > 0, "oracle::noise", "sigma", level.sigma, "valid: sigma > 0");
  return (x - level.alpha * data.denoise(level, x)) / level.sigma;
}

/// alpha' E[x0 | x] + sigma' E[z | x], for each column of x: the drift of the probability flow, and
/// what a network trained by flow matching answers.
/// \throws std::invalid_argument as `noise`.
template <distribution Data>
Eigen::MatrixXd velocity(const Data& data, signal_noise level, signal_noise_rate rate,
                         const Eigen::MatrixXd& x) {
  return rate.alpha * data.denoise(level, x) + rate.sigma * noise(data, level, x);
}

}  // namespace tweedie::oracle
