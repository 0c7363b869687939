#include "tweedie/edit/correlated_noise.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>

namespace tweedie {
namespace {

// Sample correlations of `elements` over many draws, as one matrix: a unit diagonal says that every
// element has variance 1.
template <class Source>
Eigen::MatrixXd second_moments(const Source& source, Eigen::Index elements, int draws = 40000) {
  Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(elements, elements);
  Eigen::VectorXd z(elements);
  for (int d = 0; d < draws; ++d) {
    source.fill({.draw = d, .kind = {}, .items = 1},
                std::span<double>(z.data(), static_cast<std::size_t>(elements)));
    sum += z * z.transpose();
  }
  return sum / draws;
}
// Five standard errors of a product of normals: sqrt((1 + r^2) / draws).
constexpr double close = 5 * 1.4143 / 200;

TEST(varied_noise, turns_from_one_seed_to_the_other_with_unit_variance) {
  std::vector<double> a(6), b(6), half(6), z(6);
  const noise_request request{.draw = 3, .kind = {}, .items = 2};
  gaussian_noise{1}.fill(request, std::span(a));
  gaussian_noise{2}.fill(request, std::span(b));
  varied_noise{1, 2, 0}.fill(request, std::span(z));
  EXPECT_EQ(z, a);
  varied_noise{1, 2, 1}.fill(request, std::span(z));
  EXPECT_EQ(z, b);
  varied_noise{1, 2, 0.5}.fill(request, std::span(half));
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(half[i], (a[i] + b[i]) / std::sqrt(2), 1e-15);
  EXPECT_THROW((varied_noise{1, 2, 1.1}.fill(request, std::span(z))), std::invalid_argument);
  EXPECT_LT((second_moments(varied_noise{1, 2, 0.3}, 3) - Eigen::Matrix3d::Identity())
                .cwiseAbs()
                .maxCoeff(),
            close);
}

TEST(offset_noise, correlates_a_channel_and_nothing_else) {
  const double s = 0.7, r = s * s / (1 + s * s);
  Eigen::Matrix4d expected;
  expected << 1, r, 0, 0, r, 1, 0, 0, 0, 0, 1, r, 0, 0, r, 1;
  EXPECT_LT((second_moments(offset_noise{5, 2, s}, 4) - expected).cwiseAbs().maxCoeff(), close);
}

TEST(pyramid_noise, correlates_blocks_of_two_and_four) {
  // One row of 8: elements in one block of 2 share two levels, of 4 one.
  const double d = 0.6, v = 1 + d * d + d * d * d * d;
  Eigen::MatrixXd expected(8, 8);
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 8; ++j)
      expected(i, j) =
          ((i == j ? 1 : 0) + (i / 2 == j / 2 ? d * d : 0) + (i / 4 == j / 4 ? d * d * d * d : 0)) /
          v;
  EXPECT_LT((second_moments(pyramid_noise{5, 1, 8, d, 3}, 8) - expected).cwiseAbs().maxCoeff(),
            close);
  EXPECT_LT(
      (second_moments(pyramid_noise{5, 3, 1, 1, 4}, 3).diagonal().array() - 1).abs().maxCoeff(),
      close);
}

TEST(video_noise, mixes_or_chains_frames) {
  const double r = 1.5, once = r * r / (1 + r * r), step = r / std::sqrt(1 + r * r);
  Eigen::MatrixXd mixed(6, 6), chained(6, 6);
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 6; ++j) {
      const bool same = i % 2 == j % 2;  // frames of 2 elements
      mixed(i, j) = !same ? 0 : i == j ? 1 : once;
      chained(i, j) = !same ? 0 : std::pow(step, std::abs(i / 2 - j / 2));
    }
  EXPECT_LT((second_moments(video_noise{5, 2, r}, 6) - mixed).cwiseAbs().maxCoeff(), close);
  EXPECT_LT((second_moments(video_noise{5, 2, r, frame_correlation::progressive}, 6) - chained)
                .cwiseAbs()
                .maxCoeff(),
            close);
}

template <class Source>
void keeps_its_items(const Source& source) {
  std::vector<float> both(16), one(8);
  source.fill({.draw = 4, .kind = {}, .items = 2}, std::span(both));
  source.fill({.draw = 4, .kind = {}, .items = 1}, std::span(one));
  EXPECT_TRUE(std::equal(one.begin(), one.end(), both.begin()));
  EXPECT_FALSE(std::equal(one.begin(), one.end(), both.begin() + 8));
}

TEST(correlated_noise, of_an_item_does_not_depend_on_the_batch) {
  keeps_its_items(varied_noise{1, 2, 0.4});
  keeps_its_items(offset_noise{1, 4, 0.1});
  keeps_its_items(pyramid_noise{1, 2, 4});
  keeps_its_items(video_noise{1, 2, 1, frame_correlation::mixed});
  keeps_its_items(video_noise{1, 2, 1, frame_correlation::progressive});
}

TEST(correlated_noise, without_correlation_is_plain_noise_bit_for_bit) {
  std::vector<float> plain(16), z(16);
  const noise_request request{.draw = 4, .kind = {}, .items = 2};
  gaussian_noise{1}.fill(request, std::span(plain));
  offset_noise{1, 4, 0}.fill(request, std::span(z));
  EXPECT_EQ(z, plain);
  pyramid_noise{1, 2, 4, 0.8, 1}.fill(request, std::span(z));
  EXPECT_EQ(z, plain);
  pyramid_noise{1, 2, 4, 0, 5}.fill(request, std::span(z));
  EXPECT_EQ(z, plain);
  video_noise{1, 2, 0}.fill(request, std::span(z));
  EXPECT_EQ(z, plain);
}

TEST(correlated_noise, refuses_parts_that_do_not_fill_an_item_and_writes_nothing) {
  std::vector<float> z(16, 7.f);
  const noise_request request{.draw = 4, .kind = {}, .items = 2};
  const auto refuses = [&](const auto& source) {
    EXPECT_THROW(source.fill(request, std::span(z)), std::invalid_argument);
    EXPECT_EQ(z, std::vector<float>(16, 7.f));
  };
  refuses(offset_noise{1, 3, 0.1});
  refuses(offset_noise{1, 0, 0.1});
  refuses(offset_noise{1, 4, std::nan("")});
  refuses(pyramid_noise{1, 3, 4});
  refuses(pyramid_noise{1, 2, 4, 1.5});
  refuses(pyramid_noise{1, 2, 4, 0.5, 0});
  refuses(video_noise{1, 3, 1});
  refuses(video_noise{1, 2, -1});
  std::vector<float> none;
  video_noise{1, 2, 1}.fill({.draw = 0, .kind = {}, .items = 0}, std::span(none));
}

}  // namespace
}  // namespace tweedie
