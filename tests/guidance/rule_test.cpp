// Rules beside their tensor formulas written naively, in double, float and half.
#include "tweedie/guidance.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "refusal.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/normal.hpp"

namespace tweedie {
namespace {

using list = std::vector<double>;

template <class S>
struct outputs_of {
  std::vector<S> u, c, p;
  explicit outputs_of(std::size_t n) : u(n), c(n), p(n) {
    fill_normal<S>({7, 0, 0}, 0, std::span(u));
    fill_normal<S>({7, 0, 1}, 0, std::span(c));
    fill_normal<S>({7, 0, 2}, 0, std::span(p));
  }
};

template <class S, class R>
std::vector<S> apply_rule(const R& rule, const std::vector<const S*>& from, std::size_t n,
                          std::size_t items = 1, guidance_point at = {}) {
  std::vector<S> out(n);
  guided_outputs<S, R> guide(rule, n, items);
  guide(at, from, out);
  return out;
}

double inner(const list& a, const list& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
double deviation(const list& a) {
  double mean = 0, sum = 0;
  for (const double v : a) mean += v / static_cast<double>(a.size());
  for (const double v : a) sum += (v - mean) * (v - mean) / static_cast<double>(a.size());
  return std::sqrt(sum);
}
template <class S>
list wide(const std::vector<S>& v) {
  list to;
  for (const S e : v) to.push_back(static_cast<double>(e));
  return to;
}

template <class S>
class rules : public testing::Test {};
using scalars = testing::Types<double, float, float16>;
TYPED_TEST_SUITE(rules, scalars);

// A unit in the last place of storage.
template <class S>
constexpr double unit =
    std::same_as<S, float16> ? 0x1p-10 : double{std::numeric_limits<S>::epsilon()};

template <class S>
void expect_close(const std::vector<S>& ours, const list& expected, double terms) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(static_cast<double>(ours[i]), expected[i],
                8 * terms * unit<arithmetic_t<S>> + unit<S> * std::abs(expected[i]))
        << i;
}

TYPED_TEST(rules, equal_their_tensor_formulas) {
  using S = TypeParam;
  for (const std::size_t n : {2u, 3u, 17u, 2531u}) {
    const outputs_of<S> y(n);
    const list u = wide(y.u), c = wide(y.c);
    const std::vector<const S*> both{y.u.data(), y.c.data()};
    constexpr double w = 4;
    list d(n), expected(n);
    for (std::size_t i = 0; i < n; ++i) d[i] = c[i] - u[i];

    const double norm = std::sqrt(inner(d, d));
    const double scale = std::min(1.0, 1.5 / norm), along = inner(d, c) / inner(c, c);
    for (std::size_t i = 0; i < n; ++i)
      expected[i] = c[i] + (w - 1) * scale * (d[i] - along * c[i] + 0.25 * along * c[i]);
    expect_close(apply_rule<S>(adaptive_projected{w, 0.25, 1.5}, both, n), expected, 30);

    const double s = inner(c, u) / inner(u, u);
    for (std::size_t i = 0; i < n; ++i) expected[i] = s * u[i] + w * (c[i] - s * u[i]);
    expect_close(apply_rule<S>(zero_star{w}, both, n), expected, 60);

    const double effective = 1 + (w - 1) * std::exp(-0.5 * norm / std::sqrt(inner(u, u)));
    for (std::size_t i = 0; i < n; ++i) expected[i] = u[i] + effective * d[i];
    expect_close(apply_rule<S>(magnitude_aware{w, 0.5}, both, n), expected, 30);

    list plain(n);
    for (std::size_t i = 0; i < n; ++i) plain[i] = u[i] + w * d[i];
    const double ratio = deviation(c) / deviation(plain);
    for (std::size_t i = 0; i < n; ++i) expected[i] = (0.7 * ratio + 0.3) * plain[i];
    expect_close(apply_rule<S>(rescaled{branch_weights{{1 - w, w}}, 0.7}, both, n), expected, 30);
  }
}

// The first right singular vector of [c; u]: the power method on their covariance.
TEST(tangential, keeps_the_part_along_the_first_singular_vector) {
  constexpr std::size_t n = 37;
  const outputs_of<double> y(n);
  list v(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) v[i] = y.c[i] + 0.5 * y.u[i];
  for (int k = 0; k < 4000; ++k) {
    const double a = inner(y.c, v), b = inner(y.u, v);
    for (std::size_t i = 0; i < n; ++i) v[i] = a * y.c[i] + b * y.u[i];
    const double length = std::sqrt(inner(v, v));
    for (double& e : v) e /= length;
  }
  const double kept = inner(y.u, v);
  const list ours = apply_rule<double>(tangential{3}, {y.u.data(), y.c.data()}, n);
  for (std::size_t i = 0; i < n; ++i)
    EXPECT_NEAR(ours[i], kept * v[i] + 3 * (y.c[i] - kept * v[i]), 1e-12);
}

TYPED_TEST(rules, neutral_settings_return_the_bits_of_the_conditional_output) {
  using S = TypeParam;
  constexpr std::size_t n = 1031;
  const outputs_of<S> y(n);
  const std::vector<S> nothing(n, static_cast<S>(NAN));
  const auto neutral = [&](const auto& rule) {
    return apply_rule<S>(rule, {nothing.data(), y.c.data()}, n);
  };
  EXPECT_EQ(neutral(branch_weights{{0, 1}}), y.c);
  EXPECT_EQ(neutral(adaptive_projected{1, 0, 2.5}), y.c);
  EXPECT_EQ(neutral(zero_star{1}), y.c);
  EXPECT_EQ(neutral(tangential{1}), y.c);
  EXPECT_EQ(neutral(magnitude_aware{1}), y.c);
  EXPECT_EQ(neutral(rescaled{branch_weights{{0, 1}}, 0.7}), y.c);
  EXPECT_EQ(neutral(only_where{tangential{5}, [](const guidance_point&) { return false; }}), y.c);
}

TYPED_TEST(rules, equal_and_zero_outputs_are_no_trouble) {
  using S = TypeParam;
  for (const std::size_t n : {1u, 6u}) {
    const outputs_of<S> y(n);
    const std::vector<S> zero(n, S(0));
    const auto all = [&](const S* u, const S* c, const auto& check) {
      const std::vector<const S*> from{u, c};
      check(apply_rule<S>(rescaled{adaptive_projected{7.5, 0, 2.5}, 0.7}, from, n));
      check(apply_rule<S>(rescaled{zero_star{7.5}, 0.7}, from, n));
      check(apply_rule<S>(rescaled{tangential{7.5}, 0.7}, from, n));
      check(apply_rule<S>(rescaled{magnitude_aware{7.5}, 0.7}, from, n));
    };
    const auto finite = [](const std::vector<S>& out) {
      for (const S v : out) EXPECT_TRUE(std::isfinite(static_cast<double>(v)));
    };
    all(zero.data(), y.c.data(), finite);
    all(y.u.data(), zero.data(), finite);
    all(zero.data(), zero.data(), [&](const std::vector<S>& out) { EXPECT_EQ(out, zero); });
    // Equal outputs are guided to themselves.
    all(y.c.data(), y.c.data(),
        [&](const std::vector<S>& out) { expect_close(out, wide(y.c), 20); });
  }
}

TEST(rules_by_item, a_batch_of_scales_equals_items_alone) {
  constexpr std::size_t n = 257, items = 3;
  const outputs_of<float> y(n * items);
  const varying rule{[](const guidance_point& p) {
    return rescaled{adaptive_projected{1.5 + static_cast<double>(p.item), 0.2, 3}, 0.5};
  }};
  const auto batch = apply_rule<float>(rule, {y.u.data(), y.c.data()}, n * items, items);
  for (std::size_t k = 0; k < items; ++k) {
    const rescaled one{adaptive_projected{1.5 + static_cast<double>(k), 0.2, 3}, 0.5};
    const auto alone = apply_rule<float>(one, {y.u.data() + k * n, y.c.data() + k * n}, n);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), batch.begin() + static_cast<long>(k * n)));
  }
}

TEST(nesting, the_inner_rule_comes_first) {
  constexpr std::size_t n = 40;
  const outputs_of<double> y(n);
  const std::vector<const double*> both{y.u.data(), y.c.data()};
  const list projected = apply_rule<double>(adaptive_projected{7.5}, both, n);
  const double factor = 0.7 * deviation(y.c) / deviation(projected) + 0.3;
  const list ours = apply_rule<double>(rescaled{adaptive_projected{7.5}, 0.7}, both, n);
  for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(ours[i], factor * projected[i], 1e-13);
}

TEST(momentum, is_kept_copied_and_forgotten) {
  constexpr std::size_t n = 33;
  const outputs_of<double> y(n);
  const std::vector<const double*> first{y.u.data(), y.c.data()}, second{y.p.data(), y.c.data()};
  guided_outputs<double, adaptive_projected> guide({3, 1, 0, -0.5}, n);
  list out(n), copied(n), again(n);
  guide({}, first, out);
  const list at_first = out;
  auto fork = guide;
  guide({}, second, out);
  fork({}, second, copied);
  EXPECT_EQ(out, copied);
  for (std::size_t i = 0; i < n; ++i) {
    const double before = y.c[i] - y.u[i], d = y.c[i] - y.p[i] - 0.5 * before;
    EXPECT_NEAR(out[i], y.c[i] + 2 * d, 1e-13);
    EXPECT_NEAR(guide.remembered()[i], d, 1e-13);
  }
  guide.restart();
  guide({}, first, again);
  EXPECT_EQ(again, at_first);
}

TEST(perpendicular_negative, takes_nothing_from_the_main_prompt) {
  constexpr std::size_t n = 50;
  const outputs_of<double> y(n);
  const std::vector<const double*> from{y.u.data(), y.c.data(), y.p.data()};
  const list ours = apply_rule<double>(perpendicular_negative{2, {-1.5}, 0}, from, n);
  list main(n), change(n), other(n);
  for (std::size_t i = 0; i < n; ++i) {
    main[i] = y.c[i] - y.u[i];
    other[i] = y.p[i] - y.u[i];
    change[i] = (ours[i] - y.u[i]) / 2 - main[i];
  }
  EXPECT_NEAR(inner(change, main), 0, 1e-12 * inner(main, main));
  EXPECT_LT(inner(change, other), 0);
  // A negative prompt equal to the main one changes nothing.
  const std::vector<const double*> same{y.u.data(), y.c.data(), y.c.data()};
  const list twice = apply_rule<double>(perpendicular_negative{2, {-1.5}, 0}, same, n);
  for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(twice[i], y.u[i] + 2 * main[i], 1e-12);
}

TEST(intervals, limit_guidance_to_levels_and_steps) {
  const level_interval levels{0.5, 2};
  const auto at = [](double sigma) { return guidance_point{{0, {1, sigma}}, 0, 1, 0}; };
  EXPECT_FALSE(levels(at(0.5)));
  EXPECT_TRUE(levels(at(0.6)));
  EXPECT_TRUE(levels(at(2)));
  EXPECT_FALSE(levels(at(2.1)));
  EXPECT_FALSE(levels({{0, {0, 1}}, 0, 1, 0}));
  const step_interval steps{0.25, 0.75};
  for (std::size_t s = 0; s < 8; ++s) EXPECT_EQ(steps({{}, s, 8, 0}), s >= 2 && s < 6);
}

TEST(frequency_decoupled, bands_add_up_and_equal_rules_are_the_rule) {
  constexpr plane_shape shape{2, 8, 16};
  const outputs_of<double> y(2 * shape.size());
  const auto bands = laplacian_pyramid(y.u, {4, 8, 16}, 3);
  ASSERT_EQ(bands.size(), 3u);
  EXPECT_EQ(bands[2].size(), 4u * 2 * 4);
  const list back = from_laplacian_pyramid(bands, {4, 8, 16});
  for (std::size_t i = 0; i < back.size(); ++i) EXPECT_NEAR(back[i], y.u[i], 1e-14);

  const std::vector<const double*> both{y.u.data(), y.c.data()};
  list out(y.u.size());
  const frequency_decoupled<branch_weights> mixer{shape, {{{-3, 4}}, {{-3, 4}}, {{-3, 4}}}};
  mixer({}, std::span<const double* const>(both), std::span(out));
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], 4 * y.c[i] - 3 * y.u[i], 1e-13);
  EXPECT_NE(refusal([&] { laplacian_pyramid(y.u, {4, 8, 16}, 5); }), "");
}

TEST(smoothed_queries, a_constant_stays_and_an_infinite_width_is_the_mean) {
  const list constant = smoothed_queries(list(16, 2.5), 1, 1.5);
  for (const double v : constant) EXPECT_NEAR(v, 2.5, 1e-14);
  list q(17);
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = static_cast<double>(i);
  const list mean = smoothed_queries(q, 1, INFINITY);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(mean[i], 7.5, 1e-14);
  EXPECT_EQ(mean[16], 16);
}

TEST(anneal_condition, keeps_mean_and_spread) {
  const outputs_of<double> y(500);
  list out(500);
  anneal_condition(y.u, y.c, 0.3, 0.25, 1, out);
  EXPECT_NEAR(deviation(out), deviation(y.u), 1e-12);
  anneal_condition(y.u, y.c, 1, 0.25, 0, out);
  EXPECT_EQ(out, y.u);
  EXPECT_EQ(annealing(0.5, 0.6, 0.9), 1);
  EXPECT_EQ(annealing(0.9, 0.6, 0.9), 0);
  EXPECT_NEAR(annealing(0.75, 0.6, 0.9), 0.5, 1e-15);
}

// Guided into the output of a run: what branch weights of the run do.
TEST(guided_outputs, guides_a_run) {
  const grid nodes{{2, {0.3, 0.9}}, {1, {0.6, 0.8}}, {0, {1, 0}}};
  const program plan = ddim(nodes);
  const network_description network{predicts_noise};
  const list x{0.3, -1.2, 0.8};
  sampling weighted(plan, network, x, list{-2, 3});
  sampling ruled(plan, network, x);
  const auto network_of = [](double v, bool conditional) {
    return conditional ? std::sin(v) : 0.2 * v;
  };
  while (weighted.next())
    for (std::size_t i = 0; i < x.size(); ++i)
      for (const bool c : {false, true}) weighted.output(c)[i] = network_of(weighted.input()[i], c);
  guided_outputs<double, branch_weights> guide({{-2, 3}}, x.size());
  list u(3), c(3);
  while (ruled.next()) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      u[i] = network_of(ruled.input()[i], false);
      c[i] = network_of(ruled.input()[i], true);
    }
    const std::vector<const double*> both{u.data(), c.data()};
    guide({ruled.at(), ruled.steps_done(), 2, 0}, both, ruled.output());
  }
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(ruled.state()[i], weighted.state()[i], 1e-14);
}

TEST(guided_outputs, refuses_bad_input) {
  const outputs_of<double> y(6);
  list out(6);
  guided_outputs<double, tangential> guide({3}, 6);
  const std::vector<const double*> one{y.u.data()}, both{y.u.data(), y.c.data()};
  EXPECT_NE(refusal([&] { guide({}, one, out); }), "");
  EXPECT_NE(refusal([&] { guide({}, both, std::span(out).first(5)); }), "");
  EXPECT_NE(refusal([&] { guided_outputs<double, tangential>({3}, 6, 4); }), "");
  const list nan(6, NAN), before = out;
  const std::vector<const double*> broken{nan.data(), y.c.data()};
  guided_outputs<double, zero_star> projecting({3}, 6);
  EXPECT_NE(refusal([&] { projecting({}, broken, out); }), "");
  EXPECT_EQ(out, before);
}

}  // namespace
}  // namespace tweedie
