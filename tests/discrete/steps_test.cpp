// Steps that draw: against the laws they draw from, for any split of a batch, and refusing bad input.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "refusal.hpp"
#include "tweedie/discrete/ancestral.hpp"
#include "tweedie/discrete/chain_bound.hpp"
#include "tweedie/discrete/flow_matching.hpp"
#include "tweedie/discrete/guidance.hpp"
#include "tweedie/discrete/masked_bound.hpp"
#include "tweedie/discrete/rates.hpp"
#include "tweedie/discrete/score_entropy.hpp"
#include "tweedie/discrete/unmasking.hpp"

namespace tweedie::discrete {
namespace {

const alphabet symbols{3, 3};
const token_kernel to_s{0.5, 0.2, 0.3}, step{0.6, 0.1, 0.3};
const std::vector<double> row = {0.3, -0.7, 1.2, 5.0};

// Equidistant numbers draw each token as often as its weight says, up to one.
TEST(AncestralStep, DrawsTheReverseLaw) {
  constexpr std::size_t draws = 1 << 12;
  std::vector<double> clean(4), weights(4), three(row.begin(), row.end());
  three[3] = -INFINITY;  // a clean token is no mask, whatever the network says
  log_softmax(std::span<const double>(three), std::span<double>(clean));
  for (double& p : clean) p = std::exp(p);
  for (const token x_t : {0, 2, 3}) {
    reverse(to_s, step, symbols, x_t, clean, weights);
    double whole = 0;
    for (const double w : weights) whole += w;
    std::vector<token> x(draws, x_t);
    std::vector<double> logits;
    for (std::size_t i = 0; i < draws; ++i) logits.insert(logits.end(), row.begin(), row.end());
    ancestral_step(
        token_batch{x, 1}, logits_view<double>(logits, 4), symbols, to_s, step,
        [&](const uniform_request& r) { return (static_cast<double>(r.index) + 0.5) / draws; }, 0);
    for (std::size_t y = 0; y < 4; ++y) {
      const auto count = std::count(x.begin(), x.end(), static_cast<token>(y));
      EXPECT_NEAR(static_cast<double>(count), draws * weights[y] / whole, 1.001);
    }
  }
}

TEST(AncestralStep, IsTheSameForAnySplitAndRefusesBadInput) {
  const std::vector<token> start = {0, 3, 2, 3, 1, 3};
  std::vector<double> logits;
  for (std::size_t i = 0; i < 24; ++i) logits.push_back(std::sin(static_cast<double>(i)));
  std::vector<token> x = start;
  const counter_uniform source{3};
  ancestral_step(token_batch{x, 2}, logits_view<double>(logits, 4), symbols, to_s, step, source, 7);
  for (std::uint32_t item = 0; item < 2; ++item) {
    std::vector<token> own(start.begin() + item * 3, start.begin() + item * 3 + 3);
    ancestral_step(token_batch{own, 1, item},
                   logits_view<double>({logits.data() + item * 12, 12}, 4), symbols, to_s, step,
                   source, 7);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(own[i], x[item * 3 + i]);
  }
  std::vector<token> bad = start;
  logits[20] = NAN;
  EXPECT_EQ(refusal([&] {
              ancestral_step(token_batch{bad, 2}, logits_view<double>(logits, 4), symbols, to_s,
                             step, source, 7);
            }),
            "reverse_step: a logit of row 5 = nan; valid: finite or -inf");
  EXPECT_EQ(bad, start);
  bad[1] = 4;
  EXPECT_EQ(refusal([&] {
              ancestral_step(token_batch{bad, 2}, logits_view<double>(logits, 4), symbols, to_s,
                             step, source, 7);
            }),
            "reverse_step: token at 1 = 4; valid: 0 ... 3");
}

// The law of an Euler step, from equidistant numbers for target and jump: P(y) = p(y) (1 - e^-h u).
TEST(FlowStep, DrawsItsLaw) {
  constexpr std::size_t side = 64;
  const std::vector<double> p = {0.25, 0.5, 0.25};
  const flow_jumps rates = jump_rates(polynomial_path{1}, 0.5);
  const double h = std::log(2) / rates.toward;  // jumps with probability 1/2
  std::vector<token> x(side * side, 0);
  std::vector<double> logits;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (const double v : p) logits.push_back(std::log(v));
  const auto source = [](const uniform_request& r) {
    const std::size_t part = r.use == draw_use::choice ? r.index / side : r.index % side;
    return (static_cast<double>(part) + 0.5) / side;
  };
  flow_step(token_batch{x}, logits_view<double>(logits, 3), rates, h, false, source, 0);
  EXPECT_EQ(std::count(x.begin(), x.end(), 1), side * side / 4);
  EXPECT_EQ(std::count(x.begin(), x.end(), 2), side * side / 8);
  flow_step(token_batch{x}, logits_view<double>(logits, 3), rates, h, true, source, 0);
  EXPECT_EQ(std::count(x.begin(), x.end(), 1), side * side / 2);
  EXPECT_EQ(refusal([] { jump_rates(polynomial_path{1}, 0, 0.5); }),
            "jump_rates: t = 0; valid with c > 0: where kappa > 0");
  EXPECT_EQ(refusal([] { arrival_rate(polynomial_path{1}, 1); }),
            "arrival_rate: t = 1; valid: where kappa < 1");
}

TEST(Guide, EndsAreTheInputsAndTheImpossibleStays) {
  const std::vector<float> c = {1, 2, -INFINITY, 0}, u = {0.5f, -1, 1, -INFINITY};
  std::vector<float> out(4);
  guide<float>(c, u, 1, out);
  EXPECT_EQ(out, c);
  guide<float>(c, u, 0, out);
  EXPECT_EQ(out, u);
  guide<float>(c, u, 2.5, out);
  EXPECT_EQ(out, (std::vector<float>{0.5f + 2.5f * 0.5f, -1 + 2.5f * 3, -INFINITY, -INFINITY}));
  EXPECT_EQ(refusal([&] { guide<float>(c, u, NAN, out); }), "guide: weight = nan; valid: finite");
}

// Half is computed as float, bit for bit. Doubles may rank entropies that differ in the last digits of
// a float another way, but not a random order.
// What no loss or rule can make anything of is refused before anything is written.
TEST(Objectives, RefuseBadLogitsAndAddNothing) {
  const alphabet absorbing{3, 3};
  const token_kernel to_half = absorbing_kernel(0.5),
                     half_step = between(to_half, absorbing_kernel(0.2));
  const transition_chain chain({gaussian_matrix(4, 0.3, 4), gaussian_matrix(4, 0.5, 4)});
  for (const double bad : {double{NAN}, double{INFINITY}, -double{INFINITY}}) {
    std::vector<double> logits(4, 0.25), gradient(4, 7.0);
    const bool nothing = bad == -INFINITY;  // a row of it
    if (nothing) std::fill(logits.begin(), logits.end(), bad);
    logits[1] = bad;
    const auto expect_refused = [&](const char* name, const auto& call) {
      const std::string message = refusal(call);
      EXPECT_NE(message.find(nothing ? "has nothing but -inf" : "; valid: finite or -inf"),
                std::string::npos)
          << name << ": " << message;
      EXPECT_EQ(gradient, std::vector<double>(4, 7.0)) << name;
    };
    expect_refused("cross_entropy", [&] { cross_entropy(logits, 0, 1, gradient); });
    expect_refused("step_bound of matrices",
                   [&] { step_bound(chain, 2, 1, 0, logits, 1, gradient); });
    expect_refused("hybrid_bound", [&] { hybrid_bound(chain, 2, 1, 0, logits, 0.1, gradient); });
    expect_refused("step_bound",
                   [&] { step_bound(to_half, half_step, absorbing, 3, 0, logits, 1, gradient); });
    expect_refused("flow_bound", [&] { flow_bound(0.5, logits, 2, 0, 1, gradient); });
    const std::vector<token> x_0 = {0}, x_t = {3};
    const std::vector<double> weights = {1.0};
    expect_refused("masked_bound", [&] {
      masked_bound(logits_view<double>(logits, 4), x_0, x_t, 3, std::span<const double>(weights),
                   std::span<double>(gradient));
    });
    if (nothing) continue;
    expect_refused("score_entropy", [&] {
      score_entropy(uniform_rates, uniform_kernel(0.5), {4, -1}, 0, 2, logits, 1, gradient);
    });
    const std::vector<double> fine(4, 0.5);
    expect_refused("guide", [&] {
      guide(std::span<const double>(logits), std::span<const double>(fine), 2,
            std::span<double>(gradient));
    });
    expect_refused("guide", [&] {
      guide(std::span<const double>(fine), std::span<const double>(logits), 0,
            std::span<double>(gradient));
    });
  }
  // Certain of another token than x_0: the bound is infinite, and has no slope.
  std::vector<double> certain = {-INFINITY, 0, -INFINITY, -INFINITY}, gradient(4, 7.0);
  EXPECT_EQ(step_bound(to_half, half_step, absorbing, 3, 0, certain), INFINITY);
  EXPECT_EQ(refusal([&] { step_bound(to_half, half_step, absorbing, 3, 0, certain, 1, gradient); }),
            "step_bound: bound = inf; valid, for a gradient: logits to which x_0 is possible");
  EXPECT_EQ(gradient, std::vector<double>(4, 7.0));
}

TEST(Unmasking, ReadsAnyStorage) {
  constexpr std::size_t length = 40, vocabulary = 300;
  std::vector<float16> narrow(length * vocabulary);
  for (std::size_t i = 0; i < narrow.size(); ++i)
    narrow[i] =
        static_cast<float16>(static_cast<float>(3 * std::sin(static_cast<double>(i * i % 1009))));
  std::vector<float> single;
  std::vector<double> wide;
  for (const float16 v : narrow) {
    single.push_back(static_cast<float>(v));
    wide.push_back(static_cast<double>(v));
  }
  unmasking plan;
  plan.mask = vocabulary;
  plan.order = unmasking_order::entropy;
  plan.steps = 2;
  const auto run = [&](auto& logits) {
    std::vector<token> x(length, plan.mask);
    token_sampling filling(plan, token_batch{x}, logits, vocabulary, counter_uniform{4});
    while (filling.next()) continue;
    return x;
  };
  EXPECT_EQ(run(narrow), run(single));
  plan.order = unmasking_order::random;
  EXPECT_EQ(run(wide), run(single));
}

}  // namespace
}  // namespace tweedie::discrete
