// Laws of whole runs, computed: samplers are driven with every number that decides anything, and nothing
// is drawn. A step is a matrix of probabilities between texts; a run is their product.
#include <gtest/gtest.h>

#include <Eigen/LU>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/discrete.hpp"

namespace tweedie::discrete {
namespace {

// Two letters, any two of which depend on each other.
const joint_table pairs(2, 2, {0.4, 0.1, 0.05, 0.45});
const joint_table triples(3, 2, {0.2, 0.05, 0.1, 0.02, 0.03, 0.25, 0.1, 0.25});

using text = std::vector<token>;
using law = std::vector<double>;  // of texts, each a number in base `size`

text text_of(std::size_t number, std::size_t length, std::size_t size) {
  text x(length);
  for (std::size_t i = length; i-- > 0; number /= size) x[i] = static_cast<token>(number % size);
  return x;
}
std::size_t number_of(const text& x, std::size_t size) {
  std::size_t number = 0;
  for (const token v : x) number = number * size + static_cast<std::size_t>(v);
  return number;
}
std::size_t texts(std::size_t length, std::size_t size) {
  std::size_t count = 1;
  for (std::size_t i = 0; i < length; ++i) count *= size;
  return count;
}

// The uniform number of each use, at one position; elsewhere 1/2.
struct given_numbers {
  std::size_t position = 0;
  std::array<double, 6> of = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
  double operator()(const uniform_request& r) const {
    return r.index == position ? of[static_cast<std::size_t>(r.use)] : 0.5;
  }
};

// The law of outcome(numbers), a token, over the numbers of `uses`: where it changes is found by
// bisection, so each piece has its exact probability. Pieces narrower than 1/64 may be missed.
template <class Outcome>
law law_over(const Outcome& outcome, std::span<const draw_use> uses, given_numbers numbers,
             std::size_t size) {
  law total(size, 0.0);
  if (uses.empty()) {
    total[static_cast<std::size_t>(outcome(numbers))] = 1;
    return total;
  }
  double& u = numbers.of[static_cast<std::size_t>(uses[0])];
  // What tells pieces apart: the outcomes at some of the other numbers.
  const auto signature = [&](double at) {
    u = at;
    std::vector<token> seen;
    given_numbers probe = numbers;
    const std::size_t others = uses.size() - 1, probes = others == 1 ? 16 : 4;
    for (std::size_t k = 0; k < texts(others, probes); ++k) {
      const text digits = text_of(k, others, probes);
      for (std::size_t d = 0; d < others; ++d)
        probe.of[static_cast<std::size_t>(uses[d + 1])] =
            (digits[d] + 0.5) / static_cast<double>(probes);
      seen.push_back(outcome(probe));
    }
    return seen;
  };
  constexpr int grid = 64;
  double begin = 0;
  std::vector<token> here = signature(0.5 / grid);
  for (int k = 1; k <= grid; ++k) {
    const std::vector<token> next = k < grid ? signature((k + 0.5) / grid) : std::vector<token>{-1};
    if (next == here) continue;
    double low = (k - 0.5) / grid, high = k < grid ? (k + 0.5) / grid : 1;
    for (int n = 0; n < 50 && k < grid; ++n) {
      const double middle = (low + high) / 2;
      (signature(middle) == here ? low : high) = middle;
    }
    u = (begin + high) / 2;
    const law inner = law_over(outcome, uses.subspan(1), numbers, size);
    for (std::size_t y = 0; y < size; ++y) total[y] += (high - begin) * inner[y];
    begin = high;
    here = next;
  }
  return total;
}

// Of texts whose tokens are drawn each by itself.
void add_product(const std::vector<law>& tokens, double weight, law& out) {
  const std::size_t size = tokens[0].size();
  for (std::size_t n = 0; n < out.size(); ++n) {
    const text y = text_of(n, tokens.size(), size);
    double p = weight;
    for (std::size_t i = 0; i < y.size(); ++i) p *= tokens[i][static_cast<std::size_t>(y[i])];
    out[n] += p;
  }
}

// log p(x_0 | x_t) of every position.
template <class Text>
std::vector<double> exact_logits(const Text& model, const token_kernel& to_t,
                                 const alphabet& symbols, const text& x) {
  std::vector<double> p(x.size() * model.vocabulary());
  model.posterior(evidence_of(to_t, symbols, x), p);
  for (double& v : p) v = std::log(v);
  return p;
}

// One step of a sampler whose tokens are independent given the text.
template <class Sampler>
law step_law(const Sampler& sampler, std::size_t step, const text& x,
             const std::vector<double>& logits, const alphabet& symbols,
             std::span<const draw_use> uses) {
  std::vector<law> tokens;
  for (std::size_t i = 0; i < x.size(); ++i) {
    given_numbers numbers;
    numbers.position = i;
    const auto outcome = [&](const given_numbers& source) {
      text y = x;
      leg_progress at{step};
      token_memory<double> memory;
      sampler.step(at, token_batch{y}, logits_view<double>(logits, logits.size() / x.size()),
                   source, memory);
      EXPECT_EQ(at.step, step + 1);
      return y[i];
    };
    tokens.push_back(law_over(outcome, uses, numbers, symbols.size()));
  }
  law out(texts(x.size(), symbols.size()), 0.0);
  add_product(tokens, 1, out);
  return out;
}

// What the tokens are at the start: `to_t` of nothing but noise.
law start_law(const token_kernel& to_t, const alphabet& symbols, std::size_t length) {
  law one(symbols.size());
  for (std::size_t y = 0; y < one.size(); ++y) {
    const auto to = static_cast<token>(y);
    one[y] =
        symbols.masked(to) ? to_t.mask : (1 - to_t.mask) / static_cast<double>(symbols.ordinary);
  }
  law out(texts(length, symbols.size()), 0.0);
  add_product(std::vector<law>(length, one), 1, out);
  return out;
}

void expect_same(const law& found, const law& expected) {
  double sum = 0;
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t n = 0; n < found.size(); ++n) {
    EXPECT_NEAR(found[n], expected[n], 1e-12) << n;
    sum += found[n];
  }
  EXPECT_NEAR(sum, 1, 1e-12);
}

double distance(const law& a, const law& b) {
  double sum = 0;
  for (std::size_t n = 0; n < b.size(); ++n) sum += std::abs(a[n] - b[n]) / 2;
  return sum;
}

// The run of `sampler` on pairs, against the product of steps whose tokens have the weights that
// weights(leg, i, x_i, clean, out) gives, clean being p(x_0^i | x_t) with 0 for the mask.
template <class Sampler, class Weights>
void expect_run(const Sampler& sampler, const token_grid& grid, const Weights& weights,
                std::span<const draw_use> uses) {
  const alphabet& symbols = grid.symbols;
  const std::size_t size = symbols.size(), count = texts(2, size);
  law found = start_law(grid.levels[0].marginal, symbols, 2), expected = found;
  for (std::size_t leg = 0; leg < grid.legs(); ++leg) {
    law next(count, 0.0), next_expected(count, 0.0);
    for (std::size_t n = 0; n < count; ++n) {
      if (expected[n] == 0 && found[n] == 0) continue;
      const text x = text_of(n, 2, size);
      const std::vector<double> logits = exact_logits(pairs, grid.levels[leg].marginal, symbols, x);
      const law step = step_law(sampler, leg, x, logits, symbols, uses);
      std::vector<law> tokens(2, law(size));
      for (std::size_t i = 0; i < 2; ++i) {
        law clean(size, 0.0);
        for (std::size_t y = 0; y < 2; ++y) clean[y] = std::exp(logits[2 * i + y]);
        weights(leg, x[i], clean, tokens[i]);
      }
      for (std::size_t y = 0; y < count; ++y) next[y] += found[n] * step[y];
      add_product(tokens, expected[n], next_expected);
    }
    found = next;
    expected = next_expected;
  }
  expect_same(found, expected);
}

constexpr draw_use moves[] = {draw_use::route, draw_use::choice};

token_grid grid_of(const token_rates& rates, std::size_t legs = 3) {
  return make_token_grid(cosine_survival{}, rates, {2, rates.mask > 0 ? 2 : -1}, even_times(legs));
}

auto posterior_weights(const token_grid& grid) {
  return [&grid](std::size_t leg, token x, const law& clean, law& out) {
    const token_kernel &t = grid.levels[leg].marginal, &s = grid.levels[leg + 1].marginal;
    reverse(s, between(s, t), t, grid.symbols, x, clean, out);
  };
}

TEST(WholeRun, AncestralOfMasks) {
  const token_grid grid = grid_of(absorbing_rates);
  expect_run(ancestral(grid), grid, posterior_weights(grid), moves);
}

// Every number that a move may ask for: with the replacement, which of both letters are noise.
TEST(WholeRun, AncestralOfUniformAndHybrid) {
  constexpr draw_use all[] = {draw_use::route, draw_use::choice, draw_use::replacement};
  for (const token_rates& rates : {uniform_rates, token_rates{0.4, 0.6}}) {
    const token_grid grid = grid_of(rates, 2);
    expect_run(ancestral(grid), grid, posterior_weights(grid), all);
  }
}

TEST(WholeRun, Remasking) {
  const token_grid grid = grid_of(absorbing_rates);
  for (const double share : {0.5, 1.0})
    expect_run(
        remasking(grid, share), grid,
        [&](std::size_t leg, token x, const law& clean, law& out) {
          const double alpha_t = grid.levels[leg].marginal.keep,
                       alpha_s = grid.levels[leg + 1].marginal.keep;
          remasking_weights(alpha_t, alpha_s, share * most_remasking(alpha_t, alpha_s),
                            grid.symbols, x, clean, out);
        },
        moves);
}

TEST(WholeRun, DiscreteDdim) {
  const token_grid grid = grid_of(uniform_rates);
  for (const double share : {0.3, 1.0})
    expect_run(
        discrete_ddim(grid, share), grid,
        [&](std::size_t leg, token x, const law& clean, law& out) {
          const double alpha_t = grid.levels[leg].marginal.keep,
                       alpha_s = grid.levels[leg + 1].marginal.keep;
          ddim_weights(alpha_t, alpha_s, share * (1 - alpha_s) / (1 - alpha_t), x, clean, out);
        },
        moves);
}

// R(x, .) per unit of time from p(x_0 | x_t), by the ratios.
law rates_of(const token_grid& grid, const token_level& t, token x, const law& clean) {
  const std::size_t n = grid.symbols.size();
  law ratios(n, 0.0), out(n);
  for (std::size_t y = 0; y < n; ++y)
    for (std::size_t x_0 = 0; x_0 < grid.symbols.ordinary; ++x_0) {
      const auto from = static_cast<token>(x_0);
      const double reached = probability(t.marginal, grid.symbols, from, x);
      if (reached > 0)
        ratios[y] += clean[x_0] / reached *
                     probability(t.marginal, grid.symbols, from, static_cast<token>(y));
    }
  reverse_rates(grid.rates, grid.symbols, x, ratios, out);
  for (double& r : out) r *= t.slope / t.marginal.keep;
  return out;
}

TEST(WholeRun, TauLeaping) {
  for (const token_rates& rates : {absorbing_rates, uniform_rates}) {
    const token_grid grid = grid_of(rates);
    expect_run(
        tau_leaping(grid), grid,
        [&](std::size_t leg, token x, const law& clean, law& out) {
          const token_level &t = grid.levels[leg], &s = grid.levels[leg + 1];
          if (leg + 1 == grid.legs())
            posterior_weights(grid)(leg, x, clean, out);
          else
            leap_law(rates_of(grid, t, x, clean), x, t.time - s.time, out);
        },
        moves);
  }
}

// Two evaluations a leg: the second stage knows the texts and logits of both.
TEST(WholeRun, Trapezoidal) {
  constexpr double theta = 0.4;
  constexpr draw_use choice[] = {draw_use::choice};
  for (const token_rates& rates : {absorbing_rates, uniform_rates}) {
    const alphabet symbols{2, rates.mask > 0 ? 2 : -1};
    const std::vector<double> times = {1, 0.5, 0.1};
    const trapezoidal_sampler sampler =
        trapezoidal(cosine_survival{}, rates, symbols, times, theta);
    const token_grid& grid = sampler.grid;
    const std::size_t size = symbols.size(), count = texts(2, size);
    law found = start_law(grid.levels[0].marginal, symbols, 2), expected = found;
    for (std::size_t leg = 0; leg < grid.legs(); leg += 2) {
      const token_level &t = grid.levels[leg], &middle = grid.levels[leg + 1],
                        &s = grid.levels[leg + 2];
      law next(count, 0.0), next_expected(count, 0.0);
      for (std::size_t n = 0; n < count; ++n) {
        const text x = text_of(n, 2, size);
        const std::vector<double> early = exact_logits(pairs, t.marginal, symbols, x);
        const law first = step_law(sampler, leg, x, early, symbols, moves);
        std::vector<law> leaps(2, law(size)), early_rates(2);
        const auto clean_at = [&](const std::vector<double>& logits, std::size_t i) {
          law clean(size, 0.0);
          for (std::size_t y = 0; y < 2; ++y) clean[y] = std::exp(logits[2 * i + y]);
          return clean;
        };
        for (std::size_t i = 0; i < 2; ++i) {
          early_rates[i] = rates_of(grid, t, x[i], clean_at(early, i));
          leap_law(early_rates[i], x[i], t.time - middle.time, leaps[i]);
        }
        law first_expected(count, 0.0);
        add_product(leaps, 1, first_expected);
        for (std::size_t m = 0; m < count; ++m) {
          if (first[m] == 0 && first_expected[m] == 0) continue;
          const text z = text_of(m, 2, size);
          const std::vector<double> late = exact_logits(pairs, middle.marginal, symbols, z);
          std::vector<law> second, second_expected(2, law(size));
          for (std::size_t i = 0; i < 2; ++i) {
            law mixed(size);
            trapezoidal_rates(theta, early_rates[i], x[i],
                              rates_of(grid, middle, z[i], clean_at(late, i)), z[i], mixed);
            leap_law(mixed, z[i], middle.time - s.time, second_expected[i]);
            given_numbers numbers;
            numbers.position = i;
            second.push_back(law_over(
                [&](const given_numbers& source) {
                  text y = z;
                  leg_progress at{leg + 1};
                  token_memory<double> memory;
                  memory.first_tokens = x;
                  memory.first_logits = early;
                  sampler.step(at, token_batch{y}, logits_view<double>(late, 2), source, memory);
                  return y[i];
                },
                choice, numbers, size));
          }
          add_product(second, found[n] * first[m], next);
          add_product(second_expected, expected[n] * first_expected[m], next_expected);
        }
      }
      found = next;
      expected = next_expected;
    }
    expect_same(found, expected);
  }
}

// The ancestral sampler of matrices: one number a token.
TEST(WholeRun, TransitionMatrices) {
  constexpr draw_use choice[] = {draw_use::choice};
  const alphabet symbols{2, -1};
  const transition_chain chain({nearest_neighbour_matrix(2, 0.3), gaussian_matrix(2, 3, 1),
                                banded_uniform_matrix(2, 0.9, 1)});
  const chain_sampler sampler = ancestral(chain);
  law found(4, 0.25), expected = found;
  for (std::size_t t = 3; t > 0; --t) {
    law next(4, 0.0), next_expected(4, 0.0);
    for (std::size_t n = 0; n < 4; ++n) {
      const text x = text_of(n, 2, 2);
      std::vector<double> evidence, p(4), logits;
      for (const token v : x)
        for (Eigen::Index y = 0; y < 2; ++y) evidence.push_back(chain.marginal(t)(y, v));
      pairs.posterior(evidence, p);
      for (const double v : p) logits.push_back(std::log(v));
      const law step = step_law(sampler, 3 - t, x, logits, symbols, choice);
      std::vector<law> tokens(2, law(2));
      for (std::size_t i = 0; i < 2; ++i)
        reverse(chain, t, x[i], std::span(p).subspan(2 * i, 2), tokens[i]);
      for (std::size_t y = 0; y < 4; ++y) next[y] += found[n] * step[y];
      add_product(tokens, expected[n], next_expected);
    }
    found = next;
    expected = next_expected;
  }
  expect_same(found, expected);
}

// Of uniform tokens at the source; with and without the divergence-free part.
TEST(WholeRun, DiscreteFlow) {
  // Of two letters there is one to go to: the route decides nothing.
  constexpr draw_use uses[] = {draw_use::choice, draw_use::jump};
  const alphabet symbols{2, -1};
  const std::vector<double> times = {0.2, 0.5, 0.8, 1}, p_0 = {0.5, 0.5};
  const polynomial_path path{2};
  for (const double c : {0.0, 0.7}) {
    const auto sampler = discrete_flow(path, times, c, p_0);
    law found = start_law(uniform_kernel(0), symbols, 2), expected = found;
    for (std::size_t k = 0; k + 1 < times.size(); ++k) {
      const double h = times[k + 1] - times[k];
      const flow_jumps rates = jump_rates(path, times[k], c);
      law next(4, 0.0), next_expected(4, 0.0);
      for (std::size_t n = 0; n < 4; ++n) {
        const text x = text_of(n, 2, 2);
        const std::vector<double> logits =
            exact_logits(pairs, uniform_kernel(path.kappa(times[k])), symbols, x);
        const law step = step_law(sampler, k, x, logits, symbols, uses);
        std::vector<law> tokens(2, law(2, 0.0));
        for (std::size_t i = 0; i < 2; ++i)
          for (std::size_t x_1 = 0; x_1 < 2; ++x_1) {
            const double p = std::exp(logits[2 * i + x_1]);
            // Of two letters the one that x is not: the rate of going there.
            const auto own = static_cast<std::size_t>(x[i]), other = 1 - own;
            const double away = rates.noise * 0.5 + (x_1 == own ? 0 : rates.toward);
            const bool last = k + 2 == times.size();
            const double jumps = last ? (x_1 == own ? 0.0 : 1.0) : -std::expm1(-h * away);
            tokens[i][other] += p * jumps;
            tokens[i][own] += p * (1 - jumps);
          }
        for (std::size_t y = 0; y < 4; ++y) next[y] += found[n] * step[y];
        add_product(tokens, expected[n], next_expected);
      }
      found = next;
      expected = next_expected;
    }
    expect_same(found, expected);
  }
}

// Numbers of the order that rank positions as a permutation does, and one choice for each.
struct ordered_numbers {
  std::vector<double> order, choice;
  double operator()(const uniform_request& r) const {
    return r.use == draw_use::order ? order[r.index] : choice[r.index];
  }
};

// The law of a run of unmasking: every order of positions and every token, with its probability.
law unmasking_law(const unmasking& plan) {
  const alphabet symbols{2, 2};
  law result(8, 0.0);
  struct branch {
    double weight;
    text x;
    unmasking::progress at;
  };
  text masks(3, 2);
  std::vector<branch> branches = {{1, masks, plan.begin(token_batch{masks}, 2, counter_uniform{})}};
  while (!branches.empty()) {
    const branch now = branches.back();
    branches.pop_back();
    if (plan.finished(now.at)) {
      result[number_of(now.x, 2)] += now.weight;
      continue;
    }
    const std::vector<double> logits = exact_logits(triples, absorbing_kernel(0.5), symbols, now.x);
    std::vector<std::size_t> rank = {0, 1, 2};
    do {
      for (std::size_t set = 0; set < 8; ++set) {
        ordered_numbers source{std::vector<double>(3), std::vector<double>(3)};
        double weight = now.weight / 6;
        for (std::size_t i = 0; i < 3; ++i) {
          const double first = std::exp(logits[2 * i]);
          const bool second = set >> i & 1;
          source.order[i] = (static_cast<double>(rank[i]) + 0.5) / 3;
          source.choice[i] = second ? (1 + first) / 2 : first / 2;  // the middle of its interval
          weight *= second ? 1 - first : first;
        }
        if (weight == 0) continue;
        branch next = now;
        next.weight = weight;
        token_memory<double> memory;
        plan.step(next.at, token_batch{next.x}, logits_view<double>(logits, 2), source, memory);
        branches.push_back(next);
      }
    } while (std::next_permutation(rank.begin(), rank.end()));
  }
  return result;
}

// One token at a time is exact in any order that does not look at what is drawn, and from left to right.
TEST(WholeRun, UnmaskingOneTokenAtATimeIsExact) {
  for (const unmasking_order order :
       {unmasking_order::random, unmasking_order::margin, unmasking_order::entropy})
    expect_same(unmasking_law({.mask = 2, .steps = 3, .order = order}), triples.probabilities());
  expect_same(unmasking_law({.mask = 2, .block_length = 1}), triples.probabilities());
  expect_same(unmasking_law({.mask = 2, .order = unmasking_order::entropy, .entropy_bound = 0.0}),
              triples.probabilities());
  // Confidence prefers positions where a likely token was drawn.
  EXPECT_GT(distance(unmasking_law({.mask = 2, .steps = 3}), triples.probabilities()), 0.02);
}

// In plain code: all texts of the masked positions, the surest `count` of which are kept.
void fill(const text& x, double weight, std::span<const std::size_t> counts, law& out) {
  if (counts.empty()) {
    out[number_of(x, 2)] += weight;
    return;
  }
  const std::vector<double> logits = exact_logits(triples, absorbing_kernel(0.5), {2, 2}, x);
  for (std::size_t set = 0; set < 8; ++set) {
    double p = weight;
    std::vector<std::pair<double, std::size_t>> sure;
    for (std::size_t i = 0; i < 3; ++i) {
      const double own = std::exp(logits[2 * i + (set >> i & 1)]);
      p *= x[i] == 2 ? own : (static_cast<token>(set >> i & 1) == x[i] ? 1 : 0);
      if (x[i] == 2) sure.push_back({-own, i});
    }
    if (p == 0) continue;
    std::sort(sure.begin(), sure.end());
    text next = x;
    for (std::size_t j = 0; j < counts[0]; ++j)
      next[sure[j].second] = static_cast<token>(set >> sure[j].second & 1);
    fill(next, p, counts.subspan(1), out);
  }
}
TEST(WholeRun, UnmaskingByConfidence) {
  for (const std::vector<std::size_t>& counts :
       {std::vector<std::size_t>{1, 1, 1}, std::vector<std::size_t>{2, 1},
        std::vector<std::size_t>{3}}) {
    law expected(8, 0.0);
    fill(text(3, 2), 1, counts, expected);
    expect_same(unmasking_law({.mask = 2, .steps = counts.size()}), expected);
  }
  // All at once: the product of the marginals, in any order.
  law product(8, 0.0);
  const std::vector<double> logits =
      exact_logits(triples, absorbing_kernel(0.5), {2, 2}, text(3, 2));
  std::vector<law> tokens;
  for (std::size_t i = 0; i < 3; ++i)
    tokens.push_back({std::exp(logits[2 * i]), std::exp(logits[2 * i + 1])});
  add_product(tokens, 1, product);
  for (const unmasking_order order : {unmasking_order::random, unmasking_order::confidence})
    expect_same(unmasking_law({.mask = 2, .steps = 1, .order = order}), product);
}

// When a token is filled decides nothing under masks; which one, and what, does. The law is the text's.
TEST(WholeRun, FirstHittingIsExact) {
  const auto sampler = first_hitting(log_linear{}, {2, 2});
  law found(8, 0.0);
  struct branch {
    double weight;
    text x;
  };
  std::vector<branch> branches = {{1, text(3, 2)}};
  while (!branches.empty()) {
    const branch now = branches.back();
    branches.pop_back();
    const auto masked = static_cast<std::size_t>(std::count(now.x.begin(), now.x.end(), 2));
    if (masked == 0) {
      found[number_of(now.x, 2)] += now.weight;
      continue;
    }
    const std::vector<double> logits = exact_logits(triples, absorbing_kernel(0.5), {2, 2}, now.x);
    for (std::size_t nth = 0; nth < masked; ++nth)
      for (std::size_t v = 0; v < 2; ++v) {
        text x = now.x;
        double chosen = 0;
        const auto source = [&](const uniform_request& r) {
          if (r.use == draw_use::order)
            return (static_cast<double>(nth) + 0.5) / static_cast<double>(masked);
          if (r.use == draw_use::jump) return 0.5;
          const double first = std::exp(logits[2 * r.index]);
          chosen = v == 0 ? first : 1 - first;
          return v == 0 ? first / 2 : (1 + first) / 2;
        };
        auto at = sampler.begin(token_batch{x}, 2, source);
        token_memory<double> memory;
        sampler.step(at, token_batch{x}, logits_view<double>(logits, 2), source, memory);
        branches.push_back({now.weight * chosen / static_cast<double>(masked), x});
      }
  }
  expect_same(found, triples.probabilities());
}

// The law of noised pairs.
law noised_law(const token_kernel& to_t, const alphabet& symbols) {
  law out(texts(2, symbols.size()), 0.0);
  for (std::size_t n = 0; n < 4; ++n) {
    std::vector<law> tokens(2, law(symbols.size()));
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t y = 0; y < symbols.size(); ++y)
        tokens[i][y] = probability(to_t, symbols, text_of(n, 2, 2)[i], static_cast<token>(y));
    add_product(tokens, pairs.probabilities()[n], out);
  }
  return out;
}

// Uniformisation's events, driven one by one: the clock is a Poisson process, so a run's law is the solution
// of dp / ds = p Q with the rates Q that the events have, s being the noise that is gone.
class uniformisation_events {
 public:
  using sampler_type = uniformisation_sampler<cosine_survival>;

  explicit uniformisation_events(const token_rates& rates)
      : symbols_{2, rates.mask > 0 ? 2 : -1},
        sampler_(uniformisation(cosine_survival{}, rates, symbols_, std::vector{0.7, 0.3, 0.0})) {
    // A token that may change is in the text of masks, and in any other without them.
    text x(2, symbols_.mask > 0 ? symbols_.mask : 0);
    const auto place = first_event(x, 0.99, 0, 1e-9).items[0];
    clock_ = std::log(1 / 0.99) / (noise_at(0) - place.total);
  }

  double noise_at(std::size_t level) const {
    return -std::log(sampler_.grid.levels[level].marginal.keep);
  }
  const token_kernel& kernel(std::size_t level) const {
    return sampler_.grid.levels[level].marginal;
  }
  const alphabet& symbols() const { return symbols_; }

  // Rates between texts at an amount of noise.
  Eigen::MatrixXd rates_at(double noise) const {
    const std::size_t size = symbols_.size(), count = texts(2, size);
    const double u = std::exp(-clock_ * (noise_at(0) - noise));
    Eigen::MatrixXd q =
        Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(count), static_cast<Eigen::Index>(count));
    for (std::size_t n = 0; n < count; ++n) {
      const text x = text_of(n, 2, size);
      const std::vector<double> logits =
          exact_logits(pairs, kernel_of(sampler_.grid.rates, noise), symbols_, x);
      for (std::size_t i = 0; i < 2; ++i) {
        // The share of events that is evaluated: numbers below it are.
        double low = 0, high = 1;
        for (int k = 0; k < 50; ++k) {
          const double middle = (low + high) / 2;
          (first_event(x, u, i, middle).items[0].position == i ? low : high) = middle;
        }
        if (high < 1e-12) continue;
        const auto at = first_event(x, u, i, low / 2);
        EXPECT_NEAR(at.items[0].total, noise, 1e-12);
        const law to = outcomes(at, x, logits, i);
        for (std::size_t y = 0; y < size; ++y) {
          text next = x;
          next[i] = static_cast<token>(y);
          const auto from = static_cast<Eigen::Index>(n),
                     into = static_cast<Eigen::Index>(number_of(next, size));
          const double rate = clock_ / 2 * high * to[y];
          q(from, into) += rate;
          q(from, from) -= rate;
        }
      }
    }
    return q;
  }
  // The last step to clean data.
  law to_data(const law& noised) const {
    law out(noised.size(), 0.0);
    for (std::size_t n = 0; n < noised.size(); ++n) {
      const text x = text_of(n, 2, symbols_.size());
      sampler_type::progress at{1, {{1, 1, noise_at(1), uniformisation_place::all, false}}};
      const std::vector<double> logits = exact_logits(pairs, kernel(1), symbols_, x);
      add_product({outcomes(at, x, logits, 0), outcomes(at, x, logits, 1)}, noised[n], out);
    }
    return out;
  }

 private:
  // The event after the start that the numbers give, or the end of the clock where it is passed over.
  sampler_type::progress first_event(text x, double waiting, std::size_t position,
                                     double taken) const {
    return sampler_.begin(token_batch{x}, symbols_.ordinary, [&](const uniform_request& r) {
      const double numbers[] = {waiting, (static_cast<double>(position) + 0.5) / 2, taken};
      return r.index < 3 ? numbers[r.index] : 1e-300;
    });
  }
  law outcomes(const sampler_type::progress& start, const text& x,
               const std::vector<double>& logits, std::size_t i) const {
    given_numbers numbers;
    numbers.position = i;
    return law_over(
        [&](const given_numbers& source) {
          text y = x;
          sampler_type::progress at = start;
          token_memory<double> memory;
          sampler_.step(at, token_batch{y}, logits_view<double>(logits, 2), source, memory);
          return y[i];
        },
        moves, numbers, symbols_.size());
  }

  alphabet symbols_;
  sampler_type sampler_;
  double clock_ = 0;
};

// p after dp / ds = p Q(s) for a time h, by collocation at n nodes.
Eigen::RowVectorXd after(const Eigen::RowVectorXd& start, double h, Eigen::Index n,
                         const auto& rates) {
  const Eigen::Index size = start.size();
  Eigen::MatrixXd powers(n, n), integrals(n, n);
  Eigen::RowVectorXd whole(n);
  Eigen::VectorXd nodes(n);
  for (Eigen::Index j = 0; j < n; ++j)
    nodes(j) =
        (1 - std::cos((2 * static_cast<double>(j) + 1) * std::acos(0.0) / static_cast<double>(n))) /
        2;
  for (Eigen::Index k = 0; k < n; ++k) {
    powers.col(k) = nodes.array().pow(static_cast<double>(k));
    integrals.col(k) = nodes.array().pow(static_cast<double>(k + 1)) / static_cast<double>(k + 1);
    whole(k) = 1 / static_cast<double>(k + 1);
  }
  const Eigen::MatrixXd inverse = powers.inverse();
  const Eigen::MatrixXd a = integrals * inverse;
  const Eigen::RowVectorXd b = whole * inverse;
  std::vector<Eigen::MatrixXd> q;
  for (Eigen::Index j = 0; j < n; ++j) q.push_back(rates(h * nodes(j)));
  Eigen::MatrixXd system = Eigen::MatrixXd::Identity(n * size, n * size);
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < n; ++j)
      system.block(j * size, i * size, size, size) -= h * a(i, j) * q[static_cast<std::size_t>(j)];
  const Eigen::RowVectorXd right = start.replicate(1, n);
  const Eigen::RowVectorXd at =
      system.transpose().partialPivLu().solve(right.transpose()).transpose();
  Eigen::RowVectorXd end = start;
  for (Eigen::Index j = 0; j < n; ++j)
    end += h * b(j) * at.segment(j * size, size) * q[static_cast<std::size_t>(j)];
  return end;
}

TEST(WholeRun, UniformisationIsExact) {
  for (const token_rates& rates : {absorbing_rates, uniform_rates}) {
    const uniformisation_events events(rates);
    const law start = noised_law(events.kernel(0), events.symbols());
    const double first = events.noise_at(0);
    const Eigen::RowVectorXd end = after(
        Eigen::Map<const Eigen::RowVectorXd>(start.data(), static_cast<Eigen::Index>(start.size())),
        first - events.noise_at(1), 10, [&](double gone) { return events.rates_at(first - gone); });
    const law noised(end.begin(), end.end()),
        exact = noised_law(events.kernel(1), events.symbols());
    // As much as collocation at ten nodes leaves.
    for (std::size_t n = 0; n < exact.size(); ++n) EXPECT_NEAR(noised[n], exact[n], 1e-9) << n;
    // The last step takes tokens one by one.
    law data(exact.size(), 0.0);
    for (std::size_t n = 0; n < exact.size(); ++n) {
      const std::vector<double> logits = exact_logits(pairs, events.kernel(1), events.symbols(),
                                                      text_of(n, 2, events.symbols().size()));
      std::vector<law> tokens(2, law(events.symbols().size(), 0.0));
      for (std::size_t k = 0; k < 4; ++k) tokens[k / 2][k % 2] = std::exp(logits[k]);
      add_product(tokens, exact[n], data);
    }
    expect_same(events.to_data(exact), data);
  }
}

}  // namespace
}  // namespace tweedie::discrete
