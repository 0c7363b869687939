// Entropy, Kullback-Leibler and Jensen-Shannon divergence of distributions that are known: by their
// probabilities, by log-densities on the line, or by log-ratios at samples.
//
//   H(p)      = -E_p log p
//   KL(p||q)  = E_p log(p/q)
//   JS(p, q)  = KL(p || m)/2 + KL(q || m)/2,  m = (p + q)/2,   0 <= JS <= log 2
//
// In nats. Densities on the line are integrated by the trapezoidal rule, which converges
// exponentially for smooth densities that vanish at both ends (Trefethen and Weideman 2014); where a
// density is 0 its logarithm is -inf. Distributions known by samples alone: metric/neighbours.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <span>
#include <string>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/numeric.hpp"

namespace tweedie {

namespace detail {

/// p log(p/q): 0 at p = 0, +inf where only q is 0.
inline double divergence_share(double p, double q) { return p > 0 ? p * std::log(p / q) : 0; }

/// JS's share of two probabilities.
inline double js_share(double p, double q) {
  return (divergence_share(2 * p, p + q) + divergence_share(2 * q, p + q)) / 4;
}

/// log(2p/(p + q)) from log(p/q).
inline double log_share_of_sum(double log_ratio) {
  return std::numbers::ln2 - softplus(-log_ratio);
}

/// Sum of f over pairs of probabilities.
template <class F>
double sum_over_pairs(const char* function, std::span<const double> p, std::span<const double> q,
                      const F& f) {
  if (p.size() != q.size())
    fail(function, "entries of q", static_cast<double>(q.size()),
         "valid: as many as p, " + std::to_string(p.size()));
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    require(p[i] >= 0, function, "p", p[i], "valid: probabilities >= 0");
    require(q[i] >= 0, function, "q", q[i], "valid: probabilities >= 0");
    sum += f(p[i], q[i]);
  }
  return sum;
}

/// int f dx by the trapezoidal rule.
template <class F>
double trapezoidal(const char* function, double low, double high, int points, const F& f) {
  require(low < high, function, "low", low, "valid: low < high");
  require(points >= 2, function, "points", points, "valid: points >= 2");
  const double h = (high - low) / (points - 1);
  double sum = (f(low) + f(high)) / 2;
  for (int i = 1; i + 1 < points; ++i) sum += f(low + i * h);
  return sum * h;
}

inline double checked_log_density(const char* function, double l) {
  require(l < std::numeric_limits<double>::infinity(), function, "log-density", l,
          "valid: -inf <= log-density < inf");
  return l;
}

}  // namespace detail

/// Of discrete distributions; +inf where q is 0 and p is not.
inline double kl_divergence(std::span<const double> p, std::span<const double> q) {
  return detail::sum_over_pairs("kl_divergence", p, q, detail::divergence_share);
}

/// Of discrete distributions; log 2 for disjoint ones.
inline double js_divergence(std::span<const double> p, std::span<const double> q) {
  return detail::sum_over_pairs("js_divergence", p, q, detail::js_share);
}

/// Of a discrete distribution; log n for n equal probabilities.
inline double entropy(std::span<const double> p) {
  return detail::sum_over_pairs("entropy", p, p,
                                [](double a, double) { return -detail::divergence_share(a, 1); });
}

/// Of the densities e^log_p(x) and e^log_q(x) on [low, high].
/// \throws std::invalid_argument where a logarithm is +inf or NaN.
template <class LogP, class LogQ>
double kl_divergence(const LogP& log_p, const LogQ& log_q, double low, double high,
                     int points = 4001) {
  return detail::trapezoidal("kl_divergence", low, high, points, [&](double x) {
    const double p = detail::checked_log_density("kl_divergence", log_p(x));
    const double q = detail::checked_log_density("kl_divergence", log_q(x));
    const double density = std::exp(p);
    return density > 0 ? density * (p - q) : 0;
  });
}

template <class LogP, class LogQ>
double js_divergence(const LogP& log_p, const LogQ& log_q, double low, double high,
                     int points = 4001) {
  return detail::trapezoidal("js_divergence", low, high, points, [&](double x) {
    const double p = detail::checked_log_density("js_divergence", log_p(x));
    const double q = detail::checked_log_density("js_divergence", log_q(x));
    const auto share = [](double log_density, double log_ratio) {
      const double density = std::exp(log_density);
      return density > 0 ? density * detail::log_share_of_sum(log_ratio) / 2 : 0;
    };
    return share(p, p - q) + share(q, q - p);
  });
}

/// Differential entropy of the density e^log_p(x) on [low, high].
template <class LogP>
double entropy(const LogP& log_p, double low, double high, int points = 4001) {
  return -kl_divergence(
      log_p, [](double) { return 0.0; }, low, high, points);
}

/// Monte Carlo estimate of JS from log(p/q) at samples of p and at samples of q.
inline double js_divergence_of_samples(std::span<const double> log_ratio_at_p,
                                       std::span<const double> log_ratio_at_q) {
  detail::require(!log_ratio_at_p.empty() && !log_ratio_at_q.empty(), "js_divergence_of_samples",
                  "samples", 0, "valid: at least one of each");
  double p = 0, q = 0;
  for (const double l : log_ratio_at_p) p += detail::log_share_of_sum(l);
  for (const double l : log_ratio_at_q) q += detail::log_share_of_sum(-l);
  return (p / static_cast<double>(log_ratio_at_p.size()) +
          q / static_cast<double>(log_ratio_at_q.size())) /
         2;
}

}  // namespace tweedie
