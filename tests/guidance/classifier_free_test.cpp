#include "tweedie/guidance/classifier_free.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tweedie/schedule/prediction.hpp"

namespace tweedie {
namespace {

const std::vector<double> u{0.1, -0.4, 2.0};
const std::vector<double> c{0.3, 0.8, -1.0};

std::vector<double> guided(double w) {
  std::vector<double> out(3);
  guide<double>(u, c, w, out);
  return out;
}

TEST(classifier_free, ends_are_the_two_outputs_themselves) {
  EXPECT_EQ(guided(0), u);
  EXPECT_EQ(guided(1), c);
}

TEST(classifier_free, conditional_weight_one_never_reads_the_unconditional_output) {
  std::vector<double> nothing(3, std::nan("")), out(3);
  guide<double>(nothing, c, 1, out);
  EXPECT_EQ(out, c);
}

TEST(classifier_free, is_affine_in_the_scale) {
  const auto at_2 = guided(2), at_5 = guided(5), at_8 = guided(8);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(at_5[i], (at_2[i] + at_8[i]) / 2, 1e-14);
}

TEST(classifier_free, the_papers_scale_counts_from_the_conditional_output) {
  EXPECT_EQ(paper_guidance_scale(0), guidance_scale(1));
  EXPECT_EQ(paper_guidance_scale(6.5), guidance_scale(7.5));
  // (1 + s) conditional - s unconditional, Ho and Salimans 2022, eq. 6.
  EXPECT_EQ(paper_guidance_scale(2)[1], 3);
  EXPECT_EQ(paper_guidance_scale(2)[0], -2);
}

TEST(classifier_free, commutes_with_every_conversion) {
  const node n{0, {0.6, 0.8}};
  const std::vector<plane_row> rows{predicts_noise(n), predicts_sample(n), predicts_v(n),
                                    predicts_rectified_velocity(n), predicts_score(n)};
  constexpr double x = 0.7, w = 7.5, y_u = 0.2, y_c = -0.5;
  for (const plane_row& from : rows)
    for (const plane_row& to : rows) {
      const state_output k = convert(n.level, from, to);
      const auto converted = [&](double y) { return k.x * x + k.y * y; };
      const double first = converted((1 - w) * y_u + w * y_c);
      const double last = (1 - w) * converted(y_u) + w * converted(y_c);
      EXPECT_NEAR(first, last, 1e-13 * (1 + std::abs(first)));
    }
}

TEST(classifier_free, batched_layout_is_unconditional_first) {
  std::vector<double> both(u);
  both.insert(both.end(), c.begin(), c.end());
  std::vector<double> out(3);
  guide_batched<double>(both, 4, out);
  EXPECT_EQ(out, guided(4));
}

TEST(classifier_free, composed_conditions) {
  EXPECT_EQ(composed_scales(std::vector{7.5}), guidance_scale(7.5));
  const auto weights = composed_scales(std::vector{2.0, 3.0, -1.0});
  EXPECT_DOUBLE_EQ(weights[0] + weights[1] + weights[2] + weights[3], 1);
}

TEST(classifier_free, single_precision_and_writing_in_place) {
  std::vector<float> a{1, 2, 3}, b{2, 4, 8};
  guide<float>(a, b, 3, a);
  EXPECT_EQ(a, (std::vector<float>{4, 8, 18}));
}

TEST(classifier_free, refuses_bad_input_and_changes_nothing) {
  std::vector<double> out{7, 7, 7}, shorter(2);
  EXPECT_THROW(guide<double>(u, shorter, 2, out), std::invalid_argument);
  EXPECT_THROW(guide<double>(u, c, std::nan(""), out), std::invalid_argument);
  EXPECT_THROW(guide_batched<double>(u, 2, out), std::invalid_argument);
  EXPECT_EQ(out, (std::vector<double>{7, 7, 7}));
  EXPECT_THROW(guidance_scale(std::nan("")), std::invalid_argument);
  EXPECT_THROW(composed_scales(std::vector<double>{INFINITY}), std::invalid_argument);
  EXPECT_THROW(composed_scales(std::vector<double>{}), std::invalid_argument);
}

// Bradley and Nakkiran 2024: p(x|c) = N(0, 1), p(x) = N(0, 2), noise level from 0 to infinity. The
// guided score is linear, so the variances follow from quadrature of its slope in u = level^2.
TEST(classifier_free, published_variances_of_guided_gaussians) {
  const auto slope = [](double w, double level) { return w / (1 + level) + (1 - w) / (2 + level); };
  for (const auto& [w, ode, sde] :
       {std::array{2.0, 0.5, 0.58333333}, std::array{3.0, 0.25, 0.3875},
        std::array{5.0, 0.0625, 0.22178819}, std::array{10.0, 0.001953125, 0.10526296},
        std::array{1.0, 1.0, 1.0}}) {
    // log-spaced quadrature over u in [0, 1e9]
    double integral = 0;  // of the slope
    double variance = 0;  // of exp(-2 integral)
    double last = 0;
    constexpr int n = 200000;
    for (int i = 0; i < n; ++i) {
      const double next = std::expm1(std::log1p(1e9) * (i + 1) / n);
      const double middle = (last + next) / 2;
      const double half = integral + slope(w, (last + middle) / 2) * (middle - last);
      variance += std::exp(-2 * half) * (next - last);
      integral += slope(w, middle) * (next - last);
      last = next;
    }
    EXPECT_NEAR(std::exp(-integral) * last, ode, 1e-4);
    EXPECT_NEAR(variance + std::exp(-2 * integral) * last, sde, 1e-4);
    EXPECT_NEAR(std::exp2(1 - w), ode, 1e-12);
    EXPECT_NEAR((2 - std::exp2(2 - 2 * w)) / (2 * w - 1), sde, 1e-8);
  }
}

}  // namespace
}  // namespace tweedie
