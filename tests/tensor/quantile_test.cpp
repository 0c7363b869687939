#include "tweedie/tensor/quantile.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "tweedie/tensor/normal.hpp"

namespace {

using namespace tweedie;

// Type 7 of Hyndman and Fan 1996, the default of R, numpy and torch: sort, then interpolate.
template <class S>
double sorted_quantile(std::vector<S> values, double ratio) {
  std::vector<double> sizes;
  for (const S v : values) sizes.push_back(std::abs(static_cast<double>(v)));
  std::sort(sizes.begin(), sizes.end());
  const double rank = ratio * static_cast<double>(sizes.size() - 1);
  const auto low = static_cast<std::size_t>(rank);
  const std::size_t high = std::min(low + 1, sizes.size() - 1);
  if (sizes[low] == sizes[high]) return sizes[low];
  return sizes[low] + (rank - static_cast<double>(low)) * (sizes[high] - sizes[low]);
}

template <class S>
class quantile_of_magnitudes : public testing::Test {};
using scalars = testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(quantile_of_magnitudes, scalars);

TYPED_TEST(quantile_of_magnitudes, equals_the_sorted_definition) {
  using S = TypeParam;
  std::vector<arithmetic_t<S>> scratch;
  for (const std::size_t n : {1u, 2u, 5u, 100u, 8193u, 50'001u}) {
    std::vector<S> values(n);
    fill_normal<S>({3, 0, 0}, 0, values);
    for (const double ratio : {0.0, 0.01, 0.5, 0.9, 0.995, 0.9999, 1.0}) {
      EXPECT_DOUBLE_EQ(magnitude_quantile<S>(values, ratio, scratch),
                       sorted_quantile(values, ratio))
          << n << ' ' << ratio;
    }
  }
}

// What the sample meets, the multiples of n / golden ratio, is unlike all others.
TYPED_TEST(quantile_of_magnitudes, holds_when_the_sample_misleads) {
  using S = TypeParam;
  std::vector<arithmetic_t<S>> scratch;
  constexpr std::size_t n = 20 * 1024;
  for (const auto& [sampled, other] : {std::pair(5.0f, 0.25f), {0.25f, 5.0f}, {-2.0f, -2.0f}}) {
    std::vector<S> values(n, S(other));
    for (std::size_t i = 0; i < 1024; ++i) {
      values[i * static_cast<std::size_t>(n / std::numbers::phi) % n] = S(sampled);
    }
    for (const double ratio : {0.01, 0.3, 0.5, 0.9, 0.949, 0.951, 0.995}) {
      EXPECT_EQ(magnitude_quantile<S>(values, ratio, scratch), sorted_quantile(values, ratio))
          << sampled << ' ' << ratio;
    }
  }
}

// Both ends, and where zeros, subnormal numbers and infinities begin and end.
TYPED_TEST(quantile_of_magnitudes, ends_and_infinities_are_order_statistics_too) {
  using S = TypeParam;
  std::vector<arithmetic_t<S>> scratch;
  std::vector<S> values(30'001);
  fill_normal<S>({3, 0, 1}, 0, values);
  for (std::size_t i = 0; i < 300; ++i) {
    values[100 * i] = S(i % 2 == 0 ? INFINITY : -INFINITY);
    values[100 * i + 1] = std::numeric_limits<S>::denorm_min();
    values[100 * i + 2] = S(-0.0f);
  }
  for (const double rank : {0.0, 1.0, 299.0, 299.5, 300.0, 599.0, 599.5, 600.0, 29'699.0, 29'699.5,
                            29'701.0, 29'701.5, 29'999.5, 30'000.0}) {
    const double ratio = rank / 30'000;
    EXPECT_EQ(magnitude_quantile<S>(values, ratio, scratch), sorted_quantile(values, ratio))
        << rank;
  }
}

TEST(magnitude_quantile, bad_input_is_refused) {
  std::vector<float> scratch;
  std::vector<float> values(10, 1.0f);
  EXPECT_THROW(magnitude_quantile<float>({}, 0.5, scratch), std::invalid_argument);
  EXPECT_THROW(magnitude_quantile<float>(values, 1.01, scratch), std::invalid_argument);
  EXPECT_THROW(magnitude_quantile<float>(values, NAN, scratch), std::invalid_argument);
  for (const std::size_t n : {10u, 20'000u}) {
    values.assign(n, 1.0f);
    values[n - 3] = -std::numeric_limits<float>::quiet_NaN();
    EXPECT_THROW(magnitude_quantile<float>(values, 0.5, scratch), std::invalid_argument);
    std::fill(values.begin(), values.end(), std::numeric_limits<float>::quiet_NaN());
    EXPECT_THROW(magnitude_quantile<float>(values, 0.5, scratch), std::invalid_argument);
  }
}

}  // namespace
