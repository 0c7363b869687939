// Guidance by several conditions, perturbed networks, and scales over the frames of a video.
//
// Without a Gram matrix: weights that `branch_weights` or `sampling` take as they are.
//   composed     y_u + sum_i w_i (y_i - y_u)                    guidance/classifier_free.hpp
//   dual         y_u + s_i (y_i - y_u) + s_t (y_f - y_i)        InstructPix2Pix
//   autoguidance y_d + w (y - y_d), d a degraded network        guidance_scale(w), Karras et al. 2024
//   perturbed    y_u + w (y_c - y_u) + s (y_c - y_p)            PAG, SEG, SLG
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "tweedie/guidance/rule.hpp"

namespace tweedie {

/// Branches {nothing, image only, image and text} (Brooks, Holynski and Efros 2023, eq. 3).
inline branch_weights dual_guidance(double text, double image) {
  return {{1 - image, image - text, text}};
}

/// Branches {unconditional, conditional, perturbed}: perturbed attention (Ahn et al. 2024, eq. 12),
/// smoothed energy (Hong 2024) and skipped layers, which differ in how the network is perturbed
/// only. w = 1 does without the unconditional output.
inline branch_weights perturbed_guidance(double w, double s) { return {{1 - w, w + s, -s}}; }

/// Perp-Neg (Armandpour et al. 2023, eqs. 6 to 8) on branches {unconditional, main, others ...}:
///
///   d_i = y_i - y_u,  y = y_u + scale (d_main + sum_i w_i (d_i - <d_i, d_main>/|d_main|^2 d_main))
///
/// Negative prompts have w_i < 0: what they share with the main one is not taken away. |d_main|^2 is
/// at least `floor`; with d_main = 0 nothing is projected.
struct perpendicular_negative {
  double scale = 1;
  std::vector<double> others;
  double floor = 0;

  std::size_t branches() const { return 2 + others.size(); }
  bool needs_gram() const { return !others.empty(); }
  void weights(const guidance_point&, const stream_gram& g, std::span<double> guided,
               std::span<double>) const {
    double main = 1, all = 1;
    const double square =
        (std::max)(floor, g.streams() > 1 && needs_gram() ? g(1, 1) - 2 * g(1, 0) + g(0, 0) : 0);
    for (std::size_t i = 0; i < others.size(); ++i) {
      if (others[i] == 0) continue;
      const std::size_t k = 2 + i;
      const double shared = g(k, 1) - g(k, 0) - g(1, 0) + g(0, 0);
      const double projection = square > 0 ? shared / square : 0;
      guided[k] = scale * others[i];
      main -= others[i] * projection;
      all += others[i] * (1 - projection);
    }
    guided[1] = scale * main;
    guided[0] = 1 - scale * all;
  }
};

/// Scales that rise from `first` to `last` over the frames (Blattmann et al. 2023, section D).
inline std::vector<double> linear_frames(double first, double last, std::size_t frames) {
  std::vector<double> w(frames, first);
  for (std::size_t f = 1; f < frames; ++f)
    w[f] += (last - first) * static_cast<double>(f) / static_cast<double>(frames - 1);
  return w;
}

/// 2 |v - floor(v + 1/2)|: 0 at whole numbers, 1 between.
inline double triangle_wave(double v) { return 2 * std::abs(v - std::floor(v + 0.5)); }

/// Scales of views around an object: `outer` at the ends, `inner` at the middle of each period (in
/// units of the whole turn).
inline std::vector<double> triangle_frames(double outer, double inner, std::size_t frames,
                                           double period = 1) {
  std::vector<double> w = linear_frames(0, 1, frames);
  for (double& v : w) v = outer + (inner - outer) * triangle_wave(v / period);
  return w;
}

/// Times and views, view fastest: halves of a ramp over times and of a triangle over views.
inline std::vector<double> spatiotemporal_frames(double low, double high, std::size_t times,
                                                 std::size_t views) {
  const std::vector<double> ramp = linear_frames(0, 1, times);
  const std::vector<double> around = triangle_frames(0, 1, views);
  std::vector<double> w;
  for (const double t : ramp)
    for (const double v : around) w.push_back(low + (high - low) * (t + v) / 2);
  return w;
}

/// Annealed condition noise, CADS (Sadat et al. 2023, eqs. 2 to 4): weight gamma of the condition at
/// time t in [0, 1], 1 up to `full`, 0 from `none` on, linear between.
inline double annealing(double t, double full, double none) {
  return t <= full ? 1 : t >= none ? 0 : (none - t) / (none - full);
}

/// out = psi y'' + (1 - psi) y', y' = sqrt(gamma) y + scale sqrt(1 - gamma) n, y'' = y' with the mean
/// and deviation of y. One condition (the spans are its statistics); a y' without spread is not
/// changed. out may be y or n. gamma and psi in [0, 1].
/// \throws std::invalid_argument for sizes that differ and numbers out of range.
inline void anneal_condition(std::span<const double> y, std::span<const double> n, double gamma,
                             double scale, double psi, std::span<double> out) {
  constexpr const char* name = "anneal_condition";
  detail::require(y.size() == out.size() && n.size() == out.size(), name, "size",
                  static_cast<double>(out.size()), "valid: all three of one size");
  detail::require(gamma >= 0 && gamma <= 1, name, "gamma", gamma, "valid: 0 to 1");
  detail::require(psi >= 0 && psi <= 1, name, "psi", psi, "valid: 0 to 1");
  detail::require(std::isfinite(scale), name, "scale", scale, "valid: finite");
  struct statistics {
    double mean = 0, deviation = 0;
  };
  const auto of = [](std::span<const double> v) {
    statistics s;
    const auto count = static_cast<double>(v.size());
    for (const double e : v) s.mean += e / count;
    for (const double e : v) s.deviation += (e - s.mean) * (e - s.mean) / count;
    s.deviation = std::sqrt(s.deviation);
    return s;
  };
  const statistics before = of(y);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = std::sqrt(gamma) * y[i] + scale * std::sqrt(1 - gamma) * n[i];
  const statistics after = of(out);
  if (psi == 0 || !(after.deviation > 4 * 0x1p-52 * std::abs(after.mean))) return;
  const double gain = before.deviation / after.deviation;
  for (double& e : out) e = psi * ((e - after.mean) * gain + before.mean) + (1 - psi) * e;
}

}  // namespace tweedie
