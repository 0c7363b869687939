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

#include "tweedie/sampler/chart.hpp"
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

/// One Euler step down, renoised up.
inline linear euler_ancestral_step(recorder& r, const linear& x, const leg& l, double eta = 1) {
  const double alpha = l.to.level.alpha;
  const double u = noise_level(l.from.level);
  const auto [down, up] = ancestral_split(u, noise_level(l.to.level), eta);
  const linear clean = r.evaluate(x, l.from).clean;
  linear next = alpha * (clean + down / u * (x / l.from.level.alpha - clean));
  if (up > 0) next += alpha * up * r.draw();
  return next;
}

/// Euler ancestral over a grid of falling noise; the last step, to clean data, draws nothing.
inline program euler_ancestral(const legs& steps, double eta = 1) {
  constexpr const char* name = "euler_ancestral";
  check_signal(name, steps);
  return walk(name, steps, [=](recorder& r, const linear& x, const leg& l) {
    return euler_ancestral_step(r, x, l, eta);
  });
}

// DPM-Solver++ (SDE), two stages (Crowson, k-diffusion: `sample_dpmpp_sde`): an exponential
// midpoint step for the data prediction, with ancestral noise in both stages. In noise levels u =
// sigma/alpha, y = x/alpha, lambda = -log u, from u to v with s at lambda_s = lambda_u + r h:
//
//   (down, up) = split of u -> s;   y_s = (down/u) y + (1 - down/u) D + up z_s
//   (down, up) = split of u -> v;   y_v = (down/u) y + (1 - down/u) D' + up z_v,
//   D' = (1 - 1/(2r)) D + 1/(2r) D(y_s)
//
// z_s and z_v belong to one Brownian path: z_v contains z_s with correlation
// sqrt((u - s)/(u - v)). Then variances are of weak second order; drawn independently, as
// implementations without a Brownian path do, the method is of first order.

/// How the two draws of a step are related.
enum class stage_noise {
  one_path,    ///< increments of one Brownian path over [u, s] and [u, v]
  independent  ///< fresh noise for each stage
};

/// Of methods with a stage inside the step.
struct sde_options {
  double eta = 1;          ///< 0: the deterministic method, which draws nothing
  double noise_scale = 1;  ///< finite, >= 0
  double middle = 0.5;     ///< r, the place of the stage in half log-SNR, in (0, 1)
  stage_noise noise = stage_noise::one_path;
};

/// One step. `between(level)` makes the node of a noise level that is not in the grid.
template <class NodeMaker>
linear dpmpp_sde_step(recorder& r, const linear& x, const leg& l, const NodeMaker& between,
                      const sde_options& options = {}) {
  const signal_noise to = l.to.level;
  const estimate e = r.evaluate(x, l.from);
  if (to.sigma == 0) return to.alpha * e.clean;
  const double u = chart_coordinate(noise_row, l.from.level);
  const double v = noise_level(to);
  const double s = u * std::pow(v / u, options.middle);
  const linear y = x / l.from.level.alpha;
  const auto stage = [&](double level, const linear& clean, const linear& z) {
    const auto [down, up] = ancestral_split(u, level, options.eta);
    return down / u * y + (1 - down / u) * clean + options.noise_scale * up * z;
  };

  linear z_s, z_v;
  if (options.eta > 0 && options.noise == stage_noise::independent) {
    z_s = r.draw({.from = u, .to = s});
    z_v = r.draw({.from = u, .to = v});
  } else if (options.eta > 0) {
    z_s = r.draw({.from = u, .to = s});
    z_v = std::sqrt((u - s) / (u - v)) * z_s +
          std::sqrt((s - v) / (u - v)) * r.draw({.from = s, .to = v});
  }
  const node middle = between(s);
  linear x_s = middle.level.alpha * stage(s, e.clean, z_s);
  const linear clean_s = r.evaluate(x_s, middle).clean;
  const double weight = 1 / (2 * options.middle);
  return to.alpha * stage(v, (1 - weight) * e.clean + weight * clean_s, z_v);
}

/// A step onto clean data is x' = D without noise.
/// \throws std::invalid_argument if the grid does not fall or an option is outside its range.
template <class NodeMaker>
program dpmpp_sde(const legs& steps, const NodeMaker& between, const sde_options& options = {}) {
  constexpr const char* name = "dpmpp_sde";
  detail::require(options.eta >= 0, name, "eta", options.eta, "valid: eta >= 0");
  detail::require_noise_scale(name, options.noise_scale);
  check_signal(name, steps);
  detail::require(options.middle > 0 && options.middle < 1, name, "middle", options.middle,
                  "valid: 0 < middle < 1");
  return walk(name, steps, [&](recorder& r, const linear& x, const leg& l) {
    return dpmpp_sde_step(r, x, l, between, options);
  });
}

}  // namespace tweedie
