#include "tweedie/tensor/packet.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace {

using namespace tweedie::detail;

// Extremes of every kind: zeros of both signs, subnormal, least, large, infinite, not a number.
template <class A>
std::vector<A> extremes() {
  using limits = std::numeric_limits<A>;
  std::vector<A> values = {0,
                           limits::denorm_min(),
                           3 * limits::denorm_min(),
                           limits::min(),
                           A(1) / 3,
                           1,
                           std::nextafter(A(1), A(2)),
                           2,
                           limits::max(),
                           limits::infinity(),
                           limits::quiet_NaN()};
  for (std::size_t i = values.size(); i-- > 0;) values.push_back(-values[i]);
  return values;
}

template <class A>
packet<A> filled(A value) {
  return pset1<packet<A>>(value);
}

template <class A>
A last_lane(packet<A> p) {
  A values[lanes<A>];
  Eigen::internal::pstoreu(values, p);
  return values[lanes<A> - 1];
}

template <class A>
auto bits_of(A value) {
  return std::bit_cast<std::conditional_t<std::is_same_v<A, float>, std::uint32_t, std::uint64_t>>(
      value);
}

template <class A>
class packet_of : public testing::Test {};
using arithmetic = testing::Types<float, double>;
TYPED_TEST_SUITE(packet_of, arithmetic);

// IEEE 754: std::sqrt rounds correctly.
TYPED_TEST(packet_of, square_root_is_rounded_correctly) {
  using A = TypeParam;
  for (const A x : extremes<A>()) {
    const A root = last_lane<A>(square_root(filled(x)));
    if (std::isnan(std::sqrt(x))) {
      EXPECT_TRUE(std::isnan(root)) << x;
    } else {
      EXPECT_EQ(bits_of(root), bits_of(std::sqrt(x))) << x;
    }
  }
  A x = A(0.7);
  for (int i = 0; i < 1000; ++i, x *= A(1.037)) {
    ASSERT_EQ(bits_of(last_lane<A>(square_root(filled(x)))), bits_of(std::sqrt(x))) << x;
  }
}

TYPED_TEST(packet_of, order_of_two_lanes_and_what_it_says_of_nan) {
  using A = TypeParam;
  for (const A a : extremes<A>()) {
    for (const A b : extremes<A>()) {
      const bool unordered = std::isnan(a) || std::isnan(b);
      const unsigned all = (1u << lanes<A>)-1u;
      EXPECT_EQ(lanes_not_below<A>(filled(a), filled(b)), a < b ? 0u : all) << a << ' ' << b;
      const A larger = last_lane<A>(maximum(filled(a), filled(b)));
      const A smaller = last_lane<A>(minimum(filled(a), filled(b)));
      if (unordered) {
        EXPECT_TRUE(std::isnan(a) ? std::isnan(larger) : larger == a) << a << ' ' << b;
        EXPECT_TRUE(std::isnan(a) ? std::isnan(smaller) : smaller == a) << a << ' ' << b;
      } else {
        EXPECT_EQ(larger, std::max(a, b));
        EXPECT_EQ(smaller, std::min(a, b));
      }
    }
  }
}

TEST(packets, lanes_not_below_has_a_bit_for_each_lane) {
  const auto check = []<class A>(A) {
    for (std::size_t lane = 0; lane < lanes<A>; ++lane) {
      A a[lanes<A>] = {};
      a[lane] = 2;
      packet<A> p;
      std::memcpy(&p, a, sizeof p);
      EXPECT_EQ(lanes_not_below<A>(p, filled(A(1))), 1u << lane);
    }
  };
  check(0.0f);
  check(0.0);
}

TEST(packets, any_nan_finds_one_in_any_lane_of_either) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const packet<float> clean = filled(infinity), other = filled(-infinity);
  EXPECT_FALSE(any_nan(clean, other));
  for (std::size_t lane = 0; lane < float_lanes; ++lane) {
    float a[float_lanes] = {};
    a[lane] = lane % 2 == 0 ? nan : -nan;
    packet<float> p;
    std::memcpy(&p, a, sizeof p);
    EXPECT_TRUE(any_nan(p, clean)) << lane;
    EXPECT_TRUE(any_nan(other, p)) << lane;
  }
}

TEST(packets, floats_widen_to_doubles_in_order_and_narrow_back) {
  const std::vector<float> values = extremes<float>();
  for (std::size_t first = 0; first < values.size(); ++first) {
    float from[float_lanes], to[float_lanes];
    for (std::size_t i = 0; i < float_lanes; ++i) from[i] = values[(first + i) % values.size()];
    packet<float> p;
    std::memcpy(&p, from, sizeof p);
    packet<double> wide[double_parts];
    widen(p, wide);
    double doubles[float_lanes];
    std::memcpy(doubles, wide, sizeof doubles);
    const packet<float> back = narrow(wide);
    std::memcpy(to, &back, sizeof to);
    for (std::size_t i = 0; i < float_lanes; ++i) {
      if (std::isnan(from[i])) {
        EXPECT_TRUE(std::isnan(doubles[i]) && std::isnan(to[i]));
      } else {
        EXPECT_EQ(bits_of(doubles[i]), bits_of(double{from[i]}));
        EXPECT_EQ(bits_of(to[i]), bits_of(from[i]));
      }
    }
  }
}

// Halfway between 1 and its neighbours: to the even one.
TEST(packets, narrowing_rounds_to_nearest_even) {
  const float epsilon = std::numeric_limits<float>::epsilon();
  const auto narrowed = [](double value) {
    packet<double> wide[double_parts];
    std::fill_n(wide, double_parts, filled(value));
    return last_lane<float>(narrow(wide));
  };
  EXPECT_EQ(narrowed(1 + epsilon / 2.0), 1.0f);
  EXPECT_EQ(narrowed(std::nextafter(1 + epsilon / 2.0, 2.0)), 1 + epsilon);
  EXPECT_EQ(narrowed(1 + epsilon * 1.5), 1 + 2 * epsilon);
}

}  // namespace
