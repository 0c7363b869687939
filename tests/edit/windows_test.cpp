#include "tweedie/edit/windows.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace tweedie {
namespace {

using starts = std::vector<std::size_t>;

TEST(window_starts, cover_the_side_and_end_flush) {
  EXPECT_EQ(window_starts(8, 8, 4), (starts{0}));
  EXPECT_EQ(window_starts(16, 8, 8), (starts{0, 8}));
  EXPECT_EQ(window_starts(17, 8, 8), (starts{0, 8, 9}));
  EXPECT_EQ(window_starts(13, 8, 4), (starts{0, 4, 5}));
  EXPECT_EQ(window_starts(1, 1, 1), (starts{0}));
  EXPECT_THROW(window_starts(8, 9, 1), std::invalid_argument);
  EXPECT_THROW(window_starts(8, 0, 1), std::invalid_argument);
  EXPECT_THROW(window_starts(8, 4, 0), std::invalid_argument);
  EXPECT_THROW(window_starts(8, 4, 5), std::invalid_argument);
}

std::vector<double> random_picture(std::size_t n) {
  std::vector<double> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = std::sin(0.37 * static_cast<double>(i * i % 101));
  return x;
}

// A network that looks at one pixel at a time sees no windows.
TEST(windowed, a_pointwise_network_is_what_it_is_on_the_whole) {
  const auto pointwise = [](auto from, auto to) {
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = std::tanh(3 * from[i]) + 1;
  };
  const auto x = random_picture(2 * 13 * 19);
  std::vector<double> out(x.size()), expected(x.size());
  pointwise(std::span<const double>(x), std::span<double>(expected));
  for (const auto weight : {window_weight::equal, window_weight::tent}) {
    windowed<double> tiles({2, 13, 19}, 5, 7, 3, weight);
    tiles(x, pointwise, out);
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(out[i], expected[i], 1e-15);
  }
}

TEST(windowed, one_window_is_the_network_itself) {
  const auto x = random_picture(12);
  std::vector<double> out(12), expected(12);
  const auto network = [](auto from, auto to) {
    std::partial_sum(from.begin(), from.end(), to.begin());
  };
  network(std::span<const double>(x), std::span<double>(expected));
  windowed<double> tiles({1, 3, 4}, 3, 4, 1);
  tiles(x, network, out);
  EXPECT_EQ(tiles.windows(), 1u);
  EXPECT_EQ(out, expected);
}

// Equal weights minimise the sum over windows of squared differences to the windows' answers.
TEST(windowed, equal_weights_average_the_answers_of_a_pixel) {
  std::size_t asked = 0;
  const auto numbered = [&](auto, auto to) {
    ++asked;
    for (auto& v : to) v = static_cast<double>(asked);
  };
  windowed<double> tiles({1, 1, 5}, 1, 3, 1, window_weight::equal);
  std::vector<double> out(5);
  tiles(std::vector<double>(5), numbered, out);
  EXPECT_EQ(asked, 3u);
  const std::vector<double> expected{1, 1.5, 2, 2.5, 3};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(out[i], expected[i], 1e-15);
}

TEST(windowed, a_tent_gives_the_pixel_to_the_window_in_whose_middle_it_is) {
  std::size_t asked = 0;
  const auto numbered = [&](auto, auto to) {
    for (auto& v : to) v = static_cast<float>(asked);
    ++asked;
  };
  windowed<float> tiles({1, 1, 8}, 1, 5, 3);
  std::vector<float> out(8);
  tiles(std::vector<float>(8), numbered, out);
  // Window 0 weighs 1 2 3 2 1 on pixels 0 to 4, window 1 the same on 3 to 7.
  const std::vector<float> expected{0, 0, 0, 1.f / 3, 2.f / 3, 1, 1, 1};
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(out[i], expected[i], 1e-7f);
}

TEST(windowed, refuses_pictures_of_another_size) {
  windowed<float> tiles({1, 1, 8}, 1, 5, 3);
  std::vector<float> out(8), few(7);
  const auto network = [](auto, auto) {};
  EXPECT_THROW(tiles(few, network, out), std::invalid_argument);
  EXPECT_THROW(tiles(out, network, few), std::invalid_argument);
  EXPECT_THROW(windowed<float>({1, 4, 8}, 5, 5, 3), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
