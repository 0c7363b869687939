#include "tweedie/tensor/normal.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace {

using namespace tweedie;

std::uint32_t upper_word(detail::purpose use) { return static_cast<std::uint32_t>(use) << 24; }

philox_counter words_at(noise_key key, detail::purpose use, std::uint64_t counter) {
  return philox4x32(
      {static_cast<std::uint32_t>(counter),
       static_cast<std::uint32_t>(counter >> 32) | upper_word(use), key.item, key.draw},
      {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)});
}

// The documented transform with the C library's functions in long double.
double float_normal(noise_key key, std::uint64_t position) {
  const std::uint64_t tile = position / 64, word = position % 64 / 16, lane = position % 16;
  const auto words = words_at(key, detail::purpose::normal_float, tile * 16 + lane);
  const std::uint32_t radius = words[word & 2u], angle = words[(word & 2u) + 1];
  const float rounded = static_cast<float>(radius) + 0.5f;
  const long double r = std::sqrt(-2 * std::log(rounded * 0x1p-32L));
  const auto turn = static_cast<std::int32_t>(angle << 1);
  const long double theta = std::numbers::pi_v<long double> / 2 * turn * 0x1p-31L;
  const long double sign = (angle >> 31) != 0 ? -1 : 1;
  return static_cast<double>(sign * r * (word % 2 == 0 ? std::cos(theta) : std::sin(theta)));
}

double double_normal(noise_key key, std::uint64_t position) {
  const std::uint64_t tile = position / 32, second = position % 32 / 16, lane = position % 16;
  const auto words = words_at(key, detail::purpose::normal_double, tile * 16 + lane);
  const long double u = (words[0] + (words[1] + 0.5L) * 0x1p-32L) * 0x1p-32L;
  const std::uint64_t bits = std::uint64_t{words[2] & 0x7fffffffu} << 21 | words[3] >> 11;
  const long double theta =
      std::numbers::pi_v<long double> / 2 * (static_cast<long double>(bits) * 0x1p-51L - 1);
  const long double r = std::sqrt(-2 * std::log(u));
  const long double sign = (words[2] >> 31) != 0 ? -1 : 1;
  return static_cast<double>(sign * r * (second == 0 ? std::cos(theta) : std::sin(theta)));
}

TEST(normal, equals_box_muller_of_the_c_library) {
  const noise_key key{0x123456789abcdef0u, 3, 9};
  std::vector<float> f(20000);
  std::vector<double> d(20000);
  fill_normal<float>(key, 0, f);
  fill_normal<double>(key, 0, d);
  for (std::size_t i = 0; i < f.size(); ++i) {
    ASSERT_NEAR(f[i], float_normal(key, i), 1.2e-6) << i;
    ASSERT_NEAR(d[i], double_normal(key, i), 4e-15) << i;
  }
}

// The extreme words, which no test by chance would meet.
TEST(normal, extreme_uniforms_stay_finite_and_accurate) {
  using namespace tweedie::detail;
  for (const std::uint32_t x :
       {0u, 1u, 2u, 0x7fffffffu, 0x80000000u, 0xb504f333u, 0xb504f334u, 0xfffffffeu, 0xffffffffu}) {
    const float_bits bits = float_bits{} + x;
    float y[float_lanes];
    store(y, radius_squared(bits));
    const double exact = -2 * std::log((x + 0.5) * 0x1p-32);
    EXPECT_GE(y[0], 0.0f);
    EXPECT_NEAR(y[0], exact, 2.5e-7 * exact + 1.3e-7) << x;
    for (const std::uint32_t low : {0u, 0x80000000u, 0xffffffffu}) {
      double z[wide_lanes];
      store(z, radius_squared(spread(x), spread(low)));
      const long double u = (x + (low + 0.5L) * 0x1p-32L) * 0x1p-32L;
      const double expected = static_cast<double>(-2 * std::log(u));
      EXPECT_GE(z[0], 0.0);
      EXPECT_NEAR(z[0], expected, 5e-16 * expected + 2.3e-16) << x << ' ' << low;
    }
  }
  float y[float_lanes];
  store(y, radius_squared(float_bits{}));
  EXPECT_NEAR(std::sqrt(y[0]), 6.7637, 1e-4);  // sqrt(66 ln 2)
}

template <class S>
class normal_of : public testing::Test {};
using scalars = testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(normal_of, scalars);

TYPED_TEST(normal_of, any_range_any_alignment_gives_the_same_bits) {
  using S = TypeParam;
  const noise_key key{42, 1, 2};
  std::vector<S> whole(1000);
  fill_normal<S>(key, 0, whole);
  for (const std::size_t first : {0u, 1u, 15u, 16u, 17u, 63u, 64u, 65u, 500u}) {
    for (const std::size_t n : {0u, 1u, 2u, 31u, 64u, 65u, 200u, 500u}) {
      std::vector<S> part(n + 2, S(77));
      fill_normal<S>(key, first, std::span(part).subspan(1, n));
      for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(part[i + 1], whole[first + i]);
      EXPECT_EQ(part[0], S(77));
      EXPECT_EQ(part[n + 1], S(77));
    }
  }
  for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_EQ(normal_at<S>(key, i), whole[i]);
}

TYPED_TEST(normal_of, is_the_arithmetic_types_number_rounded) {
  using S = TypeParam;
  for (std::uint64_t i = 0; i < 500; ++i) {
    EXPECT_EQ(normal_at<S>({1, 0, 0}, i), static_cast<S>(normal_at<arithmetic_t<S>>({1, 0, 0}, i)));
  }
}

TEST(normal, every_part_of_the_key_and_far_positions_matter) {
  const double z = normal_at<double>({1, 0, 0}, 5);
  EXPECT_NE(z, normal_at<double>({2, 0, 0}, 5));
  EXPECT_NE(z, normal_at<double>({1 + (std::uint64_t{1} << 32), 0, 0}, 5));
  EXPECT_NE(z, normal_at<double>({1, 1, 0}, 5));
  EXPECT_NE(z, normal_at<double>({1, 0, 1}, 5));
  EXPECT_NE(z, normal_at<double>({1, 0, 0}, 5 + (std::uint64_t{1} << 40)));
  EXPECT_NE(normal_at<float>({1, 0, 0}, 5),
            normal_at<float>({1, 0, 0}, 5 + (std::uint64_t{1} << 49)));
}

double normal_distribution(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

// 10^7 numbers: moments within 4.5 standard errors, Kolmogorov-Smirnov and Anderson-Darling at
// 1e-5, tail counts within 4.5 standard deviations, neighbours and pair partners uncorrelated.
template <class S>
void check_law(noise_key key) {
  constexpr std::size_t n = 10'000'000;
  std::vector<S> z(n);
  fill_normal<S>(key, 0, z);
  const double count = static_cast<double>(n);
  double moment[5] = {};
  double neighbour = 0, partner = 0, partner_squared = 0;
  std::size_t tail[6] = {};
  for (std::size_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(z[i]);
    for (int power = 1; power <= 4; ++power) moment[power] += std::pow(x, power);
    neighbour += i > 0 ? x * static_cast<double>(z[i - 1]) : 0;
    const double other = static_cast<double>(z[i ^ 16u]);
    partner += x * other;
    partner_squared += (x * x - 1) * (other * other - 1);
    for (int t = 1; t <= 5; ++t) tail[t] += std::abs(x) > t;
  }
  const double sigmas = 4.5;
  EXPECT_NEAR(moment[1] / count, 0, sigmas * std::sqrt(1 / count));
  EXPECT_NEAR(moment[2] / count, 1, sigmas * std::sqrt(2 / count));
  EXPECT_NEAR(moment[3] / count, 0, sigmas * std::sqrt(15 / count));
  EXPECT_NEAR(moment[4] / count, 3, sigmas * std::sqrt(96 / count));
  EXPECT_NEAR(neighbour / count, 0, sigmas * std::sqrt(1 / count));
  EXPECT_NEAR(partner / count, 0, sigmas * std::sqrt(2 / count));
  EXPECT_NEAR(partner_squared / count, 0, sigmas * std::sqrt(8 / count));
  for (int t = 1; t <= 5; ++t) {
    const double p = std::erfc(t / std::numbers::sqrt2);
    EXPECT_NEAR(static_cast<double>(tail[t]), count * p, sigmas * std::sqrt(count * p) + 1) << t;
  }

  z.resize(n / 10);
  std::sort(z.begin(), z.end());
  const double m = static_cast<double>(z.size());
  double distance = 0, anderson = 0;
  for (std::size_t i = 0; i < z.size(); ++i) {
    const double rank = static_cast<double>(i);
    const double below = normal_distribution(static_cast<double>(z[i]));
    const double above = normal_distribution(-static_cast<double>(z[z.size() - 1 - i]));
    distance = std::max({distance, (rank + 1) / m - below, below - rank / m});
    anderson -= (2 * rank + 1) / m * (std::log(below) + std::log(above));
  }
  EXPECT_LT(distance * std::sqrt(m), 2.47);  // 2 exp(-2 d^2) = 1e-5
  EXPECT_LT(anderson - m, 10.0);             // p about 1e-5
}

TEST(normal, float_law) { check_law<float>({2024, 0, 0}); }
TEST(normal, double_law) { check_law<double>({2024, 0, 0}); }

// Ten times as far as moments would see: |z| > 5.5 has probability 3.8e-8.
TEST(normal, items_and_draws_are_independent) {
  double same_item = 0, same_draw = 0;
  constexpr std::size_t n = 1'000'000;
  std::vector<float> a(n), b(n), c(n);
  fill_normal<float>({7, 0, 0}, 0, a);
  fill_normal<float>({7, 0, 1}, 0, b);
  fill_normal<float>({7, 1, 0}, 0, c);
  for (std::size_t i = 0; i < n; ++i) {
    same_item += static_cast<double>(a[i]) * b[i];
    same_draw += static_cast<double>(a[i]) * c[i];
  }
  EXPECT_NEAR(same_item / n, 0, 4.5e-3);
  EXPECT_NEAR(same_draw / n, 0, 4.5e-3);
}

template <class S>
void check_uniform() {
  constexpr std::size_t n = 1'000'000;
  std::vector<S> u(n);
  fill_uniform<S>({3, 1, 4}, 0, u);
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_GE(u[i], S(0));
    ASSERT_LT(u[i], S(1));
    if (i % 997 == 0) {
      ASSERT_EQ(u[i], uniform_at<S>({3, 1, 4}, i));
    }
    sum += static_cast<double>(u[i]);
    squares += static_cast<double>(u[i]) * static_cast<double>(u[i]);
  }
  EXPECT_NEAR(sum / n, 0.5, 4.5 / std::sqrt(12.0 * n));
  EXPECT_NEAR(squares / n, 1 / 3.0, 4.5 * std::sqrt(4 / 45.0 / n));
  std::sort(u.begin(), u.end());
  double distance = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double rank = static_cast<double>(i);
    distance = std::max({distance, (rank + 1) / n - u[i], u[i] - rank / n});
  }
  EXPECT_LT(distance * std::sqrt(n), 2.47);
}

TEST(uniform, law) {
  check_uniform<float>();
  check_uniform<double>();
}

}  // namespace
