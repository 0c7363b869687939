#include "tweedie/guidance/rescale.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/tensor/normal.hpp"

namespace tweedie {
namespace {

struct moments {
  double mean = 0, deviation = 0;
};

template <class S>
moments moments_of(std::span<const S> values) {
  const auto n = static_cast<double>(values.size());
  moments m;
  for (const S v : values) m.mean += static_cast<double>(v) / n;
  double sum = 0;
  for (const S v : values) {
    const double d = static_cast<double>(v) - m.mean;
    sum += d * d / n;
  }
  m.deviation = std::sqrt(sum);
  return m;
}

template <class S>
class rescaled : public testing::Test {
 public:
  // 3 items of an odd number of elements, more than a block, with means of their own.
  static constexpr std::size_t items = 3, length = 2531;
  std::vector<S> unconditional = std::vector<S>(items * length);
  std::vector<S> conditional = unconditional, result = unconditional;

  rescaled() {
    fill_normal<S>({5, 0, 0}, 0, unconditional);
    fill_normal<S>({5, 0, 1}, 0, conditional);
    for (std::size_t i = 0; i < conditional.size(); ++i) {
      const auto k = static_cast<double>(i / length);
      const double c = (0.8 + k) * static_cast<double>(conditional[i]) + 3 * k;
      conditional[i] = static_cast<S>(c);
      unconditional[i] = static_cast<S>(c + 0.3 * static_cast<double>(unconditional[i]) - k);
    }
  }
  std::span<const S> item(const std::vector<S>& all, std::size_t i) const {
    return std::span(all).subspan(i * length, length);
  }
};
using scalars = testing::Types<float, double, half, bfloat16>;
TYPED_TEST_SUITE(rescaled, scalars);

// One unit in the last place of storage, and the error of a deviation from sums in which each lane
// adds up to 128 terms.
template <class S>
constexpr double unit = std::same_as<S, half>       ? 0x1p-10
                        : std::same_as<S, bfloat16> ? 0x1p-7
                                                    : double{std::numeric_limits<S>::epsilon()};
template <class S>
constexpr double sum_error = 64 * double{std::numeric_limits<arithmetic_t<S>>::epsilon()};

TYPED_TEST(rescaled, with_phi_one_each_item_has_the_conditional_deviation) {
  using S = TypeParam;
  guide_rescaled<S>(this->unconditional, this->conditional, 7.5, 1, this->result, this->items);
  for (std::size_t i = 0; i < this->items; ++i) {
    const double expected = moments_of(this->item(this->conditional, i)).deviation;
    EXPECT_NEAR(moments_of(this->item(this->result, i)).deviation, expected,
                (unit<S> + sum_error<S>)*expected);
  }
}

// Equation 16 in double on the plain guidance.
TYPED_TEST(rescaled, equals_the_published_formula) {
  using S = TypeParam;
  constexpr double phi = 0.7;
  for (const double w : {-1.0, 0.0, 1e-25, 0.25, 0.5, 2.0, 7.5}) {
    guide_rescaled<S>(this->unconditional, this->conditional, w, phi, this->result, this->items);
    for (std::size_t i = 0; i < this->items; ++i) {
      const auto u = this->item(this->unconditional, i), c = this->item(this->conditional, i);
      std::vector<double> guided(u.size());
      for (std::size_t k = 0; k < u.size(); ++k) {
        guided[k] = (1 - w) * static_cast<double>(u[k]) + w * static_cast<double>(c[k]);
      }
      const double ratio =
          moments_of(c).deviation / moments_of(std::span<const double>(guided)).deviation;
      for (std::size_t k = 0; k < u.size(); ++k) {
        const double expected = phi * ratio * guided[k] + (1 - phi) * guided[k];
        // The two terms of the sum may be larger than it.
        const double term = std::abs(w * ratio * static_cast<double>(c[k]));
        ASSERT_NEAR(static_cast<double>(this->item(this->result, i)[k]), expected,
                    (unit<S> + sum_error<S>)*std::abs(expected) + sum_error<S> / 16 * term)
            << w << ' ' << i << ' ' << k;
      }
    }
  }
}

// Up to a mean of sqrt(15) deviations the variance is mean square - mean^2, beyond that it is taken
// of deviations. Rounding w (c - u) + u moves a deviation by no more than its own size.
TYPED_TEST(rescaled, no_mean_does_harm) {
  using S = TypeParam;
  constexpr double w = 3;
  constexpr std::size_t n = 4096;
  std::vector<S> z(n), u(n), c(n), out(n);
  fill_normal<S>({6, 0, 0}, 0, z);
  for (const double mean : {-4.0, -3.8, 0.0, 1.0, 3.8, 4.0, 30.0, 1000.0}) {
    for (const double difference : {0.0, 5.0}) {
      for (std::size_t i = 0; i < n; ++i) {
        const double around_zero = static_cast<double>(z[i]);
        c[i] = static_cast<S>(mean + around_zero);
        u[i] = static_cast<S>(mean + difference + 0.9 * around_zero);
      }
      guide_rescaled<S>(u, c, w, 1, out);
      const double expected = moments_of(std::span<const S>(c)).deviation;
      const double rounding = unit<S> * w * (std::abs(mean) + difference) / 2;
      EXPECT_NEAR(moments_of(std::span<const S>(out)).deviation, expected,
                  (unit<S> + 2 * sum_error<S>)*expected + rounding)
          << mean << ' ' << difference;
    }
  }
}

// The first 1024 elements have a mean of 3.3 deviations, all together one of 213: the difference
// mean square - mean^2 would be off by 1e-4.
TEST(guide_rescaled, a_first_block_that_misleads_does_no_harm) {
  constexpr std::size_t n = 1 << 22;
  std::vector<float> u(n), c(n), out(n);
  fill_normal<float>({6, 0, 0}, 0, u);
  u[0] = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (i >= 1024) u[i] /= 32768;
    c[i] = 1000 + 300 * u[i];
  }
  guide_rescaled<float>(u, c, 3, 1, out);
  const double expected = moments_of(std::span<const float>(c)).deviation;
  EXPECT_NEAR(moments_of(std::span<const float>(out)).deviation, expected,
              sum_error<float> / 4 * expected);
}

TYPED_TEST(rescaled, without_phi_or_guidance_nothing_is_rescaled) {
  using S = TypeParam;
  guide_rescaled<S>(this->unconditional, this->conditional, 7.5, 0, this->result, this->items);
  std::vector<S> plain(this->result.size());
  guide<S>(this->unconditional, this->conditional, 7.5, plain);
  EXPECT_EQ(this->result, plain);
  guide_rescaled<S>(this->unconditional, this->conditional, 1, 0.7, this->result, this->items);
  EXPECT_EQ(this->result, this->conditional);
}

TYPED_TEST(rescaled, an_item_is_the_same_alone_and_in_a_batch) {
  using S = TypeParam;
  guide_rescaled<S>(this->unconditional, this->conditional, 7.5, 0.7, this->result, this->items);
  std::vector<S> alone(this->length);
  for (std::size_t i = 0; i < this->items; ++i) {
    guide_rescaled<S>(this->item(this->unconditional, i), this->item(this->conditional, i), 7.5,
                      0.7, alone);
    const auto batch = this->item(this->result, i);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), batch.begin())) << i;
  }
}

TYPED_TEST(rescaled, may_write_over_either_input) {
  using S = TypeParam;
  guide_rescaled<S>(this->unconditional, this->conditional, 3, 0.5, this->result, this->items);
  std::vector<S> a = this->unconditional, b = this->conditional;
  guide_rescaled<S>(a, this->conditional, 3, 0.5, a, this->items);
  guide_rescaled<S>(this->unconditional, b, 3, 0.5, b, this->items);
  EXPECT_EQ(a, this->result);
  EXPECT_EQ(b, this->result);
}

// A guided output without spread has no factor; one a thousand deviations off zero has.
TYPED_TEST(rescaled, constants_are_left_alone_and_large_means_do_no_harm) {
  using S = TypeParam;
  std::vector<S> u(1000, S(2)), c(1000, S(3)), out(1000);
  guide_rescaled<S>(u, c, 4, 0.7, out);
  EXPECT_EQ(out, std::vector<S>(1000, S(6)));
  // Sums of these are not exact.
  std::fill(u.begin(), u.end(), S(0.1));
  std::fill(c.begin(), c.end(), S(0.7));
  std::vector<S> plain(1000);
  guide<S>(u, c, 4, plain);
  guide_rescaled<S>(u, c, 4, 0.7, out);
  EXPECT_EQ(out, plain);

  std::vector<float> far_u(4096), far_c(4096), far_out(4096);
  for (std::size_t i = 0; i < far_u.size(); ++i) {
    far_c[i] = 1024 + static_cast<float>(i % 2);
    far_u[i] = 1024 + static_cast<float>(i % 2) / 2;
  }
  // Guided: 1024 and 1024 + 0.5 (1 - w) + w = 1024 + 2.5, so that the factor is 1 / 2.5.
  guide_rescaled<float>(far_u, far_c, 4, 1, far_out);
  EXPECT_NEAR(far_out[1] - far_out[0], 1, 1e-3);
}

TEST(guide_rescaled, bad_input_is_refused) {
  const std::vector<float> a(6), b(5);
  std::vector<float> out(6);
  EXPECT_THROW(guide_rescaled<float>(a, b, 2, 0.5, out), std::invalid_argument);
  EXPECT_THROW(guide_rescaled<float>(b, a, 2, 0.5, out), std::invalid_argument);
  EXPECT_THROW(guide_rescaled<float>(a, a, NAN, 0.5, out), std::invalid_argument);
  EXPECT_THROW(guide_rescaled<float>(a, a, 2, -0.1, out), std::invalid_argument);
  EXPECT_THROW(guide_rescaled<float>(a, a, 2, 1.1, out), std::invalid_argument);
  EXPECT_THROW(guide_rescaled<float>(a, a, 2, NAN, out), std::invalid_argument);
  EXPECT_THROW(guide_rescaled<float>(a, a, 2, 0.5, out, 0), std::invalid_argument);
  EXPECT_THROW(guide_rescaled<float>(a, a, 2, 0.5, out, 4), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
