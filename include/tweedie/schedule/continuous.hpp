// Continuous schedules: plain functions t -> (alpha, sigma) with derivative and inverse.
//
//   name                  alpha(t)                       sigma(t)                      t
//   variance_preserving   exp(-t^2 (b1-b0)/4 - t b0/2)   sqrt(1 - alpha^2)             [0, 1]
//   sub_vp                the same                       1 - alpha^2                   [0, 1]
//   variance_exploding    1                              s_min (s_max/s_min)^t         [0, 1]
//   edm                   1                              t                             [0, s_max]
//   cosine                cos(pi t/2)                    sin(pi t/2)                   [0, 1]
//   rectified_flow        1 - t                          t                             [0, 1]
//   trigonometric         cos t                          sin t                         [0, pi/2]
// Sources: Song et al. 2021 (appendix C) for the first three; Karras et al. 2022 for edm; Kingma
// and Gao 2023 for cosine; Liu et al. 2023 for rectified flow; Lu and Song 2025 for trigonometric.
// All times run from data (clean_time) to noise (noisy_time); fields that integrate from noise at
// 0 to data at 1 (Lipman et al. 2023) use 1 - t and the opposite sign of velocity.
#pragma once

#include <cmath>
#include <numbers>

#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

namespace detail {

inline double checked_time(const char* schedule, double t, double last) {
  require(t >= 0 && t <= last, schedule, "time", t, "valid: between clean_time and noisy_time");
  return t;
}

// Linear beta(t) = b0 + t (b1 - b0): -log alpha = t^2 (b1 - b0)/4 + t b0/2.
struct linear_rate {
  double first;
  double last;

  linear_rate(const char* schedule, double b0, double b1) : first(b0), last(b1) {
    require(b0 > 0 && std::isfinite(b0), schedule, "beta_first", b0, "valid: 0 < beta_first");
    require(b1 >= b0 && std::isfinite(b1), schedule, "beta_last", b1,
            "valid: beta_first <= beta_last < inf");
  }
  double beta(double t) const { return first + t * (last - first); }
  double minus_log_alpha(double t) const { return t * (t * (last - first) / 4 + first / 2); }
  // The t with minus_log_alpha(t) = q; the positive root in its cancellation-free form.
  double time_of(double q) const {
    return 4 * q / (first + std::sqrt(first * first + 4 * q * (last - first)));
  }
};

}  // namespace detail

/// VP SDE with beta(t) linear from `first` to `last` (Song et al. 2021: 0.1 to 20).
class variance_preserving_schedule {
 public:
  explicit variance_preserving_schedule(double first = 0.1, double last = 20)
      : rate_("variance_preserving_schedule", first, last) {}

  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  signal_noise operator()(double t) const {
    const double q =
        rate_.minus_log_alpha(detail::checked_time("variance_preserving_schedule", t, 1));
    return {std::exp(-q), std::sqrt(-std::expm1(-2 * q))};
  }
  /// sigma' is unbounded at t = 0 and refused there.
  signal_noise_rate rate(double t) const {
    const auto [alpha, sigma] = (*this)(t);
    detail::require(sigma > 0, "variance_preserving_schedule::rate", "time", t, "valid: t > 0");
    const double half_beta = rate_.beta(t) / 2;
    return {-half_beta * alpha, half_beta * alpha * alpha / sigma};
  }
  /// log(alpha/sigma) = h  <=>  -log alpha = log1p(exp(-2h))/2.
  double time_of(double half_log_snr) const {
    return rate_.time_of(std::log1p(std::exp(-2 * half_log_snr)) / 2);
  }

 private:
  detail::linear_rate rate_;
};

/// sub-VP SDE: alpha as for VP, sigma = 1 - alpha^2.
class sub_vp_schedule {
 public:
  explicit sub_vp_schedule(double first = 0.1, double last = 20)
      : rate_("sub_vp_schedule", first, last) {}

  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  signal_noise operator()(double t) const {
    const double q = rate_.minus_log_alpha(detail::checked_time("sub_vp_schedule", t, 1));
    return {std::exp(-q), -std::expm1(-2 * q)};
  }
  signal_noise_rate rate(double t) const {
    const double alpha = (*this)(t).alpha;
    const double beta = rate_.beta(t);
    return {-beta / 2 * alpha, beta * alpha * alpha};
  }
  /// sigma/alpha = 2 sinh(-log alpha), so -log alpha = asinh(exp(-h)/2).
  double time_of(double half_log_snr) const {
    return rate_.time_of(std::asinh(std::exp(-half_log_snr) / 2));
  }

 private:
  detail::linear_rate rate_;
};

/// VE SDE: sigma geometric from `lowest` to `highest`. Its clean end keeps noise `lowest`.
class variance_exploding_schedule {
 public:
  explicit variance_exploding_schedule(double lowest = 0.01, double highest = 50)
      : lowest_(lowest), log_ratio_(std::log(highest / lowest)) {
    constexpr const char* name = "variance_exploding_schedule";
    detail::require(lowest > 0, name, "lowest", lowest, "valid: lowest > 0");
    detail::require(highest > lowest && std::isfinite(highest), name, "highest", highest,
                    "valid: lowest < highest < inf");
  }

  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  signal_noise operator()(double t) const {
    return {1, lowest_ * std::exp(log_ratio_ *
                                  detail::checked_time("variance_exploding_schedule", t, 1))};
  }
  signal_noise_rate rate(double t) const { return {0, log_ratio_ * (*this)(t).sigma}; }
  double time_of(double half_log_snr) const {
    return (-half_log_snr - std::log(lowest_)) / log_ratio_;
  }

 private:
  double lowest_;
  double log_ratio_;
};

/// EDM: alpha = 1, sigma = t; the time is the noise level itself.
class edm_schedule {
 public:
  explicit edm_schedule(double highest = 80) : highest_(highest) {
    detail::require(highest > 0 && std::isfinite(highest), "edm_schedule", "highest", highest,
                    "valid: 0 < highest < inf");
  }

  double clean_time() const { return 0; }
  double noisy_time() const { return highest_; }
  signal_noise operator()(double t) const {
    return {1, detail::checked_time("edm_schedule", t, highest_)};
  }
  signal_noise_rate rate(double) const { return {0, 1}; }
  double time_of(double half_log_snr) const { return std::exp(-half_log_snr); }

 private:
  double highest_;
};

/// alpha = cos t, sigma = sin t on [0, pi/2] (TrigFlow with unit data deviation).
class trigonometric_schedule {
 public:
  double clean_time() const { return 0; }
  double noisy_time() const { return std::numbers::pi / 2; }
  signal_noise operator()(double t) const {
    detail::checked_time("trigonometric_schedule", t, noisy_time());
    return {t == noisy_time() ? 0.0 : std::cos(t), std::sin(t)};
  }
  signal_noise_rate rate(double t) const {
    const auto [alpha, sigma] = (*this)(t);
    return {-sigma, alpha};
  }
  double time_of(double half_log_snr) const { return std::atan(std::exp(-half_log_snr)); }
};

/// The trigonometric path on the clock [0, 1]: log-SNR(t) = -2 log tan(pi t/2).
class cosine_path {
 public:
  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  signal_noise operator()(double t) const {
    detail::checked_time("cosine_path", t, 1);
    return {t == 1 ? 0.0 : std::cos(quarter * t), std::sin(quarter * t)};
  }
  signal_noise_rate rate(double t) const {
    const auto [alpha, sigma] = (*this)(t);
    return {-quarter * sigma, quarter * alpha};
  }
  double time_of(double half_log_snr) const { return std::atan(std::exp(-half_log_snr)) / quarter; }

 private:
  static constexpr double quarter = std::numbers::pi / 2;
};

/// x = (1 - t) x0 + t z.
class rectified_flow {
 public:
  double clean_time() const { return 0; }
  double noisy_time() const { return 1; }
  signal_noise operator()(double t) const {
    detail::checked_time("rectified_flow", t, 1);
    return {1 - t, t};
  }
  signal_noise_rate rate(double) const { return {-1, 1}; }
  /// t = sigma/alpha / (1 + sigma/alpha).
  double time_of(double half_log_snr) const { return 1 / (1 + std::exp(half_log_snr)); }
};

}  // namespace tweedie
