#include "tweedie/tensor/quantile.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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
  return sizes[low] + (rank - static_cast<double>(low)) * (sizes[high] - sizes[low]);
}

template <class S>
class quantile_of_magnitudes : public testing::Test {};
using scalars = testing::Types<float, double, half, bfloat16>;
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

TYPED_TEST(quantile_of_magnitudes, holds_when_the_sample_misleads) {
  using S = TypeParam;
  std::vector<arithmetic_t<S>> scratch;
  // What the sample meets, every 20th value, is unlike all others.
  std::vector<S> values(20 * 1024, S(5));
  for (std::size_t i = 0; i < values.size(); i += 20) values[i] = S(0.25);
  for (const double ratio : {0.01, 0.3, 0.5, 0.995}) {
    EXPECT_EQ(magnitude_quantile<S>(values, ratio, scratch), sorted_quantile(values, ratio));
  }
  std::fill(values.begin(), values.end(), S(-2));
  EXPECT_EQ(magnitude_quantile<S>(values, 0.995, scratch), 2.0);
}

TEST(magnitude_quantile, bad_input_is_refused) {
  std::vector<float> scratch;
  std::vector<float> values(10, 1.0f);
  EXPECT_THROW(magnitude_quantile<float>({}, 0.5, scratch), std::invalid_argument);
  EXPECT_THROW(magnitude_quantile<float>(values, 1.01, scratch), std::invalid_argument);
  EXPECT_THROW(magnitude_quantile<float>(values, NAN, scratch), std::invalid_argument);
  values[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(magnitude_quantile<float>(values, 0.5, scratch), std::invalid_argument);
}

}  // namespace
