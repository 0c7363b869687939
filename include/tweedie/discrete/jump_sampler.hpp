// Samplers in continuous time that ask more than once a leg, or when something happens:
//
//   trapezoidal      two evaluations a leg, weak order 2 (Ren et al. 2025)
//   uniformisation   exact: evaluations at the events of a Poisson clock (Chen and Ying 2024)
//   first_hitting    exact for masks: one token an evaluation (Zheng et al. 2025)
//
// jump.hpp has the formulas. The networks give logits of p(x_0 | x_t).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/discrete/jump.hpp"
#include "tweedie/discrete/leg_sampler.hpp"

namespace tweedie::discrete {

/// The theta-trapezoidal rule. Legs in pairs, before and after their middle times; a last leg to
/// clean data is the exact posterior. Keeps a copy of the logits.
struct trapezoidal_sampler {
  using progress = leg_progress;

  token_grid grid;  ///< with the middle times

  template <token_integer T, uniform_source Source>
  progress begin(token_batch<T> x, std::size_t vocabulary, const Source&) const {
    detail::require_start("trapezoidal", grid.symbols, x, vocabulary);
    return {};
  }
  bool finished(const progress& at) const { return at.step >= grid.legs(); }
  double network_time(const progress& at, std::size_t) const { return grid.levels[at.step].time; }

  template <storage_scalar S, token_integer T, uniform_source Source>
  void step(progress& at, token_batch<T> x, logits_view<S> logits, const Source& source,
            token_memory<S>& memory) const {
    constexpr const char* name = "trapezoidal";
    const std::size_t leg = at.step;
    if (leg % 2 == 0) {
      if (leg + 1 < grid.legs()) {
        memory.first_tokens.assign(x.tokens.size(), 0);
        for (std::size_t r = 0; r < x.tokens.size(); ++r)
          memory.first_tokens[r] = static_cast<token>(x.tokens[r]);
        memory.first_logits.assign(logits.row(0), logits.row(logits.rows()));
      }
      detail::move_tokens(x, logits, grid.symbols, source, at.step, memory, name,
                          [&](token_position<S>& p) {
                            return detail::leap_rule{rate_network::clean}(grid, leg, p);
                          });
    } else {
      second_stage(leg, x, logits, source, memory);
    }
    ++at.step;
  }

 private:
  template <class S, class T, class Source>
  void second_stage(std::size_t leg, token_batch<T> x, const logits_view<S>& logits,
                    const Source& source, token_memory<S>& memory) const {
    constexpr const char* name = "trapezoidal";
    const token_level &t = grid.levels[leg - 1], &middle = grid.levels[leg],
                      &s = grid.levels[leg + 1];
    const double theta = (t.time - middle.time) / (t.time - s.time);
    const std::size_t n = grid.symbols.size();
    detail::require_tokens(name, x.tokens, n, grid.symbols.mask);
    memory.next.resize(x.tokens.size());
    std::vector<double> early(n), late(n), law(n);
    for (std::size_t r = 0; r < x.tokens.size(); ++r) {
      const auto z = memory.next[r] = static_cast<token>(x.tokens[r]);
      if (!grid.symbols.masked(z) && grid.rates.uniform == 0) continue;
      rates_at(t, memory.first_tokens[r], memory.first_logits.data() + r * logits.vocabulary(),
               logits.vocabulary(), memory.reader, r, early);
      rates_at(middle, z, logits.row(r), logits.vocabulary(), memory.reader, r, late);
      trapezoidal_rates(theta, early, memory.first_tokens[r], late, z, law);
      leap_law(law, z, middle.time - s.time, late);
      memory.next[r] = static_cast<token>(
          invert_distribution(late, source(x.request(r, leg, draw_use::choice))));
    }
    std::copy(memory.next.begin(), memory.next.end(), x.tokens.begin());
  }
  // R(x, y) for all y; what stands at x is not read.
  template <class S>
  void rates_at(const token_level& t, token x, const S* row, std::size_t vocabulary,
                row_reader& reader, std::size_t number, std::span<double> out) const {
    const alphabet& symbols = grid.symbols;
    token_position<S> at(row, vocabulary, symbols, x, reader, "trapezoidal", number);
    const token_move rate = reverse_rates(grid, t, rate_network::clean, at);
    const double others = static_cast<double>(symbols.ordinary - (at.masked() ? 0 : 1));
    const double each = others > 0 ? rate.uniform / others : 0;
    const double clean = rate.clean > 0 ? std::log(rate.clean) - at.log_others() : -INFINITY;
    for (std::size_t y = 0; y < out.size(); ++y) {
      const auto to = static_cast<token>(y);
      out[y] = to == x || symbols.masked(to)
                   ? 0
                   : each + (rate.clean > 0 ? std::exp(clean + static_cast<double>(row[y])) : 0);
    }
  }
};

/// \param times of the legs' ends, falling; the middles are put between.
/// \throws std::invalid_argument unless times fall within [0, 1], 0 < theta < 1, and rates are finite.
template <survival_schedule Schedule>
trapezoidal_sampler trapezoidal(const Schedule& schedule, const token_rates& rates,
                                const alphabet& symbols, std::span<const double> times,
                                double theta = 0.5) {
  detail::require(theta > 0 && theta < 1, "trapezoidal", "theta", theta, "valid: in (0, 1)");
  std::vector<double> with_middles;
  for (std::size_t k = 0; k < times.size(); ++k) {
    with_middles.push_back(times[k]);
    if (k + 1 == times.size()) break;
    if (k + 2 == times.size() && survival(schedule, times[k + 1]) == 1) continue;
    with_middles.push_back(times[k] + theta * (times[k + 1] - times[k]));
  }
  trapezoidal_sampler made{make_token_grid(schedule, rates, symbols, with_middles)};
  detail::require_rates("trapezoidal", made.grid);
  return made;
}

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
  struct progress {
    std::size_t step = 0;
    std::vector<uniformisation_place> items;

    friend bool operator==(const progress&, const progress&) = default;
  };

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
  struct progress {
    std::size_t step = 0;
    std::vector<place> items;

    friend bool operator==(const progress&, const progress&) = default;
  };

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
