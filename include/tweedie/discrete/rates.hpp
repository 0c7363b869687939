// Corruption of tokens in continuous time, and its reversal by ratios of probabilities (Campbell et
// al. 2022; Sun et al. 2023; Lou et al. 2024, SEDD).
//
//   forward   Q(x, y) = uniform / K [y ordinary] + mask [y = mask] - [x = y],  a mask stays,
//   per unit of total noise: uniform + mask = 1;  exp(sigma Q) is the kernel of total noise sigma
//   reverse   R(x, y) = Q(y, x) p_t(y) / p_t(x),  y != x;  R(x, x) = -sum of the others
//
// A model gives the ratios s_y = p_t(y) / p_t(x), or log s.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tweedie/discrete/token_kernel.hpp"

namespace tweedie::discrete {

/// Shares of jumps that replace and that mask; their sum is 1.
struct token_rates {
  double uniform = 0;
  double mask = 0;
};
inline constexpr token_rates uniform_rates{1, 0};
inline constexpr token_rates absorbing_rates{0, 1};

/// exp(total Q).
/// \throws std::invalid_argument for a total below 0.
inline token_kernel kernel_of(const token_rates& rates, double total) {
  detail::require(total >= 0, "kernel_of", "total", total, "valid: at least 0");
  const double keep = std::exp(-total);
  // Masks come at their own rate, whatever was replaced before.
  const double mask = rates.mask == 0 ? 0 : -std::expm1(-total * rates.mask);
  const double uniform = rates.uniform == 1   ? -std::expm1(-total)
                         : rates.uniform == 0 ? 0
                                              : std::exp(-total * rates.mask) - keep;
  return {keep, uniform, mask};
}

/// Q(x, y).
inline double rate(const token_rates& rates, const alphabet& symbols, token x, token y) {
  if (symbols.masked(x)) return 0;
  const double jump =
      symbols.masked(y) ? rates.mask : rates.uniform / static_cast<double>(symbols.ordinary);
  return jump - (x == y ? rates.uniform + rates.mask : 0);
}

/// R(x, .) from ratios s_y = p_t(y) / p_t(x), per unit of total noise.
inline void reverse_rates(const token_rates& rates, const alphabet& symbols, token x,
                          std::span<const double> ratios, std::span<double> out) {
  detail::require_equal("reverse_rates", "ratios", ratios.size(), symbols.size());
  detail::require_equal("reverse_rates", "out", out.size(), symbols.size());
  double sum = 0;
  for (std::size_t y = 0; y < out.size(); ++y) {
    const auto from = static_cast<token>(y);
    out[y] = from == x ? 0 : rate(rates, symbols, from, x) * ratios[y];
    sum += out[y];
  }
  out[static_cast<std::size_t>(x)] = -sum;
}

/// Ratios p_s(y) / p_t(x) at less noise from ratios p_t(y) / p_t(x), where `step` leads from s to
/// t: the inverse of the step applied to all of p_t (Lou et al. 2024, eq. 19). Exact for one token.
/// \throws std::invalid_argument if the step keeps nothing.
inline void staggered_ratios(const token_kernel& step, const alphabet& symbols,
                             std::span<const double> ratios, std::span<double> out) {
  constexpr const char* name = "staggered_ratios";
  detail::require_equal(name, "ratios", ratios.size(), symbols.size());
  detail::require_equal(name, "out", out.size(), symbols.size());
  detail::require(step.keep > 0, name, "keep", step.keep, "valid: above 0");
  double ordinary = 0;
  for (std::size_t y = 0; y < out.size(); ++y)
    if (!symbols.masked(static_cast<token>(y))) ordinary += ratios[y];
  ordinary /= step.keep + step.uniform;  // that of the earlier time
  const double share = step.uniform / static_cast<double>(symbols.ordinary) * ordinary;
  for (std::size_t y = 0; y < out.size(); ++y)
    out[y] = symbols.masked(static_cast<token>(y)) ? ratios[y] - step.mask * ordinary
                                                   : (ratios[y] - share) / step.keep;
}

/// Weights of x_s given x_t = x from the ratios at t ("analytic" or Tweedie tau-leaping, Lou et al.
/// 2024, eq. 19): p_s(y) / p_t(x) q(x_t = x | x_s = y). With exact ratios these are the posterior
/// of one token and sum to 1; a model's may be negative: keep them so, for `race`.
inline void analytic_weights(const token_kernel& step, const alphabet& symbols, token x,
                             std::span<const double> ratios, std::span<double> out) {
  staggered_ratios(step, symbols, ratios, out);
  for (std::size_t y = 0; y < out.size(); ++y)
    out[y] *= probability(step, symbols, static_cast<token>(y), x);
}

/// Weights after an Euler step of length `total` (noise passed): [y = x] + total R(x, y).
inline void euler_weights(const token_rates& rates, const alphabet& symbols, token x, double total,
                          std::span<const double> ratios, std::span<double> out) {
  reverse_rates(rates, symbols, x, ratios, out);
  for (double& w : out) w *= total;
  out[static_cast<std::size_t>(x)] += 1;
}

/// Ratios p_t(y) / p_t(x) of an absorbing process from p(x_0 | x_t) (Ou et al. 2024, RADD):
/// p(y) alpha / (1 - alpha) where x is masked; for any other x only the mask, (1 - alpha) / alpha.
/// \param odds alpha / (1 - alpha) = 1 / expm1(total noise).
inline void masked_ratios(const alphabet& symbols, token x, std::span<const double> clean,
                          double odds, std::span<double> out) {
  detail::require_equal("masked_ratios", "clean", clean.size(), symbols.size());
  detail::require_equal("masked_ratios", "out", out.size(), symbols.size());
  for (std::size_t y = 0; y < out.size(); ++y) {
    const auto to = static_cast<token>(y);
    if (symbols.masked(to))
      out[y] = symbols.masked(x) ? 1 : 1 / odds;
    else
      out[y] = symbols.masked(x) ? clean[y] * odds : (to == x ? 1 : 0);
  }
}

/// The winner of a race: arg max of w_k / (eps - log(u_k + eps)), which takes k with probability
/// w_k / sum(w) for w >= 0 and eps = 0 (exponential clocks). SEDD and MDLM have eps = 1e-10.
template <class Uniform>
std::size_t race(std::span<const double> weights, const Uniform& u, double eps = 0) {
  std::size_t best = 0;
  double most = -INFINITY;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const double score = weights[k] / (eps - std::log(u(k) + eps));
    if (score > most) {
      most = score;
      best = k;
    }
  }
  return best;
}

}  // namespace tweedie::discrete
