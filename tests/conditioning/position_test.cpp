#include "tweedie/conditioning/position.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace tweedie {
namespace {

TEST(patchify, puts_channels_of_a_pixel_together_and_patches_in_reading_order) {
  // 2 channels of 2 x 4, patches of 2: values name channel, row, column.
  const std::vector<int> image{0, 1, 2, 3, 10, 11, 12, 13, 100, 101, 102, 103, 110, 111, 112, 113};
  std::vector<int> tokens(16);
  patchify<int>(image, {2, 2, 4}, 2, tokens);
  EXPECT_EQ(tokens, (std::vector<int>{0, 100, 1, 101, 10, 110, 11, 111,  //
                                      2, 102, 3, 103, 12, 112, 13, 113}));
}

TEST(patchify, is_undone_by_unpatchify) {
  for (const std::size_t patch : {1u, 2u, 3u, 6u}) {
    std::vector<float> image(5 * 6 * 12), tokens(image.size()), back(image.size());
    std::iota(image.begin(), image.end(), 0.f);
    patchify<float>(image, {5, 6, 12}, patch, tokens);
    unpatchify<float>(tokens, {5, 6, 12}, patch, back);
    EXPECT_EQ(back, image);
  }
}

TEST(patchify, refuses_what_does_not_fit_and_writes_nothing) {
  const std::vector<float> image(12, 1.f);
  std::vector<float> tokens(12, 7.f), few(11, 7.f);
  EXPECT_THROW(patchify<float>(image, {1, 3, 4}, 2, tokens), std::invalid_argument);
  EXPECT_THROW(patchify<float>(image, {1, 3, 4}, 0, tokens), std::invalid_argument);
  EXPECT_THROW(patchify<float>(image, {1, 3, 4}, 1, few), std::invalid_argument);
  EXPECT_EQ(tokens, std::vector<float>(12, 7.f));
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST(rotary_position, inner_products_depend_on_the_difference_only) {
  const auto f = rotary_frequencies(6);
  for (const auto pairs : {rotary_pairs::neighbours, rotary_pairs::halves}) {
    const std::vector<double> q{0.3, -1, 2, 0.5, 0.7, 1}, k{1, 0.2, -0.4, 2, 1.5, -0.6};
    const auto at = [&](std::vector<double> x, double position) {
      rotate_to_position<double>(x, position, f, pairs);
      return x;
    };
    EXPECT_EQ(at(q, 0), q);
    EXPECT_NEAR(dot(at(q, 3), at(k, 10)), dot(at(q, 1003), at(k, 1010)), 1e-12);
    EXPECT_GT(std::abs(dot(at(q, 3), at(k, 10)) - dot(q, k)), 0.1);
    EXPECT_NEAR(dot(at(q, 5), at(q, 5)), dot(q, q), 1e-14);
    const auto back = at(at(q, 5), -5);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(back[i], q[i], 1e-15);
  }
}

TEST(rotary_position, turns_the_pairs_it_says) {
  const std::vector<double> f{std::acos(0.0), 0};  // a quarter turn a position, and none
  std::vector<float> neighbours{1, 0, 3, 4}, halves{1, 3, 0, 4};
  rotate_to_position<float>(neighbours, 1, f, rotary_pairs::neighbours);
  rotate_to_position<float>(halves, 1, f, rotary_pairs::halves);
  EXPECT_NEAR(neighbours[0], 0, 1e-7);
  EXPECT_NEAR(neighbours[1], 1, 1e-7);
  EXPECT_NEAR(halves[2], 1, 1e-7);
  EXPECT_EQ(neighbours[3], 4);
  EXPECT_EQ(halves[1], 3);
}

TEST(rotary_position, frequencies_are_those_of_the_paper) {
  const auto f = rotary_frequencies(8);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(f[i], std::pow(10000, -double(i) / 4), 1e-16);
  EXPECT_THROW(rotary_frequencies(7), std::invalid_argument);
  EXPECT_THROW(rotary_frequencies(0), std::invalid_argument);
  EXPECT_THROW(rotary_frequencies(8, 1), std::invalid_argument);
  std::vector<float> x(6);
  EXPECT_THROW(rotate_to_position<float>(x, 1, f, rotary_pairs::halves), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
