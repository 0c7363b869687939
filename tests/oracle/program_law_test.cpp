#include "tweedie/oracle/program_law.hpp"

#include <gtest/gtest.h>

#include "oracle/two_on_the_line.hpp"
#include "refusal.hpp"
#include "tweedie/distribution/normal_distribution.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

grid nodes(int steps) { return karras(scaled_linear_beta_schedule(1000), steps); }

scalar_law moments(const oracle::mixture<double>& m) {
  const auto [mean, covariance] = m.moments();
  return {mean[0], covariance(0, 0)};
}

// Moments of a deterministic program's map on the line, by the trapezoidal rule over its normal start.
scalar_law exact(const program& plan, const oracle::mixture<double>& data) {
  constexpr Eigen::Index n = 3201;
  const Eigen::ArrayXd u = Eigen::ArrayXd::LinSpaced(n, -8, 8);
  Eigen::ArrayXd weights = (-u.square() / 2).exp();
  weights /= weights.sum();
  const MatrixXd x = (plan.start.level.sigma * u).matrix().transpose();
  sampling<MatrixXd> s(plan, {.prediction = predicts_sample}, x);
  while (s.next()) s.output() = data.denoise(s.at().level, s.input());
  const Eigen::ArrayXd made = s.state().row(0).transpose();
  const double mean = (weights * made).sum();
  return {mean, (weights * (made - mean).square()).sum()};
}

TEST(moment_matched_law, of_gaussian_data_is_the_exact_law) {
  const oracle::mixture<double> data({{1, one(0.7), MatrixXd::Constant(1, 1, 0.3)}});
  for (const program& plan : {ddim(nodes(5)), dpm_solver_plus_plus(nodes(6), 2),
                              euler_ancestral(nodes(7)), ddpm(nodes(8))})
    for (const start_law start : {start_law::marginal, start_law::prior})
      for (const double width : {1.0, 0.3}) {
        const scalar_law found = moments(moment_matched_law(plan, data, width, start));
        const std::vector<scalar_law> axis = {{0.7, 0.3}};
        const scalar_law known = generated(plan, axis, start)[0];
        EXPECT_NEAR(found.mean, known.mean, 1e-9);
        EXPECT_NEAR(found.variance, known.variance, 1e-9);
      }
}

TEST(moment_matched_law, of_a_deterministic_program_converges_with_the_fourth_power_of_the_width) {
  const auto data = two_on_the_line();
  const program plan = ddim(nodes(6));
  const scalar_law known = exact(plan, data);
  const auto error = [&](double width) {
    return moments(moment_matched_law(plan, data, width, start_law::prior)).variance -
           known.variance;
  };
  const double fine = error(0.05), finest = error(0.025);
  EXPECT_LT(std::abs(finest), 1e-6);
  EXPECT_NEAR(std::log2(std::abs(fine / finest)), 4, 0.25);
  EXPECT_NEAR(moments(moment_matched_law(plan, data, 0.025, start_law::prior)).mean, known.mean,
              1e-6);
}

TEST(particle_law, agrees_within_its_errors) {
  const auto data = two_on_the_line();
  const program plan = ddim(nodes(6));
  const scalar_law known = exact(plan, data);
  const oracle::particles found = particle_law(plan, data, 4000, 3, start_law::prior);
  EXPECT_NEAR(found.mean[0], known.mean, 5 * found.mean_error[0]);
  EXPECT_NEAR(found.covariance(0, 0), known.variance, 5 * known.variance * std::sqrt(2.0 / 4000));
  // Gaussian data and a program that draws: the exact law again, axis by axis.
  const oracle::gaussian<double> plane(Eigen::Vector2d(1, -2),
                                       (Eigen::Vector2d(0.5, 0.02)).asDiagonal());
  const program drawing = euler_ancestral(nodes(8));
  const std::vector<scalar_law> axes = {{1, 0.5}, {-2, 0.02}};
  const std::vector<scalar_law> laws = generated(drawing, axes);
  const oracle::particles cloud = particle_law(drawing, plane, 4000, 4);
  for (Eigen::Index i = 0; i < 2; ++i) {
    const scalar_law& axis = laws[static_cast<std::size_t>(i)];
    EXPECT_NEAR(cloud.mean[i], axis.mean, 5 * cloud.mean_error[i]);
    EXPECT_NEAR(cloud.covariance(i, i), axis.variance, 5 * axis.variance * std::sqrt(2.0 / 4000));
  }
}

TEST(program_law, refuses_what_it_cannot_do) {
  const program plan = ddim(nodes(3));
  EXPECT_EQ(
      refusal([&] { particle_law(plan, two_on_the_line(), 1, 0); }).find("particle_law: count = 1"),
      0U);
  EXPECT_EQ(refusal([&] {
              oracle::moment_matched_law(plan, two_on_the_line(), 0);
            }).find("moment_matched_law: width = 0"),
            0U);
  const oracle::mixture<double> plane({{1, VectorXd::Zero(2), MatrixXd::Identity(2, 2)}});
  EXPECT_EQ(refusal([&] {
              oracle::moment_matched_law(plan, plane);
            }).find("moment_matched_law: dimension = 2"),
            0U);
}

}  // namespace
}  // namespace tweedie
