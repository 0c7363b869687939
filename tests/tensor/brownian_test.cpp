#include "tweedie/tensor/brownian.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace {

using namespace tweedie;

std::vector<double> increment(const brownian_path& path, double a, double b, std::size_t n) {
  std::vector<double> z(n);
  path.normalised_increment<double>(a, b, 0, z);
  for (double& v : z) v *= std::sqrt(std::abs(b - a));
  return z;
}

// W(c) - W(a) = (W(b) - W(a)) + (W(c) - W(b)) whatever the order and the octaves.
TEST(brownian, increments_add_up) {
  const brownian_path path{5, 2};
  const double times[] = {-3.7, -1e-3, 0, 1e-30, 1e-9, 0.3, 0.30001, 1, 1.5, 2, 14.6146, 80, 1e5};
  for (const double a : times) {
    for (const double b : times) {
      for (const double c : times) {
        if (a == b || b == c || a == c) continue;
        const auto ab = increment(path, a, b, 3), bc = increment(path, b, c, 3),
                   ac = increment(path, a, c, 3);
        const double scale = std::sqrt(std::abs(a) + std::abs(b) + std::abs(c));
        for (std::size_t i = 0; i < 3; ++i) {
          ASSERT_NEAR(ab[i] + bc[i], ac[i], 2e-15 * scale + 1e-9 * (a == 1e-30 || b == 1e-30))
              << a << ' ' << b << ' ' << c;
        }
      }
    }
  }
}

TEST(brownian, going_back_is_the_negative) {
  const brownian_path path{5, 0};
  const auto there = increment(path, 0.7, 9.1, 100), back = increment(path, 9.1, 0.7, 100);
  for (std::size_t i = 0; i < there.size(); ++i) EXPECT_NEAR(there[i], -back[i], 1e-14);
}

// The law of a path at times in one octave, across octaves, at tree nodes and between: normalised
// increments of disjoint intervals are independent standard normals.
TEST(brownian, disjoint_increments_are_independent_standard_normals) {
  constexpr std::size_t n = 200'000;
  const double times[] = {-1.3, -0.2, 0, 0.013, 0.5, 0.6, 0.7, 0.75, 0.76, 3.3, 3.4, 70};
  std::vector<std::vector<double>> z;
  for (std::size_t k = 0; k + 1 < std::size(times); ++k) {
    z.emplace_back(n);
    brownian_path{17, 0}.normalised_increment<double>(times[k], times[k + 1], 0, z.back());
  }
  for (std::size_t k = 0; k < z.size(); ++k) {
    double mean = 0, fourth = 0;
    for (const double v : z[k]) mean += v, fourth += v * v * v * v;
    EXPECT_NEAR(mean / n, 0, 4.5 / std::sqrt(n)) << k;
    EXPECT_NEAR(fourth / n, 3, 4.5 * std::sqrt(96.0 / n)) << k;
    for (std::size_t l = 0; l <= k; ++l) {
      double product = 0;
      for (std::size_t i = 0; i < n; ++i) product += z[k][i] * z[l][i];
      EXPECT_NEAR(product / n, k == l ? 1 : 0, 4.5 * std::sqrt((k == l ? 2.0 : 1.0) / n))
          << k << ' ' << l;
    }
  }
}

template <class S>
class brownian_of : public testing::Test {};
using scalars = testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(brownian_of, scalars);

TYPED_TEST(brownian_of, any_part_of_an_item_has_the_same_bits) {
  using S = TypeParam;
  const brownian_path path{3, 1};
  std::vector<S> whole(1100), part(200);
  path.normalised_increment<S>(0.1, 7.3, 0, whole);
  path.normalised_increment<S>(0.1, 7.3, 450, part);
  for (std::size_t i = 0; i < part.size(); ++i) ASSERT_EQ(part[i], whole[450 + i]);
}

TYPED_TEST(brownian_of, has_unit_variance_in_every_storage) {
  using S = TypeParam;
  std::vector<S> z(50'000);
  brownian_path{8, 0}.normalised_increment<S>(1.7, 1.9, 0, z);
  double square = 0;
  for (const S v : z) square += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_NEAR(square / 5e4, 1, 4.5 * std::sqrt(2 / 5e4) + 2e-3);
}

struct interval {
  double from, to;
};
struct request {
  int draw;
  interval kind;
  std::size_t items;
};

TEST(brownian_noise, items_have_their_own_paths_and_draws_without_interval_are_independent) {
  std::vector<float> batch(20), alone(10), first(20), second(20);
  brownian_noise{4}.fill(request{0, {1, 2}, 2}, std::span<float>(batch));
  brownian_noise{4}.fill(request{3, {1, 2}, 1}, std::span<float>(alone));
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(batch[i], alone[i]);
    EXPECT_NE(batch[i], batch[10 + i]);
  }
  brownian_noise{4}.fill(request{0, {0, 0}, 2}, std::span<float>(first));
  brownian_noise{4}.fill(request{1, {0, 0}, 2}, std::span<float>(second));
  EXPECT_NE(first, second);
}

TEST(brownian, empty_or_infinite_interval_is_refused) {
  std::vector<double> z(1);
  EXPECT_THROW(brownian_path{}.normalised_increment<double>(1, 1, 0, z), std::invalid_argument);
  EXPECT_THROW(brownian_path{}.normalised_increment<double>(0, INFINITY, 0, z),
               std::invalid_argument);
  EXPECT_THROW(brownian_path{}.normalised_increment<double>(NAN, 1, 0, z), std::invalid_argument);
}

}  // namespace
