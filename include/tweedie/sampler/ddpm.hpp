// DDPM ancestral sampling (Ho et al. 2020, algorithm 2), over all levels or a subset of them.
//
// Between neighbouring nodes t -> s of any grid the forward kernel is
//   q(x_t | x_s) = N(a x_s, b I),   a = alpha_t/alpha_s,   b = sigma_t^2 - a^2 sigma_s^2
// (b is beta for adjacent levels), and the posterior given x0 is
//   q(x_s | x_t, x0) = N(c0 x0 + ct x_t, v I),
//   c0 = alpha_s b / sigma_t^2,   ct = a sigma_s^2 / sigma_t^2,   v = b sigma_s^2 / sigma_t^2.
// The step samples it with the x0 estimate in place of x0 (eq. 7) and variance
//   fixed small   v         exact for data that is one point
//   fixed large   b         exact for standard normal data (at the clean end no noise is added)
//   learned range exp(w log b + (1 - w) log v), w from the network (Nichol and Dhariwal 2021)
//   analytic      v + c0^2 * E|x0 - D|^2/d (Bao et al. 2022, eq. 8; exact for isotropic
//                 Gaussian data when given its posterior variance)
#pragma once

#include <cmath>
#include <functional>
#include <variant>

#include "tweedie/grid/grid.hpp"
#include "tweedie/program/recorder.hpp"

namespace tweedie {

/// q(x_s | x_t, x0) = N(clean x0 + state x_t, variance I), and the forward variance b.
struct posterior_weights {
  double clean = 0;
  double state = 0;
  double variance = 0;          ///< v, "beta tilde"
  double forward_variance = 0;  ///< b, "beta"
};

/// Posterior of level `to` (less noise) given level `from`. Needs from.sigma > 0.
inline posterior_weights posterior_step(signal_noise from, signal_noise to) {
  detail::require(from.sigma > 0, "posterior_step", "sigma", from.sigma, "valid: sigma > 0");
  const transition_kernel forward = transition(to, from);
  const double kept = to.sigma / from.sigma;
  const double b = forward.variance;
  return {to.alpha * b / (from.sigma * from.sigma), forward.mean * kept * kept, b * kept * kept, b};
}

struct fixed_small {};
struct fixed_large {};
/// The network answers interpolation values v in [-1, 1] beside its prediction.
struct learned_range {};
/// Variance of x0 given x_t per dimension, as a function of the node.
struct analytic_variance {
  std::function<double(const node&)> clean_variance;
};

using reverse_variance = std::variant<fixed_small, fixed_large, learned_range, analytic_variance>;

namespace detail {

template <class... F>
struct overloaded : F... {
  using F::operator()...;
};

}  // namespace detail

/// Ancestral sampling over a grid of falling noise, N evaluations; no noise is added in a step
/// that ends in clean data.
///
/// The clean end of learned_range: log v is -inf where sigma_s = 0; no noise is drawn there, so
/// the network's interpolation value is not used.
inline program ddpm(const grid& nodes, const reverse_variance& variance = fixed_small{}) {
  check_descending("ddpm", nodes);
  recorder r(nodes.front());
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const node& from = nodes[i];
    const node& to = nodes[i + 1];
    const posterior_weights q = posterior_step(from.level, to.level);
    const estimate e = r.evaluate(x, from);
    x = q.clean * e.clean + q.state * x;
    if (to.level.sigma > 0)
      x += std::visit(
          detail::overloaded{
              [&](fixed_small) { return std::sqrt(q.variance) * r.draw(); },
              [&](fixed_large) { return std::sqrt(q.forward_variance) * r.draw(); },
              [&](learned_range) {
                return r.draw({.learned = true,
                               .log_lower = std::log(q.variance),
                               .log_upper = std::log(q.forward_variance)});
              },
              [&](const analytic_variance& known) {
                const double spread = known.clean_variance(from);
                detail::require(spread >= 0, "ddpm", "clean_variance", spread, "valid: >= 0");
                return std::sqrt(q.variance + q.clean * q.clean * spread) * r.draw();
              }},
          variance);
    r.mark(x, to);
  }
  return r.finish(x);
}

}  // namespace tweedie
