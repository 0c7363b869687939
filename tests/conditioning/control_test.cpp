#include "tweedie/conditioning/control.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace tweedie {
namespace {

TEST(add_control, is_linear_in_its_scales_and_keeps_the_bits_at_zero) {
  const std::vector<float> h{1.5f, -0.0f, 3}, a{0.25f, 1, 2}, b{-1, 0.5f, 4};
  const std::vector<float> no_number(3, std::numeric_limits<float>::quiet_NaN());
  const std::vector<std::span<const float>> both{a, b}, off{no_number, b};
  std::vector<float> out = h;
  add_control<float>(out, off, std::vector<double>{0, 0});
  EXPECT_EQ(out, h);
  EXPECT_TRUE(std::signbit(out[1]));
  add_control<float>(out, both, std::vector<double>{2, 0.5});
  EXPECT_EQ(out, (std::vector<float>{1.5f + 0.5f - 0.5f, 2.25f, 9}));
}

TEST(add_control, refuses_what_does_not_fit_and_leaves_the_features) {
  std::vector<float> h{1, 2};
  const std::vector<float> a{1, 2}, wrong{1};
  const std::vector<std::span<const float>> both{a, wrong}, one{a};
  EXPECT_THROW(add_control<float>(h, both, std::vector<double>{1, 1}), std::invalid_argument);
  EXPECT_THROW(add_control<float>(h, one, std::vector<double>{1, 1}), std::invalid_argument);
  EXPECT_THROW(add_control<float>(h, one, std::vector<double>{std::nan("")}),
               std::invalid_argument);
  EXPECT_EQ(h, a);
}

// diffusers, StableDiffusionControlNetPipeline: 1 - (i / n < start or (i + 1) / n > end).
TEST(control_scale, acts_where_the_whole_step_lies_inside) {
  const auto acting = [](double start, double end) {
    std::string steps;
    for (std::size_t i = 0; i < 10; ++i)
      steps += control_scale(0.8, i, 10, start, end) == 0.8 ? 'x' : '.';
    return steps;
  };
  EXPECT_EQ(acting(0, 1), "xxxxxxxxxx");
  EXPECT_EQ(acting(0, 0.5), "xxxxx.....");
  EXPECT_EQ(acting(0.25, 0.75), "...xxxx...");
  EXPECT_EQ(acting(1, 1), "..........");
  EXPECT_THROW(control_scale(1, 10, 10, 0, 1), std::invalid_argument);
  EXPECT_THROW(control_scale(1, 0, 10, 0.6, 0.5), std::invalid_argument);
  EXPECT_THROW(control_scale(1, 0, 10, 0, 1.1), std::invalid_argument);
}

TEST(depth_scales, run_geometrically_from_a_tenth_to_one) {
  const auto s = depth_scales(13);
  EXPECT_EQ(s.size(), 13u);
  EXPECT_EQ(s.front(), 0.1);
  EXPECT_EQ(s.back(), 1);
  for (std::size_t i = 1; i < 13; ++i) EXPECT_NEAR(s[i] / s[i - 1], std::pow(10, 1.0 / 12), 1e-15);
  EXPECT_THROW(depth_scales(1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
