#include "tweedie/conditioning/image.hpp"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <numeric>
#include <vector>

namespace tweedie {
namespace {

template <class S>
std::vector<S> waves(std::size_t n) {
  std::vector<S> out(n);
  for (std::size_t i = 0; i < n; ++i)
    out[i] = static_cast<S>(std::sin(1.7 * static_cast<double>(i)));
  return out;
}

template <class S>
class blocks : public ::testing::Test {};
using scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(blocks, scalars);

TYPED_TEST(blocks, averages_of_repeated_numbers_are_the_numbers) {
  using S = TypeParam;
  const image_shape shape{2, 6, 9};
  const std::vector<S> numbers = waves<S>(2 * 2 * 3), picture = waves<S>(shape.size());
  std::vector<S> image(shape.size()), means(numbers.size());
  repeat_blocks<S>(numbers, shape, 3, image);
  EXPECT_EQ(image[(6 + 4) * 9 + 5], numbers[(2 + 1) * 3 + 1]);  // channel 1, row 4, column 5
  average_blocks<S>(image, shape, 3, means);
  for (std::size_t i = 0; i < means.size(); ++i) EXPECT_NEAR(means[i], numbers[i], 1e-6);
  average_blocks<S>(picture, shape, 3, means);  // <P x, n> = <x, R n> / 9
  EXPECT_NEAR(std::inner_product(means.begin(), means.end(), numbers.begin(), 0.0),
              std::inner_product(picture.begin(), picture.end(), image.begin(), 0.0) / 9, 1e-6);
  std::vector<S> same(shape.size());
  average_blocks<S>(picture, shape, 1, same);
  EXPECT_EQ(same, picture);
}

// Sums of a thousand numbers, which 8 bits of mantissa would not hold.
TEST(blocks_of_halves, average_to_the_number_that_fills_them) {
  const auto expect_ones = [](auto one) {
    const std::vector<decltype(one)> image(32 * 32, one);
    std::vector<decltype(one)> mean(1);
    average_blocks<decltype(one)>(image, {1, 32, 32}, 32, mean);
    EXPECT_EQ(mean[0], one);
  };
  expect_ones(Eigen::half(1));
  expect_ones(Eigen::bfloat16(1));
}

TYPED_TEST(blocks, haar_is_orthogonal_undone_by_its_inverse_and_begins_with_means) {
  using S = TypeParam;
  const image_shape shape{3, 4, 6};
  const std::vector<S> picture = waves<S>(shape.size());
  std::vector<S> bands(shape.size()), back(shape.size()), means(shape.size() / 4);
  haar<S>(picture, shape, bands);
  EXPECT_NEAR(std::inner_product(bands.begin(), bands.end(), bands.begin(), 0.0),
              std::inner_product(picture.begin(), picture.end(), picture.begin(), 0.0), 1e-5);
  inverse_haar<S>(bands, shape, back);
  for (std::size_t i = 0; i < back.size(); ++i) EXPECT_NEAR(back[i], picture[i], 1e-6);
  average_blocks<S>(picture, shape, 2, means);
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(bands[24 * c + i], 2 * means[6 * c + i], 1e-6);
  // One block, by hand.
  const std::vector<S> block{1, 2, 3, 7};
  std::vector<S> four(4);
  haar<S>(block, {1, 2, 2}, four);
  EXPECT_EQ(four, (std::vector<S>{6.5, -2.5, -3.5, 1.5}));
}

TEST(blocks_of_pixels, refuse_what_does_not_fit_and_write_nothing) {
  const std::vector<float> picture = waves<float>(24);
  std::vector<float> out(24, 5), means(6, 5);
  const std::vector<float> untouched = out;
  EXPECT_THROW(average_blocks<float>(picture, {1, 4, 6}, 4, means), std::invalid_argument);
  EXPECT_THROW(average_blocks<float>(picture, {1, 4, 6}, 0, means), std::invalid_argument);
  EXPECT_THROW(average_blocks<float>(picture, {2, 4, 6}, 2, means), std::invalid_argument);
  EXPECT_THROW(repeat_blocks<float>(std::span(means).first(5), {1, 4, 6}, 2, out),
               std::invalid_argument);
  EXPECT_THROW(haar<float>(picture, {1, 3, 8}, out), std::invalid_argument);
  EXPECT_THROW(inverse_haar<float>(picture, {1, 4, 4}, out), std::invalid_argument);
  EXPECT_EQ(out, untouched);
  EXPECT_EQ(means, std::vector<float>(6, 5));
}

}  // namespace
}  // namespace tweedie
