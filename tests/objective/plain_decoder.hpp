// Log-probabilities of bins by their plain formulas, for numbers and differentiated numbers: what the
// decoders of objective/decoder.hpp are compared with.
#pragma once

#include <cmath>

#include "tweedie/objective/decoder.hpp"
#include "tweedie/tensor/numeric.hpp"

namespace tweedie_test {

/// f(x) with derivative df(x), lifted to numbers, differentiated numbers and blocks.
template <class S, class F, class D>
S lift(const S& x, const F& f, const D& df) {
  if constexpr (tweedie::detail::lanes_of_numbers<S>) {
    return x.each(f);
  } else if constexpr (tweedie::detail::differentiated<S>) {
    return S(f(x.value()), x.derivatives() * df(x.value()));
  } else {
    return static_cast<S>(f(static_cast<double>(x)));
  }
}

/// Logarithm of the standard normal distribution function.
template <class S>
S log_normal_cdf(const S& x) {
  return lift(
      x, [](double v) { return tweedie::log_normal_cdf(v); }, tweedie::normal_hazard);
}

/// log(Phi(upper) - Phi(lower)) with both arguments on the side where Phi is small, from a Taylor
/// series in h = (upper - lower)/2 below 1e-3 (the next term is h^4/120 He_4), else from logarithms.
template <class S>
S log_normal_interval(const S& centre, const S& h) {
  using std::exp, std::log;
  if (h < S(1e-3)) {
    const S second = h * h / 6 * (centre * centre - 1);
    return S(log(S(2 * h)) - centre * centre / 2 - tweedie::half_log_two_pi + log(S(1 + second)));
  }
  if (centre > S(0)) return log_normal_interval(S(-centre), h);
  const S upper = log_normal_cdf(S(centre + h));
  const S lower = log_normal_cdf(S(centre - h));
  return S(upper + log(S(1 - exp(S(lower - upper)))));
}

inline constexpr double half_width = 1 / 255.0;
inline bool first_bin(double x) { return x < -1 + half_width; }
inline bool last_bin(double x) { return x > 1 - half_width; }

struct plain_gaussian {
  template <class S>
  S operator()(double x, const S& mean, const S& log_scale) const {
    using std::exp;
    const S inverse = exp(S(-log_scale));
    if (first_bin(x)) return log_normal_cdf(S((x + half_width - mean) * inverse));
    if (last_bin(x)) return log_normal_cdf(S((mean - x + half_width) * inverse));
    return log_normal_interval(S((x - mean) * inverse), S(half_width * inverse));
  }
};

struct plain_logistic {
  template <class S>
  S operator()(double x, const S& mean, const S& log_scale) const {
    using std::exp, std::log;
    const S inverse = exp(S(-log_scale));
    const S upper = (x + half_width - mean) * inverse, lower = (x - half_width - mean) * inverse;
    if (first_bin(x)) return S(-tweedie::softplus(S(-upper)));
    if (last_bin(x)) return S(-tweedie::softplus(lower));
    // sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a)).
    return S(log(S(-tweedie::detail::exp_minus_one(S(-2 * half_width * inverse)))) -
             tweedie::softplus(S(-upper)) - tweedie::softplus(lower));
  }
};

struct plain_tanh {
  template <class S>
  S operator()(double x, const S& mean, const S& log_scale) const {
    using std::exp, std::log;
    const auto cdf = [](const S& v) {  // (1 + tanh(u))/2 = sigmoid(2 u)
      return tweedie::sigmoid(S(2 * std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v)));
    };
    const S inverse = exp(S(-log_scale));
    const S upper = x > 0.999 ? S(1) : S(cdf(S((x + half_width - mean) * inverse)));
    const S lower = x < -0.999 ? S(0) : S(cdf(S((x - half_width - mean) * inverse)));
    const S p = upper - lower;
    return p > S(1e-12) ? S(log(p)) : S(std::log(1e-12));
  }
};

}  // namespace tweedie_test
