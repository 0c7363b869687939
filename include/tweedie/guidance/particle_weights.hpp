// Weighted particles: the items of a batch as draws from a law that their weights correct.
//
// Where few carry the weight they are drawn again by it, so that the others are not followed in vain
// (sequential Monte Carlo). guidance/particles.hpp and guidance/twisted.hpp find the weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// Which particles go on, as often as they are listed: particle i about n W_i times, by one uniform
/// number u in [0, 1) (systematic resampling, Kitagawa 1996). Weights need not sum to 1.
/// \throws std::invalid_argument for weights that are negative, not finite or all 0, or u outside.
inline std::vector<std::size_t> systematic_resampling(std::span<const double> weights, double u) {
  constexpr const char* name = "systematic_resampling";
  detail::require(u >= 0 && u < 1, name, "u", u, "valid: 0 <= u < 1");
  double total = 0;
  for (const double w : weights) {
    detail::require(w >= 0 && std::isfinite(w), name, "weight", w, "valid: 0 <= weight < inf");
    total += w;
  }
  detail::require(total > 0 && std::isfinite(total), name, "sum of weights", total,
                  "valid: positive and finite");
  std::vector<std::size_t> chosen;
  const std::size_t n = weights.size();
  double below = 0;
  for (std::size_t i = 0; i < n; ++i) {
    below += weights[i];
    while (chosen.size() < n &&
           (static_cast<double>(chosen.size()) + u) * total < below * static_cast<double>(n))
      chosen.push_back(i);
  }
  while (chosen.size() < n) chosen.push_back(chosen.empty() ? 0 : chosen.back());
  return chosen;
}

/// Weights of the items of a batch, equal at first.
class particle_weights {
 public:
  /// \throws std::invalid_argument for no items.
  explicit particle_weights(std::size_t items) : log_weights_(items, 0.0) {
    detail::require(items > 0, "particle_weights", "items", 0, "valid: at least 1");
  }

  std::size_t items() const { return log_weights_.size(); }
  /// Multiplies the weight of one item by exp(log_factor).
  /// \throws std::invalid_argument for a factor that is infinite or no number; 0, the logarithm -inf, is none.
  void multiply(std::size_t item, double log_factor) {
    detail::require(log_factor < INFINITY, "particle_weights::multiply", "log_factor", log_factor,
                    "valid: below infinity");
    log_weights_[item] += log_factor;
  }

  /// Weights that sum to 1.
  /// \throws std::invalid_argument where all are 0.
  std::vector<double> weights() const {
    const double most = *std::max_element(log_weights_.begin(), log_weights_.end());
    detail::require(std::isfinite(most), "particle_weights", "largest log weight", most,
                    "valid: finite; is the condition possible?");
    std::vector<double> out;
    double total = 0;
    for (const double l : log_weights_) total += out.emplace_back(std::exp(l - most));
    for (double& v : out) v /= total;
    return out;
  }

  /// 1/sum W^2: the number of equal particles that would be worth as much.
  double effective_size() const {
    double squares = 0;
    for (const double v : weights()) squares += v * v;
    return 1 / squares;
  }

  /// Draws particles by weight with one uniform number in [0, 1), moves the items of x accordingly,
  /// and makes weights equal. Returns which items went on.
  /// \throws std::invalid_argument for x of other items, or u outside [0, 1).
  template <writable_tensor X>
  std::vector<std::size_t> resample(double u, X&& x) {
    detail::require_equal("particle_weights::resample", "items", traits_of<X>::items(x), items());
    const auto to = elements(x);
    const std::vector<scalar_t<X>> from(to.begin(), to.end());
    const std::size_t length = from.size() / items();
    std::vector<std::size_t> chosen = systematic_resampling(weights(), u);
    for (std::size_t i = 0; i < chosen.size(); ++i)
      std::copy_n(from.data() + chosen[i] * length, length, to.data() + i * length);
    std::fill(log_weights_.begin(), log_weights_.end(), 0.0);
    return chosen;
  }

 private:
  std::vector<double> log_weights_;
};

}  // namespace tweedie
