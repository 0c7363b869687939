// DDIM (Song et al. 2021, eq. 12), in any gauge:
//
//   x_s = alpha_s D + sqrt(sigma_s^2 - rho^2) * (x - alpha D)/sigma + rho z,
//   rho = eta * sigma_s/sigma * sqrt(sigma^2 - (alpha/alpha_s)^2 sigma_s^2)
//
// with D the x0 estimate at x, z fresh noise. eta = 0 is the exact solution of the
// probability-flow ODE for constant D (first order); eta = 1 is the ancestral (DDPM) step with
// posterior variance. Written with D and x only, both ends are finite: at sigma_s = 0 the step
// returns D, at alpha = 0 nothing is divided by alpha.
#pragma once

#include <cmath>

#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// Weights of one DDIM step: x_s = state x + clean D + noise z.
struct ddim_weights {
  double state = 0;
  double clean = 0;
  double noise = 0;
};

namespace detail {

// rho, and sqrt(sigma_s^2 - rho^2).
struct ddim_noise {
  double fresh = 0;
  double direction = 0;
};

inline ddim_noise ddim_split(signal_noise from, signal_noise to, double eta) {
  constexpr const char* name = "ddim_step";
  require(eta >= 0 && eta <= 1, name, "eta", eta, "valid: 0 <= eta <= 1");
  if (eta == 0) return {0, to.sigma};
  require(from.sigma > 0, name, "sigma", from.sigma, "valid: sigma > 0");
  require(to.sigma * from.alpha <= from.sigma * to.alpha, name, "eta", eta,
          "valid: 0 in a step to a higher noise level");
  const double carried = from.alpha / to.alpha * to.sigma;  // sigma_s seen at alpha
  const double rho = eta * to.sigma / from.sigma *
                     std::sqrt(std::fdim(from.sigma, carried) * (from.sigma + carried));
  return {rho, std::sqrt(std::fdim(to.sigma, rho) * (to.sigma + rho))};
}

}  // namespace detail

/// Weights from level `from` to the lower level `to`, eta in [0, 1]; with eta = 0 `to` may be higher.
/// \throws std::invalid_argument at from.sigma = 0, where z is undefined, for eta outside [0, 1], or
///   if a step with eta > 0 rises.
inline ddim_weights ddim_step(signal_noise from, signal_noise to, double eta = 0) {
  detail::require(from.sigma > 0, "ddim_step", "sigma", from.sigma, "valid: sigma > 0");
  const auto [fresh, direction] = detail::ddim_split(from, to, eta);
  const double ratio = direction / from.sigma;
  return {ratio, to.alpha - from.alpha * ratio, fresh};
}

/// One DDIM step. A run that clips x0 keeps on the path with z from_clean; from_output, as diffusers
/// has it unless told otherwise, needs no sigma > 0 where eta = 0.
inline linear ddim_step(recorder& r, const linear& x, const leg& l, double eta,
                        noise_estimate z = noise_estimate::from_clean) {
  linear next;
  double fresh = 0;
  if (z == noise_estimate::from_clean) {
    const ddim_weights w = ddim_step(l.from.level, l.to.level, eta);
    next = w.state * x + w.clean * r.evaluate(x, l.from).clean;
    fresh = w.noise;
  } else {
    const detail::ddim_noise w = detail::ddim_split(l.from.level, l.to.level, eta);
    const estimate e = r.evaluate(x, l.from);
    next = l.to.level.alpha * e.clean + w.direction * e.noise;
    fresh = w.fresh;
  }
  if (fresh > 0) next += fresh * r.draw();
  return next;
}

/// DDIM over a grid of falling noise.
/// \throws std::invalid_argument if the grid does not fall, or eta is outside [0, 1].
inline program ddim(const legs& steps, double eta = 0) {
  detail::require(eta >= 0 && eta <= 1, "ddim", "eta", eta, "valid: 0 <= eta <= 1");
  return walk("ddim", steps,
              [&](recorder& r, const linear& x, const leg& l) { return ddim_step(r, x, l, eta); });
}

/// DDIM run from data to noise over a grid of rising noise, each estimate taken at the lower
/// level (Song et al. 2021, section 4.3). Followed by `ddim` on the reversed grid it returns to
/// the data up to the discretisation error. A clean first node is refused: z is undefined there.
inline program ddim_inversion(const legs& steps) {
  constexpr const char* name = "ddim_inversion";
  check_walk(name, steps);
  return walk_anywhere(name, steps, [](recorder& r, const linear& x, const leg& l) {
    detail::require(l.from.level.sigma > 0, name, "sigma", l.from.level.sigma,
                    "valid: start from the lowest noisy level, sigma > 0");
    return ddim_step(r, x, l, 0);
  });
}

}  // namespace tweedie
