// The same noise levels in another gauge: multiplying x by a function of time changes (alpha,
// sigma) and leaves u = sigma/alpha and the clock alone (Karras et al. 2022, section 3, "scaling
// s(t)").
//
//   exploding    (1, u)                     rate (0, u')
//   preserving   (1, u) / sqrt(1 + u^2)     rate (-u, 1) u' / (1 + u^2)^(3/2)
//
// with u' = (sigma' alpha - sigma alpha') / alpha^2. The base schedule must keep alpha > 0.
#pragma once

#include <cmath>
#include <utility>

#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

namespace detail {

template <differentiable_schedule Schedule>
double level_rate(const Schedule& schedule, double t) {
  const signal_noise s = schedule(t);
  const signal_noise_rate rate = schedule.rate(t);
  require(s.alpha > 0, "level_rate", "alpha", s.alpha, "valid: alpha > 0");
  return (rate.sigma * s.alpha - s.sigma * rate.alpha) / (s.alpha * s.alpha);
}

}  // namespace detail

/// A schedule's clock and noise levels with alpha = 1.
template <differentiable_schedule Schedule>
class in_exploding_gauge {
 public:
  explicit in_exploding_gauge(Schedule base) : base_(std::move(base)) {}

  double clean_time() const { return base_.clean_time(); }
  double noisy_time() const { return base_.noisy_time(); }
  signal_noise operator()(double t) const { return to_variance_exploding(base_(t)); }
  signal_noise_rate rate(double t) const { return {0, detail::level_rate(base_, t)}; }
  double time_of(double half_log_snr) const requires invertible_schedule<Schedule> {
    return base_.time_of(half_log_snr);
  }

 private:
  Schedule base_;
};

/// A schedule's clock and noise levels with alpha^2 + sigma^2 = 1.
template <differentiable_schedule Schedule>
class in_preserving_gauge {
 public:
  explicit in_preserving_gauge(Schedule base) : base_(std::move(base)) {}

  double clean_time() const { return base_.clean_time(); }
  double noisy_time() const { return base_.noisy_time(); }
  signal_noise operator()(double t) const { return to_variance_preserving(base_(t)); }
  signal_noise_rate rate(double t) const {
    const auto [alpha, sigma] = (*this)(t);
    const double scaled = detail::level_rate(base_, t) * alpha * alpha;
    return {-sigma * scaled, alpha * scaled};
  }
  double time_of(double half_log_snr) const requires invertible_schedule<Schedule> {
    return base_.time_of(half_log_snr);
  }

 private:
  Schedule base_;
};

/// The heat equation's clock: alpha = 1, sigma = sqrt(t), the forward process dx = dw.
class heat_schedule {
 public:
  explicit heat_schedule(double highest_variance = 1e4) : highest_(highest_variance) {
    detail::require(highest_variance > 0 && std::isfinite(highest_variance), "heat_schedule",
                    "highest_variance", highest_variance, "valid: 0 < highest_variance < inf");
  }

  double clean_time() const { return 0; }
  double noisy_time() const { return highest_; }
  signal_noise operator()(double t) const {
    detail::require(t >= 0 && std::isfinite(t), "heat_schedule", "time", t, "valid: 0 <= time");
    return {1, std::sqrt(t)};
  }
  /// sigma' is unbounded at t = 0 and refused there.
  signal_noise_rate rate(double t) const {
    detail::require(t > 0, "heat_schedule::rate", "time", t, "valid: time > 0");
    return {0, 0.5 / std::sqrt(t)};
  }
  double time_of(double half_log_snr) const { return std::exp(-2 * half_log_snr); }

 private:
  double highest_;
};

}  // namespace tweedie
