// Training a network on ratios of probabilities: score entropy (Lou et al. 2024, SEDD, eq. 9 to 11),
// with its gradient.
//
//   sum over y != x of Q(y, x) [ s_y - r_y log s_y + r_y (log r_y - 1) ],   r_y = q(y | x_0) / q(x | x_0)
//
// Zero exactly at s = r, so that its expectation over x_0 is least at the true ratios p_t(y) / p_t(x).
#pragma once

#include <cmath>
#include <span>
#include <string>

#include "tweedie/discrete/rates.hpp"

namespace tweedie::discrete {

/// The score entropy of one token, per unit of total noise: times rate(t) it is the bound's
/// integrand. `log_scores` are log s; that of x is not read. `weight` times the gradient to them,
/// Q(y, x) (s_y - r_y), is added to `gradient`, if that is not empty.
///
/// \param marginal the kernel of total noise up to t, kernel_of(rates, total).
/// \throws std::invalid_argument if x cannot come from x_0, a clean token is masked, a score that is
///   read is NaN or +inf, tokens are out
///   of range or sizes differ; then nothing has been added.
inline double score_entropy(const token_rates& rates, const token_kernel& marginal,
                            const alphabet& symbols, token x, token x_0,
                            std::span<const double> log_scores, double weight = 1,
                            std::span<double> gradient = {}) {
  constexpr const char* name = "score_entropy";
  detail::require_equal(name, "log_scores", log_scores.size(), symbols.size());
  if (!gradient.empty()) detail::require_equal(name, "gradient", gradient.size(), symbols.size());
  const token both[] = {x, x_0};
  detail::require_tokens(name, std::span<const token>(both), symbols.size());
  detail::require(!symbols.masked(x_0), name, "x_0", x_0, "valid: no mask");
  const double here = probability(marginal, symbols, x_0, x);
  detail::require(here > 0, name, "x", x, "valid: a token that x_0 can become");
  const auto flow_from = [&](token from) { return from == x ? 0 : rate(rates, symbols, from, x); };
  for (std::size_t y = 0; y < log_scores.size(); ++y)
    if (detail::is_no_logit(log_scores[y]) && flow_from(static_cast<token>(y)) != 0)
      detail::fail(name, "log score of " + std::to_string(y), log_scores[y],
                   "valid: finite or -inf");
  double value = 0;
  for (std::size_t y = 0; y < log_scores.size(); ++y) {
    const auto from = static_cast<token>(y);
    const double flow = flow_from(from);
    if (flow == 0) continue;
    const double ratio = probability(marginal, symbols, x_0, from) / here;
    const double score = std::exp(log_scores[y]);
    value += flow * (score - (ratio == 0 ? 0 : ratio * (log_scores[y] - std::log(ratio) + 1)));
    if (!gradient.empty()) gradient[y] += weight * flow * (score - ratio);
  }
  return value;
}

}  // namespace tweedie::discrete
