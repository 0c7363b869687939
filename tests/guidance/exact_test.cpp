#include "tweedie/guidance/exact.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "refusal.hpp"

namespace tweedie {
namespace {

struct published {
  double w, flow, sde, tilted;
};

// Bradley and Nakkiran 2024: p(x|c) = N(0, 1), p(x) = N(0, 2).
TEST(guided_gaussians, have_the_published_variances) {
  for (const published& p : {published{2, .5, .58333333, .66666667}, published{3, .25, .3875, .5},
                             published{5, .0625, .22178819, .33333333},
                             published{10, .001953125, .10526296, .18181818}}) {
    EXPECT_NEAR(guided_flow_variance(1, 2, p.w), p.flow, 1e-14);
    EXPECT_NEAR(guided_sde_variance(1, 2, p.w), p.sde, 1e-8);
    EXPECT_NEAR(tilted_gaussian({0, 1}, {0, 2}, p.w).variance, p.tilted, 1e-8);
  }
}

TEST(guided_gaussians, agree_without_extrapolation) {
  for (const double b : {0.3, 1.0, 2.0, 50.0}) {
    for (const double w : {0.0, 1.0}) {
      const double expected = w == 1 ? 0.7 : b;
      EXPECT_NEAR(guided_flow_variance(0.7, b, w), expected, 1e-13 * b);
      EXPECT_NEAR(guided_sde_variance(0.7, b, w), expected, 1e-13 * b);
      EXPECT_NEAR(tilted_gaussian({0, 0.7}, {0, b}, w).variance, expected, 1e-13 * b);
    }
  }
}

// The integral, by the midpoint rule in log(1 + v).
TEST(guided_gaussians, sde_variance_is_the_integral_of_its_decay) {
  for (const double w : {-0.3, 0.5, 1.7, 4.0}) {
    double integral = 0, last = 0;
    constexpr int n = 40000;
    for (int i = 0; i < n; ++i) {
      const double next = std::expm1(30.0 * (i + 1) / n), v = (last + next) / 2;
      integral +=
          std::pow(0.8 / (0.8 + v), 2 * w) * std::pow(3 / (3 + v), 2 - 2 * w) * (next - last);
      last = next;
    }
    EXPECT_NEAR(guided_sde_variance(0.8, 3, w), integral, 1e-5 * integral) << w;
  }
}

TEST(tilted_gaussian, is_the_product_of_densities) {
  constexpr axis_gaussian c{1.5, 0.8}, u{-0.5, 2};
  const axis_gaussian t = tilted_gaussian(c, u, 3);
  const auto log_density = [](const axis_gaussian& g, double x) {
    return -(x - g.mean) * (x - g.mean) / (2 * g.variance);
  };
  const auto gap = [&](double x) {
    return log_density(t, x) - 3 * log_density(c, x) + 2 * log_density(u, x);
  };
  for (const double x : {-3.0, 0.0, 0.7, 4.0}) EXPECT_NEAR(gap(x), gap(0), 1e-12);
}

TEST(guided_gaussians, what_is_no_law_is_refused) {
  EXPECT_NE(refusal([] { tilted_gaussian({0, 3}, {0, 1}, 2); }), "");  // 2/3 - 1 < 0
  EXPECT_NE(refusal([] { tilted_gaussian({0, 0}, {0, 1}, 2); }), "");
  EXPECT_NE(refusal([] { guided_flow_variance(1, 2, INFINITY); }), "");
  EXPECT_NE(refusal([] { guided_sde_variance(-1, 2, 1); }), "");
}

}  // namespace
}  // namespace tweedie
