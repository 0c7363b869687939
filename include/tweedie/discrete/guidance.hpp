// Guidance of token models in log space (Nisonoff et al. 2024; Schiff et al. 2024; LLaDA).
#pragma once

#include <cmath>
#include <limits>
#include <span>
#include <string>

#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// log p_guided = w log p_conditional + (1 - w) log p_unconditional, up to normalisation: at w = 1
/// the conditional, at w = 0 the other. LLaDA's cfg_scale is w - 1. A token impossible in either
/// for a positive weight stays impossible; `out` may be either input. Reads 2n twice, writes n.
/// \throws std::invalid_argument for sizes that differ, a weight that is not finite, or a logit that is
///   NaN or +inf; then nothing has been written.
template <storage_scalar S>
void guide(std::span<const S> conditional, std::span<const S> unconditional, double weight,
           std::span<S> out) {
  detail::require_equal("guide", "unconditional", unconditional.size(), conditional.size());
  detail::require_equal("guide", "out", out.size(), conditional.size());
  detail::require(std::isfinite(weight), "guide", "weight", weight, "valid: finite");
  using A = arithmetic_t<S>;
  for (const std::span<const S> logits : {conditional, unconditional}) {
    A worst = 0;  // a sum that is NaN or inf tells one of them; -inf is made 0
    for (const S x : logits) {
      const A v = static_cast<A>(x);
      worst += v < 0 ? A{0} : v - v;
    }
    if (worst == 0) continue;
    for (std::size_t k = 0; k < logits.size(); ++k)
      if (const auto v = static_cast<double>(logits[k]); detail::is_no_logit(v))
        detail::fail("guide", "logit at " + std::to_string(k), v, "valid: finite or -inf");
  }
  const A w = static_cast<A>(weight);
  for (std::size_t k = 0; k < out.size(); ++k) {
    const A c = static_cast<A>(conditional[k]), u = static_cast<A>(unconditional[k]);
    const bool impossible = std::isinf(c) || std::isinf(u);
    if (impossible)
      out[k] = static_cast<S>((w != 0 && std::isinf(c)) || (w != 1 && std::isinf(u))
                                  ? -std::numeric_limits<A>::infinity()
                                  : (w == 0 ? u : c));
    else
      out[k] = static_cast<S>(u + w * (c - u));
  }
}

}  // namespace tweedie::discrete
