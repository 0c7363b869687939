// First hitting: exact for masks, one token an evaluation (Zheng et al. 2025). jump.hpp has the formulas. The
// network gives logits of p(x_0 | x_t).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "tweedie/discrete/jump.hpp"
#include "tweedie/discrete/leg_sampler.hpp"

namespace tweedie::discrete {

/// Masked tokens are filled one by one, each item at its own times, exactly as the reverse process
/// fills them; which one is equally likely. As many evaluations as the fullest item has masks.
template <survival_schedule Schedule>
struct first_hitting_sampler {
  struct place {
    std::size_t step = 0;
    double corrupted = 0;  ///< 1 - alpha where the next token is filled
    std::size_t masked = 0;

    friend bool operator==(const place&, const place&) = default;
  };
  using progress = item_progress<place>;

  Schedule schedule;
  alphabet symbols;
  double start = 1;  ///< the time of the tokens given

  template <token_integer T, uniform_source Source>
  progress begin(token_batch<T> x, std::size_t vocabulary, const Source& source) const {
    detail::require_start("first_hitting", symbols, x, vocabulary);
    progress at{0, std::vector<place>(x.items)};
    for (std::size_t item = 0; item < x.items; ++item) {
      at.items[item].corrupted = -std::expm1(-schedule.total(start));
      seek(at.items[item], x, item, source);
    }
    return at;
  }
  bool finished(const progress& at) const {
    return std::all_of(at.items.begin(), at.items.end(),
                       [](const place& p) { return p.masked == 0; });
  }
  double network_time(const progress& at, std::size_t item) const {
    return time_of(schedule, -std::log1p(-at.items.at(item).corrupted));
  }

  template <storage_scalar S, token_integer T, uniform_source Source>
  void step(progress& at, token_batch<T> x, logits_view<S> logits, const Source& source,
            token_memory<S>& memory) const {
    constexpr const char* name = "first_hitting";
    detail::require_tokens(name, x.tokens, symbols.size(), symbols.mask);
    constexpr auto none = static_cast<std::size_t>(-1);
    std::vector<std::size_t> filled(x.items, none);
    memory.next.resize(x.items);
    for (std::size_t item = 0; item < x.items; ++item) {
      const place& now = at.items[item];
      if (now.masked == 0) continue;
      const std::size_t first = item * x.length();
      std::size_t nth = below(now.masked, source(x.item_request(item, now.step, draw_use::order)));
      for (std::size_t r = first; r < first + x.length() && filled[item] == none; ++r)
        if (x.tokens[r] == symbols.mask && nth-- == 0) filled[item] = r;
      const std::size_t r = filled[item];
      if (r == none) continue;
      token_position<S> p(logits.row(r), logits.vocabulary(), symbols, symbols.mask, memory.reader,
                          name, r);
      memory.next[item] = p.draw(source(x.request(r, now.step, draw_use::choice)));
    }
    for (std::size_t item = 0; item < x.items; ++item)
      if (filled[item] != none) x.tokens[filled[item]] = memory.next[item];
    ++at.step;
    for (std::size_t item = 0; item < x.items; ++item) {
      if (at.items[item].masked == 0) continue;
      ++at.items[item].step;
      seek(at.items[item], x, item, source);
    }
  }

 private:
  template <class T, class Source>
  void seek(place& now, const token_batch<T>& x, std::size_t item, const Source& source) const {
    const auto row = x.tokens.subspan(item * x.length(), x.length());
    now.masked =
        static_cast<std::size_t>(std::count(row.begin(), row.end(), static_cast<T>(symbols.mask)));
    if (now.masked == 0) return;
    now.corrupted = next_hitting(now.corrupted, now.masked,
                                 source(x.item_request(item, now.step, draw_use::jump)));
  }
};

/// \throws std::invalid_argument for an alphabet without a mask.
template <survival_schedule Schedule>
first_hitting_sampler<Schedule> first_hitting(const Schedule& schedule, const alphabet& symbols,
                                              double start = 1) {
  detail::require(symbols.mask >= 0, "first_hitting", "mask", symbols.mask, "valid: a token");
  detail::require(start > 0 && start <= 1, "first_hitting", "start", start, "valid: in (0, 1]");
  return {schedule, symbols, start};
}

}  // namespace tweedie::discrete
