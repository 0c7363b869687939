// The times at which a sampler of tokens stops on its way from noise to data, and the corruption there.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/discrete/rates.hpp"
#include "tweedie/discrete/survival.hpp"
#include "tweedie/discrete/token_kernel.hpp"

namespace tweedie::discrete {

/// One time: what clean tokens have become by then, and how fast they are lost.
struct token_level {
  double time = 0;
  token_kernel marginal = {};  ///< from clean tokens
  double slope = 0;            ///< -d marginal.keep / dt; only samplers in continuous time need it
};

/// Levels from noise to data.
struct token_grid {
  alphabet symbols;
  token_rates rates = absorbing_rates;  ///< as slope, for continuous time
  std::vector<token_level> levels;

  std::size_t legs() const { return levels.size() - 1; }
};

/// 1 ... last in `steps` equal steps.
/// \throws std::invalid_argument for no steps.
inline std::vector<double> even_times(std::size_t steps, double last = 0) {
  if (steps == 0) detail::fail("even_times", "steps", 0, "valid: at least 1");
  std::vector<double> times;
  for (std::size_t k = 0; k <= steps; ++k)
    times.push_back(1 + (last - 1) * static_cast<double>(k) / static_cast<double>(steps));
  return times;
}

namespace detail {

template <survival_schedule Schedule>
token_level level_at(const Schedule& schedule, const token_rates& rates, double t) {
  return {t, kernel_of(rates, schedule.total(t)), survival_slope(schedule, t)};
}

inline void check(const char* function, const token_grid& grid) {
  require(grid.levels.size() >= 2, function, "levels", static_cast<double>(grid.levels.size()),
          "valid: at least 2");
  require(grid.symbols.ordinary > 0, function, "ordinary", 0, "valid: at least 1");
  for (std::size_t k = 0; k < grid.legs(); ++k) {
    require(grid.levels[k + 1].time < grid.levels[k].time, function, "time",
            grid.levels[k + 1].time, "valid: times that fall");
    if (!(grid.levels[k].marginal.keep < 1))
      fail(function, "survival at time " + number(grid.levels[k].time),
           grid.levels[k].marginal.keep, "valid: below 1 but at the end");
    static_cast<void>(between(grid.levels[k + 1].marginal, grid.levels[k].marginal));
  }
  if (grid.symbols.mask < 0)
    require(grid.levels[0].marginal.mask == 0, function, "mask", grid.symbols.mask,
            "valid: a token where tokens are masked");
}

}  // namespace detail

/// Corruption by `rates` along a schedule.
/// \throws std::invalid_argument unless times fall, within [0, 1].
template <survival_schedule Schedule>
token_grid make_token_grid(const Schedule& schedule, const token_rates& rates,
                           const alphabet& symbols, std::span<const double> times) {
  token_grid grid{symbols, rates, {}};
  for (const double t : times) {
    detail::require(t >= 0 && t <= 1, "make_token_grid", "time", t, "valid: 0 ... 1");
    grid.levels.push_back(detail::level_at(schedule, rates, t));
  }
  detail::check("make_token_grid", grid);
  return grid;
}

/// Corrupts every token in place by the kernel from clean tokens to its item's level: `kernels` has
/// one, or one per item. From a kernel that keeps nothing it is the sampler's start, whatever the
/// tokens were. Requests one `replacement` number per position, of step `step`.
/// \throws std::invalid_argument for tokens out of range or another number of kernels; then nothing
///   has been written.
template <token_integer T, uniform_source Source>
void corrupt(token_batch<T> x, std::span<const token_kernel> kernels, const alphabet& symbols,
             const Source& source, std::size_t step = 0) {
  detail::require_tokens("corrupt", x.tokens, symbols.size(), symbols.mask);
  if (kernels.size() != 1) detail::require_equal("corrupt", "kernels", kernels.size(), x.items);
  for (std::size_t r = 0; r < x.tokens.size(); ++r)
    x.tokens[r] =
        corrupt(kernels[kernels.size() == 1 ? 0 : r / x.length()], symbols,
                static_cast<token>(x.tokens[r]), source(x.request(r, step, draw_use::replacement)));
}

}  // namespace tweedie::discrete
