#include "tweedie/program/generated.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>

#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/optimal/denoiser.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/sampler/corrector.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

const discrete_schedule& schedule() {
  static const discrete_schedule s = scaled_linear_beta_schedule(1000);
  return s;
}

MatrixXd square_root(const MatrixXd& m) {
  const Eigen::SelfAdjointEigenSolver<MatrixXd> e(m);
  return e.eigenvectors() * e.eigenvalues().cwiseMax(0).cwiseSqrt().asDiagonal() *
         e.eigenvectors().transpose();
}

// A deterministic program on Gaussian data is an affine map, found by running it on the axes of the
// coordinates; covariance of the result, Frechet distance and divergence by their matrix formulas.
TEST(generated, is_what_running_the_program_makes) {
  const MatrixXd half = (MatrixXd(3, 3) << 1, 0.3, 0, -0.2, 0.5, 0.1, 0.4, 0, 0.2).finished();
  const MatrixXd S = half * half.transpose();
  const VectorXd m = Eigen::Vector3d(0.5, -1, 2);
  const oracle::gaussian<double> data(m, S);
  const auto denoise = [&](const node& at, const MatrixXd& x) { return data.denoise(at.level, x); };
  const VectorXd axis_means = data.axes().transpose() * m;
  std::vector<scalar_law> axes;
  for (Eigen::Index k = 0; k < 3; ++k) axes.push_back({axis_means[k], data.variances()[k]});
  const grid nodes = karras(schedule(), 7);
  for (const program& plan : {ddim(nodes), dpm_solver_plus_plus(nodes, 2), unipc(nodes, 3)}) {
    const auto [alpha, sigma] = plan.start.level;
    MatrixXd probes = MatrixXd::Zero(3, 4);
    probes.rightCols(3).setIdentity();
    const MatrixXd made = run_denoiser(plan, denoise, probes);
    const MatrixXd A = made.rightCols(3).colwise() - made.col(0);
    const MatrixXd start = alpha * alpha * S + sigma * sigma * MatrixXd::Identity(3, 3);
    const MatrixXd C = A * start * A.transpose();
    const VectorXd mean = made.col(0) + alpha * A * m;

    const std::vector<scalar_law> laws = generated(plan, axes);
    const MatrixXd root = square_root(S);
    const double frechet =
        (mean - m).squaredNorm() + C.trace() + S.trace() - 2 * square_root(root * C * root).trace();
    EXPECT_NEAR(squared_wasserstein(laws, axes), frechet, 1e-10);
    const double kl = ((S.inverse() * C).trace() - 3 - std::log(C.determinant() / S.determinant()) +
                       (mean - m).dot(S.inverse() * (mean - m))) /
                      2;
    EXPECT_NEAR(kl_divergence(laws, axes), kl, 1e-9 * (1 + kl));
  }
}

// The ancestral chain over all steps keeps the marginals up to its discretisation; the prior in place
// of the marginal moves the mean by what signal is left at the start.
TEST(generated, knows_stochastic_samplers_and_the_prior) {
  const std::vector<scalar_law> data = {{1, 0.5}, {-2, 0.01}};
  const program chain = ddpm(linspace(schedule(), 1000));
  EXPECT_LT(squared_wasserstein(generated(chain, data), data), 1e-4);
  const program few = ddim(linspace(schedule(), 10));
  EXPECT_GT(squared_wasserstein(generated(few, data), data), 1e-4);
  EXPECT_GT(squared_wasserstein(generated(few, data, start_law::prior), data),
            squared_wasserstein(generated(few, data), data));
}

TEST(generated, distances_are_those_of_two_gaussians) {
  const std::vector<scalar_law> a = {{1, 4}, {0, 1}};
  const std::vector<scalar_law> b = {{0, 1}, {0, 1}};
  EXPECT_EQ(squared_wasserstein(a, b), 2);
  EXPECT_NEAR(kl_divergence(a, b), (4 - 1 - std::log(4.0) + 1) / 2, 1e-15);
  EXPECT_EQ(kl_divergence(a, a), 0);
  const std::vector<scalar_law> point = {{1, 0}};
  const std::vector<scalar_law> wide = {{1, 1}};
  EXPECT_EQ(kl_divergence(point, point), 0);
  EXPECT_TRUE(std::isinf(kl_divergence(point, wide)));
  EXPECT_TRUE(std::isinf(kl_divergence(wide, point)));
}

TEST(generated, refuses_what_is_no_law) {
  const program plan = ddim(karras(schedule(), 3));
  EXPECT_EQ(refusal([&] { generated(plan, {}); }).find("generated: axes = 0"), 0U);
  const std::vector<scalar_law> negative = {{0, -1}};
  EXPECT_EQ(refusal([&] { generated(plan, negative); }).find("generated: variance = -1"), 0U);
}

}  // namespace
}  // namespace tweedie
