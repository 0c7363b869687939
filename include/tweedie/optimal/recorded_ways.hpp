// Where recorded pilots were on their way: what steps are held against between their nodes.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <vector>

#include "tweedie/optimal/pilot.hpp"

namespace tweedie::detail {

/// Where recorded pilots are at any level: cubic Hermite interpolation of x/alpha in l = log(sigma/alpha), whose
/// slope d(x/alpha)/dl = x/alpha - D is known at the nodes.
class recorded_ways {
 public:
  /// \throws std::invalid_argument for pilots without records.
  explicit recorded_ways(const pilot_runs& pilots)
      : pilots_(&pilots),
        deviation_(pilots.end.norm() / std::sqrt(static_cast<double>(pilots.end.size()))) {
    const std::size_t count = pilots.states.size();
    require(count >= 3 && pilots.clean.size() == count && pilots.nodes.size() == count + 1,
            "recorded_ways", "recorded nodes", static_cast<double>(count),
            "valid: pilots recorded with keep = true");
    for (std::size_t i = 0; i < count; ++i)
      log_levels_.push_back(std::log(noise_level(pilots.nodes[i].level)));
  }

  /// x minus the state of the pilots at the level, in units of the deviation that x has there times that of
  /// the data.
  Eigen::VectorXd error(signal_noise level, const Eigen::MatrixXd& x) const {
    const double at = std::log(noise_level(level));
    // No interval ends in pure noise, whose level is infinite.
    std::size_t after = pilots_->nodes.front().level.alpha > 0 ? 1 : 2;
    while (after + 1 < log_levels_.size() && log_levels_[after] > at) ++after;
    const std::size_t before = after - 1;
    const double h = log_levels_[after] - log_levels_[before];
    const double s = (at - log_levels_[before]) / h;
    const double end = s * s * (3 - 2 * s);
    const double first_slope = h * s * (1 - s) * (1 - s), last_slope = h * s * s * (s - 1);
    const double first = (1 - end + first_slope) / pilots_->nodes[before].level.alpha;
    const double last = (end + last_slope) / pilots_->nodes[after].level.alpha;
    const double signal = level.alpha * deviation_;
    return deviation_ / std::hypot(signal, level.sigma) *
           (x - level.alpha *
                    (first * pilots_->states[before] + last * pilots_->states[after] -
                     first_slope * pilots_->clean[before] - last_slope * pilots_->clean[after]))
               .reshaped();
  }

 private:
  const pilot_runs* pilots_;
  double deviation_;
  std::vector<double> log_levels_;
};

}  // namespace tweedie::detail
