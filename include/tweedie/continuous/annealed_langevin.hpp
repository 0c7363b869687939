// Constants of annealed Langevin dynamics that follow from the data's size alone (Song and Ermon 2020).
//
//   levels      sigma_i = highest ratio^-i: neighbouring noise shells, at radius sqrt(d) sigma with
//               deviation sigma/sqrt(2), share a probability C (technique 2)
//                 C = F(sqrt(2 d) (ratio - 1) + 3 ratio) - F(sqrt(2 d) (ratio - 1) - 3 ratio)
//   step size   e_i = e (sigma_i/lowest)^2, T steps a level: e such that a state that comes with the
//               deviation of the level before leaves with that of its own (technique 4). For data that
//               are a point the variance, in units of the level's, is
//                 h(e) = (1 - q)^(2T) (ratio^2 - v) + v,  q = e/lowest^2,  v = 2 e/(lowest^2 (1 - (1 - q)^2))
//
// F is the normal distribution function; steps are x + e s(x) + sqrt(2 e) z (continuous/langevin_dynamics.hpp).
// h does not reach 1 for few steps, then the e of the least |h - 1| is taken. The paper states C of about
// 1/2; the numbers of levels it uses have C = 0.567.
#pragma once

#include <cmath>
#include <numbers>

#include "tweedie/distribution/normal_distribution.hpp"
#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// C of technique 2.
/// \throws std::invalid_argument unless dimensions >= 1 and ratio >= 1, both finite.
inline double noise_overlap(double dimensions, double ratio) {
  detail::require(dimensions >= 1 && std::isfinite(dimensions), "noise_overlap", "dimensions",
                  dimensions, "valid: 1 <= dimensions < inf");
  detail::require(ratio >= 1 && std::isfinite(ratio), "noise_overlap", "ratio", ratio,
                  "valid: 1 <= ratio < inf");
  const double gap = std::sqrt(2 * dimensions) * (ratio - 1);
  return normal_cdf(gap + 3 * ratio) - normal_cdf(gap - 3 * ratio);
}

/// The ratio of neighbouring levels whose overlap is C, by bisection.
/// \throws std::invalid_argument unless 5 <= dimensions < inf, below which shells overlap at any ratio, and
///   0 < overlap < 0.99.
inline double annealing_ratio(double dimensions, double overlap = 0.5) {
  detail::require(dimensions >= 5 && std::isfinite(dimensions), "annealing_ratio", "dimensions",
                  dimensions, "valid: 5 <= dimensions < inf");
  detail::require(overlap > 0 && overlap < 0.99, "annealing_ratio", "overlap", overlap,
                  "valid: 0 < overlap < 0.99");
  double low = 1, high = 2;
  while (noise_overlap(dimensions, high) > overlap) high *= 2;
  for (int k = 0; k < 200 && high - low > 1e-15 * high; ++k) {
    const double middle = (low + high) / 2;
    (noise_overlap(dimensions, middle) > overlap ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// h(e) of technique 4.
inline double annealed_variance(double step, double lowest, double ratio, int steps) {
  const double q = step / (lowest * lowest);
  const double fixed = 2 / (2 - q);  // v: 2 q / (1 - (1 - q)^2)
  return std::pow(1 - q, 2 * steps) * (ratio * ratio - fixed) + fixed;
}

/// e of technique 4, at the lowest level: the minimiser of |h(e) - 1| over 0 < e < lowest^2.
/// \throws std::invalid_argument unless lowest > 0, ratio > 1, both finite, and steps >= 1.
inline double annealed_langevin_step(double lowest, double ratio, int steps) {
  constexpr const char* name = "annealed_langevin_step";
  detail::require(lowest > 0 && std::isfinite(lowest), name, "lowest", lowest,
                  "valid: 0 < lowest < inf");
  detail::require(ratio > 1 && std::isfinite(ratio), name, "ratio", ratio,
                  "valid: 1 < ratio < inf");
  detail::require(steps >= 1, name, "steps", steps, "valid: at least 1");
  // h falls from ratio^2, then rises: golden section in q.
  const auto off = [&](double q) {
    return std::abs(annealed_variance(q * lowest * lowest, lowest, ratio, steps) - 1);
  };
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = 0, high = 1;
  double a = high - golden * (high - low), b = low + golden * (high - low);
  for (int k = 0; k < 200 && high - low > 1e-14; ++k) {
    if (off(a) < off(b))
      high = b;
    else
      low = a;
    a = high - golden * (high - low);
    b = low + golden * (high - low);
  }
  return (low + high) / 2 * lowest * lowest;
}

}  // namespace tweedie
