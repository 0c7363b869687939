// Filling masked tokens a few at a time, the caller owning the loop (Chang et al. 2022, MaskGIT;
// Nie et al. 2025, LLaDA; Ye et al. 2025, Dream; Arriola et al. 2025, block diffusion).
//
//   unmasking run(tokens, plan);
//   while (!run.finished()) {
//     engine.run(tokens, logits);                              // one row per token
//     run.step(logits_view(logits, vocabulary), counter_uniform{seed});
//   }
//
// Each step proposes a token for every masked position of the current block, ranks them, and writes
// the first few into the caller's tokens; it reads only the logits of those positions, once. What a
// step does to an item depends on that item and its number alone, so any split of a batch gives the
// same tokens. A step that throws has written nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "tweedie/discrete/order.hpp"
#include "tweedie/discrete/proposal.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

struct unmasking_plan {
  token mask = 0;         ///< any number; need not be in the vocabulary; never proposed
  std::size_t steps = 1;  ///< per block
  unmasking_order order = unmasking_order::confidence;
  token_rule rule = {};
  unmasking_quota quota = even_quota;
  /// Fill as many as this allows, and at least one, in as many steps as that takes, instead of the
  /// quota.
  std::optional<double> entropy_bound = {};
  std::size_t block_length = 0;  ///< left to right in blocks (semi-autoregressive); 0: all at once
  std::size_t first = 0;         ///< where the first block starts: the length of the prompt
  std::uint32_t first_item = 0;  ///< number of the batch's first item, where it is part of a larger
};

/// Where a run is, with which it resumes on the same tokens.
struct saved_unmasking {
  std::size_t step = 0, block = 0, step_in_block = 0;
  std::vector<std::size_t> masked;  ///< at the start of the block, by item

  friend bool operator==(const saved_unmasking&, const saved_unmasking&) = default;
};

class unmasking {
 public:
  /// \throws std::invalid_argument for no items, a length that does not divide, no steps, settings
  ///   out of range, or no masked token at or after `plan.first`.
  unmasking(token_batch tokens, const unmasking_plan& plan) : tokens_(tokens), plan_(plan) {
    constexpr const char* name = "unmasking";
    if (tokens.items == 0 || tokens.tokens.size() % tokens.items != 0 || tokens.tokens.empty())
      detail::fail(name, "tokens", static_cast<double>(tokens.tokens.size()),
                   "valid: a positive multiple of the items");
    if (plan.steps == 0) detail::fail(name, "steps", 0, "valid: at least 1");
    check(name, plan.rule);
    if (plan.entropy_bound)
      detail::require(*plan.entropy_bound >= 0, name, "entropy_bound", *plan.entropy_bound,
                      "valid: at least 0");
    if (plan.first >= tokens.length())
      detail::fail(name, "first", static_cast<double>(plan.first),
                   "valid: below the length, " + std::to_string(tokens.length()));
    if (!any_masked(plan.first, tokens.length()))
      detail::fail(name, "mask", plan.mask, "valid: a token that is in the sequence");
    count_masked();
  }

  bool finished() const { return begin() >= tokens_.length(); }
  std::size_t steps_done() const { return at_.step; }

  /// Fills tokens from the logits that the network gave for the tokens as they are.
  /// \throws std::invalid_argument if the run is finished, sizes do not fit, a token is neither in
  ///   the vocabulary nor the mask, or a row that is read is no distribution.
  template <storage_scalar S, uniform_source Source>
  void step(logits_view<S> logits, const Source& source) {
    constexpr const char* name = "unmasking::step";
    if (finished()) detail::fail(name, "the run is finished");
    detail::require_equal(name, "logits' rows", logits.rows(), tokens_.tokens.size());
    detail::require_tokens(name, tokens_.tokens, logits.vocabulary(), plan_.mask);
    writes_.clear();
    for (std::size_t item = 0; item < tokens_.items; ++item) propose(logits, source, item);
    for (const auto& [where, what] : writes_) tokens_.tokens[where] = what;
    advance();
  }

  const saved_unmasking& saved() const { return at_; }
  /// Continues from `from` on tokens as they were then.
  /// \throws std::invalid_argument if it is of another number of items or beyond the end.
  void resume(const saved_unmasking& from) {
    detail::require_equal("unmasking::resume", "masked", from.masked.size(), tokens_.items);
    at_ = from;
  }

 private:
  std::size_t block_length() const {
    return plan_.block_length == 0 ? tokens_.length() : plan_.block_length;
  }
  std::size_t begin() const { return plan_.first + at_.block * block_length(); }
  std::size_t end() const { return std::min(begin() + block_length(), tokens_.length()); }
  bool any_masked(std::size_t from, std::size_t to) const {
    for (std::size_t item = 0; item < tokens_.items; ++item)
      for (std::size_t i = from; i < to; ++i)
        if (tokens_.tokens[item * tokens_.length() + i] == plan_.mask) return true;
    return false;
  }
  void count_masked() {
    at_.masked.assign(tokens_.items, 0);
    for (std::size_t item = 0; item < tokens_.items; ++item) {
      const auto row = tokens_.tokens.subspan(item * tokens_.length(), tokens_.length());
      at_.masked[item] = static_cast<std::size_t>(
          std::count(row.begin() + static_cast<std::ptrdiff_t>(begin()),
                     row.begin() + static_cast<std::ptrdiff_t>(end()), plan_.mask));
    }
  }

  template <class S, class Source>
  void propose(const logits_view<S>& logits, const Source& source, std::size_t item) {
    positions_.clear();
    choices_.clear();
    scores_.clear();
    entropies_.clear();
    uniform_request where{static_cast<std::uint32_t>(at_.step), draw_use::choice,
                          plan_.first_item + static_cast<std::uint32_t>(item), 0};
    for (std::size_t i = begin(); i < end(); ++i) {
      const std::size_t r = item * tokens_.length() + i;
      if (tokens_.tokens[r] != plan_.mask) continue;
      where.index = i;
      const proposal p = proposer_(logits.row(r), logits.vocabulary(), plan_.mask, plan_.rule,
                                   source, where, "unmasking::step", r);
      positions_.push_back(r);
      choices_.push_back(p.choice);
      entropies_.push_back(p.entropy);
      scores_.push_back(plan_.order == unmasking_order::random ? 0 : score(plan_.order, p, 0));
    }
    if (positions_.empty()) return;
    if (plan_.order == unmasking_order::random) {
      where.use = draw_use::order;
      for (std::size_t j = 0; j < positions_.size(); ++j) {
        where.index = positions_[j] - item * tokens_.length();
        scores_[j] = source(where);
      }
    }
    const std::vector<std::size_t> order = ranked(scores_);
    std::size_t count = 0;
    if (plan_.entropy_bound) {
      std::vector<double> in_order;
      for (const std::size_t j : order) in_order.push_back(entropies_[j]);
      count = std::max<std::size_t>(1, entropy_bounded(in_order, *plan_.entropy_bound));
    } else {
      count = plan_.quota(at_.masked[item], at_.step_in_block, plan_.steps);
    }
    count = std::min(count, order.size());
    for (std::size_t j = 0; j < count; ++j)
      writes_.push_back({positions_[order[j]], choices_[order[j]]});
  }

  void advance() {
    ++at_.step;
    ++at_.step_in_block;
    const bool done =
        plan_.entropy_bound ? !any_masked(begin(), end()) : at_.step_in_block >= plan_.steps;
    if (!done) return;
    // Blocks without a mask need no step.
    do {
      ++at_.block;
    } while (begin() < tokens_.length() && !any_masked(begin(), end()));
    at_.step_in_block = 0;
    if (begin() < tokens_.length()) count_masked();
  }

  struct write {
    std::size_t where;
    token what;
  };
  token_batch tokens_;
  unmasking_plan plan_;
  saved_unmasking at_;
  proposer proposer_;
  std::vector<write> writes_;
  std::vector<std::size_t> positions_;
  std::vector<token> choices_;
  std::vector<double> scores_, entropies_;
};

}  // namespace tweedie::discrete
