#include "tweedie/optimal/grid.hpp"

#include <gtest/gtest.h>

#include <random>

#include "optimal/published_schedule.hpp"
#include "refusal.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/program/unrolled.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using tweedie_test::schedule;

const auto ddim_planner = [](const grid& g) { return ddim(g); };
const auto two_m = [](const grid& g) { return dpm_solver_plus_plus(g, 2); };

double wasserstein(const program& plan, const VectorXd& variances) {
  double sum = 0;
  for (const double v : variances) {
    const auto [alpha, sigma] = plan.start.level;
    const double start = alpha * alpha * v + sigma * sigma;
    const double made = law(plan, gaussian_denoiser(0, v), {0, start}).result.variance;
    sum += std::pow(std::sqrt(made) - std::sqrt(v), 2);
  }
  return std::sqrt(sum);
}

MatrixXd normals(Eigen::Index rows, Eigen::Index columns, unsigned seed) {
  std::mt19937 g(seed);
  std::normal_distribution<double> n;
  MatrixXd z(rows, columns);
  for (double& v : z.reshaped()) v = n(g);
  return z;
}

// One variance and DDIM: level = s tan(theta) with theta even from the start to clean data, and the
// product of the cosines of the steps is the deviation that is left (T47).
TEST(OptimalGrid, IsTheTangentLawForOneVariance) {
  for (const double s : {0.3, 1.0}) {
    const grid found = optimal_grid(schedule(), 6, ddim_planner, VectorXd::Constant(1, s * s),
                                    {.iterations = 100, .ridge = 0, .least_gain = 0});
    const double top = std::atan(noise_level(found.front().level) / s);
    for (int k = 0; k < 6; ++k)
      EXPECT_NEAR(std::atan(noise_level(found[static_cast<std::size_t>(k)].level) / s),
                  top * (6 - k) / 6, 2e-3)
          << s << ' ' << k;
    const double left = wasserstein(ddim(found), VectorXd::Constant(1, s * s));
    EXPECT_NEAR(left, s * (1 - std::pow(std::cos(top / 6), 6)), 1e-6);
  }
}

TEST(OptimalGrid, BeatsEveryNamedGridOnASpectrum) {
  VectorXd variances(12);
  for (int k = 0; k < 12; ++k) variances[k] = std::pow(k + 1.0, -1.5);
  for (const int steps : {5, 10}) {
    const double found =
        wasserstein(two_m(optimal_grid(schedule(), steps, two_m, variances)), variances);
    for (const grid& g :
         {karras(schedule(), steps), exponential(schedule(), steps), kl_optimal(schedule(), steps),
          trailing(schedule(), steps), gits(schedule(), steps)})
      EXPECT_LT(found, wasserstein(two_m(g), variances)) << steps;
  }
}

TEST(OptimalGrid, PlansStochasticSamplersFromTheirLaw) {
  const VectorXd variances = VectorXd::LinSpaced(4, 0.1, 2);
  const auto ancestral = [](const grid& g) { return ddim(g, 1); };
  EXPECT_LT(wasserstein(ancestral(optimal_grid(schedule(), 8, ancestral, variances)), variances),
            0.8 * wasserstein(ancestral(karras(schedule(), 8)), variances));
}

TEST(OptimalGrid, SpectrumOfSamplesIsThatOfTheirCovariance) {
  const MatrixXd wide = normals(3, 50, 1);
  const MatrixXd centred = wide.colwise() - wide.rowwise().mean().eval();
  const MatrixXd covariance = centred * centred.transpose() / 49;
  const VectorXd exact =
      Eigen::SelfAdjointEigenSolver<MatrixXd>(covariance).eigenvalues().reverse();
  EXPECT_LT((spectrum_of(wide) - exact).norm(), 1e-12);
  // Fewer samples than dimensions: those that they determine, with the same sum.
  const MatrixXd tall = normals(20, 4, 2);
  const VectorXd few = spectrum_of(tall.cast<float>());
  EXPECT_EQ(few.size(), 3);
  EXPECT_NEAR(few.sum(), (tall.colwise() - tall.rowwise().mean().eval()).squaredNorm() / 3, 1e-5);
  EXPECT_EQ(refusal([&] { spectrum_of(tall.leftCols(1)); }).find("spectrum_of: samples = 1"), 0U);
}

struct problem {
  oracle::mixture<double> data;
  MatrixXd operator()(const node& at, const MatrixXd& x) const { return data.denoise(at.level, x); }
};

problem three_modes() {
  const auto part = [](double weight, double x, double y, double variance) {
    return oracle::component<double>{weight, Eigen::Vector2d(x, y),
                                     variance * MatrixXd::Identity(2, 2)};
  };
  return {oracle::mixture<double>(
      {part(1, 0.8, 0.2, 0.3), part(1, -0.7, 0.6, 0.2), part(2, 0, -0.8, 0.4)})};
}

TEST(OptimalGrid, OnPilotsCarriesOverToOtherSeeds) {
  const problem p = three_modes();
  const double sigma = schedule()(999).sigma;
  const pilot_runs pilots = record_pilots(schedule(), p, sigma * normals(2, 64, 3));
  const pilot_runs others = record_pilots(schedule(), p, sigma * normals(2, 64, 4));
  const double found = end_error(two_m(optimal_grid(schedule(), 6, two_m, p, pilots)), p, others);
  for (const grid& g : {karras(schedule(), 6), exponential(schedule(), 6),
                        kl_optimal(schedule(), 6), gits(schedule(), 6)})
    EXPECT_LT(found, end_error(two_m(g), p, others));
}

// Dynamic programming finds what trying every path finds.
TEST(OptimalGrid, FromRecordsIsTheBestOfAllPaths) {
  const problem p = three_modes();
  const pilot_runs pilots = record_pilots(schedule(), p, normals(2, 16, 5), 9, 0, true);
  const double s = 0.8;
  for (const recorded_planner planner : {recorded_planner::ddim, recorded_planner::multistep}) {
    double least = 1e9;
    grid best;
    for (std::size_t a = 1; a < 9; ++a)
      for (std::size_t b = a + 1; b < 9; ++b) {
        const std::size_t path[] = {0, a, b, 9};
        double total = 0;
        for (int k = 0; k < 3; ++k) {
          // The leg by the planner itself, replayed on the recorded states.
          const std::size_t i = path[k];
          const std::size_t j = path[k + 1];
          grid nodes{pilots.nodes[i], pilots.nodes[j]};
          const bool back = k > 0 && planner == recorded_planner::multistep;
          if (back) nodes.insert(nodes.begin(), pilots.nodes[path[k - 1]]);
          const unrolled_program u = unroll(back ? exponential_adams(nodes, 2) : ddim(nodes));
          // x_j = ratio x_i + ...: the older state is eliminated by the step before.
          const double ratio = pilots.nodes[j].level.sigma / pilots.nodes[i].level.sigma;
          MatrixXd made = ratio * pilots.states[i];
          if (back) {
            made += (u.rows[2][1] - ratio * u.rows[1][1]) * pilots.clean[path[k - 1]];
            made += u.rows[2][2] * pilots.clean[i];
          } else {
            made += u.rows[1][1] * pilots.clean[i];
          }
          const MatrixXd& there = j == 9 ? pilots.end : pilots.states[j];
          const signal_noise to = pilots.nodes[j].level;
          total += (made - there).norm() / std::sqrt(static_cast<double>(made.size())) /
                   std::hypot(to.alpha * s, to.sigma);
        }
        if (total < least) {
          least = total;
          best = {pilots.nodes[0], pilots.nodes[a], pilots.nodes[b], pilots.nodes[9]};
        }
      }
    EXPECT_EQ(optimal_grid(pilots, 3, planner, s), best);
  }
  EXPECT_EQ(optimal_grid(pilots, 9), pilots.nodes);
  EXPECT_EQ(optimal_grid(pilots, 1), (grid{pilots.nodes.front(), pilots.nodes.back()}));
}

TEST(OptimalGrid, RefusesWhatHasNoAnswer) {
  const problem p = three_modes();
  const pilot_runs pilots = record_pilots(schedule(), p, normals(2, 4, 6), 5);
  EXPECT_EQ(refusal([&] { optimal_grid(pilots, 3); }).find("optimal_grid: recorded nodes = 0"), 0U);
  EXPECT_EQ(refusal([&] {
              optimal_grid(schedule(), 1, two_m, VectorXd::Ones(1));
            }).find("optimal_grid: steps = 1"),
            0U);
  EXPECT_EQ(refusal([&] {
              optimal_grid(schedule(), 4, two_m, -VectorXd::Ones(1));
            }).find("optimal_grid: variance = -1"),
            0U);
}

}  // namespace
}  // namespace tweedie
