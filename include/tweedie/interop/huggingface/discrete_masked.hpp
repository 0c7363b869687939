// Hugging Face's schedulers of masked tokens: AmusedScheduler (MaskGIT) and
// BlockRefinementScheduler, with the reference's numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tweedie/discrete/order.hpp"
#include "tweedie/discrete/proposal.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace tweedie::huggingface {

using discrete::token;

/// AmusedScheduler: all masked tokens are drawn, and the least confident masked again.
struct amused_scheduler {
  token mask = 0;
  bool cosine = true;                ///< masking_schedule: cosine or linear
  std::vector<double> temperatures;  ///< of the Gumbel noise on the confidence, one a step

  std::size_t steps() const { return temperatures.size(); }
  /// Share of tokens that is masked after step `step`.
  double mask_ratio(std::size_t step) const {
    const double r = static_cast<double>(step + 1) / static_cast<double>(steps());
    return cosine ? std::cos(r * std::numbers::pi / 2) : 1 - r;
  }

  /// Step `step` = 0 ... steps() - 1 in place; `predicted`, if not empty, receives the tokens before
  /// masking. Requests `choice` numbers for masked positions and `order` for all. As in the
  /// reference, a row without masked tokens gets one known token masked, before the last step.
  /// \throws std::invalid_argument for a step, sizes, tokens, rows or a ratio below 0 or not finite; then
  ///   nothing has been written.
  template <storage_scalar S, discrete::token_integer T, discrete::uniform_source Source>
  void step(discrete::logits_view<S> logits, std::size_t step, discrete::token_batch<T> x,
            const Source& source, double starting_mask_ratio = 1,
            std::span<std::type_identity_t<T>> predicted = {}) const {
    constexpr const char* name = "AmusedScheduler.step";
    using discrete::draw_use;
    discrete::detail::require_equal(name, "logits' rows", logits.rows(), x.tokens.size());
    discrete::detail::require_tokens(name, x.tokens, logits.vocabulary(), mask);
    if (!predicted.empty())
      discrete::detail::require_equal(name, "predicted", predicted.size(), x.tokens.size());
    require_step(name, step);
    discrete::detail::require(starting_mask_ratio >= 0 && std::isfinite(starting_mask_ratio), name,
                              "starting_mask_ratio", starting_mask_ratio,
                              "valid: finite, at least 0");
    const std::size_t length = x.length();
    std::vector<T> drawn(x.tokens.begin(), x.tokens.end());
    std::vector<double> probabilities(drawn.size(), (std::numeric_limits<double>::max)());
    discrete::proposer propose;
    for (std::size_t r = 0; r < drawn.size(); ++r) {
      if (drawn[r] != mask) continue;
      const discrete::proposal p = propose(logits.row(r), logits.vocabulary(), -1, {}, source,
                                           x.request(r, step, draw_use::choice), name, r, false);
      drawn[r] = p.choice;
      probabilities[r] = p.probability;
    }
    std::vector<T> next = drawn;
    if (step + 1 < steps()) {
      constexpr double least = 1e-20;
      const double wanted =
          std::floor(static_cast<double>(length) * (starting_mask_ratio * mask_ratio(step)));
      for (std::size_t item = 0; item < x.items; ++item) {
        std::vector<double> confidence(length);
        double masked = 0;
        for (std::size_t i = 0; i < length; ++i) {
          const std::size_t r = item * length + i;
          masked += x.tokens[r] == mask;
          const double u = (std::max)(source(x.request(r, step, draw_use::order)), least);
          confidence[i] = std::log((std::max)(probabilities[r], least)) -
                          temperatures[step] * std::log((std::max)(-std::log(u), least));
        }
        const double count = (std::max)(1.0, (std::min)(masked - 1, wanted));
        std::vector<double> sorted = confidence;
        std::sort(sorted.begin(), sorted.end());
        if (!(count < static_cast<double>(length)))
          tweedie::detail::fail(name, "length", static_cast<double>(length),
                                "valid: more tokens than are masked again");
        const double cut = sorted[static_cast<std::size_t>(count)];
        for (std::size_t i = 0; i < length; ++i)
          if (confidence[i] < cut) next[item * length + i] = mask;
      }
    }
    std::copy(drawn.begin(), drawn.begin() + static_cast<std::ptrdiff_t>(predicted.size()),
              predicted.begin());
    std::copy(next.begin(), next.end(), x.tokens.begin());
  }

  /// Masks where a number is below mask_ratio(step), in place. Requests `order` numbers.
  /// \throws std::invalid_argument for a step out of range.
  template <discrete::token_integer T, discrete::uniform_source Source>
  void add_noise(discrete::token_batch<T> x, std::size_t step, const Source& source) const {
    require_step("AmusedScheduler.add_noise", step);
    for (std::size_t r = 0; r < x.tokens.size(); ++r)
      if (source(x.request(r, step, discrete::draw_use::order)) < mask_ratio(step))
        x.tokens[r] = mask;
  }

 private:
  void require_step(const char* name, std::size_t step) const {
    if (step >= steps())
      tweedie::detail::fail(name, "step", static_cast<double>(step),
                            "valid: below " + std::to_string(steps()));
  }
};

/// How a step of BlockRefinementScheduler is called.
struct block_refinement_options {
  std::optional<token> mask = {};  ///< none: uniform corruption, committed positions are remembered
  discrete::token_rule rule = {0, 0, 1, false, true};  ///< temperature 0: greedy
  std::optional<double> threshold = {};
  std::optional<double> editing_threshold = {};
  std::size_t prompt = 0;  ///< leading positions that are never edited
};

/// BlockRefinementScheduler: commits the surest tokens of a block, and may edit what is committed.
/// `minimal_topk` is without effect, as in the reference.
struct block_refinement_scheduler {
  std::size_t block_length = 32;
  std::size_t steps = 32;
  double threshold = 0.95;
  std::optional<double> editing_threshold = {};
  std::vector<bool> committed = {};  ///< uniform corruption only; reset at step 0

  struct result {
    std::vector<bool> transferred, edited;
    std::vector<token> tokens;
    std::vector<double> probabilities;
  };

  /// Number of tokens that step `step` commits at least.
  std::size_t quota(std::size_t step) const {
    return discrete::even_quota(block_length, (std::min)(step, steps - 1), steps);
  }

  /// One step in place. Requests `choice` numbers unless greedy, then `replacement` for uncommitted
  /// positions of uniform corruption.
  /// \throws std::invalid_argument for sizes, tokens or rows out of range; then nothing has been
  ///   written.
  template <storage_scalar S, discrete::token_integer T, discrete::uniform_source Source>
  result step(discrete::logits_view<S> logits, std::size_t step, discrete::token_batch<T> x,
              const Source& source, const block_refinement_options& how = {}) {
    constexpr const char* name = "BlockRefinementScheduler.step";
    using discrete::draw_use;
    discrete::check(name, how.rule);
    discrete::detail::require_equal(name, "logits' rows", logits.rows(), x.tokens.size());
    discrete::detail::require_tokens(name, x.tokens, logits.vocabulary(), how.mask.value_or(-1));
    const std::size_t length = x.length(), count = x.tokens.size();
    const double sure = how.threshold.value_or(threshold);
    const std::optional<double> edits =
        how.editing_threshold ? how.editing_threshold : editing_threshold;
    result out{std::vector<bool>(count), std::vector<bool>(count), {}, {}};
    discrete::proposer propose;
    for (std::size_t r = 0; r < count; ++r) {
      const discrete::proposal p = propose(logits.row(r), logits.vocabulary(), -1, how.rule, source,
                                           x.request(r, step, draw_use::choice), name, r, false);
      out.tokens.push_back(p.choice);
      out.probabilities.push_back(p.probability);
    }
    // The places of an item that are open, the surest first.
    const auto open = [&](std::size_t item, const auto& is_open) {
      std::vector<double> scores(length, -INFINITY);
      std::size_t places = 0;
      for (std::size_t i = 0; i < length; ++i)
        if (is_open(item * length + i)) {
          scores[i] = out.probabilities[item * length + i];
          ++places;
        }
      std::vector<std::size_t> order = discrete::ranked(scores);
      order.resize(places);
      return order;
    };
    std::vector<T> next(x.tokens.begin(), x.tokens.end());
    if (!how.mask) {
      if (step == 0 || committed.size() != count) committed.assign(count, false);
      std::vector<bool> now = committed;
      const std::size_t target = ((step + 1) * length + steps - 1) / steps;
      for (std::size_t item = 0; item < x.items; ++item) {
        std::size_t done = 0;
        for (std::size_t i = 0; i < length; ++i) done += committed[item * length + i];
        const std::size_t needed = target > done ? target - done : 0;
        const auto order = open(item, [&](std::size_t r) { return !committed[r]; });
        for (std::size_t j = 0; j < order.size(); ++j) {
          const std::size_t r = item * length + order[j];
          out.transferred[r] = j < needed || out.probabilities[r] > sure;
          now[r] = now[r] || out.transferred[r];
        }
      }
      for (std::size_t r = 0; r < count; ++r) {
        out.edited[r] =
            edits && committed[r] && out.tokens[r] != x.tokens[r] && out.probabilities[r] > *edits;
        if (out.transferred[r] || out.edited[r]) next[r] = out.tokens[r];
        if (!now[r])
          next[r] = static_cast<token>(discrete::below(
              logits.vocabulary(), source(x.request(r, step, draw_use::replacement))));
      }
      committed = std::move(now);
    } else {
      for (std::size_t item = 0; item < x.items; ++item) {
        const auto order = open(item, [&](std::size_t r) { return x.tokens[r] == *how.mask; });
        std::size_t high = 0;
        while (high < order.size() && out.probabilities[item * length + order[high]] > sure) ++high;
        const std::size_t commits = (std::max)(high, (std::min)(quota(step), order.size()));
        for (std::size_t j = 0; j < commits; ++j) out.transferred[item * length + order[j]] = true;
      }
      for (std::size_t r = 0; r < count; ++r) {
        out.edited[r] = edits && *edits > 0 && x.tokens[r] != *how.mask &&
                        r % length >= how.prompt && out.probabilities[r] > *edits &&
                        out.tokens[r] != x.tokens[r];
        if (out.transferred[r] || out.edited[r]) next[r] = out.tokens[r];
      }
    }
    std::copy(next.begin(), next.end(), x.tokens.begin());
    return out;
  }
};

/// Training noise of block refinement: in each block after the prompt a random share of the valid
/// tokens is masked in `noisy`, and the others in `reversed`. `source` is asked for one `route`
/// number per item and block, index the block, then one `order` number per position.
struct block_noise {
  std::vector<token> noisy, reversed;
  std::vector<bool> masked, masked_reversed;
};
template <discrete::uniform_source Source>
block_noise add_block_noise(std::span<const token> clean, std::span<const bool> valid,
                            std::size_t items, std::size_t prompt, std::size_t block_length,
                            token mask, const Source& source) {
  constexpr const char* name = "add_block_noise";
  discrete::detail::require_equal(name, "valid", valid.size(), clean.size());
  if (items == 0 || clean.size() % items != 0 || block_length == 0)
    tweedie::detail::fail(name, "block_length", static_cast<double>(block_length),
                          "valid: at least 1, for items of one length");
  block_noise out{{clean.begin(), clean.end()},
                  {clean.begin(), clean.end()},
                  std::vector<bool>(clean.size()),
                  std::vector<bool>(clean.size())};
  const std::size_t length = clean.size() / items;
  for (std::size_t item = 0; item < items; ++item)
    for (std::size_t i = prompt; i < length; ++i) {
      const std::size_t r = item * length + i, block = (i - prompt) / block_length;
      const auto number = static_cast<std::uint32_t>(item);
      if (!valid[r]) continue;
      const double share = source({0, discrete::draw_use::route, number, block});
      const bool hit = source({0, discrete::draw_use::order, number, i}) < share;
      out.masked[r] = hit;
      out.masked_reversed[r] = !hit;
      (hit ? out.noisy : out.reversed)[r] = mask;
    }
  return out;
}

}  // namespace tweedie::huggingface
