// Samplers that make one step for each leg of a grid: ancestral, remasking, discrete DDIM, leaps.
//
//   const alphabet symbols{.ordinary = 32'000, .mask = 32'000};
//   const auto grid = make_token_grid(log_linear{}, absorbing_rates, symbols, even_times(64));
//   token_sampling run(ancestral(grid), token_batch{tokens}, 32'000, counter_uniform{seed});
//
//   ancestral      the exact posterior (Austin et al. 2021, D3PM; Sahoo et al. 2024, MDLM)
//   remasking      tokens are masked again (Wang et al. 2025, ReMDM), absorbing corruption
//   discrete_ddim  x_t is kept for longer (Song et al. 2021, appendix A), uniform corruption
//   tau_leaping    the reverse rates of the leg's start, frozen (Campbell et al. 2022)
// ancestral.hpp and jump.hpp have the formulas.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "tweedie/discrete/ancestral.hpp"
#include "tweedie/discrete/token_grid.hpp"
#include "tweedie/discrete/token_move.hpp"
#include "tweedie/discrete/token_sampling.hpp"

namespace tweedie::discrete {

/// Where a sampler over a token grid is.
struct leg_progress {
  std::size_t step = 0;

  friend bool operator==(const leg_progress&, const leg_progress&) = default;
};

/// What a network of the reverse rates gives.
enum class rate_network {
  clean,      ///< logits of p(x_0 | x_t)
  log_ratios  ///< log p_t(y) / p_t(x) (SEDD); the number for y = x is not read
};

namespace detail {

// A vocabulary with the mask, or without it where the mask comes last, and tokens of the alphabet.
template <class T>
void require_start(const char* function, const alphabet& symbols, const token_batch<T>& x,
                   std::size_t vocabulary) {
  const bool without =
      symbols.mask >= 0 && static_cast<std::size_t>(symbols.mask) == symbols.ordinary;
  if (vocabulary != symbols.size() && !(without && vocabulary == symbols.ordinary))
    fail(function, "vocabulary", static_cast<double>(vocabulary),
         "valid: " + std::to_string(symbols.size()));
  require_tokens(function, x.tokens, symbols.size(), symbols.mask);
}

// Every token by its move; writes last.
template <class S, class T, class Source, class Move>
void move_tokens(token_batch<T> x, const logits_view<S>& logits, const alphabet& symbols,
                 const Source& source, std::size_t step, token_memory<S>& memory,
                 const char* function, const Move& move) {
  require_tokens(function, x.tokens, symbols.size(), symbols.mask);
  memory.next.resize(x.tokens.size());
  for (std::size_t r = 0; r < x.tokens.size(); ++r) {
    token_position<S> at(logits.row(r), logits.vocabulary(), symbols,
                         static_cast<token>(x.tokens[r]), memory.reader, function, r);
    memory.next[r] = moved(at, symbols, move(at), source, x.request(r, step, draw_use::route));
  }
  std::copy(memory.next.begin(), memory.next.end(), x.tokens.begin());
}

}  // namespace detail

/// \tparam Rule (grid, leg, position) -> token_move.
template <class Rule>
struct leg_sampler {
  using progress = leg_progress;

  token_grid grid;
  Rule rule;
  const char* name;

  template <token_integer T, uniform_source Source>
  progress begin(token_batch<T> x, std::size_t vocabulary, const Source&) const {
    detail::require_start(name, grid.symbols, x, vocabulary);
    return {};
  }
  bool finished(const progress& at) const { return at.step >= grid.legs(); }
  double network_time(const progress& at, std::size_t) const { return grid.levels[at.step].time; }
  template <storage_scalar S, token_integer T, uniform_source Source>
  void step(progress& at, token_batch<T> x, logits_view<S> logits, const Source& source,
            token_memory<S>& memory) const {
    detail::move_tokens(x, logits, grid.symbols, source, at.step, memory, name,
                        [&](token_position<S>& p) { return rule(grid, at.step, p); });
    ++at.step;
  }
};

namespace detail {

struct posterior_rule {
  template <class S>
  token_move operator()(const token_grid& grid, std::size_t leg, token_position<S>& at) const {
    const token_kernel &to_s = grid.levels[leg + 1].marginal, &to_t = grid.levels[leg].marginal;
    return posterior_move(to_s, between(to_s, to_t), grid.symbols, at);
  }
};

struct remasking_rule {
  double share, most;

  template <class S>
  token_move operator()(const token_grid& grid, std::size_t leg, token_position<S>& at) const {
    const double alpha_t = grid.levels[leg].marginal.keep,
                 alpha_s = grid.levels[leg + 1].marginal.keep;
    const double sigma = (std::min)(most, share * most_remasking(alpha_t, alpha_s));
    if (!at.masked()) return {1 - sigma, 0, 0, sigma};
    const double filled = (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t);
    return {1 - filled, filled, 0, 0};
  }
};

struct ddim_rule {
  double share;

  template <class S>
  token_move operator()(const token_grid& grid, std::size_t leg, token_position<S>& at) const {
    const double alpha_t = grid.levels[leg].marginal.keep,
                 alpha_s = grid.levels[leg + 1].marginal.keep;
    const double sigma = share * (1 - alpha_s) / (1 - alpha_t);
    const double noise = (std::max)(0.0, 1 - alpha_s - (1 - alpha_t) * sigma);
    const double fresh = alpha_s - sigma * alpha_t, k = static_cast<double>(grid.symbols.ordinary);
    return {sigma + fresh * at.here() + noise / k, fresh * at.elsewhere(), noise * (k - 1) / k, 0};
  }
};

}  // namespace detail

/// Rates of the reverse process per unit of time, in the ways of a move: to a token in proportion to
/// the network's, and to any. An ordinary token never becomes a mask.
///
/// With r_y = p(x_0 = y | x_t) / q(x_t | y) the ratios are keep r_y + uniform / K sum(r) (token_kernel.hpp).
template <class S>
token_move reverse_rates(const token_grid& grid, const token_level& t, rate_network network,
                         token_position<S>& at) {
  const auto k = static_cast<double>(grid.symbols.ordinary);
  const token_kernel& to_t = t.marginal;
  const double lost = t.slope, noise = to_t.keep > 0 ? lost / to_t.keep : 0;  // sigma'
  if (network == rate_network::log_ratios) {
    const double jumps = at.masked() ? grid.rates.mask : grid.rates.uniform / k;
    return {0, jumps == 0 ? 0 : noise * jumps * std::exp(at.log_others()), 0, 0};
  }
  if (at.masked())
    return {0, lost * grid.rates.mask / to_t.mask,
            noise * grid.rates.mask * to_t.uniform / to_t.mask, 0};
  if (to_t.uniform == 0 || grid.rates.uniform == 0) return {};
  const double other = to_t.uniform / k;
  const double replaced = at.elsewhere() + at.here() * other / (to_t.keep + other);
  return {0, lost * grid.rates.uniform / to_t.uniform * at.elsewhere(),
          (k - 1) / k * noise * grid.rates.uniform * replaced, 0};
}

namespace detail {

struct leap_rule {
  rate_network network;

  template <class S>
  token_move operator()(const token_grid& grid, std::size_t leg, token_position<S>& at) const {
    const token_level &t = grid.levels[leg], &s = grid.levels[leg + 1];
    const bool to_data = s.marginal.keep == 1;
    if (to_data && network == rate_network::clean) return posterior_rule{}(grid, leg, at);
    token_move move = reverse_rates(grid, t, network, at);
    const double leaving = move.clean + move.uniform;
    if (leaving <= 0) return {1, 0, 0, 0};
    const double stay = to_data && at.masked() ? 0 : std::exp(-(t.time - s.time) * leaving);
    const double jumps = (1 - stay) / leaving;
    return {stay, jumps * move.clean, jumps * move.uniform, 0};
  }
};

inline void require_rates(const char* function, const token_grid& grid) {
  check(function, grid);
  for (std::size_t k = 0; k < grid.legs(); ++k) {
    const token_level& l = grid.levels[k];
    if (!(std::isfinite(l.slope) && l.slope >= 0 &&
          (l.marginal.keep > 0 || l.marginal.uniform == 0)))
      fail(function, "survival at time " + number(l.time), l.marginal.keep,
           "valid: above 0, unless tokens are only masked, with a finite slope");
  }
}

}  // namespace detail

/// \throws std::invalid_argument for a grid without legs or with times or kernels out of order; so do
///   all that follow.
inline leg_sampler<detail::posterior_rule> ancestral(token_grid grid) {
  detail::check("ancestral", grid);
  return {std::move(grid), {}, "ancestral"};
}

/// Each leg masks tokens again with probability min(most, share of what keeps the marginals).
/// share = 0 is ancestral. The last leg to clean data masks none.
/// \throws std::invalid_argument unless corruption is absorbing, and share and most are in [0, 1].
inline leg_sampler<detail::remasking_rule> remasking(token_grid grid, double share = 1,
                                                     double most = 1) {
  constexpr const char* name = "remasking";
  detail::check(name, grid);
  detail::require(share >= 0 && share <= 1, name, "share", share, "valid: 0 ... 1");
  detail::require(most >= 0 && most <= 1, name, "most", most, "valid: 0 ... 1");
  for (const token_level& l : grid.levels)
    detail::require(l.marginal.uniform == 0, name, "uniform", l.marginal.uniform,
                    "valid: 0, absorbing corruption");
  return {std::move(grid), {share, most}, name};
}

/// Each leg keeps x_t with a share of the largest sigma, (1 - alpha_s) / (1 - alpha_t), which draws no
/// new noise.
/// \throws std::invalid_argument unless corruption is uniform and the share is in [0, 1].
inline leg_sampler<detail::ddim_rule> discrete_ddim(token_grid grid, double share = 1) {
  constexpr const char* name = "discrete_ddim";
  detail::check(name, grid);
  detail::require(share >= 0 && share <= 1, name, "share", share, "valid: 0 ... 1");
  for (const token_level& l : grid.levels)
    detail::require(l.marginal.mask == 0, name, "mask", l.marginal.mask,
                    "valid: 0, uniform corruption");
  return {std::move(grid), {share}, name};
}

/// Weak order 1. The leg to clean data, where rates have no bound, is the exact posterior; with a
/// network of ratios it is a leap that leaves no mask.
/// \throws std::invalid_argument where a rate is not finite.
inline leg_sampler<detail::leap_rule> tau_leaping(token_grid grid,
                                                  rate_network network = rate_network::clean) {
  detail::require_rates("tau_leaping", grid);
  return {std::move(grid), {network}, "tau_leaping"};
}

}  // namespace tweedie::discrete
