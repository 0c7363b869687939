// Midpoint methods in the noise level, whose second evaluation is between two nodes: `dpm_2` at the
// geometric mean, `power_midpoint` at that of a power law. Throughout u = sigma/alpha, y = x/alpha and
// d(y, u) = (y - D)/u.
#pragma once

#include <cmath>
#include <concepts>

#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

// The midpoint method with the geometric mean as midpoint (Crowson, k-diffusion: "DPM2"; diffusers:
// "KDPM2"), in noise levels u = sigma/alpha, y = x/alpha, from u to v:
//
//   m = sqrt(u v),  y_m = y + (m - u) d(y, u),  y_v = y + (v - u) d(y_m, m),  d(y, u) = (y - D)/u
//
// Second order, two evaluations a step; a step onto clean data is an Euler step. The ancestral form
// goes down to v = `down` below the next level and renoises by `up` (sampler/ancestral.hpp).

/// One step from `from` to the noise level `down`, in the gauge of alpha = `alpha_to`.
template <class NodeMaker>
linear dpm_2_step(recorder& r, linear x, const node& from, double down, double alpha_to,
                  const NodeMaker& between) {
  estimate e = r.evaluate(x, from);
  if (down == 0) return alpha_to * e.clean;
  const double u = chart_coordinate(noise_row, from.level);
  const linear y = x / from.level.alpha;
  const node middle = between(std::sqrt(u * down));
  const double m = noise_level(middle.level);
  linear x_m = middle.level.alpha * (y + (m - u) * slope(noise_row, x, e, from));
  e = r.evaluate(x_m, middle);
  return alpha_to * (y + (down - u) * slope(noise_row, x_m, e, middle));
}

/// Ancestral steps; `split(u, v)` gives the levels of a step from u to v. `between(level)` makes
/// the node of a noise level that is not in the grid, e.g. nodes_of(schedule).
/// \throws std::invalid_argument if the grid does not fall or starts from pure noise, or
///   noise_scale is negative or not finite.
template <class NodeMaker, std::invocable<double, double> Split>
program dpm_2_ancestral(const legs& steps, const NodeMaker& between, const Split& split,
                        double noise_scale = 1) {
  constexpr const char* name = "dpm_2_ancestral";
  check_signal(name, steps);
  detail::require_noise_scale(name, noise_scale);
  return walk(name, steps, [&](recorder& r, linear x, const leg& l) {
    const signal_noise to = l.to.level;
    const double u = chart_coordinate(noise_row, l.from.level);
    const ancestral_levels step = split(u, noise_level(to));
    x = dpm_2_step(r, x, l.from, step.down, to.alpha, between);
    if (step.up > 0) x += to.alpha * step.up * noise_scale * r.draw();
    return x;
  });
}

/// Ancestral steps with the share eta of the full noise.
template <class NodeMaker>
program dpm_2_ancestral(const legs& steps, const NodeMaker& between, double eta = 1,
                        double noise_scale = 1) {
  return dpm_2_ancestral(
      steps, between, [eta](double u, double v) { return ancestral_split(u, v, eta); },
      noise_scale);
}

/// The deterministic method, or with churn before each step (sampler/stochastic_edm.hpp).
template <class NodeMaker>
program dpm_2(const legs& steps, const NodeMaker& between, const churn& noise = {}) {
  return detail::churned(
      "dpm_2", steps, between, noise, [&](recorder& r, linear x, const node& from, const node& to) {
        return dpm_2_step(r, x, from, noise_level(to.level), to.level.alpha, between);
      });
}

// The midpoint method in noise levels u = sigma/alpha, y = x/alpha, with the midpoint of a power
// law (Song et al. 2023, consistency_models: `sample_dpm`, rho = 3, after Karras et al. 2022, eq.
// 5):
//
//   u_m = ((u^(1/rho) + u_s^(1/rho)) / 2)^rho,   y_m = y + (u_m - u) d(y, u),
//   y_s = y + (u_s - u) d(y_m, u_m),             d(y, u) = (y - D)/u
//
// Second order, two evaluations a step. Unlike the geometric mean of `dpm_2` above (the limit
// rho -> infinity) the midpoint exists for a step onto clean data too, which keeps its second
// evaluation.

/// With churn before each step if `noise` asks for it. `between(level)` makes the node of a noise
/// level that is not in the grid.
template <class NodeMaker>
program power_midpoint(const legs& steps, const NodeMaker& between, double rho = 3,
                       const churn& noise = {}) {
  detail::require(rho > 0 && std::isfinite(rho), "power_midpoint", "rho", rho,
                  "valid: 0 < rho < inf");
  const auto step = [&](recorder& r, linear x, const node& from, const node& to) {
    const double u = chart_coordinate(noise_row, from.level);
    const double u_s = noise_level(to.level);
    const linear y = x / from.level.alpha;
    estimate e = r.evaluate(x, from);
    const node middle = between(std::pow((std::pow(u, 1 / rho) + std::pow(u_s, 1 / rho)) / 2, rho));
    const double m = noise_level(middle.level);
    linear x_m = middle.level.alpha * (y + (m - u) * slope(noise_row, x, e, from));
    e = r.evaluate(x_m, middle);
    return to.level.alpha * (y + (u_s - u) * slope(noise_row, x_m, e, middle));
  };
  return detail::churned("power_midpoint", steps, between, noise, step);
}

}  // namespace tweedie
