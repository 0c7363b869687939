// One-dimensional normal distributions given by mean and log-variance: density, entropy, divergence
// and transport distance, as functions of numbers, differentiated numbers and blocks.
//
//   KL(N(m, e^l) || N(m', e^l')) = 1/2 (e^(l - l') - 1 - (l - l') + (m - m')^2 e^-l')
//
// In nats. The first three terms are one function (exp_minus_linear), so that nothing cancels where
// the variances are close, and no variance is ever formed: log-variances of +-700 are fine in double,
// of +-80 in float. Sums over batches with gradients are in objective/vae.hpp.
#pragma once

#include "tweedie/distribution/normal_distribution.hpp"
#include "tweedie/tensor/numeric.hpp"

namespace tweedie {

/// log N(x; mean, e^log_variance).
template <class S>
S normal_log_density(const S& x, const S& mean, const S& log_variance) {
  const S r = x - mean;
  return (r * r * detail::exponential(S(-log_variance)) + log_variance) * -0.5 - half_log_two_pi;
}

/// Differential entropy 1/2 log(2 pi e) + log_variance / 2.
template <class S>
S normal_entropy(const S& log_variance) {
  return log_variance / 2 + (half_log_two_pi + 0.5);
}

/// KL(N(mean, e^log_variance) || N(other_mean, e^other_log_variance)).
template <class S>
S normal_divergence(const S& mean, const S& log_variance, const S& other_mean,
                    const S& other_log_variance) {
  const S r = mean - other_mean;
  return (exp_minus_linear(S(log_variance - other_log_variance)) +
          r * r * detail::exponential(S(-other_log_variance))) /
         2;
}

/// KL(N(mean, e^log_variance) || N(0, 1)).
template <class S>
S standard_normal_divergence(const S& mean, const S& log_variance) {
  return (exp_minus_linear(log_variance) + mean * mean) / 2;
}

/// Squared 2-Wasserstein distance (m - m')^2 + (s - s')^2.
template <class S>
S normal_transport(const S& mean, const S& log_variance, const S& other_mean,
                   const S& other_log_variance) {
  const S r = mean - other_mean;
  const S s =
      detail::exponential(S(log_variance / 2)) - detail::exponential(S(other_log_variance / 2));
  return r * r + s * s;
}

}  // namespace tweedie
