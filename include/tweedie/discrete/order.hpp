// Which masked positions are filled first, and how many at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <span>
#include <vector>

#include "tweedie/discrete/proposal.hpp"

namespace tweedie::discrete {

/// What decides the order. All but `random` fill where the network is surest.
enum class unmasking_order {
  random,      ///< any order
  confidence,  ///< probability of the proposed token (MaskGIT, LLaDA's low-confidence remasking)
  margin,      ///< difference of the two largest probabilities (Kim et al. 2025)
  entropy      ///< least entropy (Dream; Ben-Hamu et al. 2025)
};

/// The larger, the sooner; 0 for a random order.
inline double score(unmasking_order order, const proposal& p) {
  switch (order) {
    case unmasking_order::confidence: return p.probability;
    case unmasking_order::margin: return p.margin;
    case unmasking_order::entropy: return -p.entropy;
    default: return 0;
  }
}

/// Indices of scores from the largest down, the first of equals first.
inline std::vector<std::size_t> ranked(std::span<const double> scores) {
  std::vector<std::size_t> by_score(scores.size());
  std::iota(by_score.begin(), by_score.end(), std::size_t{0});
  std::stable_sort(by_score.begin(), by_score.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  return by_score;
}

/// How many of `masked` tokens are filled in step `step` = 0, 1, ... of `steps`; all steps together
/// fill all of them.
using unmasking_quota = std::size_t (*)(std::size_t masked, std::size_t step, std::size_t steps);

/// The same number in each step, one more in the first ones if it does not come out even (LLaDA).
inline std::size_t even_quota(std::size_t masked, std::size_t step, std::size_t steps) {
  return masked / steps + (step < masked % steps ? 1 : 0);
}

/// Few at first: floor(masked cos(pi r / 2)) are left after a share r of the steps (MaskGIT).
inline std::size_t cosine_quota(std::size_t masked, std::size_t step, std::size_t steps) {
  const auto left = [&](std::size_t done) {
    if (done == steps) return std::size_t{0};
    const double r = static_cast<double>(done) / static_cast<double>(steps);
    return static_cast<std::size_t>(
        std::floor(static_cast<double>(masked) * std::cos(r * std::numbers::pi / 2)));
  };
  return left(step) - left(step + 1);
}

/// Takes entropies in filling order as long as their sum without the largest is at or below `bound`,
/// which bounds what they tell of each other (Ben-Hamu et al. 2025, EB-sampler, eq. 7). The first is
/// taken for bound >= 0, none below.
class entropy_budget {
 public:
  explicit entropy_budget(double bound) : bound_(bound) {}
  bool takes(double entropy) {
    sum_ += entropy;
    most_ = (std::max)(most_, entropy);
    return sum_ - most_ <= bound_;
  }

 private:
  double bound_, sum_ = 0, most_ = 0;
};

/// How many of the first of `entropies` (in filling order) may be filled at once (entropy_budget).
inline std::size_t entropy_bounded(std::span<const double> entropies, double bound) {
  entropy_budget budget(bound);
  std::size_t count = 0;
  while (count < entropies.size() && budget.takes(entropies[count])) ++count;
  return count;
}

}  // namespace tweedie::discrete
