// Going up: from a level to a noisier one,
//
//   x_t = a x_s + sqrt(b) z,   a = alpha_t/alpha_s,   b = sigma_t^2 - a^2 sigma_s^2.
//
// The same move is ancestral sampling's second half, EDM's churn (Karras et al. 2022, algorithm 2),
// Restart (Xu et al. 2023), the time travel of RePaint (Lugmayr et al. 2022) and the start of
// SDEdit (Meng et al. 2022).
#pragma once

#include <cmath>

#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie {

/// x_t = state x_s + noise z.
struct renoise_weights {
  double state = 1;
  double noise = 0;
};

/// Weights from `from` to the noisier `to`; equal levels give the identity.
inline renoise_weights renoise(signal_noise from, signal_noise to) {
  const transition_kernel up = transition(from, to);
  return {up.mean, std::sqrt(up.variance)};
}

/// The level (1 + gamma) times noisier, at the same alpha: churn. The variance added is formed as
/// sigma^2 gamma (2 + gamma), not as a difference.
inline signal_noise churned(signal_noise level, double gamma) {
  detail::require(gamma >= 0, "churned", "gamma", gamma, "valid: gamma >= 0");
  return {level.alpha, level.sigma * (1 + gamma)};
}

/// Weights of the churn step itself.
inline renoise_weights churn_step(signal_noise level, double gamma) {
  detail::require(gamma >= 0, "churn_step", "gamma", gamma, "valid: gamma >= 0");
  return {1, level.sigma * std::sqrt(gamma * (2 + gamma))};
}

}  // namespace tweedie
