// Filling masked tokens: every order against a naive implementation, resuming, splitting, refusals.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "refusal.hpp"
#include "tweedie/discrete/unmasking.hpp"

namespace tweedie::discrete {
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

// One step in plain code: softmax without the mask, a draw, scores, the largest first.
std::vector<token> naive_step(std::vector<token> x, const std::vector<float>& logits,
                              const unmasking_plan& plan, std::size_t begin, std::size_t end,
                              const std::vector<std::size_t>& masked_at_start, std::size_t in_block,
                              std::uint32_t step) {
  const counter_uniform source{5};
  const std::vector<token> before = x;
  for (std::size_t b = 0; b < items; ++b) {
    struct candidate {
      double score, entropy;
      std::size_t at;
      token choice;
    };
    std::vector<candidate> all;
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t r = b * length + i;
      if (before[r] != mask) continue;
      std::vector<double> p(vocabulary), hot(vocabulary);
      double sum = 0, hot_sum = 0;
      for (std::size_t k = 0; k < vocabulary; ++k) {
        if (static_cast<token>(k) == mask) continue;
        p[k] = std::exp(static_cast<double>(logits[r * vocabulary + k]));
        sum += p[k];
        if (plan.rule.temperature > 0)
          hot[k] =
              std::exp(static_cast<double>(logits[r * vocabulary + k]) / plan.rule.temperature);
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
      std::size_t choice =
          static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());
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
    std::size_t count = plan.quota(masked_at_start[b], in_block, plan.steps);
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
  return x;
}

std::vector<std::size_t> masked_in(const std::vector<token>& x, std::size_t begin,
                                   std::size_t end) {
  std::vector<std::size_t> counts;
  for (std::size_t b = 0; b < items; ++b) {
    std::size_t n = 0;
    for (std::size_t i = begin; i < end; ++i) n += x[b * length + i] == mask;
    counts.push_back(n);
  }
  return counts;
}

std::vector<unmasking_plan> plans() {
  std::vector<unmasking_plan> all;
  for (const unmasking_order order : {unmasking_order::random, unmasking_order::confidence,
                                      unmasking_order::margin, unmasking_order::entropy})
    for (const double temperature : {0.0, 0.7, 1.0}) {
      unmasking_plan plan;
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

TEST(Unmasking, EveryOrderIsTheNaiveOne) {
  for (const unmasking_plan& plan : plans()) {
    std::vector<token> x = start(), expected = x;
    unmasking run({x, items}, plan);
    const std::size_t block = plan.block_length == 0 ? length : plan.block_length;
    std::uint32_t step = 0;
    for (std::size_t begin = 0; begin < length; begin += block) {
      const std::size_t end = std::min(begin + block, length);
      const std::vector<std::size_t> masked = masked_in(expected, begin, end);
      for (std::size_t in_block = 0;; ++in_block) {
        const std::vector<std::size_t> now = masked_in(expected, begin, end);
        const bool open = std::accumulate(now.begin(), now.end(), std::size_t{0}) > 0;
        if (plan.entropy_bound ? !open : in_block == plan.steps) break;
        const std::vector<float> logits = logits_for(step);
        expected = naive_step(expected, logits, plan, begin, end, masked, in_block, step);
        ASSERT_FALSE(run.finished());
        run.step(logits_view<float>(logits, vocabulary), counter_uniform{5});
        ASSERT_EQ(x, expected) << "order " << static_cast<int>(plan.order) << " step " << step;
        ++step;
      }
    }
    EXPECT_TRUE(run.finished());
    EXPECT_EQ(std::count(x.begin(), x.end(), mask), 0);
  }
}

// A batch in parts, and a run that stops and resumes, give the same tokens.
TEST(Unmasking, SplitsAndResumesWithTheSameTokens) {
  for (unmasking_plan plan : plans()) {
    if (plan.entropy_bound) continue;  // the number of steps is the batch's there
    std::vector<token> x = start();
    unmasking run({x, items}, plan);
    for (std::size_t k = 0; !run.finished(); ++k)
      run.step(logits_view<float>(logits_for(k), vocabulary), counter_uniform{5});
    for (std::size_t b = 0; b < items; ++b) {
      std::vector<token> all = start();
      std::vector<token> own(all.begin() + static_cast<std::ptrdiff_t>(b * length),
                             all.begin() + static_cast<std::ptrdiff_t>((b + 1) * length));
      plan.first_item = static_cast<std::uint32_t>(b);
      unmasking alone({own, 1}, plan);
      for (std::size_t k = 0; !alone.finished(); ++k) {
        const std::vector<float> logits = logits_for(k);
        const saved_unmasking saved = alone.saved();
        std::vector<token> copy = own;
        unmasking again({copy, 1}, plan);
        again.resume(saved);
        const logits_view<float> view(
            std::span(logits.data() + b * length * vocabulary, length * vocabulary), vocabulary);
        alone.step(view, counter_uniform{5});
        again.step(view, counter_uniform{5});
        ASSERT_EQ(copy, own);
      }
      for (std::size_t i = 0; i < length; ++i) ASSERT_EQ(own[i], x[b * length + i]);
    }
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
  unmasking_plan plan;
  plan.mask = mask;
  unmasking run({x, items}, plan);
  std::vector<float> logits = logits_for(0);
  const auto step = [&] {
    return refusal([&] { run.step(logits_view<float>(logits, vocabulary), counter_uniform{}); });
  };
  logits[31 * vocabulary] = NAN;
  EXPECT_EQ(step(), "unmasking::step: a logit of row 31 = nan; valid: finite or -inf");
  std::fill(logits.begin() + 31 * vocabulary, logits.begin() + 32 * vocabulary, -INFINITY);
  EXPECT_EQ(step(), "unmasking::step: row 31 has nothing but -inf");
  EXPECT_EQ(x, before);
  logits = logits_for(0);
  x[0] = 10;
  EXPECT_EQ(step(), "unmasking::step: token at 0 = 10; valid: 0 ... 9, or the mask token 9");
  x[0] = 1;
  EXPECT_EQ(x, before);
  logits.resize(10 * vocabulary);
  EXPECT_EQ(step(), "unmasking::step: logits' rows = 10; valid: 36");
  plan.mask = 8;
  EXPECT_EQ(refusal([&] {
              unmasking({x, items}, plan);
            }),
            "unmasking: mask = 8; valid: a token that is in the sequence");
  plan.mask = mask;
  plan.steps = 0;
  EXPECT_EQ(refusal([&] {
              unmasking({x, items}, plan);
            }),
            "unmasking: steps = 0; valid: at least 1");
  plan.steps = 1;
  plan.rule.temperature = -1;
  EXPECT_EQ(refusal([&] {
              unmasking({x, items}, plan);
            }),
            "unmasking: temperature = -1; valid: at least 0");
}

}  // namespace
}  // namespace tweedie::discrete
