// Which times a training batch looks at: arrangements of uniform numbers over a batch, discrete
// indices, and importance sampling by the size of past losses.
//
// Any arrangement u_1 ... u_n below has uniform marginals, so averages stay unbiased; stratified
// and low-discrepancy ones cover [0, 1) evenly within a batch, which lowers the variance of the
// loss (Kingma et al. 2021, appendix I.1). Times are density.quantile(u).
//
// Importance sampling (Nichol and Dhariwal 2021, eq. 18): p(t) proportional to sqrt(E L_t^2), the
// loss divided by T p(t).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tweedie/training/time_density.hpp"

namespace tweedie {

/// u_i -> (i + u_i)/n: one number in each of n equal cells. In place.
/// \throws std::invalid_argument unless 0 <= u_i <= 1, and leaves them as they were.
inline void stratify(std::span<double> uniforms) {
  for (const double u : uniforms)
    detail::require(u >= 0 && u <= 1, "stratify", "uniform", u, "valid: 0 <= uniform <= 1");
  const auto n = static_cast<double>(uniforms.size());
  for (std::size_t i = 0; i < uniforms.size(); ++i)
    uniforms[i] = (static_cast<double>(i) + uniforms[i]) / n;
}

/// frac(u + i/n), i = 0 ... n-1, from one uniform number u.
inline std::vector<double> low_discrepancy(double uniform, std::size_t count) {
  detail::require(uniform >= 0 && uniform < 1, "low_discrepancy", "uniform", uniform,
                  "valid: 0 <= uniform < 1");
  std::vector<double> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double u = uniform + static_cast<double>(i) / static_cast<double>(count);
    out[i] = u < 1 ? u : u - 1;
  }
  return out;
}

/// density.quantile of each uniform number.
template <time_density Density>
std::vector<double> draw_times(const Density& density, std::span<const double> uniforms) {
  std::vector<double> times;
  times.reserve(uniforms.size());
  for (const double u : uniforms) times.push_back(density.quantile(u));
  return times;
}

/// Array index floor(u T) in 0 ... T-1, each equally probable.
inline int discrete_time(double uniform, int steps) {
  detail::require(steps >= 1, "discrete_time", "steps", steps, "valid: steps >= 1");
  detail::require(uniform >= 0 && uniform <= 1, "discrete_time", "uniform", uniform,
                  "valid: 0 <= uniform <= 1");
  return (std::min)(steps - 1, static_cast<int>(uniform * steps));
}
inline std::vector<double> draw_discrete_times(int steps, std::span<const double> uniforms) {
  std::vector<double> times;
  times.reserve(uniforms.size());
  for (const double u : uniforms) times.push_back(discrete_time(u, steps));
  return times;
}

/// Importance sampling of T discrete times by the second moment of their last few losses; uniform
/// until every time has been seen `history` times.
class importance_times {
 public:
  /// A share `uniform_share` of the draws stays uniform, so that no time is ever forgotten.
  explicit importance_times(int steps, int history = 10, double uniform_share = 0.001)
      : history_(history), uniform_share_(uniform_share) {
    detail::require(steps >= 1, "importance_times", "steps", steps, "valid: steps >= 1");
    detail::require(history >= 1, "importance_times", "history", history, "valid: history >= 1");
    detail::require(uniform_share > 0 && uniform_share <= 1, "importance_times", "uniform_share",
                    uniform_share, "valid: 0 < uniform_share <= 1");
    losses_.resize(static_cast<std::size_t>(steps));
    probabilities_.assign(losses_.size(), 1.0 / steps);
  }

  int steps() const { return static_cast<int>(losses_.size()); }

  /// Remembers the losses of a batch, not yet multiplied by `loss_weight`.
  void record(std::span<const int> times, std::span<const double> losses) {
    if (times.size() != losses.size())
      detail::fail("importance_times::record", "losses", static_cast<double>(losses.size()),
                   "valid: one per time, " + std::to_string(times.size()));
    for (const int t : times) checked(t);
    for (std::size_t i = 0; i < times.size(); ++i)
      detail::require(std::isfinite(losses[i]), "importance_times::record", "loss", losses[i],
                      "valid: finite");
    for (std::size_t i = 0; i < times.size(); ++i) {
      std::vector<double>& past = losses_[static_cast<std::size_t>(times[i])];
      if (past.size() == static_cast<std::size_t>(history_)) past.erase(past.begin());
      past.push_back(losses[i]);
    }
    update();
  }

  double probability(int time) const { return probabilities_[checked(time)]; }

  /// 1 / (T p(t)): factor that keeps the weighted loss unbiased.
  double loss_weight(int time) const { return 1 / (steps() * probability(time)); }

  /// Smallest t whose cumulative probability exceeds u in [0, 1).
  int draw(double uniform) const {
    detail::require(uniform >= 0 && uniform < 1, "importance_times::draw", "uniform", uniform,
                    "valid: 0 <= uniform < 1");
    double sum = 0;
    for (int t = 0; t + 1 < steps(); ++t) {
      sum += probabilities_[static_cast<std::size_t>(t)];
      if (uniform < sum) return t;
    }
    return steps() - 1;
  }

 private:
  std::size_t checked(int time) const {
    if (time < 0 || time >= steps())
      detail::raise(std::out_of_range(detail::describe(
          "importance_times", "time", time, "valid: 0 <= time < " + std::to_string(steps()))));
    return static_cast<std::size_t>(time);
  }

  void update() {
    double largest = 0;
    for (const std::vector<double>& past : losses_) {
      if (past.size() < static_cast<std::size_t>(history_)) return;
      for (const double loss : past) largest = (std::max)(largest, std::abs(loss));
    }
    // In units of the largest loss, whose square need not be a number.
    std::vector<double> root(losses_.size());
    double total = 0;
    for (std::size_t t = 0; t < root.size() && largest > 0; ++t) {
      double squares = 0;
      for (const double loss : losses_[t]) squares += (loss / largest) * (loss / largest);
      root[t] = std::sqrt(squares / history_);
      total += root[t];
    }
    const double uniform = 1.0 / steps();
    for (std::size_t t = 0; t < root.size(); ++t)
      probabilities_[t] =
          total > 0 ? (1 - uniform_share_) * root[t] / total + uniform_share_ * uniform : uniform;
  }

  int history_;
  double uniform_share_;
  std::vector<std::vector<double>> losses_;
  std::vector<double> probabilities_;
};

}  // namespace tweedie
