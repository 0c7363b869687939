#include "tweedie/tensor/load_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

using namespace tweedie;
using namespace tweedie::detail;

template <class S>
S from_bits(unsigned bits) {
  return std::bit_cast<S>(static_cast<std::uint16_t>(bits));
}

template <class S>
std::uint16_t bits_of(S value) {
  return std::bit_cast<std::uint16_t>(value);
}

template <class S>
class narrow_storage : public testing::Test {};
using narrow_scalars = testing::Types<float16, bfloat16>;
TYPED_TEST_SUITE(narrow_storage, narrow_scalars);

TYPED_TEST(narrow_storage, every_number_is_loaded_and_stored_unchanged) {
  using S = TypeParam;
  for (unsigned first = 0; first < 0x10000; first += float_lanes) {
    S stored[float_lanes], again[float_lanes];
    float loaded[float_lanes];
    for (unsigned i = 0; i < float_lanes; ++i) stored[i] = from_bits<S>(first + i);
    store(loaded, load(stored));
    store(again, load(stored));
    for (unsigned i = 0; i < float_lanes; ++i) {
      const auto expected = static_cast<float>(stored[i]);  // Eigen's, one at a time
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(loaded[i])) << first + i;
        EXPECT_TRUE(std::isnan(static_cast<float>(again[i]))) << first + i;
      } else {
        EXPECT_EQ(std::bit_cast<std::uint32_t>(loaded[i]), std::bit_cast<std::uint32_t>(expected));
        EXPECT_EQ(bits_of(again[i]), first + i);
      }
    }
  }
}

// Between any two neighbours the middle goes to the even one, what is nearer to one goes there; from
// the middle between the largest number and the next power of two on, to infinity.
TYPED_TEST(narrow_storage, floats_are_rounded_to_nearest_even) {
  using S = TypeParam;
  const unsigned infinity = bits_of(static_cast<S>(std::numeric_limits<float>::infinity()));
  const auto stored = [](float value) {
    float values[float_lanes];
    S to[float_lanes];
    std::fill_n(values, float_lanes, value);
    store(to, load(values));
    return bits_of(to[float_lanes - 1]);
  };
  for (unsigned low = 0; low < infinity; ++low) {
    const double below = static_cast<float>(from_bits<S>(low));
    const double spacing = low == 0 ? static_cast<float>(from_bits<S>(1))
                                    : std::max(below - static_cast<float>(from_bits<S>(low - 1)),
                                               double{static_cast<float>(from_bits<S>(1))});
    const double above =
        low + 1 < infinity ? static_cast<float>(from_bits<S>(low + 1)) : below + spacing;
    // For bfloat16's least numbers the middle is a subnormal float, but exact.
    const auto middle = static_cast<float>((below + above) / 2);
    const unsigned even = low % 2 == 0 ? low : low + 1;
    for (const unsigned sign : {0u, 0x8000u}) {
      const float factor = sign == 0 ? 1.0f : -1.0f;
      ASSERT_EQ(stored(factor * middle), even | sign) << low;
      ASSERT_EQ(stored(factor * std::nextafter(middle, 0.0f)), low | sign) << low;
      ASSERT_EQ(stored(factor * std::nextafter(middle, INFINITY)), (low + 1) | sign) << low;
    }
  }
  EXPECT_EQ(stored(std::numeric_limits<float>::infinity()), infinity);
  EXPECT_EQ(stored(-std::numeric_limits<float>::infinity()), infinity | 0x8000u);
  EXPECT_EQ(stored(std::numeric_limits<float>::denorm_min()), 0);
}

// The extremes of NaNs: first and last payload, quiet and not, either sign.
TYPED_TEST(narrow_storage, nans_stay_nans) {
  using S = TypeParam;
  for (const std::uint32_t bits : {0x7f800001u, 0x7f80ffffu, 0x7fbfffffu, 0x7fc00000u, 0x7fffffffu,
                                   0xff800001u, 0xffbfffffu, 0xffc00000u, 0xffffffffu}) {
    float values[float_lanes];
    S to[float_lanes];
    std::fill_n(values, float_lanes, std::bit_cast<float>(bits));
    store(to, load(values));
    for (const S value : to) EXPECT_TRUE(std::isnan(static_cast<float>(value))) << bits;
  }
}

TYPED_TEST(narrow_storage, pairs_of_packets_hold_and_round_the_same_elements) {
  using S = TypeParam;
  constexpr std::size_t n = 2 * float_lanes;
  for (unsigned first = 0; first < 0x10000; first += n) {
    S from[n], to[n], one_by_one[n];
    for (unsigned i = 0; i < n; ++i) from[i] = from_bits<S>(first + i);
    const packet_pair<S> pair = load_pair(from);
    const packet<float> third = pset1<packet<float>>(1 / 3.0f);
    store_pair<S>(
        to, {Eigen::internal::pmul(pair.first, third), Eigen::internal::pmul(pair.second, third)});
    for (std::size_t i = 0; i < n; i += float_lanes) {
      store(one_by_one + i, Eigen::internal::pmul(load(from + i), third));
    }
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(bits_of(to[i]), bits_of(one_by_one[i])) << first;
  }
}

// One NaN among numbers that are rounded: in every place, of the kind that rounding would carry past
// the largest NaN, and a signalling one whose payload is all cut off.
TYPED_TEST(narrow_storage, a_nan_in_a_pair_stays_and_changes_nothing_else) {
  using S = TypeParam;
  constexpr std::size_t n = 2 * float_lanes;
  S ones[n];
  std::fill_n(ones, n, S(1));
  const packet_pair<S> one = load_pair(ones);
  const auto next = static_cast<float>(from_bits<S>(bits_of(S(1)) + 1u));
  const float up = 1 + 0.75f * (next - 1);  // is rounded up
  for (const std::uint32_t bits : {0x7fffffffu, 0xffffffffu, 0x7f800001u, 0xff800001u}) {
    for (std::size_t lane = 0; lane < n; ++lane) {
      packet_pair<S> pair = {Eigen::internal::pmul(one.first, pset1<packet<float>>(up)),
                             Eigen::internal::pmul(one.second, pset1<packet<float>>(up))};
      packet<float>& part = lane < float_lanes ? pair.first : pair.second;
      const float nan = std::bit_cast<float>(bits);
      std::memcpy(reinterpret_cast<char*>(&part) + lane % float_lanes * sizeof nan, &nan,
                  sizeof nan);
      S to[n];
      store_pair<S>(to, pair);
      std::size_t nans = 0;
      for (const S value : to) {
        if (std::isnan(static_cast<float>(value))) {
          ++nans;
        } else {
          EXPECT_EQ(static_cast<float>(value), next);
        }
      }
      EXPECT_EQ(nans, 1u) << bits << ' ' << lane;
    }
  }
}

TYPED_TEST(narrow_storage, partial_packets_touch_only_their_elements) {
  using S = TypeParam;
  for (std::size_t count = 0; count < float_lanes; ++count) {
    std::vector<S> from(float_lanes, S(3)), to(float_lanes, S(7));
    store_partial(to.data(), load_partial(from.data(), count), count);
    for (std::size_t i = 0; i < float_lanes; ++i) EXPECT_EQ(to[i], i < count ? S(3) : S(7));
  }
}

}  // namespace
