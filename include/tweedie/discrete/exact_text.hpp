// Text whose every conditional is known: a full joint table, and a Markov chain of any length.
//
// Given tokens corrupted each by itself, both give p(x_0^i = y | x_t) exactly:
//   p(x_0 | x_t) in proportion to p(x_0) times the product of q(x_t^i | x_0^i)
// the table by summing over all texts, the chain by the forward and backward recursions. They are
// networks without error, with which bounds equal -log p and laws of samplers can be computed.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/discrete/token_kernel.hpp"

namespace tweedie::discrete {

/// p(x) of all V^L texts; the first token is the most significant digit of a text's number.
class joint_table {
 public:
  /// \param weights V^L weights at least 0, normalised here.
  /// \throws std::invalid_argument for another number of weights, one below 0, or none above.
  joint_table(std::size_t length, std::size_t vocabulary, std::vector<double> weights)
      : length_(length), vocabulary_(vocabulary), p_(std::move(weights)) {
    std::size_t count = 1;
    for (std::size_t i = 0; i < length; ++i) count *= vocabulary;
    detail::require_equal("joint_table", "weights", p_.size(), count);
    double sum = 0;
    for (const double w : p_) {
      detail::require(w >= 0, "joint_table", "weight", w, "valid: at least 0");
      sum += w;
    }
    detail::require(sum > 0 && std::isfinite(sum), "joint_table", "sum of weights", sum,
                    "valid: finite and above 0");
    for (double& w : p_) w /= sum;
  }

  std::size_t length() const { return length_; }
  std::size_t vocabulary() const { return vocabulary_; }
  const std::vector<double>& probabilities() const { return p_; }
  /// The text of a number.
  std::vector<token> text(std::size_t number) const {
    std::vector<token> x(length_);
    for (std::size_t i = length_; i-- > 0; number /= vocabulary_)
      x[i] = static_cast<token>(number % vocabulary_);
    return x;
  }
  /// \throws std::invalid_argument for another length or tokens out of range.
  double log_probability(std::span<const token> x) const {
    detail::require_equal("joint_table::log_probability", "x", x.size(), length_);
    detail::require_tokens("joint_table::log_probability", x, vocabulary_);
    std::size_t number = 0;
    for (const token v : x) number = number * vocabulary_ + static_cast<std::size_t>(v);
    return std::log(p_[number]);
  }

  /// out[i * vocabulary + y] = p(x_0^i = y | x_t) for evidence[i * vocabulary + y] = q(x_t^i | y).
  /// \throws std::invalid_argument for other sizes, or evidence that no text has.
  void posterior(std::span<const double> evidence, std::span<double> out) const {
    detail::require_equal("joint_table::posterior", "evidence", evidence.size(),
                          length_ * vocabulary_);
    detail::require_equal("joint_table::posterior", "out", out.size(), length_ * vocabulary_);
    std::fill(out.begin(), out.end(), 0.0);
    double sum = 0;
    for (std::size_t number = 0; number < p_.size(); ++number) {
      const std::vector<token> x = text(number);
      double weight = p_[number];
      for (std::size_t i = 0; i < length_; ++i)
        weight *= evidence[i * vocabulary_ + static_cast<std::size_t>(x[i])];
      for (std::size_t i = 0; i < length_; ++i)
        out[i * vocabulary_ + static_cast<std::size_t>(x[i])] += weight;
      sum += weight;
    }
    detail::require(sum > 0, "joint_table::posterior", "probability of the evidence", sum,
                    "valid: above 0");
    for (double& p : out) p /= sum;
  }

 private:
  std::size_t length_, vocabulary_;
  std::vector<double> p_;
};

/// x^1 ~ initial, x^{i+1} ~ transition(x^i, .).
class markov_text {
 public:
  /// \throws std::invalid_argument unless sizes fit, entries are at least 0 and rows sum to 1 within
  ///   1e-9.
  markov_text(std::size_t length, Eigen::RowVectorXd initial, Eigen::MatrixXd transition)
      : length_(length), initial_(std::move(initial)), transition_(std::move(transition)) {
    constexpr const char* name = "markov_text";
    detail::require(length > 0, name, "length", 0, "valid: at least 1");
    const auto n = static_cast<std::size_t>(initial_.size());
    detail::require_equal(name, "transition's rows", static_cast<std::size_t>(transition_.rows()),
                          n);
    detail::require_equal(name, "transition's columns",
                          static_cast<std::size_t>(transition_.cols()), n);
    const bool sums = std::abs(initial_.sum() - 1) < 1e-9 &&
                      ((transition_.rowwise().sum().array() - 1).abs() < 1e-9).all();
    if (!sums || (initial_.array() < 0).any() || (transition_.array() < 0).any())
      detail::fail(name, "the probabilities are no distributions; valid: rows that sum to 1");
  }

  std::size_t length() const { return length_; }
  std::size_t vocabulary() const { return static_cast<std::size_t>(initial_.size()); }
  /// \throws std::invalid_argument for another length or tokens out of range.
  double log_probability(std::span<const token> x) const {
    detail::require_equal("markov_text::log_probability", "x", x.size(), length_);
    detail::require_tokens("markov_text::log_probability", x, vocabulary());
    double sum = std::log(initial_(x[0]));
    for (std::size_t i = 1; i < x.size(); ++i) sum += std::log(transition_(x[i - 1], x[i]));
    return sum;
  }

  /// As joint_table::posterior, in O(L V^2).
  void posterior(std::span<const double> evidence, std::span<double> out) const {
    detail::require_equal("markov_text::posterior", "evidence", evidence.size(),
                          length_ * vocabulary());
    detail::require_equal("markov_text::posterior", "out", out.size(), length_ * vocabulary());
    const auto n = static_cast<Eigen::Index>(vocabulary());
    const auto at = [&](std::size_t i) {
      return Eigen::Map<const Eigen::RowVectorXd>(evidence.data() + i * vocabulary(), n);
    };
    const auto result = [&](std::size_t i) {
      return Eigen::Map<Eigen::RowVectorXd>(out.data() + i * vocabulary(), n);
    };
    const auto normalise = [](Eigen::RowVectorXd& v) {
      const double sum = v.sum();
      detail::require(sum > 0, "markov_text::posterior", "probability of the evidence", sum,
                      "valid: above 0");
      v /= sum;
    };
    Eigen::RowVectorXd forward = initial_;
    for (std::size_t i = 0; i < length_; ++i) {
      if (i > 0) forward = (forward * transition_).eval();
      forward.array() *= at(i).array();
      normalise(forward);
      result(i) = forward;
    }
    Eigen::RowVectorXd backward = Eigen::RowVectorXd::Ones(n);
    for (std::size_t i = length_; i-- > 0;) {
      Eigen::RowVectorXd both = result(i).cwiseProduct(backward);
      normalise(both);
      result(i) = both;
      backward = (transition_ * (at(i).cwiseProduct(backward)).transpose()).transpose();
      normalise(backward);
    }
  }

 private:
  std::size_t length_;
  Eigen::RowVectorXd initial_;
  Eigen::MatrixXd transition_;
};

/// q(x_t^i | x_0^i = y) of every position and ordinary token, for tokens corrupted by `to_t`. With a
/// mask outside the ordinary ones, ordinary tokens are 0 ... K - 1.
inline std::vector<double> evidence_of(const token_kernel& to_t, const alphabet& symbols,
                                       std::span<const token> x_t) {
  std::vector<double> out;
  for (const token x : x_t)
    for (std::size_t y = 0; y < symbols.ordinary; ++y)
      out.push_back(probability(to_t, symbols, static_cast<token>(y), x));
  return out;
}

/// The masked bound of a text in closed form: the sum over all sets of masked positions, their time
/// integrated, of -log p(x^i | unmasked): with n of L masked the weight is (n - 1)! (L - n)! / L!.
/// Equal to -log p(x) for the text's own model. 2^L evaluations.
/// \throws std::invalid_argument for texts longer than 20 tokens.
template <class Text>
double exact_masked_bound(const Text& model, std::span<const token> x) {
  const std::size_t length = x.size(), n = model.vocabulary();
  detail::require(length <= 20, "exact_masked_bound", "length", static_cast<double>(length),
                  "valid: at most 20");
  const alphabet symbols{n, static_cast<token>(n)};
  std::vector<double> p(length * n);
  std::vector<token> x_t(length);
  double bound = 0;
  for (std::size_t set = 1; set < std::size_t{1} << length; ++set) {
    double masked = 0;
    for (std::size_t i = 0; i < length; ++i) {
      const bool hidden = set >> i & 1;
      x_t[i] = hidden ? symbols.mask : x[i];
      masked += hidden;
    }
    const double total = static_cast<double>(length);
    const double weight =
        std::exp(std::lgamma(masked) + std::lgamma(total - masked + 1) - std::lgamma(total + 1));
    model.posterior(evidence_of(absorbing_kernel(0.5), symbols, x_t), p);
    for (std::size_t i = 0; i < length; ++i)
      if (set >> i & 1) bound -= weight * std::log(p[i * n + static_cast<std::size_t>(x[i])]);
  }
  return bound;
}

}  // namespace tweedie::discrete
