// Data on the line with any density: Laplace, Student-t, uniform, or one of your own, by quadrature.
//
//   p(x) = integral of p(y) N(x; alpha y, sigma^2) dy
//   E[x0|x], Var[x0|x]: moments of the posterior, proportional to the integrand
//   score = (alpha E[x0|x] - x)/sigma^2
//
// Gauss-Legendre of 16 points on panels that suit both factors: those of the density, which its maker
// names (ends, kinks, and intervals over which it changes by no more than a few e-folds), and those of
// the Gaussian around x/alpha. About 12 digits; some 500 evaluations of the density per point.
//
// Points are columns of matrices with one row, as for every oracle.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>
#include <vector>

#include "tweedie/oracle/sample_key.hpp"
#include "tweedie/sampler/exponential.hpp"
#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie::oracle {

/// A density on the line. Invariant: panels ascend, and outside of them there is no mass that counts.
class line {
 public:
  /// \param log_density of the data, normalised
  /// \param panels ascending ends of intervals on each of which the logarithm is smooth
  /// \throws std::invalid_argument for fewer than two ends, ends that do not ascend, or a density
  ///   whose integral over the panels differs from 1 by more than 1e-6.
  line(std::function<double(double)> log_density, std::vector<double> panels)
      : log_density_(std::move(log_density)), panels_(std::move(panels)) {
    constexpr const char* name = "line";
    detail::require(panels_.size() >= 2, name, "ends of panels",
                    static_cast<double>(panels_.size()), "valid: at least 2");
    for (std::size_t i = 1; i < panels_.size(); ++i)
      detail::require(panels_[i] > panels_[i - 1] && std::isfinite(panels_[i]), name,
                      "end of a panel", panels_[i], "valid: finite, ascending");
    below_.push_back(0);
    for (std::size_t i = 1; i < panels_.size(); ++i)
      below_.push_back(below_.back() + mass(panels_[i - 1], panels_[i]));
    detail::require(std::abs(below_.back() - 1) < 1e-6, name, "integral of the density",
                    below_.back(), "valid: 1");
  }

  Eigen::Index dimension() const { return 1; }

  /// log p(x) at a level.
  double log_density(signal_noise level, const Eigen::VectorXd& x) const {
    check("line::log_density", x.size());
    if (level.sigma == 0) return log_density_(x[0] / level.alpha) - std::log(level.alpha);
    return posterior(level, x[0]).log_evidence;
  }

  /// E[x0 | x], for each column of x.
  Eigen::MatrixXd denoise(signal_noise level, const Eigen::MatrixXd& x) const {
    check("line::denoise", x.rows());
    if (level.sigma == 0) return x / level.alpha;
    return x.unaryExpr([&](double v) { return posterior(level, v).mean; });
  }

  /// Gradient of log p, for each column of x.
  /// \throws std::invalid_argument at sigma = 0, where a density may have no gradient.
  Eigen::MatrixXd score(signal_noise level, const Eigen::MatrixXd& x) const {
    detail::require(level.sigma > 0, "line::score", "sigma", level.sigma, "valid: sigma > 0");
    return (level.alpha * denoise(level, x) - x) / (level.sigma * level.sigma);
  }

  /// Cov[x0 | x], a matrix of one entry.
  Eigen::MatrixXd posterior_covariance(signal_noise level, const Eigen::VectorXd& x) const {
    check("line::posterior_covariance", x.size());
    const double v = level.sigma == 0 ? 0 : posterior(level, x[0]).variance;
    return Eigen::MatrixXd::Constant(1, 1, v);
  }

  /// The data below which `probability` lies, in [0, 1].
  double quantile(double probability) const {
    detail::require(probability >= 0 && probability <= 1, "line::quantile", "probability",
                    probability, "valid: 0 <= probability <= 1");
    const double wanted = probability * below_.back();
    const auto after = std::lower_bound(below_.begin() + 1, below_.end() - 1, wanted);
    const auto i = static_cast<std::size_t>(after - below_.begin());
    const double first = panels_[i - 1];
    double low = first;
    double high = panels_[i];
    for (int k = 0; k < 60 && low < high; ++k) {
      const double middle = std::midpoint(low, high);
      (below_[i - 1] + mass(first, middle) < wanted ? low : high) = middle;
    }
    return std::midpoint(low, high);
  }

  /// One sample for each uniform in [0, 1).
  Eigen::MatrixXd sample(const Eigen::VectorXd& uniforms) const {
    return uniforms.transpose().unaryExpr([&](double u) { return quantile(u); });
  }
  Eigen::MatrixXd sample(Eigen::Index count, sample_key key) const {
    return sample(detail::sample_uniforms<double>("line::sample", count, key));
  }

 private:
  struct moments {
    double log_evidence = 0;
    double mean = 0;
    double variance = 0;
  };

  static const auto& rule() { return detail::gauss_legendre<16>(); }

  double mass(double from, double to) const {
    double sum = 0;
    for (const auto& [at, weight] : rule())
      sum += weight * std::exp(log_density_(std::lerp(from, to, at)));
    return sum * (to - from);
  }

  moments posterior(signal_noise level, double x) const {
    const auto [alpha, sigma] = level;
    std::vector<double> ends = panels_;
    if (alpha > 0)
      for (int k = -24; k <= 24; ++k) {
        const double end = (x + k * sigma / 2) / alpha;
        if (end > panels_.front() && end < panels_.back()) ends.push_back(end);
      }
    std::sort(ends.begin(), ends.end());
    std::vector<std::pair<double, double>> nodes;  // place, log of weight times integrand
    double top = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 1; i < ends.size(); ++i) {
      if (!(ends[i] > ends[i - 1])) continue;
      for (const auto& [at, weight] : rule()) {
        const double y = std::lerp(ends[i - 1], ends[i], at);
        const double z = (x - alpha * y) / sigma;
        const double value =
            std::log(weight * (ends[i] - ends[i - 1])) + log_density_(y) - z * z / 2;
        nodes.emplace_back(y, value);
        top = (std::max)(top, value);
      }
    }
    double sum = 0;
    double first = 0;
    for (auto& [y, value] : nodes) {
      value = std::exp(value - top);
      sum += value;
      first += value * y;
    }
    moments out;
    out.mean = first / sum;
    double second = 0;
    for (const auto& [y, value] : nodes) second += value * (y - out.mean) * (y - out.mean);
    out.variance = second / sum;
    out.log_evidence = top + std::log(sum) - std::log(2 * std::numbers::pi * sigma * sigma) / 2;
    return out;
  }

  static void check(const char* function, Eigen::Index rows) {
    detail::require(rows == 1, function, "rows of x", static_cast<double>(rows),
                    "valid: 1, data on the line");
  }

  std::function<double(double)> log_density_;
  std::vector<double> panels_;
  std::vector<double> below_;  // mass up to each end
};

/// exp(-|y - center|/scale) / (2 scale): heavier tails than Gaussian and a kink.
inline line laplace(double center = 0, double scale = 1) {
  detail::require(scale > 0 && std::isfinite(scale), "laplace", "scale", scale,
                  "valid: 0 < scale < inf");
  std::vector<double> ends;
  for (int k = -40; k <= 40; ++k) ends.push_back(center + k * scale);
  return {[=](double y) { return -std::abs(y - center) / scale - std::log(2 * scale); },
          std::move(ends)};
}

/// Student's t with `degrees` of freedom, times scale, around center; tails up to 2^30 scales.
/// \throws std::invalid_argument below 1 degree, where too much lies beyond.
inline line student_t(double degrees, double center = 0, double scale = 1) {
  detail::require(scale > 0 && std::isfinite(scale), "student_t", "scale", scale,
                  "valid: 0 < scale < inf");
  detail::require(degrees >= 1 && std::isfinite(degrees), "student_t", "degrees", degrees,
                  "valid: 1 <= degrees < inf");
  const double constant = std::lgamma((degrees + 1) / 2) - std::lgamma(degrees / 2) -
                          std::log(degrees * std::numbers::pi) / 2 - std::log(scale);
  std::vector<double> ends{center};
  for (int k = -2; k <= 30; ++k)
    for (const double side : {-1.0, 1.0}) ends.push_back(center + side * std::ldexp(scale, k));
  std::sort(ends.begin(), ends.end());
  return {[=](double y) {
            const double u = (y - center) / scale;
            return constant - (degrees + 1) / 2 * std::log1p(u * u / degrees);
          },
          std::move(ends)};
}

/// Even between two ends.
inline line uniform_between(double low, double high) {
  detail::require(high > low && std::isfinite(high - low), "uniform_between", "high", high,
                  "valid: low < high < inf");
  const double value = -std::log(high - low);
  return {[=](double) { return value; }, {low, high}};
}

}  // namespace tweedie::oracle
