// The theta-trapezoidal rule in continuous time: two evaluations a leg, weak order 2 (Ren et al. 2025).
// jump.hpp has the formulas. The network gives logits of p(x_0 | x_t).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
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
        memory.first_tokens.resize(x.tokens.size());
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

}  // namespace tweedie::discrete
