// Corruption that keeps a token, replaces it by any ordinary token, or masks it: uniform, absorbing
// and hybrid processes (Hoogeboom et al. 2021; Austin et al. 2021, D3PM; Gu et al. 2022,
// VQ-Diffusion; von Ruette et al. 2025, GIDD) in three numbers, whatever the vocabulary.
//
//   q(x_t = y | x_s = x) = keep [x = y] + uniform / K [y ordinary] + mask [y = mask]
//
// for one of K ordinary tokens x; a mask stays. keep + uniform + mask = 1. Steps compose to a
// kernel of the same kind, so marginals and posteriors are closed forms in O(1) per token.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/discrete/random.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// One step, or many. Probabilities of the three ways; 0 <= each <= 1, their sum 1.
struct token_kernel {
  double keep = 1;
  double uniform = 0;
  double mask = 0;
};

/// Kernel that keeps with probability `survival`, else draws uniformly.
inline token_kernel uniform_kernel(double survival) { return {survival, 1 - survival, 0}; }
/// Kernel that keeps with probability `survival`, else masks.
inline token_kernel absorbing_kernel(double survival) { return {survival, 0, 1 - survival}; }

/// `first`, then `second`.
inline token_kernel compose(const token_kernel& first, const token_kernel& second) {
  const double keep = first.keep * second.keep;
  // What is kept by one and replaced by the other, without the difference 1 - keep - mask.
  const double uniform =
      first.keep * second.uniform + first.uniform * (second.keep + second.uniform);
  return {keep, uniform, first.mask + (first.keep + first.uniform) * second.mask};
}

/// The step that leads from the marginal kernel at s to that at a later t: compose(s, step) = t.
/// \throws std::invalid_argument if there is none: less survival is lost than gained.
inline token_kernel between(const token_kernel& s, const token_kernel& t) {
  const double ordinary = 1 - s.mask;
  detail::require(s.keep > 0 || t.keep == 0, "between", "keep at s", s.keep,
                  "valid: above 0 unless nothing is kept at t");
  if (ordinary <= 0) return {1, 0, 0};
  const double keep = s.keep > 0 ? t.keep / s.keep : 0;
  const double mask = (t.mask - s.mask) / ordinary;
  const double uniform = 1 - keep - mask;
  constexpr double rounding = 1e-12;
  detail::require(keep <= 1 + rounding && mask >= -rounding && uniform >= -rounding, "between",
                  "keep", keep, "valid: survival and unmasked share may only fall from s to t");
  return {(std::min)(keep, 1.0), (std::max)(uniform, 0.0), (std::max)(mask, 0.0)};
}

/// The tokens of a kernel: K ordinary ones, 0 ... K - 1 without the mask; `mask` is -1 where there
/// is none, and may be any number from 0 to K.
struct alphabet {
  std::size_t ordinary = 0;
  token mask = -1;

  bool masked(token x) const { return mask >= 0 && x == mask; }
  /// Number of different values a token may take.
  std::size_t size() const { return ordinary + (mask >= 0 ? 1 : 0); }
};

/// q(y | x) of one kernel.
inline double probability(const token_kernel& kernel, const alphabet& symbols, token x, token y) {
  if (symbols.masked(x)) return symbols.masked(y) ? 1 : 0;
  if (symbols.masked(y)) return kernel.mask;
  return kernel.uniform / static_cast<double>(symbols.ordinary) + (x == y ? kernel.keep : 0);
}

/// Draws y ~ q(y | x) from a uniform `u` in [0, 1): kept below `keep`, then masked, then replaced.
inline token corrupt(const token_kernel& kernel, const alphabet& symbols, token x, double u) {
  if (symbols.masked(x) || u < kernel.keep) return x;
  if (u < kernel.keep + kernel.mask || kernel.uniform <= 0) return symbols.mask;
  const auto drawn =
      static_cast<token>(below(symbols.ordinary, (u - kernel.keep - kernel.mask) / kernel.uniform));
  return symbols.mask >= 0 && drawn >= symbols.mask ? drawn + 1 : drawn;
}

/// q(x_s = y | x_t, x_0), s < t, for y of every symbol; the kernels lead from 0 to s and s to t.
///   q(x_s | x_t, x_0) = q(x_t | x_s) q(x_s | x_0) / q(x_t | x_0)
/// \throws std::invalid_argument if x_t cannot come from x_0, or `out` has another size.
inline void posterior(const token_kernel& to_s, const token_kernel& step, const alphabet& symbols,
                      token x_t, token x_0, std::span<double> out) {
  detail::require_equal("posterior", "out", out.size(), symbols.size());
  const double evidence = probability(compose(to_s, step), symbols, x_0, x_t);
  detail::require(evidence > 0, "posterior", "x_t", x_t, "valid: a token that x_0 can become");
  for (std::size_t y = 0; y < out.size(); ++y) {
    const auto x_s = static_cast<token>(y);
    out[y] = probability(step, symbols, x_s, x_t) * probability(to_s, symbols, x_0, x_s) / evidence;
  }
}

/// p(x_s = y | x_t) = sum over x_0 of q(x_s = y | x_t, x_0) p(x_0 | x_t), in O(K). `clean` are the
/// probabilities of x_0 over all symbols; the mask's own must be 0 where masking happens.
///
/// With r = p(x_0) / q(x_t | x_0) and R its sum, p(y | x_t) = q(x_t | y) (keep r_y + uniform R / K)
/// for ordinary y and q(x_t | mask) mask R for the mask.
///
/// \param to_s,step,to_t the kernels from 0 to s, s to t and 0 to t: to_t = compose(to_s, step).
/// \throws std::invalid_argument for sizes that differ, or no probability on what can become x_t.
inline void reverse(const token_kernel& to_s, const token_kernel& step, const token_kernel& to_t,
                    const alphabet& symbols, token x_t, std::span<const double> clean,
                    std::span<double> out) {
  detail::require_equal("reverse", "clean", clean.size(), symbols.size());
  detail::require_equal("reverse", "out", out.size(), symbols.size());
  detail::require_token("reverse", x_t, symbols.size());
  double sum = 0;
  for (std::size_t y = 0; y < clean.size(); ++y) {
    const auto x_0 = static_cast<token>(y);
    const double evidence = symbols.masked(x_0) ? 0 : probability(to_t, symbols, x_0, x_t);
    out[y] = clean[y] == 0 || evidence == 0 ? 0 : clean[y] / evidence;
    sum += out[y];
  }
  detail::require(sum > 0, "reverse", "clean", sum,
                  "valid: some probability on a token that can become x_t");
  const double floor = to_s.uniform / static_cast<double>(symbols.ordinary) * sum;
  for (std::size_t y = 0; y < out.size(); ++y) {
    const auto x_s = static_cast<token>(y);
    out[y] = probability(step, symbols, x_s, x_t) *
             (symbols.masked(x_s) ? to_s.mask * sum : to_s.keep * out[y] + floor);
  }
}
inline void reverse(const token_kernel& to_s, const token_kernel& step, const alphabet& symbols,
                    token x_t, std::span<const double> clean, std::span<double> out) {
  reverse(to_s, step, compose(to_s, step), symbols, x_t, clean, out);
}

}  // namespace tweedie::discrete
