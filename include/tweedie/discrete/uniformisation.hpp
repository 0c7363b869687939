// Uniformisation of the reverse process: exact, with evaluations at the events of a Poisson clock (Chen and
// Ying 2024). jump.hpp has the formulas. The network gives logits of p(x_0 | x_t).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/discrete/jump.hpp"
#include "tweedie/discrete/leg_sampler.hpp"

namespace tweedie::discrete {

/// Where uniformisation is in one item.
struct uniformisation_place {
  static constexpr std::size_t all = static_cast<std::size_t>(-1);

  std::size_t step = 0;      ///< events that were evaluated
  std::size_t segment = 0;   ///< of the grid
  double total = 0;          ///< noise at the event
  std::size_t position = 0;  ///< the token that may change; `all` in the last step to clean data
  bool finished = false;

  friend bool operator==(const uniformisation_place&, const uniformisation_place&) = default;
};

/// The reverse process, exactly: in each segment of the grid a clock that is as fast as any token can
/// change; at its events one token changes by its rates at that time. Events that cannot change
/// anything are passed over without an evaluation. A last leg to clean data is the exact posterior.
///
/// More segments mean fewer events. Every item has its own clock, and so its own network_time.
template <survival_schedule Schedule>
struct uniformisation_sampler {
  using progress = item_progress<uniformisation_place>;

  Schedule schedule;
  token_grid grid;

  template <token_integer T, uniform_source Source>
  progress begin(token_batch<T> x, std::size_t vocabulary, const Source& source) const {
    detail::require_start("uniformisation", grid.symbols, x, vocabulary);
    progress at{0, std::vector<uniformisation_place>(x.items)};
    for (std::size_t item = 0; item < x.items; ++item) {
      at.items[item].total = total_at(0);
      seek(at.items[item], x, item, source);
    }
    return at;
  }
  bool finished(const progress& at) const {
    return std::all_of(at.items.begin(), at.items.end(),
                       [](const uniformisation_place& place) { return place.finished; });
  }
  double network_time(const progress& at, std::size_t item) const {
    return time_of(schedule, at.items.at(item).total);
  }

  template <storage_scalar S, token_integer T, uniform_source Source>
  void step(progress& at, token_batch<T> x, logits_view<S> logits, const Source& source,
            token_memory<S>& memory) const {
    constexpr const char* name = "uniformisation";
    detail::require_tokens(name, x.tokens, grid.symbols.size(), grid.symbols.mask);
    memory.next.resize(x.tokens.size());
    for (std::size_t r = 0; r < x.tokens.size(); ++r) {
      const uniformisation_place& place = at.items[r / x.length()];
      memory.next[r] = static_cast<token>(x.tokens[r]);
      const bool last = place.position == uniformisation_place::all;
      if (place.finished || (!last && place.position != r % x.length())) continue;
      token_position<S> p(logits.row(r), logits.vocabulary(), grid.symbols, memory.next[r],
                          memory.reader, name, r);
      memory.next[r] = moved(p, grid.symbols, last ? last_move(p) : event_move(place, p), source,
                             x.request(r, place.step, draw_use::route));
    }
    std::copy(memory.next.begin(), memory.next.end(), x.tokens.begin());
    ++at.step;
    for (std::size_t item = 0; item < x.items; ++item) {
      uniformisation_place& place = at.items[item];
      if (place.finished) continue;
      ++place.step;
      if (place.position == uniformisation_place::all)
        place.finished = true;
      else
        seek(place, x, item, source);
    }
  }

 private:
  double total_at(std::size_t level) const { return -std::log(grid.levels[level].marginal.keep); }
  bool to_data() const { return grid.levels.back().marginal.keep == 1; }
  std::size_t segments() const { return grid.legs() - (to_data() ? 1 : 0); }

  // Rates of leaving per unit of noise: of a mask, and the most that an ordinary token's can be. Both
  // grow towards data.
  double leaving_mask(const token_kernel& to_t) const {
    return grid.rates.mask == 0 ? 0 : grid.rates.mask * (to_t.keep + to_t.uniform) / to_t.mask;
  }
  double most_leaving(const token_kernel& to_t) const {
    if (grid.rates.uniform == 0) return 0;
    const auto k = static_cast<double>(grid.symbols.ordinary);
    return grid.rates.uniform * (to_t.keep / to_t.uniform + (k - 1) / k);
  }

  // The next event that needs the network.
  template <class T, class Source>
  void seek(uniformisation_place& place, const token_batch<T>& x, std::size_t item,
            const Source& source) const {
    uniform_request where = x.item_request(item, place.step, draw_use::jump);
    const auto draw = [&] {
      const double u = source(where);
      ++where.index;
      return u;
    };
    for (; place.segment < segments(); ++place.segment) {
      const double end = total_at(place.segment + 1);
      const token_kernel at_end = kernel_of(grid.rates, end);
      const double bound = (std::max)(leaving_mask(at_end), most_leaving(at_end));
      const double rate = bound * static_cast<double>(x.length());
      for (;;) {
        const double next = rate > 0 ? place.total - waiting_time(rate, draw()) : end;
        if (!(next > end)) break;
        place.total = next;
        place.position = below(x.length(), draw());
        const auto here = static_cast<token>(x.tokens[item * x.length() + place.position]);
        const token_kernel now = kernel_of(grid.rates, next);
        const double leaving = grid.symbols.masked(here) ? leaving_mask(now) : most_leaving(now);
        if (draw() * bound < leaving) return;
      }
      place.total = end;
    }
    place.position = uniformisation_place::all;
    place.finished = !to_data();
  }

  // A masked token leaves for certain, an ordinary one with its rate over the most it can be.
  template <class S>
  token_move event_move(const uniformisation_place& place, token_position<S>& at) const {
    const token_kernel to_t = kernel_of(grid.rates, place.total);
    token_move rate = reverse_rates(grid, {0, to_t, to_t.keep}, rate_network::clean,
                                    at);  // slope of noise itself
    if (!at.masked()) rate.stay = most_leaving(to_t) - rate.clean - rate.uniform;
    rate.stay = (std::max)(0.0, rate.stay);
    return rate;
  }
  template <class S>
  token_move last_move(token_position<S>& at) const {
    return detail::posterior_rule{}(grid, grid.legs() - 1, at);
  }
};

/// \throws std::invalid_argument unless times fall within [0, 1] and the noise at the first is finite.
template <survival_schedule Schedule>
uniformisation_sampler<Schedule> uniformisation(const Schedule& schedule, const token_rates& rates,
                                                const alphabet& symbols,
                                                std::span<const double> times) {
  uniformisation_sampler<Schedule> made{schedule, make_token_grid(schedule, rates, symbols, times)};
  const double keep = made.grid.levels[0].marginal.keep;
  detail::require(keep > 0, "uniformisation", "survival at the first time", keep, "valid: above 0");
  return made;
}

}  // namespace tweedie::discrete
