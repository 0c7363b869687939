#include "tweedie/objective/score_matching.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"
#include "objective/integral.hpp"
#include "tweedie/distribution/normal_distribution.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using tweedie_test::integral;
using tweedie_test::nth;

// Data 0.4 N(-1, 0.3^2) + 0.6 N(1, 0.5^2) noised to x = alpha x0 + sigma z.
struct mixture {
  double weight[2] = {0.4, 0.6}, mean[2] = {-1, 1}, deviation[2] = {0.3, 0.5};
  double alpha = 0.8, sigma = 0.6;

  double density(double x) const {
    double p = 0;
    for (int k = 0; k < 2; ++k) p += component(k, x);
    return p;
  }
  double score(double x) const {
    double s = 0;
    for (int k = 0; k < 2; ++k) s -= component(k, x) * (x - alpha * mean[k]) / variance(k);
    return s / density(x);
  }
  double variance(int k) const {
    return alpha * alpha * deviation[k] * deviation[k] + sigma * sigma;
  }
  double component(int k, double x) const {
    const double r = x - alpha * mean[k];
    return weight[k] * std::exp(-r * r / variance(k) / 2) /
           std::sqrt(2 * std::numbers::pi * variance(k));
  }
};

// Three models of the score, with derivatives.
double model(int k, double x) { return k == 0 ? -x : k == 1 ? std::sin(x) - 0.3 : -0.2 * x * x; }
double slope(int k, double x) { return k == 0 ? -1 : k == 1 ? std::cos(x) : -0.4 * x; }

TEST(score_matching, objectives_differ_from_the_explicit_one_by_constants) {
  const mixture p;
  const double fisher =
      integral(-9, 9, [&](double x) { return p.density(x) * p.score(x) * p.score(x); });
  for (int k = 0; k < 3; ++k) {
    const double explicit_loss = integral(-9, 9, [&](double x) {
      const double r = model(k, x) - p.score(x);
      return p.density(x) * r * r / 2;
    });
    const double implicit = integral(-9, 9, [&](double x) {
      const MatrixXd s = MatrixXd::Constant(1, 1, model(k, x));
      MatrixXd g(1, 1);
      return p.density(x) * implicit_score_matching(s, std::vector<double>{slope(k, x)}, g)[0];
    });
    EXPECT_NEAR(implicit, explicit_loss - fisher / 2, 1e-10);
    // E over x0 and z of the denoising form, by components: z | x, k is normal.
    double denoising = 0;
    for (int c = 0; c < 2; ++c)
      denoising += integral(-9, 9, [&](double x) {
        const double gain = p.sigma / p.variance(c);
        const double z = gain * (x - p.alpha * p.mean[c]);
        const double spread = 1 - p.sigma * p.sigma / p.variance(c);
        const MatrixXd s = MatrixXd::Constant(1, 1, model(k, x)),
                       noise = MatrixXd::Constant(1, 1, z);
        MatrixXd g(1, 1);
        const double at_mean =
            denoising_score_matching(s, noise, std::vector<double>{p.sigma}, std::vector<double>{1},
                                     reduction::sum_over_dimensions, g)[0];
        return p.component(c, x) * (at_mean + spread / (p.sigma * p.sigma) / 2);
      });
    EXPECT_NEAR(denoising, explicit_loss + (1 / (p.sigma * p.sigma) - fisher) / 2, 1e-10);
  }
}

TEST(score_matching, true_scores_average_to_zero) {
  const mixture p;
  EXPECT_NEAR(integral(-9, 9, [&](double x) { return p.density(x) * p.score(x); }), 0, 1e-12);
  EXPECT_NEAR(integral(-9, 9, [&](double x) { return p.density(x) * p.score(x) * x; }), -1, 1e-11);
}

TEST(sliced_score_matching, averages_to_the_implicit_form_over_directions) {
  // Linear score -A x in two dimensions; the four Rademacher directions are the whole average.
  Eigen::Matrix2d a;
  a << 1.3, 0.4, 0.1, 0.7;
  const Eigen::Vector2d x(0.5, -1.2);
  const MatrixXd s = -a * x;
  MatrixXd g(2, 1), h(2, 1);
  const double implicit = implicit_score_matching(s, std::vector<double>{-a.trace()}, g)[0];
  for (const sliced_form form : {sliced_form::projected, sliced_form::variance_reduced}) {
    double mean = 0;
    for (const double u : {-1.0, 1.0})
      for (const double w : {-1.0, 1.0}) {
        const MatrixXd v = Eigen::Vector2d(u, w);
        const MatrixXd product = -a * v;
        mean += sliced_score_matching(s, v, product, form, g, h)[0] / 4;
      }
    EXPECT_NEAR(mean, implicit, 1e-14);
    // Normal directions: three points per axis with the moments of N(0, 1) up to the fifth.
    double normal_mean = 0;
    const std::pair<double, double> points[] = {
        {-std::sqrt(3), 1 / 6.0}, {0, 2 / 3.0}, {std::sqrt(3), 1 / 6.0}};
    for (const auto& [u, weight_u] : points)
      for (const auto& [w, weight_w] : points) {
        const MatrixXd v = Eigen::Vector2d(u, w);
        const MatrixXd product = -a * v;
        normal_mean += weight_u * weight_w * sliced_score_matching(s, v, product, form, g, h)[0];
      }
    EXPECT_NEAR(normal_mean, implicit, 1e-14);
  }
}

TEST(score_matching, gradients_equal_central_differences) {
  std::srand(2);
  const MatrixXd s = 3 * MatrixXd::Random(5, 2), z = MatrixXd::Random(5, 2),
                 v = MatrixXd::Random(5, 2), product = MatrixXd::Random(5, 2);
  const std::vector<double> sigmas = {1e-3, 30}, weights = {1e-6, 2};
  MatrixXd g(5, 2), h(5, 2), unused(5, 2), unused_too(5, 2);
  const auto check = [&](const auto& value, const MatrixXd& at, const MatrixXd& gradient) {
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 5; ++j) {
        MatrixXd up = at, down = at;
        up(j, i) += 1e-5;
        down(j, i) -= 1e-5;
        EXPECT_LT(tweedie_test::relative_error(gradient(j, i),
                                               (value(up)[nth(i)] - value(down)[nth(i)]) / 2e-5),
                  1e-7);
      }
  };
  denoising_score_matching(s, z, sigmas, weights, reduction::mean_over_dimensions, g);
  check(
      [&](const MatrixXd& y) {
        return denoising_score_matching(y, z, sigmas, weights, reduction::mean_over_dimensions,
                                        unused);
      },
      s, g);
  for (const sliced_form form : {sliced_form::projected, sliced_form::variance_reduced}) {
    sliced_score_matching(s, v, product, form, g, h);
    check(
        [&](const MatrixXd& y) {
          return sliced_score_matching(y, v, product, form, unused, unused_too);
        },
        s, g);
    check(
        [&](const MatrixXd& y) { return sliced_score_matching(s, v, y, form, unused, unused_too); },
        product, h);
  }
  EXPECT_THROW(denoising_score_matching(s, z, std::vector<double>{0, 1}, weights,
                                        reduction::sum_over_dimensions, g),
               std::invalid_argument);
}

TEST(score_matching, implicit_values_work_in_float) {
  const Eigen::MatrixXf s = Eigen::MatrixXf::Constant(4, 1, 0.5f);
  Eigen::MatrixXf g(4, 1);
  EXPECT_EQ(implicit_score_matching(s, std::vector<double>{-1}, g)[0], -0.5);
  EXPECT_EQ(g, s);
}

}  // namespace
