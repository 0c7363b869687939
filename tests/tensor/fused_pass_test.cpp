#include "tweedie/tensor/fused_pass.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace {

using namespace tweedie;

template <class S>
class fused_pass_of : public testing::Test {
 protected:
  static std::vector<S> normal(std::uint32_t draw, std::size_t n) {
    std::vector<S> v(n);
    fill_normal<S>({99, 0, draw}, 0, v);
    return v;
  }
};

using scalars = testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(fused_pass_of, scalars);

// x0 = clamp(a x + b e); y0 = c x + d x0 + s1 z1 + s2 scale z2; y1 = f x + g x0, in one loop.
TYPED_TEST(fused_pass_of, equals_the_stages_one_by_one) {
  using S = TypeParam;
  using A = arithmetic_t<S>;
  const std::size_t items = 3, item_size = 1500;
  const std::size_t n = items * item_size;
  const auto x = this->normal(1, n), e = this->normal(2, n), scale = this->normal(3, n);
  const std::vector<double> head{1.25, -0.5};
  const std::vector<double> weights{0.5, 0, 0.75, 0.1, -0.3, /* y1 */ 0.25, 0, -1.5, 0, 0};
  std::vector<noise_key> keys{{7, 0, 0}, {7, 1, 0}, {8, 0, 0}};

  std::vector<S> y0 = x, y1(n);
  S* const outputs[] = {y0.data(), y1.data()};
  const S* const inputs[] = {y0.data(), e.data()};
  const pass_draw<S> draws[] = {{11, nullptr}, {12, scale.data()}};
  fused_pass<S> pass;
  pass.items = items;
  pass.item_size = item_size;
  pass.outputs = outputs;
  pass.inputs = inputs;
  pass.weights = weights;
  pass.head = {head, -0.9, 1.1};
  pass.draws = draws;
  pass.item_keys = keys;
  apply(pass);

  const double tolerance = std::same_as<S, double>    ? 1e-15
                           : std::same_as<S, float>   ? 1e-6
                           : std::same_as<S, float16> ? 0x1p-10
                                                      : 0x1p-7;
  for (std::size_t i = 0; i < n; ++i) {
    noise_key key = keys[i / item_size];
    key.draw = 11;
    const double z1 = normal_at<A>(key, i % item_size);
    key.draw = 12;
    const double z2 = normal_at<A>(key, i % item_size) * static_cast<double>(scale[i]);
    const double xi = static_cast<double>(x[i]);
    const double h = std::clamp(1.25 * xi - 0.5 * static_cast<double>(e[i]), -0.9, 1.1);
    const double a = 0.5 * xi + 0.75 * h + 0.1 * z1 - 0.3 * z2;
    const double b = 0.25 * xi - 1.5 * h;
    ASSERT_NEAR(static_cast<double>(y0[i]), a, tolerance * (4 + std::abs(a))) << i;
    ASSERT_NEAR(static_cast<double>(y1[i]), b, tolerance * (4 + std::abs(b))) << i;
  }
}

TYPED_TEST(fused_pass_of, any_cut_and_any_batch_split_gives_the_same_bits) {
  using S = TypeParam;
  const std::size_t items = 4, item_size = 777;
  const std::size_t n = items * item_size;
  const auto x = this->normal(1, n);
  std::vector<noise_key> keys(items);
  for (std::size_t i = 0; i < items; ++i) keys[i] = {5, static_cast<std::uint32_t>(i), 0};
  const std::vector<double> weights{0.9, 0.4};
  const pass_draw<S> draws[] = {{3, nullptr}};

  const auto run = [&](std::vector<S>& y, std::size_t first, std::size_t count,
                       const std::vector<element_range>& ranges) {
    S* const outputs[] = {y.data() + first * item_size};
    const S* const inputs[] = {x.data() + first * item_size};
    fused_pass<S> pass;
    pass.items = count;
    pass.item_size = item_size;
    pass.outputs = outputs;
    pass.inputs = inputs;
    pass.weights = weights;
    pass.draws = draws;
    pass.item_keys = std::span(keys).subspan(first, count);
    for (const element_range range : ranges) apply(pass, range);
  };
  std::vector<S> whole(n), cut(n), split(n);
  run(whole, 0, 4, {{0, n}});
  run(cut, 0, 4, {{1000, n}, {0, 1}, {1, 63}, {63, 1000}});
  run(split, 2, 2, {{0, 2 * item_size}});
  run(split, 0, 1, {{0, item_size}});
  run(split, 1, 1, {{0, item_size}});
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_EQ(whole[i], cut[i]) << i;
    ASSERT_EQ(whole[i], split[i]) << i;
  }
}

// Also refuses more than it takes, before it writes.
TYPED_TEST(fused_pass_of, one_and_two_draws) {
  using S = TypeParam;
  using A = arithmetic_t<S>;
  const std::size_t n = 1501;
  const double tolerance = std::same_as<S, double>    ? 1e-15
                           : std::same_as<S, float>   ? 1e-6
                           : std::same_as<S, float16> ? 0x1p-9
                                                      : 0x1p-6;
  const noise_key key{7, 2, 0};
  const std::vector<S> start = this->normal(1, n), scale = this->normal(2, n);
  for (const std::size_t count : {1u, 2u}) {
    std::vector<pass_draw<S>> draws(count);
    std::vector<double> weights{0.5, 0.25};  // two rows: the state and the clamped head
    for (std::size_t d = 0; d < count; ++d) {
      draws[d] = {static_cast<std::uint32_t>(3 * d), d % 3 == 1 ? scale.data() : nullptr};
      weights.push_back(0.1 + 0.05 * static_cast<double>(d));
    }
    for (std::size_t k = 0; k < count + 2; ++k) weights.push_back(-2 * weights[k]);
    std::vector<S> x = start, y(n);
    S* const outputs[] = {x.data(), y.data()};
    const S* const inputs[] = {x.data()};
    const std::vector<double> head{1.5};
    const fused_pass<S> pass{
        {1, n, outputs, inputs, weights}, {head, -1, 1}, draws, std::span(&key, 1)};
    apply(pass, {0, 700});
    apply(pass, {700, n});
    for (std::size_t i = 0; i < n; ++i) {
      const double before = static_cast<double>(start[i]);
      double sum = 0.5 * before + 0.25 * std::clamp(1.5 * before, -1.0, 1.0);
      double size = std::abs(sum);
      for (std::size_t d = 0; d < count; ++d) {
        noise_key now = key;
        now.draw = draws[d].number;
        const double z = static_cast<double>(normal_at<A>(now, i)) *
                         (draws[d].scale ? static_cast<double>(scale[i]) : 1);
        sum += weights[2 + d] * z;
        size += std::abs(weights[2 + d] * z);
      }
      ASSERT_NEAR(static_cast<double>(x[i]), sum, tolerance * (1 + size)) << count;
      ASSERT_NEAR(static_cast<double>(y[i]), -2 * sum, 2 * tolerance * (1 + size)) << count;
    }
  }
}

// One output over the first input, every pattern of zero weights of head and output; cut in two
// anywhere, the same bits.
TYPED_TEST(fused_pass_of, clamped_estimate_with_any_zeros) {
  using S = TypeParam;
  const std::size_t n = 1301;
  const std::vector<S> before[] = {this->normal(1, n), this->normal(2, n), this->normal(3, n)};
  const double tolerance = std::same_as<S, double>    ? 1e-15
                           : std::same_as<S, float>   ? 1e-6
                           : std::same_as<S, float16> ? 0x1p-10
                                                      : 0x1p-7;
  for (unsigned pattern = 0; pattern < 128; ++pattern) {
    double head[3], weights[4];
    for (unsigned k = 0; k < 3; ++k) head[k] = (pattern >> k & 1u) * (0.5 + k);
    for (unsigned k = 0; k < 4; ++k) weights[k] = (pattern >> (3 + k) & 1u) * (0.75 - k);
    std::vector<S> first = before[0];
    S* const outputs[] = {first.data()};
    const S* const inputs[] = {first.data(), before[1].data(), before[2].data()};
    fused_pass<S> pass;
    pass.item_size = n;
    pass.outputs = outputs;
    pass.inputs = inputs;
    pass.weights = weights;
    pass.head = {head, -0.8, 0.9};
    apply(pass);
    std::vector<S> cut = before[0];
    S* const cut_outputs[] = {cut.data()};
    const S* const cut_inputs[] = {cut.data(), before[1].data(), before[2].data()};
    fused_pass<S> parts = pass;
    parts.outputs = cut_outputs;
    parts.inputs = cut_inputs;
    apply(parts, {0, 100 + pattern});
    apply(parts, {100 + pattern, n});
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(cut[i], first[i]) << pattern << " at " << i;
    for (std::size_t i = 0; i < n; ++i) {
      double clean = 0, sum = 0;
      for (std::size_t k = 0; k < 3; ++k) clean += head[k] * static_cast<double>(before[k][i]);
      for (std::size_t k = 0; k < 3; ++k) sum += weights[k] * static_cast<double>(before[k][i]);
      sum += weights[3] * std::clamp(clean, -0.8, 0.9);
      ASSERT_NEAR(static_cast<double>(first[i]), sum, tolerance * (8 + std::abs(sum)));
    }
  }
}

TYPED_TEST(fused_pass_of, nan_is_not_clamped_away) {
  using S = TypeParam;
  std::vector<S> x(40, S(3));
  x[5] = x[37] = std::numeric_limits<S>::quiet_NaN();
  const S* const inputs[] = {x.data()};
  std::vector<S> y(40);
  S* const outputs[] = {y.data()};
  const std::vector<double> head{1}, weights{0, 1};
  fused_pass<S> pass;
  pass.item_size = 40;
  pass.outputs = outputs;
  pass.inputs = inputs;
  pass.weights = weights;
  pass.head = {head, -1, 1};
  apply(pass);
  for (std::size_t i = 0; i < 40; ++i) {
    if (i == 5 || i == 37) {
      EXPECT_NE(y[i], y[i]);
    } else {
      EXPECT_EQ(y[i], S(1));
    }
  }
}

TEST(fused_pass, inconsistent_sizes_are_refused) {
  std::vector<float> x(8, 1.0f), y(8, 2.0f);
  float* const outputs[] = {y.data()};
  const float* const inputs[] = {x.data()};
  const std::vector<double> one{1}, two{1, 1};
  const pass_draw<float> draws[] = {{}};
  fused_pass<float> pass;
  pass.item_size = 8;
  pass.outputs = outputs;
  pass.inputs = inputs;
  pass.weights = two;
  EXPECT_THROW(apply(pass), std::invalid_argument);  // a weight too many
  pass.draws = draws;
  EXPECT_THROW(apply(pass), std::invalid_argument);  // no key for the item
  const pass_draw<float> three[] = {{0}, {1}, {2}};
  const std::vector<double> four{1, 1, 1, 1};
  const noise_key key{1, 0, 0};
  pass.draws = three;
  pass.weights = four;
  pass.item_keys = std::span(&key, 1);
  EXPECT_THROW(apply(pass), std::invalid_argument);  // more draws than one sweep takes
  pass.draws = {};
  pass.weights = two;
  pass.head = {two, -1, 1};
  EXPECT_THROW(apply(pass), std::invalid_argument);  // head over two inputs
  pass.head = {one, 1, -1};
  EXPECT_THROW(apply(pass), std::invalid_argument);  // empty interval
  pass.head = {};
  pass.weights = one;
  EXPECT_THROW(apply(pass, {0, 9}), std::invalid_argument);
  EXPECT_EQ(y, std::vector<float>(8, 2.0f));
  apply(pass);
  EXPECT_EQ(y, x);
}

}  // namespace
