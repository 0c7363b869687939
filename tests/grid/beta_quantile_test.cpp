#include "tweedie/grid/beta_quantile.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

TEST(beta_quantile, closed_forms) {
  for (const double u : {1e-12, 1e-3, 0.2, 0.5, 0.8, 1 - 1e-3}) {
    EXPECT_NEAR(beta_quantile(u, 1, 1) / u, 1, 1e-13);
    EXPECT_NEAR(beta_quantile(u, 3, 1) / std::cbrt(u), 1, 1e-13);
    EXPECT_NEAR(beta_quantile(u, 1, 2) / (-std::expm1(std::log1p(-u) / 2)), 1, 1e-12);
    const double arcsine = std::pow(std::sin(std::numbers::pi * u / 2), 2);  // Beta(1/2, 1/2)
    EXPECT_NEAR(beta_quantile(u, 0.5, 0.5) / arcsine, 1, 1e-12);
  }
}

TEST(beta_quantile, values_of_the_distribution_used_for_grids) {
  // Beta(0.6, 0.6), computed with scipy 1.10 (beta.ppf).
  EXPECT_NEAR(beta_quantile(1e-6, 0.6, 0.6) / 1.8558824624053043e-10, 1, 1e-12);
  EXPECT_NEAR(beta_quantile(0.1, 0.6, 0.6), 0.03958440558878085, 1e-15);
  EXPECT_NEAR(beta_quantile(0.75, 0.6, 0.6), 0.824319621347305, 1e-14);
  EXPECT_NEAR(beta_quantile(0.9, 2, 5), 0.5103163065514917, 1e-14);
}

TEST(beta_quantile, inverts_the_distribution_and_is_symmetric) {
  for (const double a : {0.3, 0.6, 1.0, 2.5, 20.0})
    for (const double b : {0.3, 0.6, 1.0, 2.5, 20.0})
      for (const double u : {1e-6, 0.01, 0.3, 0.5, 0.77, 0.999}) {
        const double x = beta_quantile(u, a, b);
        // Near x = 1 the distribution function is as steep as (1 - x)^(b - 1).
        if (x < 0.999) {
          EXPECT_NEAR(beta_distribution(x, a, b), u, 1e-12) << a << ' ' << b << ' ' << u;
        }
        EXPECT_NEAR(beta_quantile(1 - u, b, a), 1 - x, 1e-11);
      }
}

TEST(beta_quantile, ends_and_bad_input) {
  EXPECT_EQ(beta_quantile(0, 0.6, 0.6), 0);
  EXPECT_EQ(beta_quantile(1, 0.6, 0.6), 1);
  EXPECT_THROW(beta_quantile(-0.1, 1, 1), std::invalid_argument);
  EXPECT_THROW(beta_quantile(0.5, 0, 1), std::invalid_argument);
  EXPECT_THROW(beta_quantile(0.5, 1, std::nan("")), std::invalid_argument);
  EXPECT_THROW(beta_distribution(1.1, 1, 1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
