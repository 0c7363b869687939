// Distributions given by rows of probabilities or logits: log-softmax, the distribution function, and
// which tokens may be drawn. row_reader.hpp reads long rows of logits in one pass.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "tweedie/discrete/row_reader.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// log p of a whole row in double, T = 1: out[k] = x_k - log sum exp(x).
template <storage_scalar S>
void log_softmax(std::span<const S> row, std::span<double> out,
                 const char* function = "log_softmax", std::size_t row_number = 0) {
  double max = -INFINITY;
  for (const S x : row) {
    const double v = static_cast<double>(x);
    if (detail::is_no_logit(v)) detail::refuse_logit(function, row_number, v);
    max = (std::max)(max, v);
  }
  if (max == -INFINITY) detail::refuse_row(function, row_number);
  double sum = 0;
  for (const S x : row) sum += std::exp(static_cast<double>(x) - max);
  const double log_sum = max + std::log(sum);
  for (std::size_t k = 0; k < row.size(); ++k) out[k] = static_cast<double>(row[k]) - log_sum;
}

/// The index of the first value with the running sum above u times the whole sum.
inline std::size_t invert_distribution(std::span<const double> weights, double u) {
  const double target = u * std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    sum += weights[k];
    if (sum > target) return k;
    if (weights[k] > 0) last = k;
  }
  return last;
}

/// Sets all but the k largest logits to -inf; equals of the k-th stay. k = 0 keeps all.
inline void keep_top_k(std::span<double> logits, std::size_t k) {
  if (k == 0 || k >= logits.size()) return;
  std::vector<double> sorted(logits.begin(), logits.end());
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(k - 1),
                   sorted.end(), std::greater<>());
  for (double& x : logits)
    if (x < sorted[k - 1]) x = -INFINITY;
}

/// Nucleus sampling (Holtzman et al. 2020): keeps the smallest set of most likely tokens whose
/// probability exceeds p, at least one. p >= 1 keeps all.
/// \throws std::invalid_argument unless p > 0.
inline void keep_top_p(std::span<double> logits, double p) {
  detail::require(p > 0, "keep_top_p", "p", p, "valid: p > 0");
  if (p >= 1 || logits.empty()) return;
  std::vector<std::size_t> by_size(logits.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  const double max = logits[by_size[0]];
  double whole = 0;
  for (const double x : logits) whole += std::exp(x - max);
  double before = 0;
  for (const std::size_t k : by_size) {
    const double weight = std::exp(logits[k] - max);
    if (before > p * whole) logits[k] = -INFINITY;
    before += weight;
  }
}

}  // namespace tweedie::discrete
