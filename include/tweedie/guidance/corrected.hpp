// Guidance that corrects the unconditional output, or the scale, by the angle and size of the outputs.
//
// All are y = y_u' + w' (y_c - y_u') on branches {unconditional, conditional}, w = 1 conditional.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "tweedie/guidance/rule.hpp"

namespace tweedie {

/// CFG-Zero* (Fan et al. 2025, eq. 9): y_u' = s y_u, s = <y_c, y_u>/(|y_u|^2 + floor), the nearest
/// multiple of y_u to y_c. y_u = 0 has s = 0. The authors' code has floor = 1e-8.
struct zero_star {
  double w = 1;
  double floor = 0;

  std::size_t branches() const { return 2; }
  bool needs_gram() const { return w != 1; }
  void weights(const guidance_point&, const stream_gram& g, std::span<double> guided,
               std::span<double>) const {
    guided[1] = w;
    if (w != 1 && g(0, 0) + floor != 0) guided[0] = (1 - w) * g(1, 0) / (g(0, 0) + floor);
  }
};

/// The zero initialisation of the same paper: the first `steps` steps are guided to 0, then `rule`.
template <guidance_rule R>
struct zero_first {
  R rule;
  std::size_t steps = 1;

  std::size_t branches() const { return rule.branches(); }
  bool needs_gram() const { return tweedie::needs_gram(rule); }
  bool remembers() const { return tweedie::remembers(rule); }
  bool reads_state() const { return tweedie::reads_state(rule); }
  bool reads_clean_only() const { return tweedie::reads_clean_only(rule); }
  void weights(const guidance_point& point, const stream_gram& g, std::span<double> guided,
               std::span<double> remembered) const {
    if (point.step >= steps) return rule.weights(point, g, guided, remembered);
    if (!remembered.empty()) remembered[branches()] = 1;
  }
};
template <class R>
zero_first(R, std::size_t) -> zero_first<R>;

/// Tangential damping, TCFG (Kwon et al. 2025, algorithm 1): y_u' = <y_u, v> v, v the first right
/// singular vector of the rows [y_c; y_u]. With (a, b) the first eigenvector of their Gram matrix,
/// v is along a y_c + b y_u and y_u' = a b y_c + b^2 y_u. Where both singular values are equal no
/// direction is first and y_u is left as it is.
struct tangential {
  double w = 1;

  std::size_t branches() const { return 2; }
  bool needs_gram() const { return w != 1; }
  void weights(const guidance_point&, const stream_gram& g, std::span<double> guided,
               std::span<double>) const {
    guided[0] = 1 - w;
    guided[1] = w;
    if (w == 1) return;
    const double difference = g(1, 1) - g(0, 0), twice = 2 * g(1, 0);
    const double length = std::hypot(difference, twice);
    if (!(length > 0)) return;
    const double ab = g(1, 0) / length;
    // sin^2 of the angle, without cancellation.
    const double bb = difference > 0 ? twice / length * (twice / (2 * (length + difference)))
                                     : (1 - difference / length) / 2;
    guided[0] = (1 - w) * bb;
    guided[1] = w + (1 - w) * ab;
  }
};

/// Magnitude-aware guidance, MAMBO-G (2025): w' = 1 + (w - 1) exp(-strength |y_c - y_u|/|y_u|).
/// y_u = 0 gives the conditional output; so do equal outputs.
struct magnitude_aware {
  double w = 1;
  double strength = 8;

  std::size_t branches() const { return 2; }
  bool needs_gram() const { return w != 1 && strength != 0; }
  void weights(const guidance_point&, const stream_gram& g, std::span<double> guided,
               std::span<double>) const {
    double excess = w - 1;
    if (needs_gram()) {
      const double d = std::sqrt((std::max)(0.0, g(1, 1) - 2 * g(1, 0) + g(0, 0)));
      if (d > 0) excess *= std::exp(-strength * d / std::sqrt(g(0, 0)));
    }
    guided[0] = -excess;
    guided[1] = 1 + excess;
  }
};

/// The output keeps a share phi of the spread of the conditional one (Lin et al. 2023, "Common
/// diffusion noise schedules and sample steps are flawed", eqs. 14 to 16):
///
///   y <- (phi std(y_c)/std(y) + 1 - phi) y
///
/// over one item, y from `rule`, y_c branch 1. phi in [0, 1]; 0 is `rule` to the bit. A y without
/// spread is left alone. The ratio is the same with biased and unbiased deviations.
template <guidance_rule R>
struct rescaled {
  R rule;
  double phi = 0.7;

  std::size_t branches() const { return rule.branches(); }
  bool needs_gram() const { return phi != 0 || tweedie::needs_gram(rule); }
  bool remembers() const { return tweedie::remembers(rule); }
  bool reads_state() const { return tweedie::reads_state(rule); }
  void weights(const guidance_point& point, const stream_gram& g, std::span<double> guided,
               std::span<double> remembered) const {
    rule.weights(point, g, guided, remembered);
    if (phi == 0) return;
    const double conditional[] = {0, 1};
    const double of_guided = g.variance(guided);
    if (!(of_guided > 0)) return;
    const double ratio = std::sqrt(g.variance(conditional) / of_guided);
    for (double& w : guided) w *= 1 + phi * (ratio - 1);
  }
};
template <class R>
rescaled(R, double) -> rescaled<R>;

}  // namespace tweedie
