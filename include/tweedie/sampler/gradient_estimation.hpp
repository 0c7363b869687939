// Gradient estimation (Permenter and Yuan 2023, algorithm 1): Euler steps along an extrapolated
// slope, in noise levels u = sigma/alpha, y = x/alpha, d = (y - D)/u:
//
//   y' = y + (u' - u) (gamma d_n + (1 - gamma) d_(n-1))
//
// gamma = 2 is the paper's; gamma = 1 is Euler; gamma = 3/2 is second-order Adams-Bashforth on
// equally spaced noise levels, any other value is of first order. A step onto clean data is x' = D.
#pragma once

#include "tweedie/sampler/chart.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// \throws std::invalid_argument if the grid does not fall or starts from pure noise, or gamma is
///   not finite.
inline program gradient_estimation(const legs& steps, double gamma = 2) {
  constexpr const char* name = "gradient_estimation";
  check_signal(name, steps);
  detail::require(std::isfinite(gamma), name, "gamma", gamma, "valid: finite");
  linear last;
  return walk(name, steps, [&](recorder& r, linear x, const leg& l, std::size_t n) {
    const signal_noise to = l.to.level;
    const estimate e = r.evaluate(x, l.from);
    const linear d = slope(noise_row, x, e, l.from);
    const double h = noise_level(to) - chart_coordinate(noise_row, l.from.level);
    if (to.sigma == 0) {
      x = to.alpha * e.clean;
    } else {
      const linear direction = n == 0 ? d : gamma * d + (1 - gamma) * last;
      x = to.alpha * (x / l.from.level.alpha + h * direction);
    }
    last = d;
    return x;
  });
}

}  // namespace tweedie
