// Langevin dynamics at a fixed level: samples of a density from its score.
//
//   ULA    x' = x + e s(x) + sqrt(2 e) z                      Parisi 1981; annealed: Song and Ermon 2019, algorithm 1
//   MALA   the same, taken with probability min(1, p(x') q(x|x') / (p(x) q(x'|x)))
//                                                             Roberts and Tweedie 1996, eq. 7
//
// q(y|x) = N(y; x + e s(x), 2 e). ULA keeps a bias: N(0, s^2) becomes N(0, s^2 / (1 - e/(2 s^2))), and for
// e >= 2 s^2 nothing. MALA has none. (solve/langevin.hpp chooses e by a signal-to-noise ratio.)
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// One unadjusted step of size e, in place, with the score and a standard normal z at x.
/// \throws std::invalid_argument unless sizes agree and 0 <= e < inf; x is then as it was.
inline void langevin_step(std::span<double> x, std::span<const double> score,
                          std::span<const double> z, double e) {
  detail::require_equal("langevin_step", "score.size()", score.size(), x.size());
  detail::require_equal("langevin_step", "z.size()", z.size(), x.size());
  detail::require(e >= 0 && std::isfinite(e), "langevin_step", "e", e, "valid: 0 <= e < inf");
  const double spread = std::sqrt(2 * e);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += e * score[i] + spread * z[i];
}

/// A point with what Langevin steps need to know of it.
struct scored_point {
  std::vector<double> x;
  double log_density = 0;
  std::vector<double> score;
};

/// log of p(to) q(from|to) / (p(from) q(to|from)): a move is taken with probability min(1, exp of it).
/// \throws std::invalid_argument unless sizes agree and 0 < e < inf.
inline double log_acceptance(const scored_point& from, const scored_point& to, double e) {
  constexpr const char* name = "log_acceptance";
  const std::size_t n = from.x.size();
  detail::require_equal(name, "to.x.size()", to.x.size(), n);
  detail::require_equal(name, "from.score.size()", from.score.size(), n);
  detail::require_equal(name, "to.score.size()", to.score.size(), n);
  detail::require(e > 0 && std::isfinite(e), name, "e", e, "valid: 0 < e < inf");
  double forth = 0, back = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double d = to.x[i] - from.x[i];
    forth += (d - e * from.score[i]) * (d - e * from.score[i]);
    back += (d + e * to.score[i]) * (d + e * to.score[i]);
  }
  return to.log_density - from.log_density + (forth - back) / (4 * e);
}

/// One adjusted step. target(point) fills log_density and score at point.x; z is standard normal, u
/// uniform in [0, 1). Returns whether `now` moved.
/// \throws std::invalid_argument as langevin_step and log_acceptance, and if log p at a proposal is NaN
///   or +inf; `now` is then as it was. -inf is a proposal outside the support: not taken.
template <class Target>
bool adjusted_langevin_step(scored_point& now, const Target& target, std::span<const double> z,
                            double u, double e) {
  detail::require(e > 0, "adjusted_langevin_step", "e", e, "valid: 0 < e < inf");
  scored_point next = now;
  langevin_step(next.x, now.score, z, e);
  target(next);
  if (next.log_density == -HUGE_VAL) return false;
  detail::require(std::isfinite(next.log_density), "adjusted_langevin_step", "log density",
                  next.log_density, "valid: finite, or -inf outside the support");
  if (!(std::log(u) < log_acceptance(now, next, e))) return false;
  now = std::move(next);
  return true;
}

}  // namespace tweedie
