// Averages of a network's weights over training.
//
//   exponential      a <- b a + (1 - b) w; warmed up, b = min(b, (1 + n)/(10 + n)) at step n = 0, 1, ...
//   power function   the same with b = (1 - 1/n)^(gamma + 1) at step n: every average has the same
//                    relative length sigma_rel at any time (Karras et al. 2024, eqs. 1 and 4),
//                      sigma_rel = sqrt(gamma + 1) / ((gamma + 2) sqrt(gamma + 3))
//   post-hoc         an average of any length from stored ones: the combination of their profiles
//                    nearest to the wanted profile (appendix C.2)
#pragma once

#include <Eigen/Dense>
#include <cmath>
#include <concepts>
#include <span>
#include <string>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/combine.hpp"

namespace tweedie {

/// average <- decay average + (1 - decay) value. Reads two tensors, writes one.
template <storage_scalar S>
void update_average(std::span<S> average, std::span<const S> value, double decay) {
  detail::require(decay >= 0 && decay <= 1, "update_average", "decay", decay,
                  "valid: 0 <= decay <= 1");
  if (average.size() != value.size())
    detail::fail("update_average", "elements", static_cast<double>(value.size()),
                 "valid: as many as the average, " + std::to_string(average.size()));
  S* const output[] = {average.data()};
  const S* const inputs[] = {average.data(), value.data()};
  const double weights[] = {decay, 1 - decay};
  combine<S>(output, inputs, weights, average.size());
}

/// Decay at step n = 0, 1, ... of an exponential average that starts short: min(decay, (1 + n)/(10 + n)),
/// 0.1 at first (TensorFlow's `num_updates`, diffusers' `EMAModel`; the average then
/// spans about a ninth of the steps so far until the decay is reached). In [0, decay].
inline double warm_decay(double decay, double step) {
  detail::require(decay >= 0 && decay <= 1, "warm_decay", "decay", decay, "valid: 0 <= decay <= 1");
  detail::require(step >= 0 && std::isfinite(step), "warm_decay", "step", step,
                  "valid: 0 <= step < inf");
  return std::fmin(decay, (1 + step) / (10 + step));
}

/// Relative length of the profile t^gamma.
inline double relative_length(double gamma) {
  detail::require(gamma > -1, "relative_length", "gamma", gamma, "valid: gamma > -1");
  return std::sqrt(gamma + 1) / ((gamma + 2) * std::sqrt(gamma + 3));
}

/// gamma >= 0 of a relative length in (0, 1/sqrt(12)].
inline double power_of_length(double sigma_rel) {
  detail::require(sigma_rel > 0 && sigma_rel <= relative_length(0), "power_of_length", "sigma_rel",
                  sigma_rel, "valid: 0 < sigma_rel <= 1/sqrt(12) = 0.2887");
  double low = 0, high = 1 / sigma_rel;  // sigma_rel < 1/(gamma + 1) for every gamma
  while (true) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (relative_length(middle) > sigma_rel ? low : high) = middle;
  }
}

/// Decay of the power-function average at step n = 1, 2, ...; 0 at the first.
inline double power_decay(double gamma, double step) {
  detail::require(step >= 1, "power_decay", "step", step, "valid: step >= 1");
  detail::require(gamma > -1, "power_decay", "gamma", gamma, "valid: gamma > -1");
  return std::exp((gamma + 1) * std::log1p(-1 / step));
}

/// A stored average: when it was stored and its power.
struct average_profile {
  double time = 1;
  double gamma = 0;
};

/// Inner product of two profiles p(t) = (gamma + 1) t^gamma / T^(gamma + 1) on [0, T].
inline double profile_product(average_profile a, average_profile b) {
  detail::require(a.time > 0 && b.time > 0, "profile_product", "time", (std::min)(a.time, b.time),
                  "valid: time > 0");
  const double later = (std::max)(a.time, b.time);
  const double ratio =
      a.time < b.time ? std::pow(a.time / b.time, b.gamma) : std::pow(b.time / a.time, a.gamma);
  return (a.gamma + 1) * (b.gamma + 1) * ratio / ((a.gamma + b.gamma + 1) * later);
}

/// Weights on stored averages whose combination is the least-squares approximation of `wanted`. A
/// template, since only who calls it is to compile Eigen's decomposition.
template <std::same_as<average_profile> Profile = average_profile>
std::vector<double> post_hoc_weights(std::span<const average_profile> stored, Profile wanted) {
  detail::require(!stored.empty(), "post_hoc_weights", "stored", 0, "valid: at least one");
  const auto n = static_cast<Eigen::Index>(stored.size());
  Eigen::MatrixXd products(n, n);
  Eigen::VectorXd with_wanted(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const average_profile& a = stored[static_cast<std::size_t>(i)];
    with_wanted[i] = profile_product(a, wanted);
    for (Eigen::Index j = 0; j < n; ++j)
      products(i, j) = profile_product(a, stored[static_cast<std::size_t>(j)]);
  }
  const Eigen::VectorXd weights = products.fullPivLu().solve(with_wanted);
  return {weights.begin(), weights.end()};
}

}  // namespace tweedie
