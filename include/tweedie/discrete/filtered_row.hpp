// What top-k and top-p leave of a row of logits, without sorting it.
//
// Tokens that may be left are found by a bound on their logits: the k-th largest so far, or the logit
// below which all tokens together have less than 1 - p. Only those are looked at one by one, in double,
// so that a row of which little is left takes about as long as reading it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "tweedie/discrete/row_reader.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// Keeps memory for rows.
class filtered_row {
 public:
  /// Of the last row that `reader` has read, at its temperature and without what it excluded: what
  /// keep_top_k and then keep_top_p (categorical.hpp) leave. k = 0 and p = 1 leave all.
  template <storage_scalar S>
  void keep(const S* row, const row_reader& reader, std::size_t top_k, double top_p) {
    const bool by_number = top_k > 0 && top_k < reader.size();
    const double least = top_p < 1 && !by_number ? bound(reader, top_p) : -INFINITY;
    if (by_number)
      find_top_k(row, reader, top_k);
    else
      find_above(row, reader, least);
    double most = -INFINITY;
    for (double& x : logits_) most = (std::max)(most, x /= reader.temperature());
    weights_.resize(tokens_.size());
    for (std::size_t k = 0; k < weights_.size(); ++k) weights_[k] = std::exp(logits_[k] - most);
    if (top_p == 1 || tokens_.size() == 1) return;
    const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
    if (by_number || tokens_.size() == reader.size()) {
      keep_top_p(top_p * sum, 0);
      return;
    }
    // Where the reader's sum decides nothing, others need not be looked at.
    const double rounded = reader.relative_sum();
    if (2 * tokens_.size() > reader.size() || !keep_top_p(top_p * rounded, 1e-5 * rounded))
      keep_top_p(top_p * (sum + rest(row, reader, least, most)), 0);
  }

  /// What is left, by rising number.
  std::span<const token> tokens() const { return tokens_; }
  /// Their logits over T, ...
  std::span<const double> logits() const { return logits_; }
  /// ... and e^(logit / T) relative to the largest.
  std::span<const double> weights() const { return weights_; }
  /// What one reading of them finds.
  row_reading reading() const {
    row_reading found;
    double sum = 0, weighted = 0;
    found.max = -INFINITY;
    for (const double x : logits_) {
      found.runner_up = (std::max)(found.runner_up, (std::min)(x, found.max));
      found.max = (std::max)(found.max, x);
    }
    for (std::size_t k = 0; k < weights_.size(); ++k) {
      sum += weights_[k];
      weighted += weights_[k] > 0 ? weights_[k] * (logits_[k] - found.max) : 0;
    }
    found.log_sum = found.max + std::log(sum);
    found.entropy = (std::max)(0.0, std::log(sum) - weighted / sum);
    return found;
  }

 private:
  // Tokens below have less than 1 - p, however many they are; the largest is never below. Of logits
  // relative to it, so that neither large ones nor a small T round it away.
  static double bound(const row_reader& reader, double top_p) {
    const double share = std::log(reader.relative_sum() * (1 - top_p) * (1 - 1e-4) /
                                  static_cast<double>(reader.size()));
    return reader.largest() + (std::min)(0.0, share * reader.temperature());
  }
  void clear() {
    tokens_.clear();
    logits_.clear();
  }
  // take(k, logit) of every logit not below `least`, which take may raise.
  template <class S, class Take>
  static void each_above(const S* row, const row_reader& reader, double& least, const Take& take) {
    using A = arithmetic_t<S>;
    const std::size_t n = reader.size();
    for (std::size_t begin = 0; begin < n; begin += detail::block_step) {
      const std::size_t end = (std::min)(begin + detail::block_step, n);
      const auto low = static_cast<A>(least);
      int hits = end - begin < detail::block_step;  // integers, for vectors to count
      if (hits == 0)
        for (std::size_t k = 0; k < detail::block_step; ++k)
          hits += static_cast<A>(row[begin + k]) >= low;
      if (hits == 0) continue;
      for (std::size_t k = begin; k < end; ++k) {
        const auto logit = static_cast<double>(row[k]);
        if (logit >= least && logit > -INFINITY && !reader.excludes(k)) take(k, logit);
      }
    }
  }
  void add(std::size_t k, double logit) {
    tokens_.push_back(static_cast<token>(k));
    logits_.push_back(logit);
  }
  // Keeps what `kept` says, in order.
  template <class Kept>
  void compact(const Kept& kept) {
    std::size_t left = 0;
    for (std::size_t k = 0; k < tokens_.size(); ++k) {
      const bool stays = kept(k);
      tokens_[left] = tokens_[k];
      logits_[left] = logits_[k];
      if (k < weights_.size()) weights_[left] = weights_[k];
      left += stays;
    }
    tokens_.resize(left);
    logits_.resize(left);
    if (weights_.size() > left) weights_.resize(left);
  }

  template <class S>
  void find_above(const S* row, const row_reader& reader, double least) {
    clear();
    each_above(row, reader, least, [&](std::size_t k, double logit) { add(k, logit); });
  }
  // Whenever there are many, those below the k-th largest go.
  template <class S>
  void find_top_k(const S* row, const row_reader& reader, std::size_t top_k) {
    clear();
    weights_.clear();
    double least = -INFINITY;
    std::size_t many = 2 * top_k + 2 * detail::block_step;
    const auto raise = [&] {
      sorted_ = logits_;
      const auto kth = sorted_.begin() + static_cast<std::ptrdiff_t>(top_k - 1);
      std::nth_element(sorted_.begin(), kth, sorted_.end(), std::greater<>());
      least = *kth;
      compact([&](std::size_t k) { return logits_[k] >= least; });
      many = (std::max)(many, 2 * tokens_.size());
    };
    each_above(row, reader, least, [&](std::size_t k, double logit) {
      add(k, logit);
      if (tokens_.size() >= many) raise();
    });
    if (tokens_.size() > top_k) raise();
  }
  // The likeliest whose weights exceed `target`; false if an error of `doubt` in the target may change
  // them. The logit of the last one kept is found by halving, down to a few that are sorted.
  bool keep_top_p(double target, double doubt) {
    const auto [least, most] = std::minmax_element(logits_.begin(), logits_.end());
    double low = *least - 1, high = *most, above_high = 0;
    edge_.resize(logits_.size());
    std::iota(edge_.begin(), edge_.end(), std::size_t{0});
    while (edge_.size() > 32) {
      const double middle = low + (high - low) / 2;
      if (!(middle > low && middle < high)) break;  // equals
      double above = above_high;
      for (const std::size_t k : edge_) {
        const double weight = weights_[k];  // read in any case, so that nothing is guessed
        above += logits_[k] > middle ? weight : 0;
      }
      const bool higher = above > target;
      (higher ? low : high) = middle;
      if (!higher) above_high = above;
      std::size_t left = 0;
      for (const std::size_t k : edge_) {
        edge_[left] = k;
        left += (logits_[k] > middle) == higher;
      }
      edge_.resize(left);
    }
    std::stable_sort(edge_.begin(), edge_.end(),
                     [&](std::size_t a, std::size_t b) { return logits_[a] > logits_[b]; });
    // A token is kept for what is before it.
    double before = above_high, nearest = INFINITY;
    std::size_t kept = 0;
    for (; kept < edge_.size() && before <= target; before += weights_[edge_[kept++]])
      if (before > 0) nearest = target - before;
    nearest = (std::min)(nearest, std::abs(before - target));
    if (nearest < doubt) return false;
    kept_.assign(tokens_.size(), 0);
    for (std::size_t k = 0; k < kept; ++k) kept_[edge_[k]] = 1;
    compact([&](std::size_t k) { return logits_[k] > high || kept_[k] != 0; });
    return true;
  }
  // Of the logits below `least`.
  template <class S>
  static double rest(const S* row, const row_reader& reader, double least, double most) {
    double sum = 0;
    for (std::size_t k = 0; k < reader.size(); ++k)
      if (static_cast<double>(row[k]) < least && !reader.excludes(k))
        sum += std::exp(static_cast<double>(row[k]) / reader.temperature() - most);
    return sum;
  }

  std::vector<token> tokens_;
  std::vector<double> logits_, weights_, sorted_;
  std::vector<std::size_t> edge_;
  std::vector<char> kept_;
};

}  // namespace tweedie::discrete
