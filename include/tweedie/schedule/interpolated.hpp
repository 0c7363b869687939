// A discrete schedule made continuous: log alpha interpolated linearly over time in [0, 1]
// (Lu et al. 2022a, appendix D.4; DPM-Solver's and UniPC's NoiseScheduleVP).
//
//   log alpha(t) is linear between t_k = (k + 1)/T, k = 0 ... T-1, and continues the first and the
//   last piece beyond them;  sigma^2 = 1 - alpha^2
//
// The discrete network's time of t is T (t - 1/T) = T t - 1 in array indices.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "tweedie/schedule/discrete.hpp"

namespace tweedie {

/// Variance-preserving schedule on (0, 1]; clean_time is 1/T, the first of its knots.
class interpolated_schedule {
 public:
  /// From log alpha at t = 1/T, 2/T, ..., 1: negative and strictly decreasing.
  explicit interpolated_schedule(std::vector<double> log_alpha) : log_alpha_(std::move(log_alpha)) {
    constexpr const char* name = "interpolated_schedule";
    detail::require(log_alpha_.size() >= 2, name, "knots", static_cast<double>(log_alpha_.size()),
                    "valid: at least 2");
    for (std::size_t k = 0; k < log_alpha_.size(); ++k)
      detail::require(
          std::isfinite(log_alpha_[k]) && log_alpha_[k] < (k == 0 ? 0 : log_alpha_[k - 1]), name,
          "log alpha", log_alpha_[k], "valid: finite, negative, decreasing");
  }

  int steps() const { return static_cast<int>(log_alpha_.size()); }
  double clean_time() const { return 1.0 / steps(); }
  double noisy_time() const { return 1; }

  /// \throws std::invalid_argument where alpha would not be below 1, or for a time that is not finite.
  signal_noise operator()(double t) const {
    const double l = log_alpha(t);
    detail::require(l < 0, "interpolated_schedule", "time", t, "valid: where alpha < 1");
    return {std::exp(l), std::sqrt(-std::expm1(2 * l))};
  }

  /// Time at which the half log-SNR is reached, on the continued pieces too.
  double time_of(double half_log_snr) const {
    const double l = half_log_snr > 0 ? -std::log1p(std::exp(-2 * half_log_snr)) / 2
                                      : half_log_snr - std::log1p(std::exp(2 * half_log_snr)) / 2;
    std::size_t above = 0;  // the first knot at or below l, by bisection
    for (std::size_t end = log_alpha_.size(); above < end;) {
      const std::size_t middle = (above + end) / 2;
      if (log_alpha_[middle] > l)
        above = middle + 1;
      else
        end = middle;
    }
    const std::size_t k = piece(above);
    const double rest = (l - log_alpha_[k]) / (log_alpha_[k + 1] - log_alpha_[k]);
    return (static_cast<double>(k) + 1 + rest) / steps();
  }

 private:
  // The piece that starts at the last knot before `upper`, or the nearest there is.
  std::size_t piece(std::size_t upper) const {
    const std::size_t last = log_alpha_.size() - 2;
    return upper == 0 ? 0 : upper - 1 < last ? upper - 1 : last;
  }
  double log_alpha(double t) const {
    detail::require(std::isfinite(t), "interpolated_schedule", "time", t, "valid: finite");
    const double at = t * steps() - 1;  // in knots
    const double upper = std::fmin(std::ceil(at), steps());
    const std::size_t k = piece(upper <= 0 ? 0 : static_cast<std::size_t>(upper));
    return log_alpha_[k] + (at - static_cast<double>(k)) * (log_alpha_[k + 1] - log_alpha_[k]);
  }

  std::vector<double> log_alpha_;
};

/// All levels of a discrete schedule whose half log-SNR is at least `lowest`. DPM-Solver cuts at
/// -5.1, where the cosine table loses its digits; its clock then still ends at 1.
inline interpolated_schedule interpolated(
    const discrete_schedule& schedule,
    double lowest_half_log_snr = -std::numeric_limits<double>::infinity()) {
  std::vector<double> log_alpha;
  for (int k = 0; k < schedule.steps(); ++k) {
    if (half_log_snr(schedule.at(k)) < lowest_half_log_snr) break;
    log_alpha.push_back(schedule.log_alpha_bar(k) / 2);
  }
  return interpolated_schedule(std::move(log_alpha));
}

}  // namespace tweedie
