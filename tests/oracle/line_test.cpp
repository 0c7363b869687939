#include "tweedie/oracle/line.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/oracle/gaussian.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

const VectorXd at(double x) { return VectorXd::Constant(1, x); }

// A Gaussian given as any density against its closed forms.
TEST(line, of_a_gaussian_density_is_the_gaussian) {
  const double m = 0.4;
  const double s = 0.6;
  std::vector<double> panels;
  for (int k = -12; k <= 12; ++k) panels.push_back(m + k * s);
  const oracle::line data(
      [=](double y) {
        const double u = (y - m) / s;
        return -u * u / 2 - std::log(2 * std::numbers::pi * s * s) / 2;
      },
      panels);
  const oracle::gaussian<double> same(at(m), MatrixXd::Constant(1, 1, s * s));
  for (const signal_noise level : {signal_noise{1, 1e-3}, {0.8, 0.6}, {0.1, 3}, {0, 1}})
    for (const double x : {-1.0, 0.2, 1.5}) {
      const VectorXd v = at(x);
      EXPECT_NEAR(data.log_density(level, v), same.log_density(level, MatrixXd(v))[0], 1e-10);
      EXPECT_NEAR(data.denoise(level, v)(0), same.denoise(level, v)(0), 1e-11);
      EXPECT_NEAR(data.posterior_covariance(level, v)(0), same.posterior_covariance(level)(0),
                  1e-11);
    }
}

// Uniform data: the posterior is a truncated normal.
TEST(line, of_uniform_data_is_a_truncated_normal) {
  const oracle::line data = oracle::uniform_between(-1, 2);
  for (const signal_noise level : {signal_noise{1, 0.02}, {0.8, 0.6}, {0.3, 2}})
    for (const double x : {-0.9, 0.0, 1.7}) {
      const double center = x / level.alpha;
      const double width = level.sigma / level.alpha;
      const double a = (-1 - center) / width;
      const double b = (2 - center) / width;
      const auto density = [](double u) {
        return std::exp(-u * u / 2) / std::sqrt(2 * std::numbers::pi);
      };
      const double inside =
          (std::erfc(a / std::numbers::sqrt2) - std::erfc(b / std::numbers::sqrt2)) / 2;
      EXPECT_NEAR(data.denoise(level, at(x))(0),
                  center + width * (density(a) - density(b)) / inside, 1e-11);
      EXPECT_NEAR(data.log_density(level, at(x)), std::log(inside / 3 / level.alpha), 1e-11);
    }
}

TEST(line, of_clean_data_is_the_density) {
  const oracle::line data = oracle::laplace(0.5, 2);
  EXPECT_NEAR(data.log_density({0.5, 0}, at(1)), -1.5 / 2 - std::log(4.0) - std::log(0.5), 1e-14);
  EXPECT_EQ(data.denoise({0.5, 0}, at(1))(0), 2);
  EXPECT_EQ(data.posterior_covariance({0.5, 0}, at(1))(0), 0);
  // A little noise comes near it.
  EXPECT_NEAR(data.log_density({1, 1e-6}, at(1)), -0.25 - std::log(4.0), 1e-6);
}

TEST(line, has_the_quantiles_of_its_law) {
  for (const double p : {0.01, 0.3, 0.5, 0.9}) {
    const double exact = p < 0.5 ? std::log(2 * p) : -std::log(2 - 2 * p);
    EXPECT_NEAR(oracle::laplace().quantile(p), exact, 1e-10);
    EXPECT_NEAR(oracle::student_t(1).quantile(p), std::tan(std::numbers::pi * (p - 0.5)), 1e-6);
    EXPECT_NEAR(oracle::uniform_between(-1, 2).quantile(p), -1 + 3 * p, 1e-12);
  }
  const MatrixXd x = oracle::laplace().sample(Eigen::Vector2d(0.5, 0.75));
  EXPECT_NEAR(x(0, 1), std::log(2.0), 1e-10);
}

// E score = 0 and E score x = -1 at every level (Stein 1981), by the trapezoidal rule.
TEST(line, scores_satisfy_steins_identities) {
  for (const oracle::line& data : {oracle::laplace(0.3, 0.5), oracle::uniform_between(-1, 2)})
    for (const signal_noise level : {signal_noise{0.8, 0.6}, {0.3, 1}}) {
      double mass = 0, mean = 0, along = 0;
      for (int k = -400; k <= 400; ++k) {
        const VectorXd x = at(0.05 * k);
        const double p = 0.05 * std::exp(data.log_density(level, x));
        const double score = data.score(level, x)(0);
        mass += p;
        mean += p * score;
        along += p * score * x[0];
      }
      EXPECT_NEAR(mass, 1, 1e-10);
      EXPECT_NEAR(mean, 0, 1e-10);
      EXPECT_NEAR(along, -1, 1e-9);
    }
}

// The kernel of PFGM++ (Xu et al. 2023, eq. 3), (x^2 + r^2)^(-(N + D)/2) with r = sigma sqrt(D), is in one
// dimension a Student-t of D degrees and scale sigma; relative to its mode, the Gaussian as D grows.
TEST(student_t, is_the_kernel_of_poisson_flows) {
  const auto relative = [](double degrees) {
    const oracle::line kernel = oracle::student_t(degrees, 0, 0.9);
    return std::exp(kernel.log_density({1, 0}, at(1.7)) - kernel.log_density({1, 0}, at(0)));
  };
  EXPECT_NEAR(relative(10), 0.1867155, 5e-8);
  EXPECT_NEAR(relative(1e3), 0.1682076, 5e-8);
  EXPECT_NEAR(relative(1e5), 0.1679756, 5e-8);
  EXPECT_NEAR(relative(1e7), std::exp(-1.7 * 1.7 / (2 * 0.81)), 1e-7);
}

TEST(line, refuses_what_is_no_density) {
  EXPECT_EQ(refusal([] {
              oracle::line([](double) { return 0.0; }, {0, 2});
            }).find("line: integral of the density = 2"),
            0U);
  EXPECT_EQ(refusal([] {
              oracle::line([](double) { return 0.0; }, {1, 0});
            }).find("line: end of a panel = 0"),
            0U);
  EXPECT_EQ(refusal([] { oracle::laplace(0, -1); }).find("laplace: scale = -1"), 0U);
  EXPECT_EQ(refusal([] { oracle::student_t(0.5); }).find("student_t: degrees = 0.5"), 0U);
}

}  // namespace
}  // namespace tweedie
