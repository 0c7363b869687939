// Simulating the reverse of a corruption in continuous time: leaps, the theta-trapezoidal rule,
// uniformisation and first hitting.
//
// R(x, .) are rates of leaving x, all but R(x, x) >= 0, R(x, x) = -sum of the others (rates.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// Law of a token after a leap of length h with rates frozen, at most one jump (tau-leaping of
/// Campbell et al. 2022 for tokens without an order): stays with probability exp(-h lambda), else
/// goes to y in proportion to R(x, y). Weak order 1.
/// \throws std::invalid_argument for h < 0, a rate below 0 or sizes that differ.
inline void leap_law(std::span<const double> rates, token x, double h, std::span<double> out) {
  constexpr const char* name = "leap_law";
  detail::require_equal(name, "out", out.size(), rates.size());
  detail::require_token(name, x, rates.size());
  detail::require(h >= 0, name, "h", h, "valid: at least 0");
  double leaving = 0;
  for (std::size_t y = 0; y < rates.size(); ++y) {
    if (static_cast<token>(y) == x) continue;
    detail::require(rates[y] >= 0, name, "rate", rates[y], "valid: at least 0");
    leaving += rates[y];
  }
  const double jumps = leaving > 0 ? -std::expm1(-h * leaving) / leaving : 0;
  for (std::size_t y = 0; y < out.size(); ++y) out[y] = jumps * rates[y];
  out[static_cast<std::size_t>(x)] = std::exp(-h * leaving);
}

/// Rates of the second stage of the theta-trapezoidal rule (Ren et al. 2025, algorithm 2). A step of
/// length h leaps theta h from x with the rates `early` of x, evaluates `late`, the rates of the
/// token z it has come to, at that time, and leaps (1 - theta) h from z with
///   max(0, a late(y) - (a - 1) early(y)),   early(x) = 0,   a = 1 / (2 theta (1 - theta)).
/// Weak order 2, as long as nothing is cut off at 0.
/// \throws std::invalid_argument unless 0 < theta < 1, sizes agree and tokens are in range.
inline void trapezoidal_rates(double theta, std::span<const double> early, token x,
                              std::span<const double> late, token z, std::span<double> out) {
  constexpr const char* name = "trapezoidal_rates";
  detail::require(theta > 0 && theta < 1, name, "theta", theta, "valid: in (0, 1)");
  detail::require_equal(name, "late", late.size(), early.size());
  detail::require_equal(name, "out", out.size(), early.size());
  const token both[] = {x, z};
  detail::require_tokens(name, std::span<const token>(both), early.size());
  const double a = 1 / (2 * theta * (1 - theta));
  double leaving = 0;
  for (std::size_t y = 0; y < out.size(); ++y) {
    const auto to = static_cast<token>(y);
    if (to == z) continue;
    out[y] = (std::max)(0.0, a * late[y] - (to == x ? 0 : (a - 1) * early[y]));
    leaving += out[y];
  }
  out[static_cast<std::size_t>(z)] = -leaving;
}

/// Law of a token at one event of a Poisson clock of rate `bound` (uniformisation, Chen and Ying
/// 2024): [y = x] + R(x, y) / bound. Events of that clock, each with the rates at its own time, give
/// the process exactly.
/// \throws std::invalid_argument if `bound` is below the rate of leaving x.
inline void uniformised_law(std::span<const double> rates, token x, double bound,
                            std::span<double> out) {
  constexpr const char* name = "uniformised_law";
  detail::require_equal(name, "out", out.size(), rates.size());
  detail::require_token(name, x, rates.size());
  const double leaving = -rates[static_cast<std::size_t>(x)];
  detail::require(bound > 0 && leaving <= bound * (1 + 1e-12), name, "bound", bound,
                  "valid: at least the rate of leaving");
  for (std::size_t y = 0; y < out.size(); ++y) out[y] = rates[y] / bound;
  out[static_cast<std::size_t>(x)] = (std::max)(0.0, 1 - leaving / bound);
}

/// Time to the next event of a Poisson clock of rate `bound`, of a uniform u in (0, 1).
inline double waiting_time(double bound, double u) { return -std::log(u) / bound; }

/// First hitting (Zheng et al. 2025): of `masked` tokens, each masked with probability 1 - alpha,
/// the next one is filled where that probability has fallen from `corrupted` to
/// corrupted u^(1 / masked); which one is equally likely. Exact, one token an evaluation.
/// \throws std::invalid_argument for no masked token or u outside (0, 1].
inline double next_hitting(double corrupted, std::size_t masked, double u) {
  detail::require(masked > 0, "next_hitting", "masked", 0, "valid: at least 1");
  detail::require(u > 0 && u <= 1, "next_hitting", "u", u, "valid: in (0, 1]");
  return corrupted * std::pow(u, 1 / static_cast<double>(masked));
}

}  // namespace tweedie::discrete
