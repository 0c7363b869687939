// Filling masked tokens a few at a time (Chang et al. 2022, MaskGIT; Nie et al. 2025, LLaDA; Ye et al.
// 2025, Dream; Arriola et al. 2025, block diffusion).
//
//   token_sampling run(unmasking{.mask = mask, .steps = 64}, token_batch{tokens, items}, vocabulary,
//                      counter_uniform{seed});
//   while (run.next()) engine.run(tokens, run.logits());
//
// Each step proposes a token for masked positions of an item's current block, ranks them, and writes
// the first few. It reads the logits of those positions once, and where they were not drawn by that, of those
// it fills once more; in random order only of those it fills, and of the first that an
// entropy bound leaves.
// A block is done when nothing in it is masked, or its steps are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tweedie/discrete/order.hpp"
#include "tweedie/discrete/proposal.hpp"
#include "tweedie/discrete/token_sampling.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::discrete {

/// Where unmasking is in one item.
struct unmasking_place {
  std::size_t step = 0, block = 0, step_in_block = 0;
  std::size_t masked = 0;  ///< at the start of the block
  std::size_t left = 0;    ///< masked now, in this and all blocks to come
  std::size_t all = 0;     ///< `left` at the start of the run

  friend bool operator==(const unmasking_place&, const unmasking_place&) = default;
};

/// How masked tokens are filled: how many, which ones first, and by what rule.
struct unmasking {
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

  using progress = item_progress<unmasking_place>;

  /// \throws std::invalid_argument for no steps, settings out of range, tokens neither in the
  ///   vocabulary nor the mask, or no masked token at or after `first`.
  template <token_integer T, uniform_source Source>
  progress begin(token_batch<T> x, std::size_t vocabulary, const Source&) const {
    constexpr const char* name = "unmasking";
    if (steps == 0) detail::fail(name, "steps", 0, "valid: at least 1");
    if (quota == nullptr) detail::fail(name, "there is no quota; valid: a function");
    check(name, rule);
    if (entropy_bound)
      detail::require(*entropy_bound >= 0, name, "entropy_bound", *entropy_bound,
                      "valid: at least 0");
    if (first >= x.length())
      detail::fail(name, "first", static_cast<double>(first),
                   "valid: below the length, " + std::to_string(x.length()));
    detail::require_tokens(name, x.tokens, vocabulary, mask);
    progress at{0, std::vector<unmasking_place>(x.items)};
    for (std::size_t item = 0; item < x.items; ++item) {
      at.items[item].left = at.items[item].all = count_masked(x, item, first, x.length());
      enter_block(at.items[item], x, item);
    }
    if (finished(at)) detail::fail(name, "mask", mask, "valid: a token that is in the sequence");
    return at;
  }

  bool finished(const progress& at) const {
    return std::all_of(at.items.begin(), at.items.end(),
                       [](const unmasking_place& place) { return place.masked == 0; });
  }
  /// The share of the item's masked tokens that is still masked, from 1 to 0.
  double network_time(const progress& at, std::size_t item) const {
    const unmasking_place& place = at.items.at(item);
    return place.all == 0 ? 0 : static_cast<double>(place.left) / static_cast<double>(place.all);
  }

  template <storage_scalar S, token_integer T, uniform_source Source>
  void step(progress& at, token_batch<T> x, logits_view<S> logits, const Source& source,
            token_memory<S>& memory) const {
    constexpr const char* name = "unmasking";
    detail::require_tokens(name, x.tokens, logits.vocabulary(), mask);
    std::vector<write> writes;
    for (std::size_t item = 0; item < x.items; ++item)
      if (at.items[item].masked > 0)
        propose(at.items[item], x, item, logits, source, memory, writes);
    for (const write& w : writes) x.tokens[w.where] = w.what;
    ++at.step;
    for (std::size_t item = 0; item < x.items; ++item)
      if (at.items[item].masked > 0) advance(at.items[item], x, item);
  }

 private:
  struct write {
    std::size_t where;
    token what;
  };

  template <class T>
  std::size_t block_begin(const unmasking_place& place, const token_batch<T>& x) const {
    return first + place.block * (block_length == 0 ? x.length() : block_length);
  }
  template <class T>
  std::size_t block_end(const unmasking_place& place, const token_batch<T>& x) const {
    const std::size_t begin = block_begin(place, x), rest = x.length() - begin;
    return begin + (block_length == 0 ? rest : (std::min)(block_length, rest));
  }
  template <class T>
  std::size_t count_masked(const token_batch<T>& x, std::size_t item, std::size_t from,
                           std::size_t to) const {
    const auto row = x.tokens.subspan(item * x.length() + from, to - from);
    return static_cast<std::size_t>(std::count(row.begin(), row.end(), static_cast<T>(mask)));
  }
  // The first block from this one on with something masked; masked = 0 if there is none.
  template <class T>
  void enter_block(unmasking_place& place, const token_batch<T>& x, std::size_t item) const {
    place.step_in_block = place.masked = 0;
    for (; block_begin(place, x) < x.length(); ++place.block) {
      place.masked = count_masked(x, item, block_begin(place, x), block_end(place, x));
      if (place.masked > 0) return;
    }
  }
  template <class T>
  void advance(unmasking_place& place, const token_batch<T>& x, std::size_t item) const {
    ++place.step;
    ++place.step_in_block;
    const std::size_t begin = block_begin(place, x), end = block_end(place, x);
    const std::size_t masked = count_masked(x, item, begin, end);
    place.left = masked + count_masked(x, item, end, x.length());
    if (masked > 0 && (entropy_bound || place.step_in_block < steps)) return;
    ++place.block;
    enter_block(place, x, item);
  }

  template <class S, class T, class Source>
  void propose(const unmasking_place& place, const token_batch<T>& x, std::size_t item,
               const logits_view<S>& logits, const Source& source, token_memory<S>& memory,
               std::vector<write>& writes) const {
    std::vector<std::size_t> positions;
    for (std::size_t i = block_begin(place, x); i < block_end(place, x); ++i)
      if (x.tokens[item * x.length() + i] == mask) positions.push_back(item * x.length() + i);
    const std::size_t most =
        entropy_bound
            ? positions.size()
            : (std::min)(quota(place.masked, place.step_in_block, steps), positions.size());
    if (most == 0) return;
    const bool at_random = order == unmasking_order::random;
    // What ranks positions needs no draw, unless it is the probability of what is drawn.
    token_rule ranking = rule;
    if (order != unmasking_order::confidence && !rule.judged_as_drawn) ranking.temperature = 0;
    const bool reads_again = at_random || ranking.temperature != rule.temperature;
    std::vector<proposal> found(positions.size());
    const auto read = [&](std::size_t j, const token_rule& how) {
      const std::size_t r = positions[j];
      found[j] = memory.propose(
          logits.row(r), logits.vocabulary(), mask, how, source,
          x.request(r, place.step, draw_use::choice), "unmasking", r,
          entropy_bound || order == unmasking_order::margin || order == unmasking_order::entropy);
    };
    std::vector<double> scores(positions.size());
    for (std::size_t j = 0; j < positions.size(); ++j) {
      if (at_random) {
        scores[j] = source(x.request(positions[j], place.step, draw_use::order));
      } else {
        read(j, ranking);
        scores[j] = score(order, found[j]);
      }
    }
    const std::vector<std::size_t> by_score = ranked(scores);
    entropy_budget budget(entropy_bound.value_or(0));
    for (std::size_t j = 0; j < most; ++j) {
      if (reads_again) read(by_score[j], rule);
      if (entropy_bound && !budget.takes(found[by_score[j]].entropy)) break;
      writes.push_back({positions[by_score[j]], found[by_score[j]].choice});
    }
  }
};

}  // namespace tweedie::discrete
