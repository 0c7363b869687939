// Training a network to unmask: the bound of masked diffusion, with its gradient to the logits
// (Sahoo et al. 2024, MDLM, eq. 10; Shi et al. 2024, MD4; Nie et al. 2025, LLaDA, eq. 3).
//
//   -log p(x_0) <= E_t E_{x_t} [ w(t) sum over masked i of -log p(x_0^i | x_t) ],
//   w(t) = -alpha'(t) / (1 - alpha(t))            (1 / t for alpha = 1 - t)
//
// With exact conditionals p(x_0^i | x_t) the two sides are equal. The probabilities are those of
// logits without the mask token, and an unmasked token stays as it is (SUBS: zero masking
// probability, carry-over unmasking).
#pragma once

#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "tweedie/discrete/categorical.hpp"
#include "tweedie/discrete/survival.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// log p(x_0 | x_t) of one token under SUBS, in double: out[k] = log softmax without the mask where
/// x_t is masked, else 0 at x_t and `impossible` elsewhere. MDLM writes -1e6 for log 0.
/// \throws std::invalid_argument for sizes that differ or a row that is no distribution.
template <storage_scalar S>
void unmasking_log_probabilities(std::span<const S> logits, token x_t, token mask,
                                 std::span<double> out,
                                 double impossible = -std::numeric_limits<double>::infinity()) {
  constexpr const char* name = "unmasking_log_probabilities";
  detail::require_equal(name, "out", out.size(), logits.size());
  if (x_t != mask) {
    detail::require_token(name, x_t, logits.size());
    std::fill(out.begin(), out.end(), impossible);
    out[static_cast<std::size_t>(x_t)] = 0;
    return;
  }
  std::vector<double> row(logits.size());
  for (std::size_t k = 0; k < row.size(); ++k)
    row[k] = static_cast<double>(logits[k]) + (static_cast<token>(k) == mask ? impossible : 0.0);
  log_softmax(std::span<const double>(row), out, name);
}

/// One value per token: weight of its item times -log p(x_0 | x_t) where x_t is masked, else 0.
/// `gradient`, if not empty, receives d(sum of values)/d logits: weight (p_k - [k = x_0]).
///
/// \param logits one row per token; the mask token, if below the vocabulary, has probability 0.
/// \param weights one per item, w(t).
/// \throws std::invalid_argument for tokens out of range, x_0 with a mask, sizes that do not fit,
///   weights that are not finite, NaN logits; then nothing has been written.
template <storage_scalar S, token_range X0, token_range Xt>
std::vector<double> masked_bound(logits_view<S> logits, const X0& clean, const Xt& noised,
                                 token mask, std::span<const double> weights,
                                 std::span<S> gradient = {}) {
  constexpr const char* name = "masked_bound";
  const std::span<const std::ranges::range_value_t<X0>> x_0(clean);
  const std::span<const std::ranges::range_value_t<Xt>> x_t(noised);
  const std::size_t vocabulary = logits.vocabulary();
  detail::require_equal(name, "logits' rows", logits.rows(), x_0.size());
  detail::require_equal(name, "x_t", x_t.size(), x_0.size());
  if (weights.empty() || x_0.size() % weights.size() != 0)
    detail::fail(name, "weights", static_cast<double>(weights.size()), "valid: one per item");
  if (!gradient.empty())
    detail::require_equal(name, "gradient", gradient.size(), x_0.size() * vocabulary);
  detail::require_tokens(name, x_0, vocabulary);
  detail::require_tokens(name, x_t, vocabulary, mask);
  for (const double w : weights)
    detail::require(std::isfinite(w), name, "weight", w, "valid: finite");
  const std::size_t length = x_0.size() / weights.size();
  std::vector<double> values(x_0.size(), 0.0), log_sums(x_0.size(), 0.0);
  row_reader reader;
  for (std::size_t i = 0; i < x_0.size(); ++i) {
    if (x_t[i] != mask) continue;
    if (x_0[i] == mask) detail::fail(name, "x_0 at " + std::to_string(i), mask, "valid: no mask");
    log_sums[i] = reader.read(logits.row(i), vocabulary, {.excluded = {mask, -1}}, name, i).log_sum;
    values[i] =
        weights[i / length] *
        (log_sums[i] - static_cast<double>(logits.row(i)[static_cast<std::size_t>(x_0[i])]));
  }
  if (gradient.empty()) return values;
  for (std::size_t i = 0; i < x_0.size(); ++i) {
    const double w = weights[i / length];
    for (std::size_t k = 0; k < vocabulary; ++k) {
      const auto y = static_cast<token>(k);
      const double p =
          x_t[i] != mask || y == mask
              ? 0
              : std::exp(static_cast<double>(logits.row(i)[k]) - log_sums[i]) - (y == x_0[i]);
      gradient[i * vocabulary + k] = static_cast<S>(w * p);
    }
  }
  return values;
}

/// One term of the bound in discrete time, for a masked token and alpha_t = 1 - t, s = t - dt: the
/// KL divergence of q(x_s | x_t, x_0) from the model's reverse step, where the model may also give
/// the mask a probability p_mask (D3PM's parameterisation; with SUBS p_mask = 0 and the term is
/// -dt / t log p(x_0)):
///   dt/t [log(alpha_t p_mask / t + 1) - log p(x_0)]
///   + (1 - dt/t) [log(alpha_t p_mask / t + 1) - log(alpha_s p_mask / s + 1)]
/// The second part is 0 at s = 0, where its factor is.
/// \throws std::invalid_argument unless 0 <= s < t <= 1.
inline double masked_step_bound(double log_p_clean, double p_mask, double t, double dt) {
  detail::require(dt > 0 && t <= 1 && t - dt >= -1e-12, "masked_step_bound", "t", t,
                  "valid: 0 <= t - dt < t <= 1");
  const double s = t - dt;
  const double at_t = std::log1p((1 - t) * p_mask / t);
  const double first = dt / t * (at_t - log_p_clean);
  return s <= 0 ? first : first + (1 - dt / t) * (at_t - std::log1p((1 - s) * p_mask / s));
}

}  // namespace tweedie::discrete
