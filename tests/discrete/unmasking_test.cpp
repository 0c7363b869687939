// Filling masked tokens: every order against a naive implementation, resuming, splitting, refusals.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "refusal.hpp"
#include "tweedie/discrete/unmasking.hpp"

namespace tweedie::discrete::unmasking_test {
namespace {

constexpr token mask = 9;
constexpr std::size_t items = 3, length = 12, vocabulary = 10;

std::vector<float> logits_for(std::size_t step) {
  std::mt19937 engine(static_cast<unsigned>(step) + 17);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(items * length * vocabulary);
  for (float& x : logits) x = normal(engine);
  return logits;
}

std::vector<token> start() {
  std::vector<token> x(items * length, mask);
  for (std::size_t b = 0; b < items; ++b) x[b * length] = 1, x[b * length + 4 + b] = 2;
  return x;
}

// One step of one item in plain code: softmax without the mask, a draw, scores, the largest first.
void naive_step(std::vector<token>& x, std::size_t b, const std::vector<float>& logits,
                const unmasking& plan, std::size_t begin, std::size_t end,
                std::size_t masked_at_start, std::size_t in_block, std::uint32_t step) {
  const counter_uniform source{5};
  struct candidate {
    double score, entropy;
    std::size_t at;
    token choice;
  };
  std::vector<candidate> all;
  for (std::size_t i = begin; i < end; ++i) {
    const std::size_t r = b * length + i;
    if (x[r] != mask) continue;
    std::vector<double> p(vocabulary), hot(vocabulary);
    double sum = 0, hot_sum = 0;
    for (std::size_t k = 0; k < vocabulary; ++k) {
      if (static_cast<token>(k) == mask) continue;
      const double logit = static_cast<double>(logits[r * vocabulary + k]);
      p[k] = std::exp(logit);
      sum += p[k];
      if (plan.rule.temperature > 0) hot[k] = std::exp(logit / plan.rule.temperature);
      hot_sum += hot[k];
    }
    double entropy = 0;
    std::vector<double> sorted;
    for (double& v : p) {
      v /= sum;
      if (v > 0) entropy -= v * std::log(v);
      sorted.push_back(v);
    }
    std::sort(sorted.rbegin(), sorted.rend());
    std::size_t choice = static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());
    if (plan.rule.temperature > 0) {
      const double u = source({step, draw_use::choice, static_cast<std::uint32_t>(b), i});
      double cumulative = 0;
      for (choice = 0; choice < vocabulary; ++choice) {
        cumulative += hot[choice] / hot_sum;
        if (cumulative > u) break;
      }
    }
    double score = 0;
    switch (plan.order) {
      case unmasking_order::random:
        score = source({step, draw_use::order, static_cast<std::uint32_t>(b), i});
        break;
      case unmasking_order::confidence: score = p[choice]; break;
      case unmasking_order::margin: score = sorted[0] - sorted[1]; break;
      case unmasking_order::entropy: score = -entropy; break;
    }
    all.push_back({score, entropy, r, static_cast<token>(choice)});
  }
  std::sort(all.begin(), all.end(),
            [](const candidate& a, const candidate& c) { return a.score > c.score; });
  std::size_t count = plan.quota(masked_at_start, in_block, plan.steps);
  if (plan.entropy_bound) {
    count = 0;
    for (double sum = 0, most = 0; count < all.size(); ++count) {
      sum += all[count].entropy;
      most = std::max(most, all[count].entropy);
      if (sum - most > *plan.entropy_bound) break;
    }
  }
  for (std::size_t j = 0; j < std::min(count, all.size()); ++j) x[all[j].at] = all[j].choice;
}

std::size_t masked_in(const std::vector<token>& x, std::size_t b, std::size_t begin,
                      std::size_t end) {
  std::size_t n = 0;
  for (std::size_t i = begin; i < end; ++i) n += x[b * length + i] == mask;
  return n;
}

std::vector<unmasking> plans() {
  std::vector<unmasking> all;
  for (const unmasking_order order : {unmasking_order::random, unmasking_order::confidence,
                                      unmasking_order::margin, unmasking_order::entropy})
    for (const double temperature : {0.0, 0.7, 1.0}) {
      unmasking plan;
      plan.mask = mask;
      plan.order = order;
      plan.rule.temperature = temperature;
      plan.steps = 4;
      all.push_back(plan);
      plan.quota = cosine_quota;
      all.push_back(plan);
      plan.quota = even_quota;
      plan.block_length = 4;
      plan.steps = 3;
      all.push_back(plan);
      plan.entropy_bound = 1.5;
      all.push_back(plan);
    }
  return all;
}

// An item's tokens after each of its steps, in plain code.
std::vector<std::vector<token>> naive_run(std::size_t b, const unmasking& plan) {
  std::vector<token> x = start();
  std::vector<std::vector<token>> trace;
  const std::size_t block = plan.block_length == 0 ? length : plan.block_length;
  for (std::size_t begin = 0; begin < length; begin += block) {
    const std::size_t end = std::min(begin + block, length);
    const std::size_t masked = masked_in(x, b, begin, end);
    for (std::size_t k = 0; masked_in(x, b, begin, end) > 0; ++k) {
      const auto step = static_cast<std::uint32_t>(trace.size());
      naive_step(x, b, logits_for(step), plan, begin, end, masked, k, step);
      trace.emplace_back(x.begin() + static_cast<std::ptrdiff_t>(b * length),
                         x.begin() + static_cast<std::ptrdiff_t>((b + 1) * length));
    }
  }
  return trace;
}

TEST(Unmasking, EveryOrderIsTheNaiveOne) {
  for (const unmasking& plan : plans()) {
    std::vector<std::vector<std::vector<token>>> expected;
    for (std::size_t b = 0; b < items; ++b) expected.push_back(naive_run(b, plan));
    std::vector<token> x = start();
    token_sampling run(plan, token_batch{x, items}, vocabulary, counter_uniform{5});
    while (run.next()) {
      for (std::size_t b = 0; b < items && run.steps_done() > 0; ++b) {
        const std::size_t k = std::min(run.steps_done(), expected[b].size()) - 1;
        for (std::size_t i = 0; i < length; ++i)
          ASSERT_EQ(x[b * length + i], expected[b][k][i])
              << "order " << static_cast<int>(plan.order) << " step " << k;
      }
      const std::vector<float> logits = logits_for(run.steps_done());
      std::copy(logits.begin(), logits.end(), run.logits().begin());
    }
    EXPECT_EQ(std::count(x.begin(), x.end(), mask), 0);
    std::size_t most = 0;
    for (std::size_t b = 0; b < items; ++b) {
      most = std::max(most, expected[b].size());
      for (std::size_t i = 0; i < length; ++i) EXPECT_EQ(x[b * length + i], expected[b].back()[i]);
      EXPECT_EQ(run.network_time(b), 0);
    }
    EXPECT_EQ(run.steps_done(), most);
  }
}

TEST(Unmasking, QuotasFillEverything) {
  for (std::size_t masked = 0; masked < 40; ++masked)
    for (std::size_t steps = 1; steps < 12; ++steps)
      for (const unmasking_quota quota : {even_quota, cosine_quota}) {
        std::size_t sum = 0;
        for (std::size_t k = 0; k < steps; ++k) sum += quota(masked, k, steps);
        EXPECT_EQ(sum, masked);
      }
}

TEST(Unmasking, RefusesBadInputAndChangesNothing) {
  std::vector<token> x = start();
  const std::vector<token> before = x;
  unmasking plan;
  plan.mask = mask;
  std::vector<float> logits = logits_for(0);
  token_sampling run(plan, token_batch{x, items}, logits, vocabulary);
  ASSERT_TRUE(run.next());
  const auto next = [&] { return refusal([&] { run.next(); }); };
  logits[31 * vocabulary] = NAN;
  EXPECT_EQ(next(), "unmasking: a logit of row 31 = nan; valid: finite or -inf");
  logits[31 * vocabulary] = INFINITY;
  EXPECT_EQ(next(), "unmasking: a logit of row 31 = inf; valid: finite or -inf");
  std::fill(logits.begin() + 31 * vocabulary, logits.begin() + 32 * vocabulary, -INFINITY);
  EXPECT_EQ(next(), "unmasking: row 31 has nothing but -inf");
  EXPECT_EQ(x, before);
  EXPECT_EQ(run.steps_done(), 0u);
  std::ranges::copy(logits_for(0), logits.begin());
  x[0] = 10;
  EXPECT_EQ(next(), "unmasking: token at 0 = 10; valid: 0 ... 9, or the mask token 9");
  x[0] = 1;
  EXPECT_EQ(x, before);
  EXPECT_FALSE(run.next());  // mended, the step is done
  EXPECT_EQ(std::count(x.begin(), x.end(), mask), 0);

  x = before;
  const auto begin = [&](const unmasking& how) {
    return refusal([&] { token_sampling(how, token_batch{x, items}, logits, vocabulary); });
  };
  plan.mask = 8;
  EXPECT_EQ(begin(plan), "unmasking: mask = 8; valid: a token that is in the sequence");
  plan.mask = mask;
  plan.first = length;
  EXPECT_EQ(begin(plan), "unmasking: first = 12; valid: below the length, 12");
  plan.first = 0;
  plan.steps = 0;
  EXPECT_EQ(begin(plan), "unmasking: steps = 0; valid: at least 1");
  plan.steps = 1;
  plan.rule.temperature = -1;
  EXPECT_EQ(begin(plan), "unmasking: temperature = -1; valid: finite, at least 0");
  plan.rule.temperature = NAN;
  EXPECT_EQ(begin(plan), "unmasking: temperature = nan; valid: finite, at least 0");
  plan.rule.temperature = 1;
  plan.entropy_bound = -1;
  EXPECT_EQ(begin(plan), "unmasking: entropy_bound = -1; valid: at least 0");
  plan.entropy_bound = {};
  plan.quota = nullptr;
  EXPECT_EQ(begin(plan), "unmasking: there is no quota; valid: a function");
  plan.quota = even_quota;
  std::vector<token> nothing;
  EXPECT_EQ(refusal([&] { token_sampling(plan, token_batch{nothing}, vocabulary); }),
            "token_sampling: tokens = 0; valid: at least 1");
  logits.resize(10 * vocabulary);
  EXPECT_EQ(begin(plan), "token_sampling: logits = 100; valid: 360");
  EXPECT_EQ(refusal([&] {
              token_batch{x, 5};
            }),
            "token_batch: items = 5; valid: a divisor of the number of tokens, 36");
}

}  // namespace
}  // namespace tweedie::discrete::unmasking_test
