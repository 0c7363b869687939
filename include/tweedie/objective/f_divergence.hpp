// f-divergences D_f(p || q) = int q f(p/q), their variational form (Nowozin et al. 2016)
//
//   D_f(p || q) = sup_T E_p T - E_q f*(T),   optimum T = f'(p/q)
//
// and the Jensen-Shannon divergence of discrete, one-dimensional and sampled distributions.
//
//   kind               f(u)                          f*(t)                 T = activation(logit)
//   kullback_leibler   u log u                       e^(t - 1)             logit
//   reverse_kl         -log u                        -1 - log(-t)          -e^-logit
//   pearson            (u - 1)^2                     t^2/4 + t             logit
//   squared_hellinger  (sqrt u - 1)^2                t/(1 - t)             1 - e^-logit
//   jensen_shannon     u log u - (u+1) log((u+1)/2)  -log(2 - e^t)         log 2 - softplus(-logit)
//   gan                u log u - (u+1) log(u+1)      -log(1 - e^t)         -softplus(-logit)
// The Jensen-Shannon row is twice the divergence below, the GAN row 2 JS - log 4. The discriminator
// minimises -T on real and f*(T) on fake data. In nats.
#pragma once

#include <cmath>
#include <limits>
#include <numbers>
#include <span>
#include <string>

#include "tweedie/objective/numeric.hpp"
#include "tweedie/schedule/error.hpp"

namespace tweedie {

enum class f_divergence {
  kullback_leibler,
  reverse_kl,
  pearson,
  squared_hellinger,
  jensen_shannon,
  gan
};

/// f(u) of a density ratio u > 0.
inline double f_generator(f_divergence kind, double u) {
  detail::require(u > 0, "f_generator", "u", u, "valid: u > 0");
  const double root = std::sqrt(u) - 1;
  switch (kind) {
    case f_divergence::kullback_leibler: return u * std::log(u);
    case f_divergence::reverse_kl: return -std::log(u);
    case f_divergence::pearson: return (u - 1) * (u - 1);
    case f_divergence::squared_hellinger: return root * root;
    case f_divergence::jensen_shannon: return u * std::log(u) - (u + 1) * std::log((u + 1) / 2);
    case f_divergence::gan: return u * std::log(u) - (u + 1) * std::log(u + 1);
  }
  detail::fail("f_generator", "unknown f_divergence");
}

/// T of a logit: the activation keeps T in the domain of f*.
template <class S>
S f_activation(f_divergence kind, const S& logit) {
  switch (kind) {
    case f_divergence::kullback_leibler:
    case f_divergence::pearson: return logit;
    case f_divergence::reverse_kl: return -detail::exponential(S(-logit));
    case f_divergence::squared_hellinger: return -detail::exp_minus_one(S(-logit));
    case f_divergence::jensen_shannon: return std::numbers::ln2 - softplus(S(-logit));
    case f_divergence::gan: return -softplus(S(-logit));
  }
  detail::fail("f_activation", "unknown f_divergence");
}

/// f*(activation(logit)), simplified so that nothing overflows that need not.
template <class S>
S f_conjugate(f_divergence kind, const S& logit) {
  switch (kind) {
    case f_divergence::kullback_leibler: return detail::exponential(S(logit - 1));
    case f_divergence::pearson: return logit * logit / 4 + logit;
    case f_divergence::reverse_kl: return logit - 1;
    case f_divergence::squared_hellinger: return detail::exp_minus_one(logit);
    case f_divergence::jensen_shannon: return softplus(logit) - std::numbers::ln2;
    case f_divergence::gan: return softplus(logit);
  }
  detail::fail("f_conjugate", "unknown f_divergence");
}

/// The game of a divergence for `adversarial_losses`: -T on real and f*(T) on fake data, -f*(T) for
/// the generator. The generator that minimises -T instead (section 3.2) is the part `real` of the
/// logits of fake data.
struct f_gan_game {
  f_divergence kind;

  template <class S>
  S real(const S& logit) const {
    return -f_activation(kind, logit);
  }
  template <class S>
  S fake(const S& logit) const {
    return f_conjugate(kind, logit);
  }
  template <class S>
  S generator(const S& logit) const {
    return -f_conjugate(kind, logit);
  }
  template <class S>
  S real_slope(const S& logit) const {
    switch (kind) {
      case f_divergence::kullback_leibler:
      case f_divergence::pearson: return detail::constant_like(logit, -1);
      case f_divergence::reverse_kl:
      case f_divergence::squared_hellinger: return -detail::exponential(S(-logit));
      case f_divergence::jensen_shannon:
      case f_divergence::gan: return -sigmoid(S(-logit));
    }
    detail::fail("f_gan_game", "unknown f_divergence");
  }
  template <class S>
  S fake_slope(const S& logit) const {
    switch (kind) {
      case f_divergence::kullback_leibler: return detail::exponential(S(logit - 1));
      case f_divergence::pearson: return logit / 2 + 1;
      case f_divergence::reverse_kl: return detail::constant_like(logit, 1);
      case f_divergence::squared_hellinger: return detail::exponential(logit);
      case f_divergence::jensen_shannon:
      case f_divergence::gan: return sigmoid(logit);
    }
    detail::fail("f_gan_game", "unknown f_divergence");
  }
  template <class S>
  S generator_slope(const S& logit) const {
    return -fake_slope(logit);
  }
};

/// The logit at which T = f'(p/q), from log(p/q).
inline double f_optimal_logit(f_divergence kind, double log_ratio) {
  switch (kind) {
    case f_divergence::kullback_leibler: return log_ratio + 1;
    case f_divergence::pearson: return 2 * std::expm1(log_ratio);
    case f_divergence::squared_hellinger: return log_ratio / 2;
    case f_divergence::reverse_kl:
    case f_divergence::jensen_shannon:
    case f_divergence::gan: return log_ratio;
  }
  detail::fail("f_optimal_logit", "unknown f_divergence");
}

/// JS(p, q) = KL(p || m)/2 + KL(q || m)/2, m = (p + q)/2, of discrete distributions; log 2 for
/// disjoint ones.
inline double js_divergence(std::span<const double> p, std::span<const double> q) {
  if (p.size() != q.size())
    detail::fail("js_divergence", "entries of q", static_cast<double>(q.size()),
                 "valid: as many as p, " + std::to_string(p.size()));
  double sum = 0;
  const auto part = [](double a, double b) { return a > 0 ? a * std::log(2 * a / (a + b)) : 0; };
  for (std::size_t i = 0; i < p.size(); ++i) {
    detail::require(p[i] >= 0, "js_divergence", "p", p[i], "valid: probabilities >= 0");
    detail::require(q[i] >= 0, "js_divergence", "q", q[i], "valid: probabilities >= 0");
    sum += (part(p[i], q[i]) + part(q[i], p[i])) / 2;
  }
  return sum;
}

/// The share of one point in a Monte Carlo or quadrature estimate of JS, from log(p/q) there:
/// JS = (E_p of_data + E_q of_generated)/2.
struct js_terms {
  double of_data = 0;       ///< log(2p/(p + q))
  double of_generated = 0;  ///< log(2q/(p + q))
};
inline js_terms js_integrand(double log_ratio) {
  return {std::numbers::ln2 - softplus(-log_ratio), std::numbers::ln2 - softplus(log_ratio)};
}

/// JS of two densities on the line, given by their logarithms, by the trapezoidal rule with
/// `points` points on [low, high]: exponentially accurate for smooth densities that vanish there.
/// Where a density is 0, its logarithm is -inf. \throws std::invalid_argument where it is +inf or NaN.
template <class LogP, class LogQ>
double js_divergence(const LogP& log_p, const LogQ& log_q, double low, double high,
                     int points = 4001) {
  detail::require(low < high, "js_divergence", "low", low, "valid: low < high");
  detail::require(points >= 2, "js_divergence", "points", points, "valid: points >= 2");
  const double h = (high - low) / (points - 1);
  const auto share = [](double density, double log_ratio) {
    return density > 0 ? density * log_ratio : 0;
  };
  double sum = 0;
  for (int i = 0; i < points; ++i) {
    const double x = low + i * h;
    const double p = log_p(x), q = log_q(x);
    for (const double log_density : {p, q})
      detail::require(log_density < std::numeric_limits<double>::infinity(), "js_divergence",
                      "log-density", log_density, "valid: -inf <= log-density < inf");
    const js_terms t = js_integrand(p - q);
    const double end = i == 0 || i == points - 1 ? 0.5 : 1;
    sum += end * h * (share(std::exp(p), t.of_data) + share(std::exp(q), t.of_generated)) / 2;
  }
  return sum;
}

/// Monte Carlo estimate of JS from log(p/q) at samples of p and at samples of q.
inline double js_divergence_of_samples(std::span<const double> log_ratio_at_data,
                                       std::span<const double> log_ratio_at_generated) {
  detail::require(!log_ratio_at_data.empty() && !log_ratio_at_generated.empty(),
                  "js_divergence_of_samples", "samples", 0, "valid: at least one of each");
  double data = 0, generated = 0;
  for (const double l : log_ratio_at_data) data += js_integrand(l).of_data;
  for (const double l : log_ratio_at_generated) generated += js_integrand(l).of_generated;
  return (data / static_cast<double>(log_ratio_at_data.size()) +
          generated / static_cast<double>(log_ratio_at_generated.size())) /
         2;
}

}  // namespace tweedie
