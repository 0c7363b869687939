// What guidance samples and what it is said to sample, on Gaussians: three different laws.
//
// Guiding by w is meant to sample p(c|x)^w p(x), proportional to p(x|c)^w p(x)^(1 - w): the tilted
// law. Noise does not commute with tilting, so that the guided score w s_c + (1 - w) s_u at noise
// level v = sigma^2/alpha^2 > 0 is not that of the noised tilted law, and what comes out depends on the sampler
// (Bradley and Nakkiran 2024, "Classifier-free guidance is a predictor-corrector", section 3). With
// variances a of p(x|c) and b of p(x), both centred, from pure noise and with infinitely many steps:
//
//   tilted law            1/(w/a + (1 - w)/b)
//   flow (DDIM)           a^w b^(1 - w)
//   reverse SDE (DDPM)    integral over v of (a/(a + v))^(2 w) (b/(b + v))^(2 - 2 w)
//
// All agree at w = 1 (a) and w = 0 (b). Diversity falls with w where a < b. The weight of the
// unconditional output is 1 - w: there is none at w = 1, and w > 1 extrapolates away from it; without
// bound as w grows, so that "w to infinity" is no law but divergence.
#pragma once

#include <cmath>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// Mean and variance of a Gaussian in one dimension, or along one axis of a common basis.
struct axis_gaussian {
  double mean = 0;
  double variance = 1;
};

/// The law proportional to conditional^w unconditional^(1 - w).
/// \throws std::invalid_argument for variances that are not positive and where the product is no
///   law: w/a + (1 - w)/b <= 0.
inline axis_gaussian tilted_gaussian(const axis_gaussian& conditional,
                                     const axis_gaussian& unconditional, double w) {
  constexpr const char* name = "tilted_gaussian";
  detail::require(conditional.variance > 0, name, "conditional.variance", conditional.variance,
                  "valid: variance > 0");
  detail::require(unconditional.variance > 0, name, "unconditional.variance",
                  unconditional.variance, "valid: variance > 0");
  const double c = w / conditional.variance, u = (1 - w) / unconditional.variance;
  detail::require(c + u > 0 && std::isfinite(c + u), name, "w", w,
                  "valid: finite, with w/a + (1 - w)/b > 0");
  return {(c * conditional.mean + u * unconditional.mean) / (c + u), 1 / (c + u)};
}

/// Variance that the guided flow ends with, from pure noise.
/// \throws std::invalid_argument for variances that are not positive or w that is not finite.
inline double guided_flow_variance(double conditional, double unconditional, double w) {
  constexpr const char* name = "guided_flow_variance";
  detail::require(conditional > 0, name, "conditional", conditional, "valid: variance > 0");
  detail::require(unconditional > 0, name, "unconditional", unconditional, "valid: variance > 0");
  detail::require(std::isfinite(w), name, "w", w, "valid: finite");
  return std::exp(w * std::log(conditional) + (1 - w) * std::log(unconditional));
}

/// Variance that the guided reverse SDE ends with, from pure noise. With r = (a + v)/(b + v) the
/// integral is a^(2w) b^(2 - 2w) (1 - (a/b)^(1 - 2w))/((1 - 2w)(b - a)).
/// \throws std::invalid_argument as for `guided_flow_variance`.
inline double guided_sde_variance(double conditional, double unconditional, double w) {
  const double flow = guided_flow_variance(conditional, unconditional, w);
  if (conditional == unconditional) return conditional;
  const double log_ratio = std::log(conditional / unconditional), power = 1 - 2 * w;
  const double integral = power == 0 ? -log_ratio : -std::expm1(power * log_ratio) / power;
  return flow * flow * integral / (unconditional - conditional);
}

}  // namespace tweedie
