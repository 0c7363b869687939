// Densities from which training times or noise levels are drawn, each with its density,
// distribution function and quantile function; a draw is quantile(uniform).
//
//   density        variable              source
//   uniform        t in [low, high]      Ho et al. 2020
//   log-normal     level, log N(m, s)    Karras et al. 2022, table 1 (m = -1.2, s = 1.2)
//   log-logistic   level                 Crowson, k-diffusion
//   log-Laplace    level                 Hang et al. 2024, table 1
//   log-Cauchy     level                 Hang et al. 2024, table 1
//   log-uniform    level in [low, high]  Crowson, k-diffusion
//   v-diffusion    level, uniform angle  Salimans and Ho 2022: level = s_d tan(pi u / 2)
//   logit-normal   t in (0, 1)           Esser et al. 2024, eq. 19
//   mode           t in [0, 1]           Esser et al. 2024, eq. 20
//   cosmap         t in [0, 1)           Esser et al. 2024, eq. 21
//
// t is the rectified-flow time (1 is noise), level is sigma/alpha. The time of a level in a
// schedule is schedule.time_of(-log(level)).
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <numbers>

#include "tweedie/distribution/normal_distribution.hpp"

namespace tweedie {

/// density(t), cdf(t) and quantile(p) of one real variable.
template <class Density>
concept time_density = requires(const Density& d, double x) {
  { d.density(x) } -> std::convertible_to<double>;
  { d.cdf(x) } -> std::convertible_to<double>;
  { d.quantile(x) } -> std::convertible_to<double>;
};

namespace detail {

inline double checked_probability(const char* function, double p) {
  require(p >= 0 && p <= 1, function, "p", p, "valid: 0 <= p <= 1");
  return p;
}
inline double logistic(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

}  // namespace detail

/// Uniform on [low, high].
class uniform_density {
 public:
  explicit uniform_density(double low = 0, double high = 1) : low_(low), high_(high) {
    detail::require(low < high, "uniform_density", "low", low, "valid: low < high");
  }
  double density(double t) const { return t >= low_ && t <= high_ ? 1 / (high_ - low_) : 0; }
  double cdf(double t) const { return std::clamp((t - low_) / (high_ - low_), 0.0, 1.0); }
  double quantile(double p) const {
    return std::lerp(low_, high_, detail::checked_probability("uniform_density", p));
  }

 private:
  double low_, high_;
};

/// log of the level is N(mean, deviation^2).
class log_normal_density {
 public:
  log_normal_density(double mean, double deviation) : mean_(mean), deviation_(deviation) {
    detail::require(deviation > 0, "log_normal_density", "deviation", deviation,
                    "valid: deviation > 0");
  }
  double density(double level) const {
    if (!(level > 0)) return 0;
    return std::exp(normal_log_density(standardised(level))) / (deviation_ * level);
  }
  double cdf(double level) const { return level > 0 ? normal_cdf(standardised(level)) : 0; }
  double quantile(double p) const { return std::exp(mean_ + deviation_ * normal_quantile(p)); }

 private:
  double standardised(double level) const { return (std::log(level) - mean_) / deviation_; }
  double mean_, deviation_;
};

namespace detail {

/// log level = location + scale x, x of a law on the line, truncated to levels in [low, high].
template <class Law>
class log_law_density {
 public:
  explicit log_law_density(double location = 0, double scale = 1, double low = 0,
                           double high = std::numeric_limits<double>::infinity())
      : location_(location), scale_(scale), low_(low), high_(high) {
    require(scale > 0, Law::name, "scale", scale, "valid: scale > 0");
    require(low >= 0 && low < high, Law::name, "low", low, "valid: 0 <= low < high");
    low_cdf_ = Law::cdf(standardised(low));
    high_cdf_ = Law::cdf(standardised(high));
  }
  double density(double level) const {
    if (!(level > 0) || level < low_ || level > high_) return 0;
    return Law::density(standardised(level)) / (scale_ * level * (high_cdf_ - low_cdf_));
  }
  double cdf(double level) const {
    const double x = standardised(std::clamp(level, low_, high_));
    return (Law::cdf(x) - low_cdf_) / (high_cdf_ - low_cdf_);
  }
  double quantile(double p) const {
    return std::exp(
        location_ +
        scale_ * Law::quantile(std::lerp(low_cdf_, high_cdf_, checked_probability(Law::name, p))));
  }

 private:
  double standardised(double level) const { return (std::log(level) - location_) / scale_; }
  double location_, scale_, low_, high_;
  double low_cdf_ = 0, high_cdf_ = 1;
};

struct logistic_law {
  static constexpr const char* name = "log_logistic_density";
  static double density(double x) { return logistic(x) * (1 - logistic(x)); }
  static double cdf(double x) { return logistic(x); }
  static double quantile(double p) { return std::log(p / (1 - p)); }
};
struct laplace_law {
  static constexpr const char* name = "log_laplace_density";
  static double density(double x) { return std::exp(-std::abs(x)) / 2; }
  static double cdf(double x) { return x < 0 ? std::exp(x) / 2 : 1 - std::exp(-x) / 2; }
  static double quantile(double p) { return p < 0.5 ? std::log(2 * p) : -std::log(2 * (1 - p)); }
};
struct cauchy_law {
  static constexpr const char* name = "log_cauchy_density";
  static double density(double x) { return 1 / (std::numbers::pi * (1 + x * x)); }
  static double cdf(double x) { return std::atan2(1, -x) / std::numbers::pi; }
  static double quantile(double p) { return -1 / std::tan(std::numbers::pi * p); }
};

}  // namespace detail

/// Distribution function sigmoid((log level - location) / scale), truncated to [low, high].
using log_logistic_density = detail::log_law_density<detail::logistic_law>;

/// log level with the density exp(-|log level - location| / scale) / (2 scale), truncated to [low, high]. In log SNR,
/// -2 log level, the paper's mu is -2 location and its b 2 scale.
using log_laplace_density = detail::log_law_density<detail::laplace_law>;

/// log level with the density scale / (pi (scale^2 + (log level - location)^2)), truncated to [low, high]: as many
/// levels near one place, and more of the far ones. In log SNR mu is -2 location and gamma 2 scale.
using log_cauchy_density = detail::log_law_density<detail::cauchy_law>;

/// log of the level is uniform between those of low and high, 0 < low < high.
class log_uniform_density {
 public:
  log_uniform_density(double low, double high) : low_(low), high_(high) {
    detail::require(low > 0 && low < high, "log_uniform_density", "low", low,
                    "valid: 0 < low < high");
  }
  double density(double level) const {
    return level >= low_ && level <= high_ ? 1 / (level * std::log(high_ / low_)) : 0;
  }
  double cdf(double level) const {
    return std::log(std::clamp(level, low_, high_) / low_) / std::log(high_ / low_);
  }
  double quantile(double p) const {
    return std::exp(std::lerp(std::log(low_), std::log(high_),
                              detail::checked_probability("log_uniform_density", p)));
  }

 private:
  double low_, high_;
};

/// level = sigma_data tan(angle), the angle uniform: the cosine schedule with uniform time.
class v_diffusion_density {
 public:
  explicit v_diffusion_density(double sigma_data = 1, double low = 0,
                               double high = std::numeric_limits<double>::infinity())
      : sigma_data_(sigma_data), low_(low), high_(high) {
    detail::require(sigma_data > 0, "v_diffusion_density", "sigma_data", sigma_data,
                    "valid: sigma_data > 0");
    detail::require(low >= 0 && low < high, "v_diffusion_density", "low", low,
                    "valid: 0 <= low < high");
    low_angle_ = std::atan(low / sigma_data);
    high_angle_ = std::atan(high / sigma_data);
  }
  double density(double level) const {
    if (level < low_ || level > high_) return 0;
    const double r = level / sigma_data_;
    return 1 / (sigma_data_ * (1 + r * r) * (high_angle_ - low_angle_));
  }
  double cdf(double level) const {
    const double angle = std::atan(std::clamp(level, low_, high_) / sigma_data_);
    return (angle - low_angle_) / (high_angle_ - low_angle_);
  }
  double quantile(double p) const {
    return sigma_data_ * std::tan(std::lerp(low_angle_, high_angle_,
                                            detail::checked_probability("v_diffusion_density", p)));
  }

 private:
  double sigma_data_, low_, high_;
  double low_angle_ = 0, high_angle_ = 0;
};

/// t = sigmoid(N(mean, deviation)).
class logit_normal_density {
 public:
  explicit logit_normal_density(double mean = 0, double deviation = 1)
      : mean_(mean), deviation_(deviation) {
    detail::require(deviation > 0, "logit_normal_density", "deviation", deviation,
                    "valid: deviation > 0");
  }
  double density(double t) const {
    if (!(t > 0 && t < 1)) return 0;
    return std::exp(normal_log_density(standardised(t))) / (deviation_ * t * (1 - t));
  }
  double cdf(double t) const { return t <= 0 ? 0 : t >= 1 ? 1 : normal_cdf(standardised(t)); }
  double quantile(double p) const {
    return detail::logistic(mean_ + deviation_ * normal_quantile(p));
  }

 private:
  double standardised(double t) const { return (std::log(t / (1 - t)) - mean_) / deviation_; }
  double mean_, deviation_;
};

/// t = 1 - u - s (cos^2(pi u / 2) - 1 + u) with uniform u, monotone for -1 <= s <= 2/(pi - 2).
class mode_density {
 public:
  explicit mode_density(double scale) : scale_(scale) {
    detail::require(scale >= -1 && scale <= 2 / (std::numbers::pi - 2), "mode_density", "scale",
                    scale, "valid: -1 <= scale <= 2/(pi - 2) = 1.752");
  }
  double density(double t) const {
    if (!(t >= 0 && t <= 1)) return 0;
    return 1 / slope(cdf(t));
  }
  double cdf(double t) const {
    if (t <= 0) return 0;
    if (t >= 1) return 1;
    double low = 0, high = 1;
    while (true) {
      const double middle = low + (high - low) / 2;
      if (middle <= low || middle >= high) return middle;
      (quantile(middle) < t ? low : high) = middle;
    }
  }
  double quantile(double p) const {
    const double u = 1 - detail::checked_probability("mode_density", p);
    const double c = std::cos(std::numbers::pi * u / 2);
    return 1 - u - scale_ * (c * c - 1 + u);
  }

 private:
  double slope(double p) const {
    return 1 + scale_ * (1 - std::numbers::pi / 2 * std::sin(std::numbers::pi * p));
  }
  double scale_;
};

/// t = 1 - 1/(1 + tan(pi u / 2)) with uniform u: the log-SNR density of the cosine schedule.
class cosmap_density {
 public:
  double density(double t) const {
    if (!(t >= 0 && t <= 1)) return 0;
    return 2 / (std::numbers::pi * (1 - 2 * t + 2 * t * t));
  }
  double cdf(double t) const {
    t = std::clamp(t, 0.0, 1.0);
    return std::atan2(t, 1 - t) * 2 / std::numbers::pi;
  }
  double quantile(double p) const {
    const double angle = std::numbers::pi / 2 * detail::checked_probability("cosmap_density", p);
    const double s = std::sin(angle), c = std::cos(angle);
    return s / (s + c);
  }
};

}  // namespace tweedie
