#include "tweedie/objective/energy.hpp"

#include <gtest/gtest.h>

#include "objective/integral.hpp"
#include "refusal.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/metric/divergence.hpp"
#include "tweedie/objective/score_fokker_planck.hpp"
#include "tweedie/objective/score_matching.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

using tweedie_test::integral;

using Eigen::MatrixXd;
using Eigen::VectorXd;

double log_p(double x) { return normal_log_density(x, 0.4, std::log(0.5)); }
double log_q(double x) { return normal_log_density(x, 0.0, std::log(2.0)); }

// Expected loss of a model, with its derivative along a change of log_model.
template <class Model, class Change>
std::pair<double, double> contrasted(const Model& model, const Change& change, double ratio) {
  constexpr int intervals = 3000;
  constexpr double h = 30.0 / intervals;
  double slope = 0;
  const auto of_point = [&](double x) {
    double sum = 0, g = 0;
    const double at_model = model(x), at_noise = log_q(x);
    sum += std::exp(log_p(x)) * noise_contrastive_losses({&at_model, 1}, {&at_noise, 1},
                                                         contrastive_part::data, ratio, {&g, 1})[0];
    slope += h * std::exp(log_p(x)) * g * change(x);
    sum += ratio * std::exp(log_q(x)) *
           noise_contrastive_losses({&at_model, 1}, {&at_noise, 1}, contrastive_part::noise, ratio,
                                    {&g, 1})[0];
    slope += h * ratio * std::exp(log_q(x)) * g * change(x);
    return sum;
  };
  const double value = integral(-15, 15, of_point, intervals);
  return {value, slope};
}

TEST(noise_contrastive, is_least_at_the_density_with_its_normaliser) {
  for (const double ratio : {0.5, 1.0, 8.0}) {
    const auto constant = [](double) { return 1.0; };
    const auto square = [](double x) { return x * x; };
    const double least = contrasted(log_p, constant, ratio).first;
    EXPECT_NEAR(contrasted(log_p, constant, ratio).second, 0, 1e-12);
    EXPECT_NEAR(contrasted(log_p, square, ratio).second, 0, 1e-12);
    for (const double c : {-0.3, 0.2}) {
      const auto off = [&](double x) { return log_p(x) + c; };
      EXPECT_GT(contrasted(off, constant, ratio).first, least + 1e-3);
      constexpr double h = 1e-5;
      const auto at = [&](double k) {
        return contrasted([&](double x) { return off(x) + k * square(x); }, square, ratio).first;
      };
      EXPECT_NEAR(contrasted(off, square, ratio).second, (at(h) - at(-h)) / (2 * h), 1e-8);
    }
  }
  // The classifier's game: log 4 - 2 JS.
  EXPECT_NEAR(contrasted(log_p, log_p, 1).first,
              std::log(4) - 2 * js_divergence(log_p, log_q, -15, 15), 1e-10);
}

TEST(noise_contrastive, is_finite_far_from_both) {
  double g = 7;
  const double far = 1e4, near = 0;
  EXPECT_EQ(noise_contrastive_losses({&far, 1}, {&near, 1}, contrastive_part::data, 1, {&g, 1})[0],
            0);
  EXPECT_EQ(g, 0);
  EXPECT_EQ(noise_contrastive_losses({&far, 1}, {&near, 1}, contrastive_part::noise, 1, {&g, 1})[0],
            1e4);
  EXPECT_EQ(g, 1);
  EXPECT_EQ(refusal([&] {
              noise_contrastive_losses({&far, 1}, {&near, 1}, contrastive_part::data, 0, {&g, 1});
            }).find("noise_contrastive_losses: ratio = 0"),
            0U);
  EXPECT_THROW(noise_contrastive_losses({&far, 1}, {}, contrastive_part::data, 1, {&g, 1}),
               std::invalid_argument);
}

// f = (I - sigma C^-1/2) x: then E = x^T C^-1 x/2 and the score is that of N(0, C).
TEST(energies_and_scores, are_exact_for_a_gaussian) {
  Eigen::Matrix2d s;
  s << 1.2, 0.3, 0.3, 0.4;
  const oracle::gaussian<double> data(Eigen::Vector2d(0, 0), s);
  const signal_noise level{0.8, 0.6};
  const oracle::gaussian<double> there = data.at(level);
  const MatrixXd root = there.axes() * there.variances().cwiseSqrt().cwiseInverse().asDiagonal() *
                        there.axes().transpose();
  const MatrixXd network = MatrixXd::Identity(2, 2) - level.sigma * root;
  const MatrixXd x = MatrixXd::Random(2, 5) * 3;
  const MatrixXd residual = x - network * x, product = network.transpose() * residual;
  MatrixXd score(2, 5);
  const auto energies =
      energies_and_scores(residual, product, std::vector<double>(5, level.sigma), score);
  EXPECT_LT((score - data.score(level, x)).cwiseAbs().maxCoeff(), 1e-13);
  const VectorXd log_density = data.log_density(level, x);
  for (std::size_t i = 1; i < 5; ++i)  // up to the normaliser
    EXPECT_NEAR(energies[0] - energies[i],
                log_density[static_cast<Eigen::Index>(i)] - log_density[0], 1e-12);
  EXPECT_THROW(energies_and_scores(residual, product, std::vector<double>(5, 0), score),
               std::invalid_argument);
}

TEST(explicit_score_matching, is_half_the_fisher_divergence_of_gaussians) {
  // E_p|s_q - s_p|^2 for p = N(m, v), q = N(n, w): (1/v - 1/w)^2 v + ((m - n)/w)^2.
  const double m = 0.4, v = 0.5, w = 2;
  const double found = integral(-15, 15, [&](double x) {
    const MatrixXd of_q = MatrixXd::Constant(1, 1, -x / w),
                   of_p = MatrixXd::Constant(1, 1, (m - x) / v);
    MatrixXd g(1, 1);
    return std::exp(log_p(x)) * explicit_score_matching(of_q, of_p, std::vector<double>{1},
                                                        reduction::sum_over_dimensions, g)[0];
  });
  EXPECT_NEAR(found, ((1 / v - 1 / w) * (1 / v - 1 / w) * v + m * m / (w * w)) / 2, 1e-10);
}

// Residual of the exact scores of `data` on a schedule, with derivatives by central differences.
template <class Schedule, class Score, class Jacobian>
double fokker_planck_residual(const Schedule& schedule, double t, const VectorXd& x,
                              const Score& score, const Jacobian& jacobian) {
  constexpr double h = 1e-5;
  const MatrixXd s = score(t, x), rate = (score(t + h, x) - score(t - h, x)) / (2 * h);
  const diffusion_coefficients c = forward_sde(schedule, t);
  MatrixXd divergence(x.size(), 1);
  for (Eigen::Index i = 0; i < x.size(); ++i) {
    const VectorXd step = h * VectorXd::Unit(x.size(), i);
    divergence(i, 0) = (jacobian(t, x + step).trace() - jacobian(t, x - step).trace()) / (2 * h);
  }
  const MatrixXd product = jacobian(t, x).transpose() * (c.squared_diffusion * s - c.drift * x);
  MatrixXd g(x.size(), 1);
  return score_fokker_planck(rate, divergence, product, s, std::vector{c}, std::vector<double>{2},
                             reduction::sum_over_dimensions, g)[0];
}

TEST(score_fokker_planck, is_zero_for_the_scores_of_data_on_every_schedule) {
  const oracle::mixture<double> data(
      {{1, Eigen::Vector2d(-1, 0.2), Eigen::Vector2d(0.1, 0.3).asDiagonal()},
       {2, Eigen::Vector2d(0.8, -0.5), Eigen::Vector2d(0.2, 0.05).asDiagonal()}});
  const auto check = [&](const auto& schedule, double t) {
    const auto score = [&](double at, const VectorXd& x) { return data.score(schedule(at), x); };
    const auto jacobian = [&](double at, const VectorXd& x) {
      return data.score_jacobian(schedule(at), x);
    };
    for (const VectorXd& x :
         {VectorXd(Eigen::Vector2d(0.3, -0.4)), VectorXd(Eigen::Vector2d(-1.5, 1))}) {
      EXPECT_LT(fokker_planck_residual(schedule, t, x, score, jacobian), 1e-10);
      // Scores that forget how time runs are of no diffusion.
      const auto still = [&](double, const VectorXd& y) { return score(t, y); };
      EXPECT_GT(fokker_planck_residual(schedule, t, x, still, jacobian), 1e-2);
    }
  };
  check(variance_preserving_schedule{}, 0.3);
  check(sub_vp_schedule{}, 0.3);
  check(edm_schedule{80}, 0.6);
  check(rectified_flow{}, 0.5);
}

TEST(score_fokker_planck, refuses_negative_diffusion) {
  const MatrixXd s = MatrixXd::Zero(2, 1);
  MatrixXd g(2, 1);
  EXPECT_THROW(score_fokker_planck(s, s, s, s, std::vector{diffusion_coefficients{0, -1}},
                                   std::vector<double>{1}, reduction::sum_over_dimensions, g),
               std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
