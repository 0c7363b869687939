// One reverse step of every token from the network's guess of the clean ones: D3PM's ancestral
// sampling, masked diffusion's, remasking and discrete DDIM.
//
//   p(x_s | x_t) = sum over x_0 of q(x_s | x_t, x_0) p(x_0 | x_t)
//
//   ancestral   q is the exact posterior (Austin et al. 2021); with masks: a masked token is filled
//               with probability (alpha_s - alpha_t) / (1 - alpha_t), others stay (MDLM)
//   remasking   an unmasked token is masked again with probability sigma, and a masked one filled
//               with probability (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t) (Wang et al. 2025,
//               ReMDM, eq. 3): any sigma up to min(1, (1 - alpha_s) / alpha_t) has the same marginals
//   DDIM        sigma [x_t] + (alpha_s - sigma alpha_t) [x_0] + (1 - alpha_s - (1 - alpha_t) sigma) / K
//               (Song et al. 2021, appendix A), for uniform corruption
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tweedie/discrete/categorical.hpp"
#include "tweedie/discrete/random.hpp"
#include "tweedie/discrete/token_kernel.hpp"

namespace tweedie::discrete {

/// Largest remasking probability from alpha_t to alpha_s >= alpha_t.
inline double most_remasking(double alpha_t, double alpha_s) {
  return alpha_t <= 0 ? 1 : (std::min)(1.0, (1 - alpha_s) / alpha_t);
}

/// Weights of x_s for absorbing corruption with remasking. sigma = 0 is ancestral.
/// \throws std::invalid_argument unless 0 <= alpha_t <= alpha_s <= 1, alpha_t < 1 where x_t is
///   masked, and 0 <= sigma <= most_remasking.
inline void remasking_weights(double alpha_t, double alpha_s, double sigma, const alphabet& symbols,
                              token x_t, std::span<const double> clean, std::span<double> out) {
  constexpr const char* name = "remasking_weights";
  detail::require_equal(name, "clean", clean.size(), symbols.size());
  detail::require_equal(name, "out", out.size(), symbols.size());
  detail::require_token(name, x_t, symbols.size());
  detail::require(alpha_t >= 0 && alpha_t <= alpha_s && alpha_s <= 1, name, "alpha_t", alpha_t,
                  "valid: 0 <= alpha_t <= alpha_s <= 1");
  detail::require(sigma >= 0 && sigma <= most_remasking(alpha_t, alpha_s) * (1 + 1e-12), name,
                  "sigma", sigma, "valid: 0 ... min(1, (1 - alpha_s) / alpha_t)");
  const auto mask = static_cast<std::size_t>(symbols.mask);
  if (!symbols.masked(x_t)) {
    std::fill(out.begin(), out.end(), 0.0);
    out[static_cast<std::size_t>(x_t)] = 1 - sigma;
    out[mask] = sigma;
    return;
  }
  detail::require(alpha_t < 1, name, "alpha_t", alpha_t, "valid: below 1 where a token is masked");
  const double filled = (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t);
  for (std::size_t y = 0; y < out.size(); ++y) out[y] = filled * clean[y];
  out[mask] = 1 - filled;
}

/// Weights of x_s for uniform corruption of K tokens that keeps sigma of x_t; the largest sigma,
/// (1 - alpha_s) / (1 - alpha_t), draws no new noise.
/// \throws std::invalid_argument unless 0 <= alpha_t <= alpha_s <= 1, alpha_t < 1 and
///   0 <= sigma <= (1 - alpha_s) / (1 - alpha_t).
inline void ddim_weights(double alpha_t, double alpha_s, double sigma, token x_t,
                         std::span<const double> clean, std::span<double> out) {
  constexpr const char* name = "ddim_weights";
  detail::require_equal(name, "out", out.size(), clean.size());
  detail::require_token(name, x_t, clean.size());
  detail::require(alpha_t >= 0 && alpha_t <= alpha_s && alpha_s <= 1 && alpha_t < 1, name,
                  "alpha_t", alpha_t, "valid: 0 <= alpha_t <= alpha_s <= 1, below 1");
  detail::require(sigma >= 0 && sigma <= (1 - alpha_s) / (1 - alpha_t) * (1 + 1e-12), name, "sigma",
                  sigma, "valid: 0 ... (1 - alpha_s) / (1 - alpha_t)");
  const double noise = (std::max)(0.0, 1 - alpha_s - (1 - alpha_t) * sigma);
  for (std::size_t y = 0; y < out.size(); ++y)
    out[y] = sigma * (static_cast<token>(y) == x_t) + (alpha_s - sigma * alpha_t) * clean[y] +
             noise / static_cast<double>(out.size());
}

/// Draws every token of `x` from the weights that `reverse(x_t, clean, out)` writes, `clean` being
/// softmax(logits) with no probability on the mask. Requests one `choice` number per position.
/// \throws std::invalid_argument for sizes, tokens or rows out of range, or what `reverse` throws;
///   then nothing has been written.
template <storage_scalar S, token_integer T, class Reverse, uniform_source Source>
void reverse_step(token_batch<T> x, logits_view<S> logits, const alphabet& symbols,
                  const Reverse& reverse, const Source& source, std::uint32_t step) {
  constexpr const char* name = "reverse_step";
  const std::size_t n = symbols.size();
  detail::require_equal(name, "logits' rows", logits.rows(), x.tokens.size());
  detail::require_equal(name, "vocabulary", logits.vocabulary(), n);
  detail::require_tokens(name, x.tokens, n);
  std::vector<double> row(n), clean(n), weights(n);
  std::vector<token> next(x.tokens.size());
  for (std::size_t r = 0; r < next.size(); ++r) {
    for (std::size_t k = 0; k < n; ++k) row[k] = static_cast<double>(logits.row(r)[k]);
    if (symbols.mask >= 0) row[static_cast<std::size_t>(symbols.mask)] = -INFINITY;
    log_softmax(std::span<const double>(row), std::span<double>(clean), name, r);
    for (double& p : clean) p = std::exp(p);
    reverse(static_cast<token>(x.tokens[r]), std::span<const double>(clean),
            std::span<double>(weights));
    next[r] = static_cast<token>(
        invert_distribution(weights, source(x.request(r, step, draw_use::choice))));
  }
  std::copy(next.begin(), next.end(), x.tokens.begin());
}

/// D3PM's step for a corruption in three numbers; the kernels lead from 0 to s and from s to t.
template <storage_scalar S, token_integer T, uniform_source Source>
void ancestral_step(token_batch<T> x, logits_view<S> logits, const alphabet& symbols,
                    const token_kernel& to_s, const token_kernel& step_kernel, const Source& source,
                    std::uint32_t step) {
  reverse_step(
      x, logits, symbols,
      [&](token x_t, std::span<const double> clean, std::span<double> out) {
        reverse(to_s, step_kernel, symbols, x_t, clean, out);
      },
      source, step);
}

}  // namespace tweedie::discrete
