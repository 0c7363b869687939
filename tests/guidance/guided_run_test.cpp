// Rules and mixers inside a run: the same as guiding the network's output before the run sees it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "count_allocations.hpp"
#include "refusal.hpp"
#include "tweedie/guidance.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/heun.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/parallel.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {

const grid nodes{
    {4, {0.25, 0.97}}, {3, {0.4, 0.92}}, {2, {0.6, 0.8}}, {1, {0.9, 0.4}}, {0, {1, 0}}};
const network_description noise_network{predicts_noise};

std::vector<program> plans() {
  return {ddim(nodes), ddim(nodes, 1), heun(nodes), dpm_solver_plus_plus(nodes, 3),
          sde_dpm_solver_plus_plus(nodes, 2)};
}

template <class S>
std::vector<S> start(std::size_t n) {
  std::vector<S> x(n);
  fill_normal<S>({3, 0, 0}, 0, std::span(x));
  return x;
}

// Three different networks.
template <class In, class Out>
void answer(std::size_t branch, double time, const In& in, Out&& out) {
  const auto from = elements(in);
  const auto to = elements(out);
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto v = static_cast<double>(from[i]);
    const double y = branch == 0   ? 0.3 * v
                     : branch == 1 ? std::sin(v + 0.1 * time) + 0.1
                                   : std::cos(2 * v) * 0.5;
    to[i] = static_cast<scalar_t<Out>>(y);
  }
}

template <class Run>
void finish(Run& s) {
  while (s.next())
    for (std::size_t b = 0; b < s.branches(); ++b)
      answer(b, s.network_time(), s.input(), s.output(b));
}

template <class S, class... Parts>
std::vector<S> result(const program& plan, const std::vector<S>& x, Parts&&... parts) {
  sampling s(plan, noise_network, x, std::forward<Parts>(parts)...);
  finish(s);
  return {s.state().begin(), s.state().end()};
}

template <class S>
std::vector<S> result_by_hand(const program& plan, const std::vector<S>& x, auto& guide,
                              std::size_t branches, auto... parts) {
  sampling s(plan, noise_network, x, gaussian_noise{5}, parts...);
  std::vector<std::vector<S>> outputs(branches, std::vector<S>(x.size()));
  std::vector<const S*> from;
  for (const auto& o : outputs) from.push_back(o.data());
  while (s.next()) {
    for (std::size_t b = 0; b < branches; ++b) answer(b, s.network_time(), s.input(), outputs[b]);
    guide({s.at(), s.steps_done(), s.steps_total()}, std::span<const S* const>(from),
          std::span<S>(s.output()));
  }
  return {s.state().begin(), s.state().end()};
}

template <class S>
void expect_near(const std::vector<S>& ours, const std::vector<S>& expected, double tolerance) {
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(static_cast<double>(ours[i]), static_cast<double>(expected[i]),
                tolerance * (1 + std::abs(static_cast<double>(expected[i]))))
        << i;
}

template <class S>
class guided_run : public testing::Test {};
using scalars = testing::Types<double, float, float16>;
TYPED_TEST_SUITE(guided_run, scalars);

TYPED_TEST(guided_run, guides_what_it_is_told) {
  using S = TypeParam;
  const double tolerance = std::same_as<S, double> ? 1e-12 : std::same_as<S, float> ? 3e-5 : 0.1;
  const std::vector<S> x = start<S>(35);
  const auto check = [&](const auto& rule) {
    for (const program& plan : plans()) {
      guided_outputs<S, std::remove_cvref_t<decltype(rule)>> guide(rule, x.size());
      expect_near(result(plan, x, rule, gaussian_noise{5}),
                  result_by_hand(plan, x, guide, rule.branches()), tolerance);
      guide.restart();
      expect_near(result(plan, x, clip{-0.5, 0.5}, rule, gaussian_noise{5}),
                  result_by_hand(plan, x, guide, rule.branches(), clip{-0.5, 0.5}), tolerance);
      guide.restart();
      const auto halve = [](std::span<S> clean, std::size_t, const node&) {
        for (S& e : clean) e = static_cast<S>(static_cast<double>(e) / 2);
      };
      expect_near(result(plan, x, halve, rule, gaussian_noise{5}),
                  result_by_hand(plan, x, guide, rule.branches(), halve), tolerance);
    }
  };
  check(branch_weights{{-1, 2}});
  check(rescaled{branch_weights{{-1, 2}}, 0.7});
  check(adaptive_projected{3, 0.2, 2, -0.5});
  check(rescaled{adaptive_projected{3, 0, 0, 0.5}, 0.4});
  check(zero_star{2});
  check(zero_first{tangential{3}, 2});
  check(perpendicular_negative{2, {-1.5}, 0});
  check(only_where{branch_weights{{-3, 4}}, step_interval{0.25, 0.75}});
}

// Projection, norm limit and rescaling of x0 estimates are those of a network that predicts x0.
TYPED_TEST(guided_run, on_clean_is_the_rule_of_a_network_that_predicts_clean_data) {
  using S = TypeParam;
  const double tolerance = std::same_as<S, double> ? 1e-11 : std::same_as<S, float> ? 1e-4 : 0.3;
  const std::vector<S> x = start<S>(35);
  const auto check = [&](const auto& rule) {
    for (const program& plan : plans()) {
      sampling clean(plan, {predicts_sample}, x, rule, gaussian_noise{5});
      std::vector<S> noise(x.size());
      while (clean.next()) {
        const auto [alpha, sigma] = clean.at().level;
        for (std::size_t b = 0; b < clean.branches(); ++b) {
          answer(b, clean.network_time(), clean.input(), noise);
          for (std::size_t i = 0; i < noise.size(); ++i)
            clean.output(b)[i] = static_cast<S>(
                (static_cast<double>(clean.input()[i]) - sigma * static_cast<double>(noise[i])) /
                alpha);
        }
      }
      expect_near(result(plan, x, on_clean{rule}, gaussian_noise{5}),
                  {clean.state().begin(), clean.state().end()}, tolerance);
    }
  };
  check(branch_weights{{-1, 2}});
  check(rescaled{branch_weights{{-1, 2}}, 0.7});
  check(adaptive_projected{3, 0.2, 2, -0.5});
  check(rescaled{adaptive_projected{3, 0, 4, 0.5}, 0.4});
  check(zero_star{2});
  check(tangential{3});
  check(magnitude_aware{3, 1});
  // Two rules on estimates, one after the other; where a rule acts does not matter.
  check(only_where{zero_star{2}, step_interval{0.25, 0.75}});
  check(zero_first{tangential{3}, 1});
}

// Wrapped around it, on_clean stays what it is: the estimates' matrix is asked for by itself alone.
TEST(on_clean, may_be_nested) {
  const std::vector<float> x = start<float>(35);
  const auto same = [&](const auto& a, const auto& b) {
    for (const program& plan : plans())
      expect_near(result(plan, x, a, gaussian_noise{5}), result(plan, x, b, gaussian_noise{5}),
                  3e-5);
  };
  const adaptive_projected projected{3, 0.2, 2, -0.5};
  const step_interval middle{0.25, 0.75};
  same(only_where{on_clean{projected}, middle}, on_clean{only_where{projected, middle}});
  same(zero_first{on_clean{zero_star{2}}, 0}, on_clean{zero_star{2}});
  same(varying{[](const guidance_point&) { return on_clean{zero_star{2}}; }},
       on_clean{zero_star{2}});
  // Rescaled after: by the deviations of outputs, not of estimates.
  const rescaled outer{on_clean{projected}, 0.7};
  const auto exact = result(ddim(nodes), std::vector<double>(x.begin(), x.end()), outer);
  expect_near(result(ddim(nodes), x, outer), {exact.begin(), exact.end()}, 3e-5);
  EXPECT_TRUE(reads_clean_only(on_clean{projected}));
  EXPECT_FALSE(reads_clean_only(rescaled{on_clean{projected}, 0.7}));
}

TEST(guided_run_items, of_different_scales_are_items_alone) {
  constexpr std::size_t n = 257, items = 4;
  const std::vector<float> all = start<float>(n * items);
  workers threads(2);
  for (const program& plan : plans()) {
    const auto scale = [](std::size_t item) { return 1 + static_cast<double>(item); };
    const varying by_item{[&](const guidance_point& p) {
      return rescaled{adaptive_projected{scale(p.item), 0.2, 3, -0.5}, 0.5};
    }};
    const varying weights{[&](const guidance_point& p) {
      return branch_weights{{1 - scale(p.item), scale(p.item)}};
    }};
    const auto batch = as_batch(all.data(), items, n);
    const auto check = [&](const auto& together, const auto& alone) {
      sampling s(plan, noise_network, batch, together, seeded_items{{1, 2, 3, 4}});
      finish(s);
      sampling shared(plan, noise_network, batch, together, seeded_items{{1, 2, 3, 4}}, threads);
      finish(shared);
      EXPECT_TRUE(std::ranges::equal(elements(s.state()), elements(shared.state())));
      for (std::size_t k = 0; k < items; ++k) {
        const std::vector<float> x(all.begin() + static_cast<std::ptrdiff_t>(k * n),
                                   all.begin() + static_cast<std::ptrdiff_t>((k + 1) * n));
        const auto one = result(plan, x, alone(k), seeded_items{{k + 1}});
        EXPECT_TRUE(std::equal(one.begin(), one.end(), item_elements(s.state(), k).begin()));
      }
    };
    check(by_item, [&](std::size_t k) {
      return rescaled{adaptive_projected{scale(k), 0.2, 3, -0.5}, 0.5};
    });
    check(weights, [&](std::size_t k) { return branch_weights{{1 - scale(k), scale(k)}}; });
  }
}

TEST(guided_run_state, is_saved_resumed_copied_and_forgotten) {
  const std::vector<double> x = start<double>(33);
  const rescaled rule{adaptive_projected{3, 0.2, 2, -0.75}, 0.5};
  const auto check = [&](const auto& guidance) {
    for (const program& plan : plans()) {
      const auto whole = result(plan, x, guidance, gaussian_noise{5});
      sampling s(plan, noise_network, x, guidance, gaussian_noise{5});
      for (int call = 0; call < 2 && s.next(); ++call)
        for (std::size_t b = 0; b < 2; ++b) answer(b, s.network_time(), s.input(), s.output(b));
      s.next();
      const auto kept = s.saved();
      auto fork = s;
      for (std::size_t b = 0; b < 2; ++b) answer(b, s.network_time(), s.input(), s.output(b));
      finish(s);
      EXPECT_TRUE(std::ranges::equal(s.state(), whole));
      EXPECT_EQ(result(plan, x, guidance, gaussian_noise{5}), whole);
      for (std::size_t b = 0; b < 2; ++b)
        answer(b, fork.network_time(), fork.input(), fork.output(b));
      finish(fork);
      EXPECT_TRUE(std::ranges::equal(fork.state(), whole));
      sampling other(plan, noise_network, std::vector<double>(33), guidance, gaussian_noise{5});
      other.resume(kept);
      finish(other);
      EXPECT_TRUE(std::ranges::equal(other.state(), whole));
      other.restart(x);
      finish(other);
      EXPECT_TRUE(std::ranges::equal(other.state(), whole));
    }
  };
  check(rule);
  check(on_clean{rule});
}

TEST(guided_run_state, asks_and_allocates_nothing_more_while_it_runs) {
  const std::vector<float> x = start<float>(100);
  std::vector<float> preview(100);
  for (const program& plan : plans()) {
    sampling s(plan, noise_network, x, on_clean{rescaled{adaptive_projected{3, 0, 2, 0.5}, 0.7}},
               gaussian_noise{1});
    const std::size_t before = allocations;
    for (int repeat = 0; repeat < 2; ++repeat) {
      s.restart(x);
      while (s.next()) {
        for (std::size_t b = 0; b < 2; ++b) answer(b, s.network_time(), s.input(), s.output(b));
        s.estimate(preview);
      }
    }
    EXPECT_EQ(allocations, before);
    EXPECT_EQ(s.branches(), 2u);
    EXPECT_TRUE(s.branch_weights().empty());
  }
}

// A preview reads the outputs only: with it or without it, the same bits.
TEST(guided_run_state, previews_are_guided_and_change_nothing) {
  const std::vector<double> x = start<double>(12);
  const auto check = [&](const auto& guidance) {
    const program plan = ddim(nodes);
    std::vector<double> preview(12), before = x;
    sampling s(plan, noise_network, x, guidance);
    while (s.next()) {
      for (std::size_t b = 0; b < 2; ++b) answer(b, s.network_time(), s.input(), s.output(b));
      const double keep = s.at().level.sigma, alpha = s.at().level.alpha;
      before.assign(s.state().begin(), s.state().end());
      s.estimate(preview);
      const node at = s.at();
      const sampling_event event = s.advance();
      ASSERT_EQ(event, sampling_event::step);
      const auto [to_alpha, to_sigma] = s.reached().level;
      for (std::size_t i = 0; i < x.size(); ++i)  // DDIM from the preview
        EXPECT_NEAR(s.state()[i],
                    to_alpha * preview[i] + to_sigma / keep * (before[i] - alpha * preview[i]),
                    1e-12)
            << at.time;
    }
    EXPECT_EQ(std::vector<double>(s.state().begin(), s.state().end()), result(plan, x, guidance));
  };
  check(rescaled{adaptive_projected{3, 0.2, 2, -0.75}, 0.5});
  check(on_clean{rescaled{adaptive_projected{3, 0.2, 2, -0.75}, 0.5}});
  check(frequency_decoupled<branch_weights>{{1, 3, 4}, {{{-3, 4}}}});
}

TEST(guided_run_mixer, writes_the_guided_output) {
  const std::vector<double> x = start<double>(2 * 8 * 8);
  const frequency_decoupled<branch_weights> mixer{{2, 8, 8}, {{{-3, 4}}, {{0, 1}}}};
  for (const program& plan : plans()) {
    auto guide = mixer;
    expect_near(result(plan, x, mixer, gaussian_noise{5}), result_by_hand(plan, x, guide, 2),
                1e-13);
  }
  EXPECT_NE(
      refusal([&] {
        sampling(ddim(nodes), noise_network, x, frequency_decoupled<branch_weights>{{2, 8, 8}, {}});
      }),
      "");
}

TEST(neutral_rules, give_the_bits_of_the_conditional_output) {
  const std::vector<float> x = start<float>(41);
  const auto check = [&](const auto& rule) {
    for (const program& plan : plans())
      EXPECT_EQ(result(plan, x, rule, gaussian_noise{5}),
                result(plan, x, std::vector<double>{0, 1}, gaussian_noise{5}));
  };
  check(branch_weights{{0, 1}});
  check(adaptive_projected{1});
  check(rescaled{adaptive_projected{1}, 0.7});
  check(rescaled{zero_star{1}, 0});
  check(on_clean{tangential{1}});
  check(on_clean{rescaled{adaptive_projected{1}, 0.7}});
  check(only_where{tangential{3}, level_interval{100, 200}});
}

TEST(guided_run_calls, ask_as_many_outputs_as_there_are_branches) {
  std::vector<double> x = start<double>(9);
  const auto before = x;
  const auto three = [](const auto& in, double t, auto a, auto b, auto c) {
    answer(0, t, in, a);
    answer(1, t, in, b);
    answer(2, t, in, c);
  };
  run(ddim(nodes), noise_network, x, three, perpendicular_negative{2, {-1}, 0});
  EXPECT_EQ(x, result(ddim(nodes), before, perpendicular_negative{2, {-1}, 0}));
  EXPECT_NE(refusal([&] { run(ddim(nodes), noise_network, x, three, tangential{3}); }), "");
}

TEST(guided_run_calls, refuse_and_leave_alone_what_is_not_finite) {
  std::vector<double> x = start<double>(9);
  const auto before = x;
  const auto broken = [](const auto& in, double t, auto a, auto b) {
    answer(0, t, in, a);
    std::fill(b.begin(), b.end(), NAN);
  };
  EXPECT_NE(refusal([&] {
              run(ddim(nodes), noise_network, x, broken, zero_star{3});
            }).find("sampling: guidance weight = nan"),
            std::string::npos);
  EXPECT_EQ(x, before);
  sampling s(ddim(nodes), noise_network, x, zero_star{3});
  EXPECT_NE(refusal([&] { s.set_branch_weights(guidance_scale(2)); }), "");
  // No x0 from a noise prediction at alpha = 0.
  const grid from_noise{{1, {0, 1}}, {0, {1, 0}}};
  EXPECT_NE(refusal([&] {
              result(ddim(from_noise), x, on_clean{rescaled{branch_weights{{-1, 2}}, 1.0}});
            }),
            "");
}

// Weights of two items, from outside.
struct weights_from {
  const std::array<std::array<double, 2>, 2>* items;

  std::size_t branches() const { return 2; }
  void weights(const guidance_point& point, const stream_gram&, std::span<double> guided,
               std::span<double>) const {
    std::ranges::copy(items->at(point.item), guided.begin());
  }
};

// A rule that fails at the second item may be asked again, with other weights for the first.
TEST(guided_runs, use_the_weights_that_follow_a_failure) {
  const program plan = ddim(grid{nodes[2], nodes[3]});
  Eigen::MatrixXd x(3, 2);
  fill_standard_normal(x, 1);
  std::array<std::array<double, 2>, 2> now{{{-1, 2}, {-1, 2}}};
  const auto ask = [](auto& s) {
    for (std::size_t b = 0; b < 2; ++b) answer(b, s.network_time(), s.input(), s.output(b));
  };
  sampling s(plan, noise_network, x, weights_from{&now});
  finish(s);
  s.restart(x);
  ASSERT_TRUE(s.next());
  ask(s);
  now = {{{0, 1}, {std::nan(""), 1}}};
  EXPECT_THROW(s.next(), std::invalid_argument);
  now = {{{0, 1}, {-1, 2}}};
  EXPECT_FALSE(s.next());
  sampling afresh(plan, noise_network, x, weights_from{&now});
  finish(afresh);
  EXPECT_EQ(Eigen::MatrixXd(s.state()), Eigen::MatrixXd(afresh.state()));
}

}  // namespace
}  // namespace tweedie
