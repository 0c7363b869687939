// Runs of every sampler: one step's move against the law it stands for, the law of whole runs, the
// same tokens for any split of a batch and after resuming, and refusals.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

#include "discrete/samplers.hpp"
#include "refusal.hpp"
#include "tweedie/discrete.hpp"

namespace tweedie::discrete {
namespace {

// Logits of some distribution over all symbols.
std::vector<double> some_row(std::size_t n, double phase) {
  std::vector<double> row;
  for (std::size_t k = 0; k < n; ++k)
    row.push_back(2 * std::sin(3.7 * static_cast<double>(k) + phase));
  return row;
}

std::vector<double> clean_of(std::vector<double> row, const alphabet& symbols) {
  if (symbols.mask >= 0) row[static_cast<std::size_t>(symbols.mask)] = -INFINITY;
  std::vector<double> clean(row.size());
  log_softmax(std::span<const double>(row), std::span<double>(clean));
  for (double& p : clean) p = std::exp(p);
  return clean;
}

// A move as probabilities of all symbols.
std::vector<double> law_of(const token_move& move, const alphabet& symbols, token x,
                           const std::vector<double>& clean) {
  std::vector<double> law(clean.size(), 0.0);
  const auto own = static_cast<std::size_t>(x);
  const double others = 1 - clean[own];
  const double ordinary = static_cast<double>(symbols.ordinary) - (symbols.masked(x) ? 0 : 1);
  for (std::size_t y = 0; y < law.size(); ++y) {
    const bool mask = symbols.masked(static_cast<token>(y));
    if (y != own && !mask)
      law[y] = (others > 0 ? move.clean * clean[y] / others : 0) + move.uniform / ordinary;
    if (mask) law[y] += move.mask;
  }
  law[own] += move.stay;
  return law;
}

void expect_same(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << i;
}

struct corruption {
  token_rates rates;
  alphabet symbols;
};
const std::vector<corruption> corruptions = {{uniform_rates, {4, -1}},
                                             {absorbing_rates, {4, 4}},
                                             {absorbing_rates, {4, 1}},
                                             {{0.3, 0.7}, {4, 0}},
                                             {uniform_rates, {1, -1}}};

TEST(TokenMove, PosteriorIsTheReverseStep) {
  row_reader reader;
  for (const auto& [rates, symbols] : corruptions)
    for (const double share : {0.0, 0.4, 0.999}) {
      const std::vector<double> row = some_row(symbols.size(), share);
      const std::vector<double> clean = clean_of(row, symbols);
      const token_kernel to_s = kernel_of(rates, 0.9 * share),
                         step = kernel_of(rates, 0.9 * (1 - share));
      for (std::size_t x = 0; x < symbols.size(); ++x) {
        std::vector<double> expected(row.size());
        reverse(to_s, step, symbols, static_cast<token>(x), clean, expected);
        token_position<double> at(row.data(), row.size(), symbols, static_cast<token>(x), reader,
                                  "", 0);
        // In proportion: a network need not be certain of what stays for certain.
        const token_move move = posterior_move(to_s, step, symbols, at);
        const double whole = std::accumulate(expected.begin(), expected.end(), 0.0),
                     own = move.stay + move.clean + move.uniform + move.mask;
        std::vector<double> law = law_of(move, symbols, static_cast<token>(x), clean);
        for (std::size_t y = 0; y < law.size(); ++y) {
          law[y] /= own;
          expected[y] /= whole;
        }
        expect_same(law, expected, 1e-14);
      }
    }
}

TEST(TokenMove, RulesOfTheGridAreTheirVectors) {
  row_reader reader;
  for (const double share : {0.0, 0.5, 1.0}) {
    const alphabet masked{4, 2}, plain{4, -1};
    const auto times = even_times(4);
    const token_grid absorbing = make_token_grid(log_linear{}, absorbing_rates, masked, times);
    const token_grid uniform = make_token_grid(cosine_survival{}, uniform_rates, plain, times);
    for (std::size_t leg = 0; leg < 4; ++leg) {
      for (token x = 0; x < 5; ++x) {
        const std::vector<double> row = some_row(5, 0.3), clean = clean_of(row, masked);
        token_position<double> at(row.data(), 5, masked, x, reader, "", 0);
        const double alpha_t = absorbing.levels[leg].marginal.keep,
                     alpha_s = absorbing.levels[leg + 1].marginal.keep;
        std::vector<double> expected(5);
        remasking_weights(alpha_t, alpha_s, share * most_remasking(alpha_t, alpha_s), masked, x,
                          clean, expected);
        expect_same(law_of(remasking(absorbing, share).rule(absorbing, leg, at), masked, x, clean),
                    expected, 1e-14);
      }
      for (token x = 0; x < 4; ++x) {
        const std::vector<double> row = some_row(4, 0.3), clean = clean_of(row, plain);
        token_position<double> at(row.data(), 4, plain, x, reader, "", 0);
        const double alpha_t = uniform.levels[leg].marginal.keep,
                     alpha_s = uniform.levels[leg + 1].marginal.keep;
        std::vector<double> expected(4);
        ddim_weights(alpha_t, alpha_s, share * (1 - alpha_s) / (1 - alpha_t), x, clean, expected);
        expect_same(law_of(discrete_ddim(uniform, share).rule(uniform, leg, at), plain, x, clean),
                    expected, 1e-14);
      }
    }
  }
}

// R(x, y) = rate(t) Q(y, x) p_t(y) / p_t(x) with the ratios of the network's p(x_0 | x_t), or given.
TEST(TokenMove, RatesAreThoseOfTheRatios) {
  row_reader reader;
  for (const auto& [rates, symbols] : corruptions) {
    const std::size_t n = symbols.size();
    const token_grid grid = make_token_grid(log_linear{}, rates, symbols, std::vector{0.7, 0.6});
    const token_level& t = grid.levels[0];
    for (std::size_t x = 0; x < n; ++x) {
      const auto own = static_cast<token>(x);
      std::vector<double> row = some_row(n, 1);
      const std::vector<double> clean = clean_of(row, symbols);
      std::vector<double> ratios(n, 0.0), expected(n), law(n), leap(n);
      for (std::size_t y = 0; y < n; ++y)
        for (std::size_t x_0 = 0; x_0 < n; ++x_0) {
          const double reached = probability(t.marginal, symbols, static_cast<token>(x_0), own);
          if (!symbols.masked(static_cast<token>(x_0)) && reached > 0)
            ratios[y] +=
                clean[x_0] / reached *
                probability(t.marginal, symbols, static_cast<token>(x_0), static_cast<token>(y));
        }
      const double rate_now = log_linear{}.rate(0.7);
      for (const rate_network network : {rate_network::clean, rate_network::log_ratios}) {
        std::vector<double> s = ratios;
        if (network == rate_network::log_ratios)
          for (std::size_t y = 0; y < n; ++y) s[y] = std::exp(row[y]);
        reverse_rates(rates, symbols, own, s, expected);
        for (double& r : expected) r *= rate_now;
        token_position<double> at(row.data(), n, symbols, own, reader, "", 0);
        const token_move move = reverse_rates(grid, t, network, at);
        token_move jumps = move;
        jumps.stay = expected[x];
        expect_same(law_of(jumps, symbols, own, clean), expected, 1e-13);
        leap_law(expected, own, 0.1, leap);
        expect_same(law_of(tau_leaping(grid, network).rule(grid, 0, at), symbols, own, clean), leap,
                    1e-14);
      }
    }
  }
}

const joint_table two_letters(2, 3, {0.2, 0.05, 0.1, 0.02, 0.13, 0.25, 0.1, 0.05, 0.1});

// The exact p(x_0 | x_t) of every item at the time it stands at.
struct exact_network {
  const joint_table& table;
  token_rates rates;
  alphabet symbols;
  std::function<double(double)> total;

  template <class Run>
  void operator()(Run& run) const {
    const std::size_t length = table.length(), n = table.vocabulary();
    std::vector<double> p(length * n);
    std::vector<token> x(length);
    // Under masks alone the time tells nothing.
    std::vector<std::vector<double>> known(rates.uniform == 0 ? 16 : 0);
    for (std::size_t item = 0; item * length < run.tokens().size(); ++item) {
      std::size_t number = 0;
      for (std::size_t i = 0; i < length; ++i) {
        x[i] = run.tokens()[item * length + i];
        number = 4 * number + static_cast<std::size_t>(x[i]);
      }
      if (known.empty() || known[number].empty()) {
        const token_kernel to_t =
            known.empty() ? kernel_of(rates, total(run.network_time(item))) : absorbing_kernel(0.5);
        table.posterior(evidence_of(to_t, symbols, x), p);
        for (double& v : p) v = std::log(v);
        if (!known.empty()) known[number] = p;
      }
      const std::vector<double>& row = known.empty() ? p : known[number];
      for (std::size_t k = 0; k < p.size(); ++k)
        run.logits()[item * p.size() + k] = static_cast<float>(row[k]);
    }
  }
};

template <class Run, class Network>
void drive(Run& run, const Network& network) {
  while (run.next()) network(run);
}

// Shares of texts after a run of many items.
template <class Sampler>
std::vector<double> shares(const Sampler& sampler, const joint_table& table,
                           const token_rates& rates, const alphabet& symbols,
                           const std::function<double(double)>& total, std::size_t items) {
  const std::size_t length = table.length(), n = table.vocabulary();
  std::vector<token> x(items * length, 0);
  const counter_uniform source{11};
  const token_kernel start = kernel_of(rates, total(1));
  // Data, corrupted as at the start: exact samplers then end at data's law.
  for (std::size_t item = 0; item < items; ++item) {
    const std::vector<token> text = table.text(invert_distribution(
        table.probabilities(), (static_cast<double>(item) + 0.5) / static_cast<double>(items)));
    std::copy(text.begin(), text.end(), x.begin() + static_cast<std::ptrdiff_t>(item * length));
  }
  corrupt(token_batch{x, items}, std::span(&start, 1), symbols, counter_uniform{12});
  token_sampling run(sampler, token_batch{x, items}, n, source);
  drive(run, exact_network{table, rates, symbols, total});
  std::vector<double> all(table.probabilities().size(), 0.0);
  for (std::size_t item = 0; item < items; ++item) {
    std::size_t number = 0;
    for (std::size_t i = 0; i < length; ++i)
      number = number * n + static_cast<std::size_t>(x[item * length + i]);
    all[number] += 1 / static_cast<double>(items);
  }
  return all;
}

void expect_law(const std::vector<double>& found, const std::vector<double>& law,
                std::size_t items) {
  for (std::size_t k = 0; k < law.size(); ++k)
    EXPECT_NEAR(found[k], law[k],
                4.5 * std::sqrt(law[k] * (1 - law[k]) / static_cast<double>(items)))
        << k;
}

const joint_table one_letter(1, 3, {0.6, 0.1, 0.3});

// Of one token every posterior is exact, whatever the number of steps.
TEST(TokenSampling, ExactSamplersOfOneTokenHaveDatasLaw) {
  constexpr std::size_t items = 4000;
  const auto times = even_times(5);
  const auto total = [](double t) { return log_linear{}.total(t); };
  const alphabet masked{3, 3}, plain{3, -1};
  const token_rates hybrid{0.4, 0.6};
  const auto check = [&](const auto& sampler, const token_rates& rates, const alphabet& symbols) {
    expect_law(shares(sampler, one_letter, rates, symbols, total, items),
               one_letter.probabilities(), items);
  };
  const auto grid = [&](const token_rates& rates, const alphabet& symbols) {
    return make_token_grid(log_linear{}, rates, symbols, times);
  };
  check(ancestral(grid(absorbing_rates, masked)), absorbing_rates, masked);
  check(ancestral(grid(uniform_rates, plain)), uniform_rates, plain);
  check(ancestral(grid(hybrid, masked)), hybrid, masked);
  check(remasking(grid(absorbing_rates, masked), 1), absorbing_rates, masked);
  check(remasking(grid(absorbing_rates, masked), 1, 0.1), absorbing_rates, masked);
  check(discrete_ddim(grid(uniform_rates, plain), 0.5), uniform_rates, plain);
  check(uniformisation(log_linear{}, absorbing_rates, masked, times), absorbing_rates, masked);
  check(uniformisation(log_linear{}, uniform_rates, plain, times), uniform_rates, plain);
  check(uniformisation(log_linear{}, hybrid, masked, times), hybrid, masked);
  check(first_hitting(log_linear{}, masked), absorbing_rates, masked);
}

// Of dependent tokens only those that change one at a time are.
TEST(TokenSampling, UniformisationAndFirstHittingAreExactForDependentTokens) {
  constexpr std::size_t items = 4000;
  const auto total = [](double t) { return log_linear{}.total(t); };
  expect_law(shares(first_hitting(log_linear{}, {3, 3}), two_letters, absorbing_rates, {3, 3},
                    total, items),
             two_letters.probabilities(), items);
  const std::vector<double> ancestral_shares =
      shares(ancestral(make_token_grid(log_linear{}, absorbing_rates, {3, 3}, even_times(1))),
             two_letters, absorbing_rates, {3, 3}, total, items);
  // One step is the product of the marginals: this test can tell.
  EXPECT_GT(std::abs(ancestral_shares[0] - two_letters.probabilities()[0]), 0.02);
  // To the end of its last segment uniformisation is exact; the last step is not, and short here.
  std::vector<double> late;
  for (double t = 1; t > 0.01; t /= 1.5) late.push_back(t);
  late.push_back(0);
  for (const bool uniform : {false, true})
    expect_law(shares(uniformisation(log_linear{}, uniform ? uniform_rates : absorbing_rates,
                                     {3, uniform ? -1 : 3}, late),
                      two_letters, uniform ? uniform_rates : absorbing_rates, {3, uniform ? -1 : 3},
                      total, items),
               two_letters.probabilities(), items);
}

// Leaps draw their computed law: of one token, step by step.
TEST(TokenSampling, LeapsDrawTheirLaw) {
  constexpr std::size_t items = 4000;
  const alphabet plain{3, -1};
  const auto total = [](double t) { return linear_noise{0, 2}.total(t); };
  const token_grid grid = make_token_grid(linear_noise{0, 2}, uniform_rates, plain, even_times(3));
  const auto marginal = [&](double t) {
    std::vector<double> p(3);
    for (std::size_t y = 0; y < 3; ++y)
      for (std::size_t x = 0; x < 3; ++x)
        p[y] += one_letter.probabilities()[x] * probability(kernel_of(uniform_rates, total(t)),
                                                            plain, static_cast<token>(x),
                                                            static_cast<token>(y));
    return p;
  };
  const auto rates_at = [&](double t, std::size_t x) {
    const std::vector<double> p = marginal(t);
    std::vector<double> ratios(3), r(3);
    for (std::size_t y = 0; y < 3; ++y) ratios[y] = p[y] / p[x];
    reverse_rates(uniform_rates, plain, static_cast<token>(x), ratios, r);
    for (double& v : r) v *= 2;
    return r;
  };
  const auto posterior = [&](double t, double s, std::size_t x) {  // exact
    std::vector<double> law(3);
    const std::vector<double> p_s = marginal(s), p_t = marginal(t);
    const token_kernel step = kernel_of(uniform_rates, total(t) - total(s));
    for (std::size_t y = 0; y < 3; ++y)
      law[y] =
          p_s[y] * probability(step, plain, static_cast<token>(y), static_cast<token>(x)) / p_t[x];
    return law;
  };
  std::vector<double> leaps = marginal(1), trapezoids = leaps, law(3), second(3), mixed(3);
  for (std::size_t leg = 0; leg < 3; ++leg) {
    const double t = grid.levels[leg].time, s = grid.levels[leg + 1].time, theta = 0.3;
    std::vector<double> next(3), next_trapezoid(3);
    for (std::size_t x = 0; x < 3; ++x) {
      if (leg == 2)
        law = posterior(t, s, x);
      else
        leap_law(rates_at(t, x), static_cast<token>(x), t - s, law);
      for (std::size_t y = 0; y < 3; ++y) next[y] += leaps[x] * law[y];
      if (leg == 2) {
        for (std::size_t y = 0; y < 3; ++y) next_trapezoid[y] += trapezoids[x] * law[y];
        continue;
      }
      leap_law(rates_at(t, x), static_cast<token>(x), theta * (t - s), law);
      for (std::size_t z = 0; z < 3; ++z) {
        trapezoidal_rates(theta, rates_at(t, x), static_cast<token>(x),
                          rates_at(t - theta * (t - s), z), static_cast<token>(z), mixed);
        leap_law(mixed, static_cast<token>(z), (1 - theta) * (t - s), second);
        for (std::size_t y = 0; y < 3; ++y) next_trapezoid[y] += trapezoids[x] * law[z] * second[y];
      }
    }
    leaps = next;
    trapezoids = next_trapezoid;
  }
  expect_law(shares(tau_leaping(grid), one_letter, uniform_rates, plain, total, items), leaps,
             items);
  expect_law(shares(trapezoidal(linear_noise{0, 2}, uniform_rates, plain, even_times(3), 0.3),
                    one_letter, uniform_rates, plain, total, items),
             trapezoids, items);
}

using namespace small_batch;

TEST(TokenSampling, IsTheSameForAnySplitAndAfterResuming) {
  for_each_sampler([](const char* name, const auto& sampler, const alphabet& symbols) {
    SCOPED_TRACE(name);
    std::vector<token> x = start_of<token>(symbols);
    token_sampling run(sampler, token_batch{x, items}, vocabulary, counter_uniform{3});
    drive(run, [](auto& r) { some_network(r); });
    EXPECT_TRUE(run.finished());
    if (symbols.mask == 5) {
      EXPECT_EQ(std::count(x.begin(), x.end(), 5), 0);
    }
    EXPECT_FALSE(run.next());  // nothing more happens
    std::size_t steps = 0;
    for (std::uint32_t item = 0; item < items; ++item) {
      std::vector<token> all = start_of<token>(symbols);
      std::vector<token> own(all.begin() + item * length, all.begin() + (item + 1) * length);
      token_sampling alone(sampler, token_batch{own, 1, item}, vocabulary, counter_uniform{3});
      // Every step in a run of its own.
      while (alone.next()) {
        const auto saved = alone.saved();
        std::vector<token> copy(length, 0);
        if (symbols.mask >= 0) copy[0] = symbols.mask;
        token_sampling again(sampler, token_batch{copy, 1, item}, vocabulary, counter_uniform{3});
        again.resume(saved);
        ASSERT_TRUE(again.next());
        EXPECT_EQ(copy, own);
        some_network(again);
        some_network(alone);
        again.next();
        const std::vector<token> after = copy;
        alone.next();
        EXPECT_EQ(own, after);
        alone.resume(again.saved());
      }
      steps = std::max(steps, alone.steps_done());
      for (std::size_t i = 0; i < length; ++i) EXPECT_EQ(own[i], x[item * length + i]) << item;
    }
    EXPECT_EQ(steps, run.steps_done());
  });
}

TEST(TokenSampling, TakesWiderTokensAndNarrowerLogits) {
  for_each_sampler([](const char* name, const auto& sampler, const alphabet& symbols) {
    SCOPED_TRACE(name);
    std::vector<token> x = start_of<token>(symbols);
    std::vector<std::int64_t> wide = start_of<std::int64_t>(symbols);
    std::vector<float16> a(x.size() * vocabulary), b(a);
    token_sampling run(sampler, token_batch{x, items}, a, vocabulary, counter_uniform{3});
    token_sampling other(sampler, token_batch{wide, items}, b, vocabulary, counter_uniform{3});
    drive(run, [](auto& r) { some_network(r); });
    drive(other, [](auto& r) { some_network(r); });
    EXPECT_EQ(std::vector<std::int64_t>(x.begin(), x.end()), wide);
    EXPECT_EQ(static_cast<const void*>(other.logits().data()), static_cast<const void*>(b.data()));
  });
}

TEST(TokenSampling, RefusesBadInputAndChangesNothing) {
  for_each_sampler([](const char* name, const auto& sampler, const alphabet& symbols) {
    SCOPED_TRACE(name);
    std::vector<token> x = start_of<token>(symbols);
    token_sampling run(sampler, token_batch{x, items}, vocabulary, counter_uniform{3});
    std::vector<token> reference = x;
    token_sampling good(sampler, token_batch{reference, items}, vocabulary, counter_uniform{3});
    while (run.next()) {
      ASSERT_TRUE(good.next());
      some_network(good);
      const std::vector<token> before = x;
      for (const float bad : {NAN, -INFINITY, INFINITY}) {
        // Where a row decides nothing it is not read, and the step is done.
        const auto saved = run.saved();
        std::fill(run.logits().begin(), run.logits().end(), bad);
        const std::string message = refusal([&] { run.next(); });
        if (message.empty()) {
          run.resume(saved);
          ASSERT_TRUE(run.next());
          continue;
        }
        EXPECT_TRUE(message.find("nan; valid: finite or -inf") != std::string::npos ||
                    message.find("inf; valid: finite or -inf") != std::string::npos ||
                    message.find("has nothing but -inf") != std::string::npos)
            << message;
        EXPECT_EQ(x, before);
      }
      some_network(run);
      const token was = x[7];
      x[7] = 99;
      EXPECT_NE(refusal([&] { run.next(); }).find("token at 7 = 99; valid: 0 ... "),
                std::string::npos);
      x[7] = was;
      EXPECT_EQ(x, before);
    }
    EXPECT_FALSE(good.next());
    EXPECT_EQ(x, reference);
    x[3] = -2;
    EXPECT_NE(refusal([&] {
                token_sampling(sampler, token_batch{x, items}, vocabulary);
              }).find("token at 3 = -2"),
              std::string::npos);
  });
}

// No tokens are refused; one ordinary token is all that a vocabulary of one can give.
TEST(TokenSampling, TakesVocabulariesOfOneButNoEmptyBatch) {
  static const transition_chain chain({nearest_neighbour_matrix(1, 0.4)});
  const auto expect_zeros = [](const char* name, const auto& sampler, const alphabet& symbols) {
    SCOPED_TRACE(name);
    std::vector<token> x(4, symbols.mask < 0 ? 0 : symbols.mask);
    token_sampling run(sampler, token_batch{x, 2}, 1, counter_uniform{4});
    while (run.next()) std::fill(run.logits().begin(), run.logits().end(), 0.5f);
    EXPECT_EQ(x, std::vector<token>(4, 0));
    std::vector<token> none;
    EXPECT_EQ(refusal([&] { token_sampling(sampler, token_batch{none}, 1); }),
              "token_sampling: tokens = 0; valid: at least 1");
  };
  for_each_sampler(1, chain, expect_zeros);
  const alphabet plain{1, -1};
  expect_zeros("leaps, uniform",
               tau_leaping(make_token_grid(log_linear{}, uniform_rates, plain, even_times(3))),
               plain);
  for (const unmasking_order order : {unmasking_order::random, unmasking_order::confidence,
                                      unmasking_order::margin, unmasking_order::entropy})
    for (const token_rule& rule : {token_rule{}, token_rule{.temperature = 0},
                                   token_rule{.top_k = 3, .top_p = 0.5, .judged_as_drawn = true},
                                   token_rule{.temperature = 0.5, .by_gumbel = true}})
      expect_zeros("unmasking", unmasking{.mask = 1, .steps = 2, .order = order, .rule = rule},
                   alphabet{1, 1});
}

TEST(TokenSampling, SaysWhatDoesNotFit) {
  const alphabet masked{5, 5}, plain{5, -1};
  const auto times = even_times(4);
  const token_grid absorbing = make_token_grid(log_linear{}, absorbing_rates, masked, times);
  const token_grid uniform = make_token_grid(log_linear{}, uniform_rates, plain, times);
  EXPECT_EQ(refusal([&] { remasking(uniform); }),
            "remasking: uniform = 0.999; valid: 0, absorbing corruption");
  EXPECT_EQ(refusal([&] { remasking(absorbing, 1.5); }), "remasking: share = 1.5; valid: 0 ... 1");
  EXPECT_EQ(refusal([&] { discrete_ddim(absorbing); }),
            "discrete_ddim: mask = 0.999; valid: 0, uniform corruption");
  EXPECT_EQ(refusal([&] {
              make_token_grid(log_linear{}, uniform_rates, plain, std::vector{0.5, 0.5});
            }),
            "make_token_grid: time = 0.5; valid: times that fall");
  EXPECT_EQ(refusal([&] { make_token_grid(log_linear{}, absorbing_rates, plain, times); }),
            "make_token_grid: mask = -1; valid: a token where tokens are masked");
  EXPECT_EQ(
      refusal([&] { tau_leaping(make_token_grid(log_linear{0}, uniform_rates, plain, times)); }),
      "tau_leaping: survival at time 1 = 0; valid: above 0, unless tokens are only masked, with "
      "a finite slope");
  EXPECT_EQ(refusal([&] { uniformisation(log_linear{0}, absorbing_rates, masked, times); }),
            "uniformisation: survival at the first time = 0; valid: above 0");
  EXPECT_EQ(refusal([&] { trapezoidal(log_linear{}, absorbing_rates, masked, times, 1); }),
            "trapezoidal: theta = 1; valid: in (0, 1)");
  EXPECT_EQ(refusal([&] { first_hitting(log_linear{}, plain); }),
            "first_hitting: mask = -1; valid: a token");
  EXPECT_EQ(refusal([] {
              discrete_flow(polynomial_path{1}, {0, 1}, 0.5);
            }),
            "jump_rates: t = 0; valid with c > 0: where kappa > 0");
  EXPECT_EQ(refusal([] { even_times(0); }), "even_times: steps = 0; valid: at least 1");
  std::vector<token> x(4, 5);
  EXPECT_EQ(refusal([&] { token_sampling(ancestral(absorbing), token_batch{x}, 4); }),
            "ancestral: vocabulary = 4; valid: 6");
}

// No step or bound makes a table of vocabulary x vocabulary: it would not fit.
TEST(TokenSampling, TakesLargeVocabularies) {
  constexpr std::size_t large = 150'000;
  std::vector<float> row(2 * large, 0.f);
  row[77'777] = row[large + 149'999] = 60;
  const auto last_of = [&](const auto& sampler, token start) {
    std::vector<token> x(2, start);
    token_sampling run(sampler, token_batch{x}, row, large, counter_uniform{1});
    while (run.next()) continue;
    return x;
  };
  const std::vector<token> likely = {77'777, 149'999};
  const alphabet masked{large, large}, plain{large, -1};
  const std::vector<double> times = even_times(3);
  EXPECT_EQ(last_of(unmasking{.mask = large}, large), likely);
  EXPECT_EQ(
      last_of(ancestral(make_token_grid(log_linear{}, absorbing_rates, masked, times)), large),
      likely);
  EXPECT_EQ(last_of(ancestral(make_token_grid(log_linear{}, uniform_rates, plain, times)), 5),
            likely);
  EXPECT_EQ(last_of(tau_leaping(make_token_grid(log_linear{}, uniform_rates, plain, times)), 5),
            likely);
  EXPECT_EQ(last_of(first_hitting(log_linear{}, masked), large), likely);
  EXPECT_EQ(last_of(discrete_flow(polynomial_path{1}, {0, 0.5, 1}), 5), likely);
  const std::vector<double> logits(row.begin(), row.begin() + large);
  std::vector<double> gradient(large, 0.0);
  EXPECT_NEAR(
      step_bound(uniform_kernel(0.5), uniform_kernel(0.9), plain, 5, 77'777, logits, 1, gradient),
      0, 1e-9);
}

// Masks alone need no finite noise at the start: LLaDA's alpha = 1 - t from t = 1.
TEST(TokenSampling, StartsWhereNothingSurvives) {
  const alphabet masked{5, 5};
  for (const auto& run_of :
       {std::function([&](std::vector<token>& x) {
          token_sampling run(
              tau_leaping(make_token_grid(log_linear{0}, absorbing_rates, masked, even_times(4))),
              token_batch{x, items}, vocabulary);
          drive(run, [](auto& r) { some_network(r); });
        }),
        std::function([&](std::vector<token>& x) {
          token_sampling run(first_hitting(log_linear{0}, masked), token_batch{x, items},
                             vocabulary);
          drive(run, [](auto& r) { some_network(r); });
        })}) {
    std::vector<token> x(items * length, 5);
    run_of(x);
    EXPECT_EQ(std::count(x.begin(), x.end(), 5), 0);
  }
  EXPECT_EQ(unmasking_weight(log_linear{0}, 1), 1);
}

}  // namespace
}  // namespace tweedie::discrete
