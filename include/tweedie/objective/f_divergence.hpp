// f-divergences D_f(p || q) = int q f(p/q), their variational form (Nowozin et al. 2016)
//
//   D_f(p || q) = sup_T E_p T - E_q f*(T),   optimum T = f'(p/q)
//
//   kind               f(u)                          f*(t)                 T = activation(logit)
//   kullback_leibler   u log u                       e^(t - 1)             logit
//   reverse_kl         -log u                        -1 - log(-t)          -e^-logit
//   pearson            (u - 1)^2                     t^2/4 + t             logit
//   squared_hellinger  (sqrt u - 1)^2                t/(1 - t)             1 - e^-logit
//   jensen_shannon     u log u - (u+1) log((u+1)/2)  -log(2 - e^t)         log 2 - softplus(-logit)
//   gan                u log u - (u+1) log(u+1)      -log(1 - e^t)         -softplus(-logit)
// The Jensen-Shannon row is 2 JS (metric/divergence.hpp), the GAN row 2 JS - log 4. The discriminator
// minimises -T on real and f*(T) on fake data. In nats.
#pragma once

#include <cmath>
#include <numbers>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/numeric.hpp"

namespace tweedie {

/// The kinds of the table above.
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

}  // namespace tweedie
