// Classifier-free guidance (Ho and Salimans 2022), on any linear prediction kind:
//
//   y = y_u + w (y_c - y_u) = (1 - w) y_u + w y_c
//
// w = 1 is the conditional prediction, w = 0 the unconditional one, w > 1 extrapolates away from
// it: "the condition alone" is w = 1, beyond it the unconditional output counts by 1 - w < 0. As w
// grows without bound so does y: no law is approached. The paper's scale s counts from the
// conditional prediction, y = (1 + s) y_c - s y_u, so w = 1 + s. Both are offered by name; neither
// is a default.
//
// Because it is linear with weights that sum to 1 it gives the same x0 and z in every prediction
// kind, and costs a run nothing but the second output: give the weights to `sampling`, write the
// outputs into branches 0 (unconditional, or the negative prompt) and 1 (conditional).
//
// The law sampled is not p(c|x)^w p(x), and differs between samplers: for p(x|c) = N(0, 1),
// p(x) = N(0, 2) and fine grids, DDIM gives variance 2^(1-w), DDPM (2 - 2^(2-2w))/(2w - 1), the
// tilted density 2/(w+1) (Bradley and Nakkiran 2024).
#pragma once

#include <array>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// Branch weights {unconditional, conditional} of the scale w with w = 1 conditional.
inline std::vector<double> guidance_scale(double w) {
  detail::require(std::isfinite(w), "guidance_scale", "w", w, "valid: finite");
  return {1 - w, w};
}

/// Branch weights of the paper's scale s, with s = 0 conditional (Ho and Salimans 2022, eq. 6).
inline std::vector<double> paper_guidance_scale(double s) { return guidance_scale(1 + s); }

/// Branch weights {negative prompt, positive prompt}: guidance with the negative prompt in place
/// of no prompt.
inline std::vector<double> negative_prompt_scale(double w) { return guidance_scale(w); }

/// Branch weights {unconditional, condition 1, ..., condition n} of composed conditions,
/// y_u + sum_i w_i (y_i - y_u) (Liu et al. 2022, eq. 11).
/// \throws std::invalid_argument for no conditions, and scales that are not finite.
inline std::vector<double> composed_scales(std::span<const double> scales) {
  detail::require(!scales.empty(), "composed_scales", "conditions", 0, "valid: at least 1");
  std::vector<double> weights{1};
  for (const double w : scales) {
    detail::require(std::isfinite(w), "composed_scales", "scale", w, "valid: finite");
    weights.front() -= w;
    weights.push_back(w);
  }
  return weights;
}

/// out = (1 - w) unconditional + w conditional; out may be either input.
/// \throws std::invalid_argument if sizes differ.
template <storage_scalar S>
void guide(std::span<const S> unconditional, std::span<const S> conditional, double w,
           std::span<S> out) {
  if (unconditional.size() != out.size() || conditional.size() != out.size())
    detail::fail("guide", "size", static_cast<double>(out.size()),
                 "valid: all three of one size; got " + std::to_string(unconditional.size()) +
                     " and " + std::to_string(conditional.size()));
  detail::require(std::isfinite(w), "guide", "w", w, "valid: finite");
  S* const to = out.data();
  const std::array<const S*, 2> from{unconditional.data(), conditional.data()};
  const std::array<double, 2> weights{1 - w, w};
  combine<S>(std::span(&to, 1), from, weights, out.size());
}

/// The same for one buffer that holds [unconditional; conditional], both of out.size() elements:
/// the layout of networks that are asked both questions as one batch.
template <storage_scalar S>
void guide_batched(std::span<const S> both, double w, std::span<S> out) {
  if (both.size() != 2 * out.size())
    detail::fail("guide_batched", "size", static_cast<double>(both.size()),
                 "valid: twice the size of the output, " + std::to_string(2 * out.size()));
  guide(both.first(out.size()), both.last(out.size()), w, out);
}

}  // namespace tweedie
