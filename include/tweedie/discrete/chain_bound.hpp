// Training a network to predict x_0 under any corruption of tokens: D3PM's variational bound and
// its hybrid with cross-entropy (Austin et al. 2021, eq. 1 and 5), with gradients to the logits.
//
//   L = KL(q(x_T | x_0) || p(x_T)) + sum_{t > 1} KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t))
//       - log p(x_0 | x_1),       p(x_{t-1} | x_t) = sum over x_0 of q(x_{t-1} | x_t, x_0) p(x_0 | x_t)
//
// For one token at a time; a batch is a loop. Values in nats.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "tweedie/discrete/categorical.hpp"
#include "tweedie/discrete/token_kernel.hpp"
#include "tweedie/discrete/transition_matrix.hpp"

namespace tweedie::discrete {

/// KL(p || q) of the distributions that two rows of unnormalised log-probabilities stand for.
/// Infinite where q has none of what p has.
inline double divergence(std::span<const double> p_logits, std::span<const double> q_logits) {
  detail::require_equal("divergence", "q_logits", q_logits.size(), p_logits.size());
  std::vector<double> p(p_logits.size()), q(q_logits.size());
  log_softmax(p_logits, std::span<double>(p), "divergence");
  log_softmax(q_logits, std::span<double>(q), "divergence");
  double sum = 0;
  for (std::size_t k = 0; k < p.size(); ++k)
    if (p[k] > -INFINITY) sum += std::exp(p[k]) * (p[k] - q[k]);
  return sum;
}

/// -log softmax(logits)[x_0]; its gradient, softmax - onehot, times `weight`, is added to
/// `gradient` if that is not empty.
inline double cross_entropy(std::span<const double> logits, token x_0, double weight = 1,
                            std::span<double> gradient = {}) {
  detail::require_token("cross_entropy", x_0, logits.size());
  if (!gradient.empty())
    detail::require_equal("cross_entropy", "gradient", gradient.size(), logits.size());
  std::vector<double> log_p(logits.size());
  log_softmax(logits, std::span<double>(log_p), "cross_entropy");
  for (std::size_t k = 0; k < gradient.size(); ++k)
    gradient[k] += weight * (std::exp(log_p[k]) - (static_cast<token>(k) == x_0));
  return -log_p[static_cast<std::size_t>(x_0)];
}

namespace detail {

// KL(truth || A softmax(logits)) and its gradient. `rows(p, out)` is out = A p, `transposed(w, out)`
// is out = A^T w; A's columns are distributions.
template <class Rows, class Transposed>
double mixture_bound(std::span<const double> truth, std::span<const double> logits, double weight,
                     std::span<double> gradient, const Rows& rows, const Transposed& transposed) {
  const std::size_t n = logits.size();
  std::vector<double> p(n), mixture(n), back(n);
  log_softmax(logits, std::span<double>(p), "step_bound");
  for (double& v : p) v = std::exp(v);
  rows(p, mixture);
  double value = 0;
  for (std::size_t y = 0; y < n; ++y) {
    if (truth[y] > 0) value += truth[y] * std::log(truth[y] / mixture[y]);
    mixture[y] = truth[y] > 0 ? truth[y] / mixture[y] : 0;
  }
  if (gradient.empty()) return value;
  // Certain of another token: there is no slope.
  require(value < INFINITY, "step_bound", "bound", value,
          "valid, for a gradient: logits to which x_0 is possible");
  // d value / d p_k = -sum_y truth_y / mixture_y A(y, k); the softmax removes its mean.
  transposed(mixture, back);
  double mean = 0;
  for (std::size_t k = 0; k < n; ++k) mean += p[k] * back[k];
  for (std::size_t k = 0; k < n; ++k) gradient[k] -= weight * p[k] * (back[k] - mean);
  return value;
}

}  // namespace detail

/// KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) with the mixture of exact posteriors for p; for
/// t = 1 it is -log p(x_0 | x_1). Zero when softmax(logits) is certain of x_0. `weight` times its
/// gradient is added to `gradient`. O(K^2).
/// \throws std::invalid_argument if x_t cannot come from x_0, or for tokens or sizes out of range.
inline double step_bound(const transition_chain& chain, std::size_t t, token x_t, token x_0,
                         std::span<const double> logits, double weight = 1,
                         std::span<double> gradient = {}) {
  constexpr const char* name = "step_bound";
  const auto n = static_cast<std::size_t>(chain.symbols());
  detail::require_equal(name, "logits", logits.size(), n);
  if (!gradient.empty()) detail::require_equal(name, "gradient", gradient.size(), n);
  const token both[] = {x_t, x_0};
  detail::require_tokens(name, std::span<const token>(both), n);
  const Eigen::MatrixXd& step = chain.step(t);
  const Eigen::MatrixXd& before = chain.marginal(t - 1);
  const Eigen::VectorXd evidence = chain.marginal(t).col(x_t);
  detail::require(evidence(x_0) > 0, name, "x_t", x_t, "valid: a token that x_0 can become");
  if (t == 1) return cross_entropy(logits, x_0, weight, gradient);
  // A(y, k) = q(x_{t-1} = y | x_t, x_0 = k); a k that cannot become x_t contributes nothing.
  Eigen::MatrixXd a(step.rows(), step.rows());
  for (Eigen::Index k = 0; k < a.cols(); ++k)
    for (Eigen::Index y = 0; y < a.rows(); ++y)
      a(y, k) = evidence(k) > 0 ? step(y, x_t) * before(k, y) / evidence(k) : 0;
  const Eigen::VectorXd truth = a.col(x_0);
  const auto map = [](auto& v) {
    return Eigen::Map<Eigen::VectorXd>(v.data(), static_cast<Eigen::Index>(v.size()));
  };
  return detail::mixture_bound(
      {truth.data(), n}, logits, weight, gradient,
      [&](auto& p, auto& out) { map(out) = a * map(p); },
      [&](auto& w, auto& out) { map(out) = a.transpose() * map(w); });
}

/// The same for a corruption in three numbers: the kernels lead from 0 to s and from s to t. O(K).
inline double step_bound(const token_kernel& to_s, const token_kernel& step,
                         const alphabet& symbols, token x_t, token x_0,
                         std::span<const double> logits, double weight = 1,
                         std::span<double> gradient = {}) {
  constexpr const char* name = "step_bound";
  const std::size_t n = symbols.size();
  detail::require_equal(name, "logits", logits.size(), n);
  if (!gradient.empty()) detail::require_equal(name, "gradient", gradient.size(), n);
  const token both[] = {x_t, x_0};
  detail::require_tokens(name, std::span<const token>(both), n);
  std::vector<double> truth(n);
  posterior(to_s, step, symbols, x_t, x_0, truth);
  const token_kernel whole = compose(to_s, step);
  const double share = to_s.uniform / static_cast<double>(symbols.ordinary);
  // A(y, k) = q(x_t | y) (keep [y = k] + share) / q(x_t | k), the mask's row apart.
  const auto inverse_evidence = [&](std::size_t k) {
    const double e = symbols.masked(static_cast<token>(k))
                         ? 0
                         : probability(whole, symbols, static_cast<token>(k), x_t);
    return e > 0 ? 1 / e : 0;
  };
  return detail::mixture_bound(
      truth, logits, weight, gradient,
      [&](const std::vector<double>& p, std::vector<double>& out) {
        double sum = 0;
        for (std::size_t k = 0; k < n; ++k) sum += p[k] * inverse_evidence(k);
        for (std::size_t y = 0; y < n; ++y) {
          const auto x_s = static_cast<token>(y);
          out[y] = probability(step, symbols, x_s, x_t) *
                   (symbols.masked(x_s) ? to_s.mask * sum
                                        : to_s.keep * p[y] * inverse_evidence(y) + share * sum);
        }
      },
      [&](const std::vector<double>& w, std::vector<double>& out) {
        double common = 0;
        for (std::size_t y = 0; y < n; ++y) {
          const auto x_s = static_cast<token>(y);
          common += w[y] * probability(step, symbols, x_s, x_t) *
                    (symbols.masked(x_s) ? to_s.mask : share);
        }
        for (std::size_t k = 0; k < n; ++k)
          out[k] =
              inverse_evidence(k) *
              (to_s.keep * w[k] * probability(step, symbols, static_cast<token>(k), x_t) + common);
      });
}

/// D3PM's hybrid loss of one token: bound + lambda cross-entropy (eq. 5).
inline double hybrid_bound(const transition_chain& chain, std::size_t t, token x_t, token x_0,
                           std::span<const double> logits, double lambda,
                           std::span<double> gradient = {}) {
  const double bound = step_bound(chain, t, x_t, x_0, logits, 1, gradient);
  return bound + lambda * cross_entropy(logits, x_0, lambda, gradient);
}

}  // namespace tweedie::discrete
