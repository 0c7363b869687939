// Transition matrices between tokens, for corruption with neighbours: discretised Gaussian, nearest
// neighbour, bands, or any matrix of one's own (Austin et al. 2021, D3PM, section 3 and appendix A).
//
//   Q(i, j) = q(x_t = j | x_{t-1} = i),  rows sum to 1,  Qbar_t = Q_1 ... Q_t
//   q(x_{t-1} = y | x_t, x_0) = Q_t(y, x_t) Qbar_{t-1}(x_0, y) / Qbar_t(x_0, x_t)
//
// These take K x K numbers a step. Uniform and absorbing processes need three: token_kernel.hpp.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "tweedie/discrete/token_kernel.hpp"

namespace tweedie::discrete {

/// The matrix of a kernel, to compare with; the mask, if any, is a row and column too.
inline Eigen::MatrixXd matrix_of(const token_kernel& kernel, const alphabet& symbols) {
  const auto n = static_cast<Eigen::Index>(symbols.size());
  Eigen::MatrixXd q(n, n);
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < n; ++j)
      q(i, j) = probability(kernel, symbols, static_cast<token>(i), static_cast<token>(j));
  return q;
}

namespace detail {

// Symmetric matrix with `weight(k)` at distance k = 1 ... bands; the diagonal completes the rows.
template <class Weight>
Eigen::MatrixXd banded(Eigen::Index symbols, Eigen::Index bands, const Weight& weight) {
  Eigen::MatrixXd q = Eigen::MatrixXd::Zero(symbols, symbols);
  for (Eigen::Index k = 1; k <= (std::min)(bands, symbols - 1); ++k)
    for (Eigen::Index i = 0; i + k < symbols; ++i) q(i, i + k) = q(i + k, i) = weight(k);
  for (Eigen::Index i = 0; i < symbols; ++i) q(i, i) = 1 - (q.row(i).sum());
  return q;
}

}  // namespace detail

/// Replaces by a token at most `bands` away, each with probability beta / K.
inline Eigen::MatrixXd banded_uniform_matrix(Eigen::Index symbols, double beta,
                                             Eigen::Index bands) {
  return detail::banded(symbols, bands,
                        [&](Eigen::Index) { return beta / static_cast<double>(symbols); });
}

/// Steps to one of the two neighbours, each with probability beta / 2; ends reflect.
inline Eigen::MatrixXd nearest_neighbour_matrix(Eigen::Index symbols, double beta) {
  return detail::banded(symbols, 1, [&](Eigen::Index) { return beta / 2; });
}

/// Discretised Gaussian (Austin et al. 2021, eq. 10): at distance k the weight
/// exp(-4 k^2 spacing^2 / ((K - 1)^2 beta)), normalised over all offsets -bands ... bands.
/// `spacing` is 1 in the paper; the published code has 255 / (K - 1).
/// \throws std::invalid_argument unless symbols >= 2, beta > 0.
inline Eigen::MatrixXd gaussian_matrix(Eigen::Index symbols, double beta, Eigen::Index bands,
                                       double spacing = 1) {
  detail::require(symbols >= 2, "gaussian_matrix", "symbols", static_cast<double>(symbols),
                  "valid: at least 2");
  detail::require(beta > 0, "gaussian_matrix", "beta", beta, "valid: above 0");
  const double unit = 2 * spacing / static_cast<double>(symbols - 1);
  const auto weight = [&](Eigen::Index k) {
    const double distance = unit * static_cast<double>(k);
    return std::exp(-distance * distance / beta);
  };
  double whole = 1;
  for (Eigen::Index k = 1; k <= bands; ++k) whole += 2 * weight(k);
  return detail::banded(symbols, bands, [&](Eigen::Index k) { return weight(k) / whole; });
}

/// Q_1 ... Q_T and their products.
class transition_chain {
 public:
  /// \throws std::invalid_argument unless every matrix is square, of one size, its entries
  ///   non-negative and its rows sum to 1 within 1e-9.
  explicit transition_chain(std::vector<Eigen::MatrixXd> steps) : steps_(std::move(steps)) {
    if (steps_.empty()) detail::fail("transition_chain", "there are no steps");
    for (std::size_t t = 0; t < steps_.size(); ++t) {
      const Eigen::MatrixXd& q = steps_[t];
      const auto number = static_cast<double>(t + 1);
      detail::require(q.rows() == q.cols() && q.rows() == steps_[0].rows() && q.rows() > 0,
                      "transition_chain", "matrix", number, "valid: square, of one size");
      detail::require((q.array() >= 0).all(), "transition_chain", "matrix", number,
                      "valid: no entry below 0");
      detail::require(((q.rowwise().sum().array() - 1).abs() < 1e-9).all(), "transition_chain",
                      "matrix", number, "valid: rows that sum to 1");
    }
    products_.push_back(Eigen::MatrixXd::Identity(symbols(), symbols()));
    for (const Eigen::MatrixXd& q : steps_) products_.push_back(products_.back() * q);
  }

  std::size_t steps() const { return steps_.size(); }
  Eigen::Index symbols() const { return steps_[0].rows(); }
  /// Q_t, t = 1 ... T.
  const Eigen::MatrixXd& step(std::size_t t) const {
    check("transition_chain::step", t, 1);
    return steps_[t - 1];
  }
  /// Qbar_t, t = 0 ... T.
  const Eigen::MatrixXd& marginal(std::size_t t) const {
    check("transition_chain::marginal", t, 0);
    return products_[t];
  }

 private:
  void check(const char* function, std::size_t t, std::size_t first) const {
    if (t < first || t > steps())
      detail::fail(function, "t", static_cast<double>(t),
                   "valid: " + std::to_string(first) + " ... " + std::to_string(steps()));
  }

  std::vector<Eigen::MatrixXd> steps_, products_;
};

/// log of the unnormalised q(x_{t-1} = y | x_t, x_0), x_0 known by its probabilities `clean`:
///   log(Q_t(y, x_t) + floor) + log((clean Qbar_{t-1})(y) + floor)
/// This is D3PM's model p(x_{t-1} | x_t) with the x_0 of its own: a product of the step and the
/// marginal, which for one-hot `clean` is the exact posterior (floor = 0). The published code has
/// floor = 1e-6, which moves posteriors by up to 1e-4.
/// \throws std::invalid_argument for x_t out of range or sizes that differ.
inline void posterior_logits(const transition_chain& chain, std::size_t t, token x_t,
                             std::span<const double> clean, std::span<double> out,
                             double floor = 0) {
  const Eigen::MatrixXd& step = chain.step(t);
  const auto n = static_cast<std::size_t>(chain.symbols());
  detail::require_equal("posterior_logits", "clean", clean.size(), n);
  detail::require_equal("posterior_logits", "out", out.size(), n);
  detail::require_token("posterior_logits", x_t, n);
  const Eigen::Map<const Eigen::RowVectorXd> p(clean.data(), chain.symbols());
  const Eigen::RowVectorXd reached = p * chain.marginal(t - 1);
  for (Eigen::Index y = 0; y < chain.symbols(); ++y)
    out[static_cast<std::size_t>(y)] =
        std::log(step(y, x_t) + floor) + std::log(reached(y) + floor);
}

/// p(x_{t-1} = y | x_t) = sum over x_0 of q(x_{t-1} = y | x_t, x_0) p(x_0 | x_t): the mixture of
/// exact posteriors, which is the true reverse step when p(x_0 | x_t) is.
inline void reverse(const transition_chain& chain, std::size_t t, token x_t,
                    std::span<const double> clean, std::span<double> out) {
  const Eigen::MatrixXd& step = chain.step(t);
  const auto n = static_cast<std::size_t>(chain.symbols());
  detail::require_equal("reverse", "clean", clean.size(), n);
  detail::require_equal("reverse", "out", out.size(), n);
  detail::require_token("reverse", x_t, n);
  Eigen::RowVectorXd ratio(chain.symbols());
  for (Eigen::Index x = 0; x < chain.symbols(); ++x) {
    const double p = clean[static_cast<std::size_t>(x)], evidence = chain.marginal(t)(x, x_t);
    ratio(x) = p == 0 || evidence == 0 ? 0 : p / evidence;
  }
  const Eigen::RowVectorXd reached = ratio * chain.marginal(t - 1);
  for (Eigen::Index y = 0; y < chain.symbols(); ++y)
    out[static_cast<std::size_t>(y)] = step(y, x_t) * reached(y);
}

/// beta_t = 1 / (T - t + 1), t = 1 ... T: with masks, alpha-bar_t = 1 - t / T (Austin et al. 2021,
/// section 3.1; Sohl-Dickstein et al. 2015).
inline std::vector<double> mutual_information_betas(int steps) {
  std::vector<double> betas;
  for (int t = 0; t < steps; ++t) betas.push_back(1.0 / (steps - t));
  return betas;
}

/// beta_t = 1 - f(t) / f(t - 1) up to `most`, f(t) = cos((t / T + 0.008) / 1.008 * pi / 2), not
/// squared (Hoogeboom et al. 2021).
inline std::vector<double> cosine_betas(int steps, double most = 0.999) {
  const auto f = [&](int t) {
    return std::cos((static_cast<double>(t) / steps + 0.008) / 1.008 * std::numbers::pi / 2);
  };
  std::vector<double> betas;
  for (int t = 0; t < steps; ++t) betas.push_back((std::min)(1 - f(t + 1) / f(t), most));
  return betas;
}

}  // namespace tweedie::discrete
