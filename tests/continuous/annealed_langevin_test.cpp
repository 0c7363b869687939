#include "tweedie/continuous/annealed_langevin.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"

namespace tweedie {
namespace {

// The data sets of Song and Ermon 2020, table 3: sides, highest level, levels, steps and their step size;
// lowest level 0.01.
struct published {
  double side, highest;
  int levels, steps;
  double step;
  double tolerance;  // of the printed digits
};
constexpr published sets[] = {{32, 50, 232, 5, 6.2e-6, 0.05e-6},
                              {64, 90, 500, 5, 3.3e-6, 0.05e-6},
                              {128, 190, 1086, 3, 1.8e-6, 0.05e-6},
                              {256, 348, 2311, 3, 0.9e-6, 0.05e-6}};
double ratio(const published& s) { return std::pow(s.highest / 0.01, 1.0 / (s.levels - 1)); }

TEST(annealed_langevin_step, published) {
  for (const published& s : sets)
    EXPECT_NEAR(annealed_langevin_step(0.01, ratio(s), s.steps), s.step, s.tolerance) << s.side;
  // LSUN church: printed 4.9e-6, which does not follow from the rule.
  EXPECT_NEAR(annealed_langevin_step(0.01, std::pow(14000, 1.0 / 787), 4), 2.312e-6, 1e-9);
  // A minimum, and in units of the level.
  const double e = annealed_langevin_step(0.01, 1.0376, 5);
  const double least = annealed_variance(e, 0.01, 1.0376, 5) - 1;
  EXPECT_NEAR(least, 0.055, 1e-3);
  for (const double other : {0.99 * e, 1.01 * e})
    EXPECT_GT(annealed_variance(other, 0.01, 1.0376, 5) - 1, least);
  EXPECT_NEAR(annealed_langevin_step(1, 1.0376, 5), e * 1e4, 1e-7);
}

// h is what the steps do to the variance: T steps on N(0, s^2), whose score is -x/s^2.
TEST(annealed_variance, is_the_recursion_of_the_steps) {
  const double s = 0.3, g = 1.2, e = 0.02;
  double variance = g * g * s * s;
  for (int k = 0; k < 4; ++k) variance = std::pow(1 - e / (s * s), 2) * variance + 2 * e;
  EXPECT_NEAR(annealed_variance(e, s, g, 4), variance / (s * s), 1e-14);
}

// The published numbers of levels, and those that C = 0.5, as the paper has it, would give.
TEST(annealing_ratio, published_levels_share_more_than_half) {
  for (const published& s : sets) {
    const double d = 3 * s.side * s.side;
    EXPECT_NEAR(noise_overlap(d, ratio(s)), 0.567, 1e-3);
    EXPECT_NEAR(annealing_ratio(d, noise_overlap(d, ratio(s))), ratio(s), 1e-12);
  }
  EXPECT_NEAR(1 + std::log(5000) / std::log(annealing_ratio(3072)), 219.2, 0.1);
  EXPECT_NEAR(1 + std::log(34800) / std::log(annealing_ratio(3 * 65536)), 2181.6, 0.1);
}

TEST(annealed_langevin, refuses_what_is_none) {
  EXPECT_EQ(
      refusal([] { annealed_langevin_step(0, 1.1, 1); }).find("annealed_langevin_step: lowest"),
      0U);
  EXPECT_EQ(
      refusal([] { annealed_langevin_step(1, 1, 1); }).find("annealed_langevin_step: ratio = 1"),
      0U);
  EXPECT_EQ(
      refusal([] { annealed_langevin_step(1, 2, 0); }).find("annealed_langevin_step: steps = 0"),
      0U);
  EXPECT_EQ(refusal([] { annealing_ratio(4); }).find("annealing_ratio: dimensions = 4"), 0U);
  EXPECT_EQ(refusal([] { annealing_ratio(100, 1); }).find("annealing_ratio: overlap = 1"), 0U);
  EXPECT_EQ(refusal([] { noise_overlap(100, 0.5); }).find("noise_overlap: ratio = 0.5"), 0U);
}

}  // namespace
}  // namespace tweedie
