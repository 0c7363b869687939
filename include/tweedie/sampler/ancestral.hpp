// Ancestral Euler steps (Crowson, k-diffusion): go down too far on the ODE, then renoise.
// In noise levels u = sigma/alpha, from u to u_s:
//
//   up^2 = eta^2 u_s^2 (u^2 - u_s^2)/u^2  (at most u_s^2),   down^2 = u_s^2 - up^2,
//   y_s = D + (down/u) (y - D) + up z,    y = x/alpha.
//
// eta = 1 is DDPM with posterior variance, where down = u_s^2/u in closed form: the difference
// u_s^2 - up^2 would cancel. eta = 0 is Euler.
#pragma once

#include <cmath>

#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// The level reached on the ODE and the standard deviation of the renoising, both sigma/alpha.
struct ancestral_levels {
  double down = 0;
  double up = 0;
};

/// Split of a step from noise level u to the lower u_s. eta >= 0.
inline ancestral_levels ancestral_split(double u, double u_s, double eta = 1) {
  detail::require(u > u_s && u_s >= 0, "ancestral_split", "u_s", u_s, "valid: 0 <= u_s < u");
  detail::require(eta >= 0, "ancestral_split", "eta", eta, "valid: eta >= 0");
  if (u_s == 0) return {0, 0};
  const double ratio = u_s / u;
  const double full = u_s * std::sqrt((1 - ratio) * (1 + ratio));
  if (eta == 1) return {u_s * ratio, full};
  const double up = std::fmin(u_s, eta * full);
  return {std::sqrt((u_s - up) * (u_s + up)), up};
}

namespace detail {

inline void require_noise_scale(const char* function, double noise_scale) {
  require(noise_scale >= 0 && std::isfinite(noise_scale), function, "noise_scale", noise_scale,
          "valid: 0 <= noise_scale < inf");
}

}  // namespace detail

/// Euler ancestral over a grid of falling noise; the last step, to clean data, draws nothing.
inline program euler_ancestral(const legs& steps, double eta = 1) {
  constexpr const char* name = "euler_ancestral";
  check_signal(name, steps);
  return walk(name, steps, [&](recorder& r, const linear& x, const leg& l) {
    const double alpha = l.to.level.alpha;
    const double u = noise_level(l.from.level);
    const auto [down, up] = ancestral_split(u, noise_level(l.to.level), eta);
    const linear clean = r.evaluate(x, l.from).clean;
    linear next = alpha * (clean + down / u * (x / l.from.level.alpha - clean));
    if (up > 0) next += alpha * up * r.draw();
    return next;
  });
}

}  // namespace tweedie
