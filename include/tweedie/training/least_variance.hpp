// The schedule that learns its own clock: of all that have the same ends, the one whose estimate of the variational
// bound varies least (Kingma et al. 2021, section 4.1 and appendix H; there a monotone network descends on it).
//
//   bound  1/2 int_0^1 -l'(t) e(l(t)) dt,   l = log SNR,  e = E|z - z_hat|^2 at a level
//
// is the same for all such schedules; its estimate at a random t has the second moment 1/4 int l'^2 E|z - z_hat|^4 dt.
// Linear pieces of l: with knots l_0 > ... > l_n and m_k the mean of |z - z_hat|^4 over the levels of piece k,
//
//   sum_k (l_(k-1) - l_k)^2 m_k / dt_k  is least for  dt_k proportional to (l_(k-1) - l_k) sqrt(m_k)
//
// by Cauchy and Schwarz: every piece then contributes alike, and no descent is needed.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// Variance-preserving levels whose log SNR is linear in t between knots, from data at t = 0 to noise at t = 1.
class piecewise_log_snr {
 public:
  /// \throws std::invalid_argument unless there are at least two knots, as many times, times rise from 0 to 1 and
  ///   log SNRs are finite and fall.
  piecewise_log_snr(std::vector<double> times, std::vector<double> log_snrs)
      : times_(std::move(times)), log_snrs_(std::move(log_snrs)) {
    constexpr const char* name = "piecewise_log_snr";
    const std::size_t n = times_.size();
    detail::require(n >= 2, name, "knots", static_cast<double>(n), "valid: at least 2");
    if (log_snrs_.size() != n)
      detail::fail(name, "log SNRs", static_cast<double>(log_snrs_.size()),
                   "valid: one per time, " + std::to_string(n));
    detail::require(times_.front() == 0, name, "first time", times_.front(), "valid: 0");
    detail::require(times_.back() == 1, name, "last time", times_.back(), "valid: 1");
    for (std::size_t k = 0; k < n; ++k) {
      detail::require(std::isfinite(log_snrs_[k]) && (k == 0 || log_snrs_[k] < log_snrs_[k - 1]),
                      name, "log SNR", log_snrs_[k], "valid: finite, falling");
      detail::require(k == 0 || times_[k] > times_[k - 1], name, "time", times_[k],
                      "valid: rising times");
    }
  }

  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  std::span<const double> times() const { return times_; }
  std::span<const double> log_snrs() const { return log_snrs_; }

  signal_noise operator()(double t) const { return level_of(log_snr_at(t)); }

  /// At a knot, of the piece that follows it.
  signal_noise_rate rate(double t) const {
    const auto [alpha, sigma] = (*this)(t);
    const double half = slope(piece(t)) / 2;
    return {half * alpha * sigma * sigma, -half * sigma * alpha * alpha};
  }

  /// \throws std::invalid_argument for a level beyond the ends.
  double time_of(double half_log_snr) const {
    const double l = 2 * half_log_snr;
    constexpr double rounding = 1e-12;
    const double margin = rounding * (1 + std::abs(l));
    detail::require(l <= log_snrs_.front() + margin && l >= log_snrs_.back() - margin,
                    "piecewise_log_snr::time_of", "half log SNR", half_log_snr,
                    "valid: between the ends");
    std::size_t k = 0;
    while (k + 2 < times_.size() && log_snrs_[k + 1] > l) ++k;
    return std::fmin(1, std::fmax(0, times_[k] + (l - log_snrs_[k]) / slope(k)));
  }

 private:
  // alpha^2 = sigmoid(l), sigma^2 = sigmoid(-l).
  static signal_noise level_of(double l) { return variance_preserving(std::exp(-l / 2)); }
  std::size_t piece(double t) const {
    detail::require(t >= 0 && t <= 1, "piecewise_log_snr", "time", t, "valid: 0 <= t <= 1");
    std::size_t k = 0;
    while (k + 2 < times_.size() && times_[k + 1] <= t) ++k;
    return k;
  }
  double slope(std::size_t k) const {
    return (log_snrs_[k + 1] - log_snrs_[k]) / (times_[k + 1] - times_[k]);
  }
  double log_snr_at(double t) const {
    const std::size_t k = piece(t);
    return std::lerp(log_snrs_[k], log_snrs_[k + 1], (t - times_[k]) / (times_[k + 1] - times_[k]));
  }

  std::vector<double> times_, log_snrs_;
};

/// The clock of least variance over pieces between the given log SNRs.
/// \param squared_losses of each piece, the mean over its levels (even in log SNR) of |z - z_hat|^4
/// \throws std::invalid_argument for another number of losses than pieces, losses that are not positive and finite,
///   and as `piecewise_log_snr`.
inline piecewise_log_snr least_variance_schedule(std::vector<double> log_snrs,
                                                 std::span<const double> squared_losses) {
  constexpr const char* name = "least_variance_schedule";
  detail::require(log_snrs.size() >= 2, name, "log SNRs", static_cast<double>(log_snrs.size()),
                  "valid: at least 2");
  if (squared_losses.size() + 1 != log_snrs.size())
    detail::fail(name, "squared losses", static_cast<double>(squared_losses.size()),
                 "valid: one per piece, " + std::to_string(log_snrs.size() - 1));
  std::vector<double> times{0};
  for (std::size_t k = 0; k < squared_losses.size(); ++k) {
    detail::require(squared_losses[k] > 0 && std::isfinite(squared_losses[k]), name, "squared loss",
                    squared_losses[k], "valid: 0 < squared loss < inf");
    times.push_back(times.back() + (log_snrs[k] - log_snrs[k + 1]) * std::sqrt(squared_losses[k]));
  }
  const double whole = times.back();
  for (double& t : times) t /= whole;
  return {std::move(times), std::move(log_snrs)};
}

}  // namespace tweedie
