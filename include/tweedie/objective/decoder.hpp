// Decoders of discrete data: the probability of a bin of width 2/(bins - 1) on [-1, 1] under a
// continuous distribution, the two outermost bins reaching to infinity.
//
//   log p(x) = log(F((x + delta - m)/s) - F((x - delta - m)/s)),   delta = 1/(bins - 1)
//
//   discretised_gaussian   F = Phi          Ho et al. 2020, eq. 13
//   discretised_logistic   F = sigmoid      Salimans et al. 2017, eq. 2
//   tanh_gaussian          F = (1 + tanh(sqrt(2/pi)(x + 0.044715 x^3)))/2, probabilities not below
//                          1e-12: the reference implementations of diffusion models. F is off by up
//                          to 1.8e-4, and gradients vanish at the floor.
//
// In nats, with the slopes in mean m and log-scale log s. The first two work in log space at any
// distance: a bin 40 standard deviations away has log p = -805, not -inf.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <numbers>

#include "tweedie/distribution/normal_distribution.hpp"

namespace tweedie {

/// Log-probability of a bin and its derivatives.
struct bin_likelihood {
  double log_probability = 0;
  double mean_slope = 0;
  double log_scale_slope = 0;
};

/// likelihood of x under mean and log-scale.
template <class Decoder>
concept bin_decoder = requires(const Decoder& d, double x) {
  { d(x, x, x) } -> std::same_as<bin_likelihood>;
};

/// Bins under a Gaussian (Ho et al. 2020, eq. 13).
class discretised_gaussian {
 public:
  explicit discretised_gaussian(int bins = 256);
  bin_likelihood operator()(double x, double mean, double log_scale) const;

 private:
  double half_width_;
};

/// Bins under a logistic distribution (Salimans et al. 2017, eq. 2).
class discretised_logistic {
 public:
  explicit discretised_logistic(int bins = 256);
  bin_likelihood operator()(double x, double mean, double log_scale) const;

 private:
  double half_width_;
};

/// The approximation of the reference implementations: off by up to 1.8e-4, no slope at its floor of 1e-12.
class tanh_gaussian {
 public:
  explicit tanh_gaussian(int bins = 256);
  bin_likelihood operator()(double x, double mean, double log_scale) const;

  /// The approximation of Phi (error up to 1.789e-4).
  static double cdf(double x) { return (1 + std::tanh(argument(x))) / 2; }

 private:
  static constexpr double floor = 1e-12;
  static double argument(double x) {
    return std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  }
  static double density(double x) {
    const double t = std::tanh(argument(x));
    return (1 - t * t) / 2 * std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x);
  }
  double half_width_;
};

namespace detail {

inline double bin_half_width(const char* function, int bins) {
  require(bins >= 2, function, "bins", bins, "valid: bins >= 2");
  return 1.0 / (bins - 1);
}
inline void require_bin(const char* function, double x, double half_width) {
  require(std::abs(x) <= 1 + half_width, function, "x", x, "valid: data scaled to [-1, 1]");
}

/// log(Phi(m + h) - Phi(m - h)) with slopes in m and h, for h > 0.
struct interval_likelihood {
  double log_probability, centre_slope, half_width_slope;
};
inline interval_likelihood normal_interval(double m, double h) {
  if (h < 0.1 && h * std::abs(m) < 0.3) {
    // 2 h phi(m) sum_k h^2k He_2k(m) / (2k + 1)!, Hermite polynomials He of probability theory.
    double even = 1, odd = m;  // He_2k and He_2k+1
    double factor = 1, sum = 1, centre = 0, width = 0;
    for (int k = 1; k <= 6; ++k) {
      const double previous_odd = odd;
      even = m * odd - (2 * k - 1) * even;
      odd = m * even - 2 * k * previous_odd;
      factor *= h * h / (2 * k * (2 * k + 1));
      sum += factor * even;
      centre += factor * 2 * k * previous_odd;
      width += factor * 2 * k * even;
    }
    return {std::log(2 * h) + normal_log_density(m) + std::log(sum), -m + centre / sum,
            (1 + width / sum) / h};
  }
  if (m > 0) {
    const interval_likelihood mirrored = normal_interval(-m, h);
    return {mirrored.log_probability, -mirrored.centre_slope, mirrored.half_width_slope};
  }
  // phi(m - h)/phi(m + h) = e^(2 m h), and of hazards phi/Phi Phi(m - h)/Phi(m + h) = e^gap.
  const double nearer = normal_hazard(m + h), farther = normal_hazard(m - h);
  const double gap = 2 * m * h - std::log(farther / nearer);
  const double share = -std::expm1(gap);
  const double at_upper = nearer / share, at_lower = at_upper * std::exp(2 * m * h);
  return {log_normal_cdf(m + h, nearer) + std::log(share), at_upper - at_lower,
          at_upper + at_lower};
}

}  // namespace detail

inline discretised_gaussian::discretised_gaussian(int bins)
    : half_width_(detail::bin_half_width("discretised_gaussian", bins)) {}

inline bin_likelihood discretised_gaussian::operator()(double x, double mean,
                                                       double log_scale) const {
  detail::require_bin("discretised_gaussian", x, half_width_);
  const double inverse = std::exp(-log_scale);
  if (std::abs(x) > 1 - half_width_) {  // an outermost bin: Phi of +-(x - m +- delta)/s
    const double side = x < 0 ? 1 : -1;
    const double u = side * (x + side * half_width_ - mean) * inverse;
    const double hazard = normal_hazard(u);
    return {log_normal_cdf(u, hazard), -side * hazard * inverse, -hazard * u};
  }
  const double m = (x - mean) * inverse, h = half_width_ * inverse;
  const detail::interval_likelihood p = detail::normal_interval(m, h);
  return {p.log_probability, -p.centre_slope * inverse,
          -p.centre_slope * m - p.half_width_slope * h};
}

inline discretised_logistic::discretised_logistic(int bins)
    : half_width_(detail::bin_half_width("discretised_logistic", bins)) {}

inline bin_likelihood discretised_logistic::operator()(double x, double mean,
                                                       double log_scale) const {
  detail::require_bin("discretised_logistic", x, half_width_);
  const auto log_sigmoid = [](double v) {
    return (std::min)(v, 0.0) - std::log1p(std::exp(-std::abs(v)));
  };
  const auto sigmoid = [](double v) {
    return v >= 0 ? 1 / (1 + std::exp(-v)) : std::exp(v) / (1 + std::exp(v));
  };
  const double inverse = std::exp(-log_scale);
  const double upper = (x + half_width_ - mean) * inverse;
  const double lower = (x - half_width_ - mean) * inverse;
  // sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a)).
  double log_p = 0, upper_slope = 0, lower_slope = 0, gap_slope = 0;
  if (x <= 1 - half_width_) {
    log_p += log_sigmoid(upper);
    upper_slope = sigmoid(-upper);
  }
  if (x >= -1 + half_width_) {
    log_p += log_sigmoid(-lower);
    lower_slope = -sigmoid(lower);
  }
  if (std::abs(x) <= 1 - half_width_) {
    const double gap = 2 * half_width_ * inverse;
    log_p += std::log(-std::expm1(-gap));
    gap_slope = gap > 700 ? 0 : gap / std::expm1(gap);  // d log(1 - e^-g) / d log g
  }
  return {log_p, -(upper_slope + lower_slope) * inverse,
          -(upper_slope * upper + lower_slope * lower) - gap_slope};
}

inline tanh_gaussian::tanh_gaussian(int bins)
    : half_width_(detail::bin_half_width("tanh_gaussian", bins)) {}

inline bin_likelihood tanh_gaussian::operator()(double x, double mean, double log_scale) const {
  detail::require_bin("tanh_gaussian", x, half_width_);
  const double inverse = std::exp(-log_scale);
  const double upper = (x + half_width_ - mean) * inverse;
  const double lower = (x - half_width_ - mean) * inverse;
  const bool has_upper = x <= 0.999, has_lower = x >= -0.999;
  const double p = (has_upper ? cdf(upper) : 1) - (has_lower ? cdf(lower) : 0);
  if (!(p > floor)) return {std::log(floor), 0, 0};
  const double at_upper = has_upper ? density(upper) / p : 0;
  const double at_lower = has_lower ? density(lower) / p : 0;
  return {std::log(p), -(at_upper - at_lower) * inverse,
          -((has_upper ? at_upper * upper : 0) - (has_lower ? at_lower * lower : 0))};
}

}  // namespace tweedie
