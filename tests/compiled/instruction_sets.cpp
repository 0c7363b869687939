#include "tweedie/tensor/instruction_set.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/own_kernels.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {

std::vector<instruction_set> sets() {
  std::vector<instruction_set> all;
  for (const instruction_set set :
       {instruction_set::baseline, instruction_set::avx2, instruction_set::avx512})
    if (available(set)) all.push_back(set);
  return all;
}

template <class S>
std::vector<S> normals(std::size_t n) {
  std::vector<S> z(n);
  fill_normal(noise_key{7, 3, 5}, 11, std::span<S>(z));
  return z;
}

// A sum with all kinds of columns: streams, a clamped head, a draw.
template <class S>
std::vector<S> clamped_pass(std::size_t n) {
  std::vector<S> a = normals<S>(n), b = normals<S>(n), out(n);
  for (std::size_t i = 0; i < n; ++i) b[i] = static_cast<S>(static_cast<float>(b[n - 1 - i]) / 3);
  const S* const in[] = {a.data(), b.data()};
  S* const to[] = {out.data()};
  const double weights[] = {0.3, -0.7, 0.9, 0.4}, head[] = {1.3, -0.2};
  const pass_draw<S> draws[] = {{4, nullptr}};
  const noise_key keys[] = {{9, 0, 0}};
  fused_pass<S> pass;
  pass.item_size = n;
  pass.outputs = to;
  pass.inputs = in;
  pass.weights = weights;
  pass.head = {head, -0.5, 0.5};
  pass.draws = draws;
  pass.item_keys = keys;
  apply(pass);
  return out;
}

template <class S>
std::vector<S> sampled(std::size_t n) {
  std::vector<S> x = normals<S>(n);
  run(
      euler_ancestral(karras(linear_beta_schedule(1000), 5)), network_description{}, x,
      [](std::span<const S> in, double, std::span<S> out) {
        for (std::size_t i = 0; i < in.size(); ++i)
          out[i] = static_cast<S>(static_cast<arithmetic_t<S>>(in[i]) / 2);
      },
      gaussian_noise{2});
  return x;
}

template <class S>
bool same_bits(const std::vector<S>& a, const std::vector<S>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(S)) == 0;
}

template <class S>
double farthest(const std::vector<S>& a, const std::vector<S>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return most;
}

template <class S>
class instruction_sets : public ::testing::Test {
 protected:
  ~instruction_sets() override { use_instruction_set(sets().back()); }
  // One unit in the last place of a number up to 16.
  static constexpr double one_rounding = sizeof(S) == 8               ? 0x1p-49
                                         : sizeof(S) == 4             ? 0x1p-20
                                         : std::is_same_v<S, float16> ? 0x1p-7
                                                                      : 0x1p-4;
};
using scalars = ::testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(instruction_sets, scalars);

// 1021 is prime: pieces of vectors at the end.
constexpr std::size_t odd = 1021;

TYPED_TEST(instruction_sets, baseline_gives_the_bits_of_the_headers) {
  using S = TypeParam;
  use_instruction_set(instruction_set::baseline);
  std::vector<S> here(odd);
  detail::fill_normal(noise_key{7, 3, 5}, 11, std::span<S>(here), [](std::size_t) {});
  EXPECT_TRUE(same_bits(normals<S>(odd), here));
}

// Both fuse multiplications and additions.
TYPED_TEST(instruction_sets, avx2_and_avx512_give_the_same_bits) {
  using S = TypeParam;
  if (!available(instruction_set::avx512)) GTEST_SKIP();
  use_instruction_set(instruction_set::avx2);
  const auto z = normals<S>(odd), p = clamped_pass<S>(odd), x = sampled<S>(odd);
  use_instruction_set(instruction_set::avx512);
  EXPECT_TRUE(same_bits(normals<S>(odd), z));
  EXPECT_TRUE(same_bits(clamped_pass<S>(odd), p));
  EXPECT_TRUE(same_bits(sampled<S>(odd), x));
}

TYPED_TEST(instruction_sets, differ_from_baseline_by_roundings) {
  using S = TypeParam;
  use_instruction_set(instruction_set::baseline);
  const auto z = normals<S>(odd), p = clamped_pass<S>(odd), x = sampled<S>(odd);
  for (const instruction_set set : sets()) {
    use_instruction_set(set);
    EXPECT_LE(farthest(normals<S>(odd), z), this->one_rounding);
    EXPECT_LE(farthest(clamped_pass<S>(odd), p), this->one_rounding);
    EXPECT_LE(farthest(sampled<S>(odd), x), 16 * this->one_rounding);
  }
}

TYPED_TEST(instruction_sets, inner_products_agree) {
  using S = TypeParam;
  const auto a = normals<S>(odd), b = clamped_pass<S>(odd);
  const S* const rows[] = {a.data(), b.data()};
  double exact[9] = {};
  for (std::size_t i = 0; i < odd; ++i) {
    const double v[] = {static_cast<double>(a[i]), static_cast<double>(b[i]), 1};
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 3; ++k) exact[3 * j + k] += v[j] * v[k];
  }
  for (const instruction_set set : sets()) {
    use_instruction_set(set);
    double g[9];
    gram<S>(rows, 0, odd, g);
    for (std::size_t e = 0; e < 9; ++e) EXPECT_NEAR(g[e], exact[e], 1e-11 * odd);
    constexpr double t[] = {0, -1};
    pivoted_gram<S>(rows, 0, t, 0, odd, g);
    for (std::size_t e = 0; e < 9; ++e) EXPECT_NEAR(g[e], exact[e], 8e-6 * odd);
  }
}

TYPED_TEST(instruction_sets, uniforms_are_the_same_in_all) {
  using S = TypeParam;
  if constexpr (std::is_floating_point_v<S>) {
    use_instruction_set(instruction_set::baseline);
    std::vector<S> first(odd), other(odd);
    fill_uniform(noise_key{1, 2, 3}, 5, std::span<S>(first));
    for (const instruction_set set : sets()) {
      use_instruction_set(set);
      fill_uniform(noise_key{1, 2, 3}, 5, std::span<S>(other));
      EXPECT_TRUE(same_bits(first, other));
    }
  }
}

TEST(instruction_set_in_use, is_the_one_asked_for_or_refused) {
  for (const instruction_set set :
       {instruction_set::baseline, instruction_set::avx2, instruction_set::avx512}) {
    if (available(set)) {
      use_instruction_set(set);
      EXPECT_EQ(current_instruction_set(), set);
    } else {
      const instruction_set before = current_instruction_set();
      EXPECT_THROW(use_instruction_set(set), std::invalid_argument);
      EXPECT_EQ(current_instruction_set(), before);
    }
  }
}

}  // namespace
}  // namespace tweedie
