#include "tweedie/distribution/normal_distribution.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;

TEST(normal_distribution, logarithm_far_below) {
  // mpmath: log Phi(-5), log Phi(-10), log Phi(-40)
  EXPECT_NEAR(log_normal_cdf(-5), -15.064998393988725, 1e-13);
  EXPECT_NEAR(log_normal_cdf(-10), -53.23128515051247, 1e-12);
  EXPECT_NEAR(log_normal_cdf(-40), -804.6084420137538, 1e-11);
  EXPECT_TRUE(std::isfinite(log_normal_cdf(-1e154)));
}

TEST(normal_distribution, hazard_at_any_distance) {
  struct recorded {
    double x, hazard;
  };
  // mpmath, 60 digits: phi(x)/Phi(x).
  for (const auto& [x, hazard] : {recorded{-1e150, 1e150},
                                  {-1e12, 1000000000000.000000000001},
                                  {-1e8, 100000000.00000001},
                                  {-1e6, 1000000.000000999999999998},
                                  {-1e4, 10000.0000999999980000001},
                                  {-38, 38.02627946657586898752219},
                                  {-5.5, 5.67141031389730562274962},
                                  {-5, 5.186503967125842115616509},
                                  {-4.5, 4.704319844827732403970005},
                                  {0, 0.7978845608028653558798921},
                                  {3, 0.004437839042125663793302104},
                                  {10, 7.694598626706419346339092e-23}})
    EXPECT_LE(relative_error(normal_hazard(x), hazard),
              x < 0 ? 1e-15 * std::min(25.0, x * x) : 1e-14)
        << x;
}

TEST(normal_distribution, quantile_inverts_the_distribution_function) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-15);
  EXPECT_NEAR(normal_quantile(1e-300), -37.0470962993612, 1e-12);
  for (const double x : {-37.0, -8.0, -5.01, -4.99, -1.0, -1e-3})
    EXPECT_NEAR(normal_quantile(normal_cdf(x)), x, 1e-12 * std::abs(x) + 1e-15);
}

TEST(normal_distribution, quantile_keeps_its_digits_near_one_half) {
  struct recorded {
    double p, quantile;
  };
  // mpmath: sqrt(2) erf^-1(2 p - 1).
  for (const auto& [p, quantile] : {recorded{0.5, 0},
                                    {0.5 - 1e-12, -2.506572823701860466856097e-12},
                                    {0.5 - 1e-6, -0.000002506628274566559377905064},
                                    {0.499, -0.002506630899571766231698791},
                                    {0.3, -0.5244005127080408159694544},
                                    {0.26, -0.6433454053929169373655078},
                                    {0.25, -0.674489750196081743202227},
                                    {0.24, -0.7063025628400874844505346}}) {
    EXPECT_NEAR(normal_quantile(p), quantile, 1e-15 * std::abs(quantile)) << p;
    EXPECT_EQ(normal_quantile(1 - p), -normal_quantile(1 - (1 - p))) << p;
  }
}

TEST(normal_distribution, refuses_what_is_no_probability) {
  EXPECT_THROW(normal_quantile(-1e-300), std::invalid_argument);
  EXPECT_THROW(normal_quantile(1.1), std::invalid_argument);
  EXPECT_THROW(normal_quantile(NAN), std::invalid_argument);
}

// chi of d degrees: half-normal, Rayleigh, Maxwell.
TEST(normal_distribution, lengths_of_points_are_those_of_a_shell) {
  const double pi = std::numbers::pi;
  EXPECT_NEAR(length_of_normals(1).mean, std::sqrt(2 / pi), 1e-14);
  EXPECT_NEAR(length_of_normals(2).mean, std::sqrt(pi / 2), 1e-14);
  EXPECT_NEAR(length_of_normals(2).deviation, std::sqrt(2 - pi / 2), 1e-14);
  EXPECT_NEAR(length_of_normals(3).deviation, std::sqrt(3 - 8 / pi), 1e-14);
  EXPECT_NEAR(length_of_normals(3072).mean, 55.42111547681, 1e-10);
  EXPECT_NEAR(length_of_normals(3072).deviation, 0.70707801, 1e-8);
  EXPECT_NEAR(length_of_normals(1e12).deviation, std::sqrt(0.5), 1e-12);
  // Formula and series meet.
  EXPECT_NEAR(length_of_normals(300).deviation,
              length_of_normals(std::nextafter(300, 301)).deviation, 1e-10);
  EXPECT_NEAR(length_of_normals(300).mean, length_of_normals(std::nextafter(300, 301)).mean, 1e-10);
  EXPECT_THROW(length_of_normals(0), std::invalid_argument);
}

}  // namespace
