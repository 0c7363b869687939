// Whole laws of samples: Kolmogorov-Smirnov on the line, chi-squared for points, at fixed seeds. A right
// sampler fails a comparison with probability 1e-4.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "tweedie/distribution/normal_distribution.hpp"
#include "tweedie/oracle/empirical.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/line.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/oracle/product.hpp"
#include "tweedie/oracle/quantile.hpp"
#include "tweedie/oracle/stationary.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::RowVectorXd;
using Eigen::VectorXd;

template <class Cumulative>
void expect_law(const RowVectorXd& drawn, const Cumulative& cumulative) {
  std::vector<double> x(drawn.begin(), drawn.end());
  std::sort(x.begin(), x.end());
  const auto n = static_cast<double>(x.size());
  double distance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double f = cumulative(x[i]);
    const auto below = static_cast<double>(i);
    distance = std::max({distance, f - below / n, (below + 1) / n - f});
  }
  // 2 exp(-2 n D^2) = 1e-4.
  EXPECT_LT(distance * std::sqrt(n), std::sqrt(std::log(2 / 1e-4) / 2));
}

constexpr Eigen::Index many = 5000;

double laplace(double y) { return y < 0 ? std::exp(y) / 2 : 1 - std::exp(-y) / 2; }
double student_3(double y) {
  const double u = y / std::sqrt(3.0);
  return 0.5 + (u / (1 + u * u) + std::atan(u)) / std::numbers::pi;
}

TEST(sample, of_lines_has_their_law) {
  expect_law(oracle::laplace(0.3, 0.7).sample(many, {.seed = 1}),
             [](double y) { return laplace((y - 0.3) / 0.7); });
  expect_law(oracle::student_t(3).sample(many, {.seed = 2}), student_3);
  expect_law(oracle::uniform_between(-1, 2).sample(many, {.seed = 3}),
             [](double y) { return (y + 1) / 3; });
}

TEST(sample, of_gaussians_and_mixtures_has_their_law) {
  const oracle::gaussian<double> plane(Eigen::Vector2d(1, -0.5),
                                       (MatrixXd(2, 2) << 0.5, 0.2, 0.2, 0.3).finished());
  const MatrixXd drawn = plane.sample(many, {.seed = 4});
  // Along (1, -2): mean 2, variance 0.5 - 0.8 + 1.2.
  expect_law(drawn.row(0) - 2 * drawn.row(1),
             [](double y) { return normal_cdf((y - 2) / std::sqrt(0.9)); });

  const oracle::mixture<double> two({{1, VectorXd::Constant(1, -2), MatrixXd::Constant(1, 1, 0.2)},
                                     {3, VectorXd::Constant(1, 1), MatrixXd::Constant(1, 1, 1)}});
  expect_law(two.sample(many, {.seed = 5}), [&](double y) {
    return oracle::cumulative(two, {1, 0}, y);
  });

  const oracle::stationary<> field({4, 4}, oracle::power_law({4, 4}, 2, 0.5), 0.2);
  const MatrixXd textures = field.sample(many, {.seed = 6});
  expect_law(textures.row(7), [](double y) { return normal_cdf((y - 0.2) / std::sqrt(0.5)); });
  const double at_distance_one = field.covariance()(7, 6);
  expect_law(textures.row(7) - textures.row(6),
             [&](double y) { return normal_cdf(y / std::sqrt(1 - 2 * at_distance_one)); });
}

TEST(sample, of_wrappers_has_the_law_of_their_parts) {
  const double c = std::cos(0.6), s = std::sin(0.6);
  const MatrixXd q = (MatrixXd(2, 2) << c, -s, s, c).finished();
  const oracle::rotated turned(oracle::product({oracle::laplace(), oracle::student_t(3)}), q);
  const MatrixXd back = q.transpose() * turned.sample(many, {.seed = 7});
  expect_law(back.row(0), laplace);
  expect_law(back.row(1), student_3);
}

TEST(sample, of_points_counts_their_weights) {
  const MatrixXd points = (MatrixXd(1, 4) << 0, 1, 2, 3).finished();
  const oracle::empirical<double> data(points, Eigen::Vector4d(1, 2, 3, 1));
  const MatrixXd drawn = data.sample(many, {.seed = 8});
  Eigen::Vector4d counts = Eigen::Vector4d::Zero();
  for (const double x : drawn.reshaped()) counts[static_cast<Eigen::Index>(x)] += 1;
  const Eigen::Vector4d expected = static_cast<double>(many) / 7 * Eigen::Vector4d(1, 2, 3, 1);
  const double chi_squared = ((counts - expected).array().square() / expected.array()).sum();
  EXPECT_LT(chi_squared, 21.11);  // 3 degrees of freedom, 1e-4
  // Uniforms at the ends of the intervals.
  const VectorXd u = (VectorXd(4) << 0, 1.0 / 7 + 1e-9, 3.0 / 7 + 1e-9, 1 - 1e-16).finished();
  EXPECT_EQ(data.sample(u), points);
}

}  // namespace
}  // namespace tweedie
