// Guidance that splits the difference of outputs along and across the conditional one.
//
//   d = y_c - y_u + beta m,  m <- d;  d <- d min(1, r/|d|);  d = d_par + d_orth along y_c
//   y = y_c + (w - 1)(d_orth + eta d_par)
//
// Adaptive projected guidance, APG (Sadat, Hilliges and Weber 2024, "Eliminating oversaturation and
// artifacts of high guidance scales", section 4, algorithm 1): d_par raises contrast and saturates, d_orth improves.
// The paper applies it to x0 estimates. Zero outputs: y_c = 0 has no direction, all of d is orthogonal.
#pragma once

#include <algorithm>
#include <array>

#include "tweedie/guidance/rule.hpp"

namespace tweedie {

/// What a projected difference is added to: the paper's y_c + (w - 1) d', or y_u + w d' of diffusers.
/// They are the same for eta = 1 without limit and momentum.
enum class guidance_base { conditional, unconditional };

/// Branches {unconditional, conditional}. w = 1 is the conditional output, to the bit.
struct adaptive_projected {
  double w = 1;
  double eta = 0;       ///< share kept of the parallel part; 1 is classifier-free guidance
  double limit = 0;     ///< r > 0: largest norm of the difference; 0: none
  double momentum = 0;  ///< beta; negative in the paper, -0.5
  guidance_base base = guidance_base::conditional;

  std::size_t branches() const { return 2; }
  bool needs_gram() const { return eta != 1 || limit > 0; }
  bool remembers() const { return momentum != 0; }
  void weights(const guidance_point&, const stream_gram& g, std::span<double> guided,
               std::span<double> remembered) const {
    const std::array<double, 3> difference{-1, 1, momentum};
    const std::span<const double> d = std::span(difference).first(remembers() ? 3 : 2);
    std::copy_n(d.begin(), remembered.size(), remembered.begin());
    double scale = base == guidance_base::conditional ? w - 1 : w;
    guided[base == guidance_base::conditional ? 1 : 0] = 1;
    if (limit > 0) {
      const double norm = std::sqrt(g.square(d));
      if (norm > limit) scale *= limit / norm;
    }
    for (std::size_t k = 0; k < d.size(); ++k) guided[k] += scale * d[k];
    if (eta != 1 && scale != 0 && g(1, 1) > 0) {
      const std::array<double, 2> conditional{0, 1};
      guided[1] -= scale * (1 - eta) * g.inner(d, conditional) / g(1, 1);
    }
  }
};

/// Classifier-free guidance up to and including step `last_plain`, gathering momentum, then APG (the
/// mix of HunyuanImage 2.1).
struct adaptive_projected_mix {
  double plain_w = 1;
  std::size_t last_plain = 0;
  adaptive_projected projected{};

  std::size_t branches() const { return 2; }
  bool needs_gram() const { return projected.needs_gram(); }
  bool remembers() const { return projected.remembers(); }
  void weights(const guidance_point& point, const stream_gram& g, std::span<double> guided,
               std::span<double> remembered) const {
    projected.weights(point, g, guided, remembered);
    if (point.step > last_plain) return;
    std::fill(guided.begin(), guided.end(), 0.0);
    guided[0] = 1 - plain_w;
    guided[1] = plain_w;
  }
};

}  // namespace tweedie
