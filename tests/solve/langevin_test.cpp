#include "tweedie/solve/langevin.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace tweedie {
namespace {

// Score and noise of norms 3-4-5 and 5-12-13 (items of two values).
TEST(langevin, takes_the_step_whose_noise_has_the_wanted_ratio) {
  std::vector<double> x{1, 2, 3, 4};
  const std::vector<double> score{3, 4, 3, 4};
  const std::vector<double> noise{5, 12, 5, 12};
  langevin(x, score, noise, 2, 0.1);
  const double e = 2 * (0.1 * 13 / 5) * (0.1 * 13 / 5);
  EXPECT_NEAR(x[0], 1 + e * 3 + std::sqrt(2 * e) * 5, 1e-15);
  EXPECT_NEAR(x[3], 4 + e * 4 + std::sqrt(2 * e) * 12, 1e-15);
}

TEST(langevin, chooses_one_step_for_the_batch_or_one_for_each_item) {
  const std::vector<float> score{3, 4, 6, 8};
  const std::vector<float> noise{1, 0, 1, 0};
  std::vector<float> together{0, 0, 0, 0};
  langevin(together, score, noise, 2, 0.5);
  const double mean = langevin_step_size(0.5, 1, 7.5);
  EXPECT_NEAR(together[1], 4 * mean, 1e-6);
  std::vector<float> apart{0, 0, 0, 0};
  langevin(apart, score, noise, 2, 0.5, norm_of::each_item);
  EXPECT_NEAR(apart[1], 4 * langevin_step_size(0.5, 1, 5), 1e-6);
  EXPECT_NEAR(apart[3], 8 * langevin_step_size(0.5, 1, 10), 1e-6);
}

// Many small corrections bring any sample to the marginal N(0, 4): in n dimensions with n large,
// |g| is nearly its mean, so the steps are nearly of constant size.
TEST(langevin, draws_samples_towards_the_marginal) {
  constexpr std::size_t n = 4000;
  std::mt19937 generator(7);
  std::normal_distribution<double> normal;
  std::vector<double> x(n, 0.0), score(n), noise(n);
  for (double& v : x) v = 5 * normal(generator);
  for (int k = 0; k < 400; ++k) {
    for (std::size_t i = 0; i < n; ++i) {
      score[i] = -x[i] / 4;
      noise[i] = normal(generator);
    }
    langevin(x, score, noise, 1, 0.1);
  }
  double variance = 0;
  for (const double v : x) variance += v * v / n;
  EXPECT_NEAR(variance, 4, 5 * 4 * std::sqrt(2.0 / n));
}

TEST(langevin, refuses_a_vanishing_score_and_wrong_sizes) {
  std::vector<double> x{1, 2};
  const std::vector<double> zero{0, 0};
  const std::vector<double> one{1, 1};
  const std::vector<double> three{1, 1, 1};
  EXPECT_THROW(langevin(x, zero, one, 1, 0.1), std::invalid_argument);
  EXPECT_THROW(langevin(x, three, one, 1, 0.1), std::invalid_argument);
  EXPECT_THROW(langevin(x, one, one, 0, 0.1), std::invalid_argument);
  EXPECT_EQ(x, (std::vector<double>{1, 2}));
}

// The second item's score vanishes: the first item is as it was, too.
TEST(langevin, changes_nothing_where_it_throws) {
  std::vector<double> x{1, 2, 3, 4};
  const std::vector<double> before = x;
  const std::vector<double> half_zero{3, 4, 0, 0};
  const std::vector<double> noise{1, 1, 1, 1};
  const double nan = std::nan("");
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_THROW(langevin(x, half_zero, noise, 2, 0.1, norm_of::each_item), std::invalid_argument);
  EXPECT_THROW(langevin(x, noise, std::vector<double>{1, nan, 1, 1}, 2, 0.1),
               std::invalid_argument);
  EXPECT_THROW(langevin(x, std::vector<double>{1, infinity, 1, 1}, noise, 1, 0.1),
               std::invalid_argument);
  EXPECT_THROW(langevin(x, noise, noise, 1, nan), std::invalid_argument);
  EXPECT_THROW(langevin(x, noise, noise, 1, -0.1), std::invalid_argument);
  EXPECT_THROW(langevin(x, noise, noise, 1, 0.1, norm_of::batch_mean, -1), std::invalid_argument);
  EXPECT_EQ(x, before);
  langevin(x, noise, noise, 1, 0);
  EXPECT_EQ(x, before);
}

}  // namespace
}  // namespace tweedie
