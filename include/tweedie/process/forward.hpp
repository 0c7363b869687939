// The forward process: data is scaled down and noise is added.
//
//   one step       q(x_k | x_{k-1}) = N(sqrt(1 - beta) x_{k-1}, beta I)       (Ho et al. 2020, eq. 2)
//   closed form    q(x_t | x_0)     = N(alpha_t x_0, sigma_t^2 I)             (eq. 4)
//   any pair       q(x_t | x_s)     = N(a x_s, b I),  a = alpha_t/alpha_s, b = sigma_t^2 - a^2 sigma_s^2
//
// The three agree: kernels compose (`then`), and the chain of all steps with noises z_1 ... z_k is
// the closed form with the single noise z = sum_j w_j z_j of `chain_noise_weights`.
// Tensors: solve/add_noise.hpp applies these kernels, with its own time for every item.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "tweedie/schedule/discrete.hpp"

namespace tweedie {

/// One step of variance beta in [0, 1]; beta = 0 is the identity, beta = 1 pure noise.
inline transition_kernel forward_step(double beta) {
  detail::require(beta >= 0 && beta <= 1, "forward_step", "beta", beta, "valid: 0 <= beta <= 1");
  return {std::sqrt(1 - beta), beta};
}

/// One element of x = alpha x0 + sigma z. Clean data do not read z, so that alpha = 1 keeps the bits of x0.
inline double noised(double x0, double z, signal_noise level) {
  return level.sigma == 0 ? level.alpha * x0 : level.alpha * x0 + level.sigma * z;
}

/// First one kernel, then the other: N(a2 a1 x, b2 + a2^2 b1).
inline transition_kernel compose(transition_kernel first, transition_kernel second) {
  return {second.mean * first.mean, second.variance + second.mean * second.mean * first.variance};
}

/// q(x_t | x_0) at one level.
inline transition_kernel marginal_kernel(signal_noise level) {
  return {level.alpha, level.sigma * level.sigma};
}

/// q(x_to | x_from) between two times of a schedule, `to` at least as noisy.
template <noise_schedule Schedule>
transition_kernel forward_transition(const Schedule& schedule, double from, double to) {
  return transition(schedule(from), schedule(to));
}

/// Weights w_0 ... w_k with which the noises of the steps up to array index k add up to the noise
/// of the closed form: sigma z = sum_j sqrt(alpha_bar(k)/alpha_bar(j)) sqrt(beta(j)) z_j.
/// Their squares sum to 1. Undefined at k = -1, where there is no noise.
inline std::vector<double> chain_noise_weights(const discrete_schedule& schedule, int k) {
  const double log_signal = schedule.log_alpha_bar(k);
  const double log_noise = schedule.log_one_minus_alpha_bar(k);
  detail::require(k >= 0, "chain_noise_weights", "k", k, "valid: 0 <= k <= T - 1");
  std::vector<double> weights;
  for (int j = 0; j <= k; ++j) {
    const double kept = j == k ? 0 : log_signal - schedule.log_alpha_bar(j);
    weights.push_back(std::sqrt(schedule.beta(j)) * std::exp((kept - log_noise) / 2));
  }
  return weights;
}

/// log N(x; mean, variance I) in nats, from the squared distance |x - mean|^2 over d dimensions.
/// variance = 0 (a point mass) has no density and is refused.
inline double isotropic_log_density(double squared_distance, double variance, double dimensions) {
  detail::require(variance > 0, "isotropic_log_density", "variance", variance,
                  "valid: variance > 0");
  return -0.5 *
         (squared_distance / variance + dimensions * std::log(2 * std::numbers::pi * variance));
}

}  // namespace tweedie
