// Discrete flow matching: tokens jump from a source to data along a mixture path (Gat et al. 2024;
// Campbell et al. 2024).
//
//   p_t(x) = (1 - kappa) p_0(x) + kappa [x = x_1],   kappa(0) = 0, kappa(1) = 1; time runs to data
//   u_t(y, x) = kappa' / (1 - kappa) (p(x_1 = y | x_t) - [y = x])        (eq. 24)
//
// kappa(t) is the probability that a token is already data: the survival probability at 1 - t.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tweedie/discrete/categorical.hpp"
#include "tweedie/discrete/proposal.hpp"
#include "tweedie/discrete/random.hpp"

namespace tweedie::discrete {

/// kappa = t^n, n > 0; n = 1 is linear.
struct polynomial_path {
  double power = 1;
  double kappa(double t) const { return std::pow(t, power); }
  double rate(double t) const { return power * std::pow(t, power - 1); }
  double time_of(double kappa) const { return std::pow(kappa, 1 / power); }
};

/// kappa(t), the probability of data, rises from 0 to 1; rate(t) = kappa'(t).
template <class Path>
concept mixture_path = requires(const Path& p, double t) {
  { p.kappa(t) } -> std::convertible_to<double>;
  { p.rate(t) } -> std::convertible_to<double>;
};

/// kappa' / (1 - kappa): the rate at which a token that is not yet data becomes it.
/// \throws std::invalid_argument where kappa = 1.
template <mixture_path Path>
double arrival_rate(const Path& path, double t) {
  const double left = 1 - path.kappa(t);
  detail::require(left > 0, "arrival_rate", "t", t, "valid: where kappa < 1");
  return path.rate(t) / left;
}

/// x_t of one token: its source while u < 1 - kappa, then its data.
inline token along_path(double kappa, token x_0, token x_1, double u) {
  return u < 1 - kappa ? x_0 : x_1;
}

/// u_t(., x) of one token from p(x_1 | x_t).
inline void flow_velocity(double arrival, std::span<const double> clean, token x,
                          std::span<double> out) {
  detail::require_equal("flow_velocity", "out", out.size(), clean.size());
  detail::require_token("flow_velocity", x, clean.size());
  for (std::size_t y = 0; y < out.size(); ++y)
    out[y] = arrival * (clean[y] - (static_cast<token>(y) == x));
}

/// Rates at which a token that will be x_1 jumps: `toward` to x_1, `noise` p_0(y) to each y.
struct flow_jumps {
  double toward = 0;
  double noise = 0;
};

/// Rates with a share c >= 0 of the divergence-free part, which corrects what has arrived:
/// toward = kappa' / (1 - kappa) (1 + c), noise = c kappa' / kappa (Gat et al. 2024, eq. 26).
/// \throws std::invalid_argument for c < 0, kappa = 1, or c > 0 where kappa = 0.
template <mixture_path Path>
flow_jumps jump_rates(const Path& path, double t, double c = 0) {
  detail::require(c >= 0, "jump_rates", "c", c, "valid: at least 0");
  const double arrival = arrival_rate(path, t);
  if (c == 0) return {arrival, 0};
  const double kappa = path.kappa(t);
  detail::require(kappa > 0, "jump_rates", "t", t, "valid with c > 0: where kappa > 0");
  return {arrival * (1 + c), c * path.rate(t) / kappa};
}

/// Total rate of leaving x. `source` is p_0; it may be empty without noise.
inline double intensity(const flow_jumps& rates, std::span<const double> source, token x,
                        token x_1) {
  const double away =
      rates.noise == 0 ? 0 : rates.noise * (1 - source[static_cast<std::size_t>(x)]);
  return away + (x == x_1 ? 0 : rates.toward);
}

/// Where a token that leaves x goes, by a uniform u.
inline token jump_target(const flow_jumps& rates, std::span<const double> source, token x,
                         token x_1, double u) {
  if (rates.noise == 0) return x_1;
  std::vector<double> weights(source.begin(), source.end());
  for (double& w : weights) w *= rates.noise;
  weights[static_cast<std::size_t>(x_1)] += rates.toward;
  weights[static_cast<std::size_t>(x)] = 0;
  return static_cast<token>(invert_distribution(weights, u));
}

/// Generalised KL of one token (Shaul et al. 2024, eq. 25), the bound's integrand at t:
///   -kappa' / (1 - kappa) (p(x) - [x = x_1] + [x != x_1] log p(x_1)),   p = softmax(logits)
/// `weight` times its gradient is added to `gradient`, if that is not empty. With x a token that no
/// data has it is the masked bound.
/// \throws std::invalid_argument for tokens out of range or logits that are no distribution.
inline double flow_bound(double arrival, std::span<const double> logits, token x, token x_1,
                         double weight = 1, std::span<double> gradient = {}) {
  const token both[] = {x, x_1};
  detail::require_tokens("flow_bound", std::span<const token>(both), logits.size());
  if (!gradient.empty())
    detail::require_equal("flow_bound", "gradient", gradient.size(), logits.size());
  std::vector<double> log_p(logits.size());
  log_softmax(logits, std::span<double>(log_p), "flow_bound");
  const double here = std::exp(log_p[static_cast<std::size_t>(x)]);
  const double moved = x == x_1 ? 0 : 1;
  for (std::size_t k = 0; k < gradient.size(); ++k) {
    const double p = std::exp(log_p[k]);
    const auto y = static_cast<token>(k);
    gradient[k] -= weight * arrival * (here * ((y == x) - p) + moved * ((y == x_1) - p));
  }
  const double entropy = moved == 0 ? 0 : log_p[static_cast<std::size_t>(x_1)];
  return -arrival * (here - (1 - moved) + entropy);
}

/// One Euler step of length h of every token, in place: x_1 is drawn from the network, and x jumps
/// with probability 1 - exp(-h intensity). With `last`, x = x_1. Requests a `choice` number for
/// every position, then `jump`, then `route`.
/// \throws std::invalid_argument for sizes that do not fit, tokens out of range, rows that are no
///   distribution, or a negative h; then nothing has been written.
template <storage_scalar S, token_integer T, uniform_source Source>
void flow_step(token_batch<T> x, logits_view<S> logits, const flow_jumps& rates, double h,
               bool last, const Source& source, std::uint32_t step,
               std::span<const double> noise_source = {}) {
  constexpr const char* name = "flow_step";
  detail::require_equal(name, "logits' rows", logits.rows(), x.tokens.size());
  detail::require(h >= 0, name, "h", h, "valid: at least 0");
  detail::require_tokens(name, x.tokens, logits.vocabulary());
  if (rates.noise != 0)
    detail::require_equal(name, "noise_source", noise_source.size(), logits.vocabulary());
  std::vector<token> target(x.tokens.size());
  row_reader reader;
  for (std::size_t r = 0; r < target.size(); ++r) {
    uniform_request where = x.request(r, step, draw_use::choice);
    reader.read(logits.row(r), logits.vocabulary(), {}, name, r);
    target[r] = reader.sample(logits.row(r), source(where));
  }
  for (std::size_t r = 0; !last && r < target.size(); ++r) {
    uniform_request where = x.request(r, step, draw_use::jump);
    const auto own = static_cast<token>(x.tokens[r]);
    if (source(where) < -std::expm1(-h * intensity(rates, noise_source, own, target[r]))) {
      where.use = draw_use::route;
      target[r] =
          jump_target(rates, noise_source, own, target[r], rates.noise == 0 ? 0 : source(where));
    } else {
      target[r] = own;
    }
  }
  std::copy(target.begin(), target.end(), x.tokens.begin());
}

}  // namespace tweedie::discrete
