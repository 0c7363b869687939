// Diffusion bridges: the forward process told where it ends, by Doob's h-transform.
//
//   x_t | x_0, x_T ~ N(clean x_0 + end x_T, variance I)       Zhou et al. 2024 (DDBM), eq. 7
//     with a = alpha_T/alpha_t and b = sigma_T^2 - a^2 sigma_t^2,
//     end = a sigma_t^2/sigma_T^2,  clean = alpha_t b/sigma_T^2,  variance = sigma_t^2 b/sigma_T^2
//   dx = (f x + g^2 h) dt + g dW,   h = grad log p(x_T | x) = a (x_T - a x)/b           Doob 1957; Zhou et al., eq. 4
//
// For alpha = 1 it is the bridge of I2SB (Liu et al. 2023, eq. 11). Run back, given x_0, a bridge takes the steps of
// DDPM's posterior (`posterior` of process/reverse.hpp), which does not ask where it came from: sampling a pair of
// pictures is ancestral sampling from x_T = the other picture, with a network for E[x_0 | x_t, x_T].
#pragma once

#include <cmath>

#include "tweedie/process/forward.hpp"
#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// x_t = clean x_0 + end x_T + sqrt(variance) z.
struct bridge_weights {
  double clean = 0;
  double end = 0;
  double variance = 0;
};

/// The bridge at `level` of a process that ends at `last`: x_T itself there, alpha x_0 where sigma = 0.
/// \throws std::invalid_argument unless last.sigma > 0 and `level` is not noisier than `last`.
inline bridge_weights bridge(signal_noise level, signal_noise last) {
  detail::require(last.sigma > 0, "bridge", "sigma of the end", last.sigma, "valid: > 0");
  const transition_kernel rest = transition(level, last);
  const double whole = last.sigma * last.sigma;
  const double square = level.sigma * level.sigma;
  return {level.alpha * rest.variance / whole, rest.mean * square / whole,
          square * rest.variance / whole};
}

/// h = end x_T + state x; the drift gains g^2 h.
struct doob_drift {
  double end = 0;
  double state = 0;
};

/// At `level` of a process that is to be at x_T at `last`.
/// \throws std::invalid_argument unless `last` is noisier than `level`: at the end the pull is infinite.
inline doob_drift pull_to_end(signal_noise level, signal_noise last) {
  const transition_kernel rest = transition(level, last);
  detail::require(rest.variance > 0, "pull_to_end", "variance of what is left", rest.variance,
                  "valid: > 0, before the end");
  return {rest.mean / rest.variance, -rest.mean * rest.mean / rest.variance};
}

}  // namespace tweedie
