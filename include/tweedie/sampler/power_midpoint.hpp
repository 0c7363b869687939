// The midpoint method in noise levels u = sigma/alpha, y = x/alpha, with the midpoint of a power
// law (Song et al. 2023, consistency_models: `sample_dpm`, rho = 3, after Karras et al. 2022, eq.
// 5):
//
//   u_m = ((u^(1/rho) + u_s^(1/rho)) / 2)^rho,   y_m = y + (u_m - u) d(y, u),
//   y_s = y + (u_s - u) d(y_m, u_m),             d(y, u) = (y - D)/u
//
// Second order, two evaluations a step. Unlike the geometric mean of sampler/dpm_2.hpp (the limit
// rho -> infinity) the midpoint exists for a step onto clean data too, which keeps its second
// evaluation.
#pragma once

#include <cmath>

#include "tweedie/sampler/stochastic_edm.hpp"

namespace tweedie {

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
