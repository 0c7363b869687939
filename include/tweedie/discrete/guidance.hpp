// Guidance of token models in log space (Nisonoff et al. 2024; Schiff et al. 2024; LLaDA).
#pragma once

#include <cmath>
#include <limits>
#include <span>

#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// log p_guided = w log p_conditional + (1 - w) log p_unconditional, up to normalisation: at w = 1
/// the conditional, at w = 0 the other. LLaDA's cfg_scale is w - 1. A token impossible in either
/// for a positive weight stays impossible; `out` may be either input. Reads 2n, writes n.
/// \throws std::invalid_argument for sizes that differ or a weight that is not finite.
template <storage_scalar S>
void guide(std::span<const S> conditional, std::span<const S> unconditional, double weight,
           std::span<S> out) {
  detail::require_equal("guide", "unconditional", unconditional.size(), conditional.size());
  detail::require_equal("guide", "out", out.size(), conditional.size());
  detail::require(std::isfinite(weight), "guide", "weight", weight, "valid: finite");
  using A = arithmetic_t<S>;
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
