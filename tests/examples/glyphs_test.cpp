#include "../../examples/support/glyphs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

namespace {

using support::dataset;
using support::draw_digits;
using support::glyph_options;

class glyphs : public testing::Test {
 protected:
  void SetUp() override {
    try {
      few = draw_digits({.side = 16, .pictures = 1});
    } catch (const std::runtime_error& error) {
      GTEST_SKIP() << error.what();
    }
  }
  dataset few;
};

TEST_F(glyphs, every_digit_equally_often) {
  const dataset data = draw_digits({.pictures = 2 * static_cast<int>(few.pictures.cols()) - 5});
  EXPECT_EQ(data.pictures.cols(), 2 * few.pictures.cols());
  for (int digit = 0; digit < 10; ++digit)
    EXPECT_EQ(std::count(data.labels.begin(), data.labels.end(), digit), data.pictures.cols() / 10);
  EXPECT_EQ(data.classes(), 10);
}

TEST_F(glyphs, are_white_on_black_and_stay_off_the_border) {
  EXPECT_GE(few.pictures.minCoeff(), -1);
  EXPECT_LE(few.pictures.maxCoeff(), 1);
  for (Eigen::Index k = 0; k < few.pictures.cols(); ++k) {
    const Eigen::Map<const Eigen::MatrixXf> picture(few.pictures.col(k).data(), 16, 16);
    const float ink = (picture.array() + 1).sum() / 2;
    EXPECT_GT(ink, 8) << k;
    EXPECT_LT(ink, 160) << k;
    EXPECT_LT(picture.row(0).maxCoeff(), -0.5f) << k;
    EXPECT_LT(picture.col(15).maxCoeff(), -0.5f) << k;
  }
}

TEST_F(glyphs, depend_on_the_seed_alone) {
  EXPECT_EQ(few.pictures, draw_digits({.side = 16, .pictures = 1}).pictures);
  EXPECT_NE(few.pictures, draw_digits({.side = 16, .pictures = 1, .seed = 2}).pictures);
}

TEST(glyph_options, are_checked) {
  EXPECT_THROW(draw_digits({.fonts = "/nowhere"}), std::runtime_error);
  EXPECT_THROW(draw_digits({.side = 7}), std::invalid_argument);
  EXPECT_THROW(draw_digits({.pictures = 0}), std::invalid_argument);
}

}  // namespace
