#include "tweedie/solve/likelihood.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tweedie/oracle/exact_trace.hpp"
#include "tweedie/oracle/mixture.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Of mean zero, so that its distance from the prior falls with the square of the highest level.
oracle::mixture<double> two_in_the_plane() {
  std::vector<oracle::component<double>> parts(2);
  parts[0].weight = 0.3;
  parts[0].mean = Eigen::Vector2d(-1, 0.4);
  parts[0].covariance = MatrixXd::Identity(2, 2) * 0.2;
  parts[1].weight = 0.7;
  parts[1].mean = -0.3 / 0.7 * parts[0].mean;
  parts[1].covariance = (MatrixXd(2, 2) << 0.5, 0.2, 0.2, 0.3).finished();
  return oracle::mixture<double>(parts);
}

TEST(ode, integrates_forwards_and_backwards) {
  const auto rate = [](double t, const VectorXd& y) { return VectorXd(-y * t); };
  const VectorXd one = VectorXd::Ones(2);
  const ode_result there = integrate(rate, one, 0, 2, {1e-12, 1e-11});
  EXPECT_NEAR(there.state[0], std::exp(-2.0), 1e-9);
  const ode_result back = integrate(rate, there.state, 2, 0, {1e-12, 1e-11});
  EXPECT_NEAR(back.state[1], 1, 1e-8);
  EXPECT_EQ(there.evaluations, 2 + 6 * (there.accepted + there.rejected));
  EXPECT_EQ(integrate(rate, one, 1, 1).state, one);
}

TEST(ode, refuses_a_bad_tolerance_and_gives_up_at_a_pole) {
  const auto rate = [](double, const VectorXd& y) { return VectorXd(y.cwiseAbs2()); };
  EXPECT_THROW(integrate(rate, VectorXd::Ones(1), 0, 1, {0, 0}), std::invalid_argument);
  EXPECT_THROW(integrate(rate, VectorXd::Ones(1), 0, 2), std::domain_error);
}

TEST(likelihood, of_a_mixture_is_its_log_density) {
  const auto data = two_in_the_plane();
  const auto denoise = oracle::exact_trace(data);
  const MatrixXd x = (MatrixXd(2, 3) << -1.2, 0.1, 2, 0.5, -0.3, 1).finished();
  const likelihood_range range{0.05, 2000, {1e-9, 1e-9}};
  const flow_likelihood l = log_likelihood(denoise, x, range);
  for (Eigen::Index i = 0; i < 3; ++i)
    EXPECT_NEAR(l.log_density[i], data.log_density({1, 0.05}, x.col(i)), 2e-6);
}

// Of a linear denoiser with a diagonal Jacobian a sign probe is exact.
TEST(likelihood, hutchinson_is_exact_with_signs_on_a_diagonal_jacobian) {
  const double variance = 0.25;
  const auto clean = [=](const MatrixXd& x, double u) {
    return MatrixXd(variance / (variance + u * u) * x);
  };
  const auto product = [=](const MatrixXd&, double u, const MatrixXd& v) {
    return MatrixXd(variance / (variance + u * u) * v);
  };
  const MatrixXd x = (MatrixXd(2, 1) << 0.3, -0.6).finished();
  const MatrixXd signs = (MatrixXd(2, 1) << 1, -1).finished();
  const likelihood_range range{0.1, 1000, {1e-9, 1e-9}};
  const double total = variance + 0.01;
  const double exact = -x.squaredNorm() / (2 * total) - std::log(2 * M_PI * total);
  EXPECT_NEAR(log_likelihood(hutchinson_trace(clean, product, signs), x, range).log_density[0],
              exact, 1e-6);
  const auto differences = central_difference_product(clean);
  EXPECT_NEAR(log_likelihood(hutchinson_trace(clean, differences, signs), x, range).log_density[0],
              exact, 1e-6);
}

TEST(likelihood, hutchinson_is_unbiased_on_a_full_jacobian) {
  const auto data = two_in_the_plane();
  const VectorXd x = Eigen::Vector2d(0.2, 0.4);
  const double u = 0.7;
  const double exact = data.posterior_covariance({1, u}, x).trace() / (u * u);
  std::mt19937_64 engine(1);
  std::normal_distribution<double> normal;
  const Eigen::Index n = 4000;
  const MatrixXd probes = MatrixXd::NullaryExpr(2, n, [&] { return normal(engine); });
  const auto clean = [&](const MatrixXd& at, double level) { return data.denoise({1, level}, at); };
  const VectorXd traces =
      hutchinson_trace(clean, central_difference_product(clean), probes)(x.replicate(1, n), u)
          .trace;
  const double deviation = std::sqrt((traces.array() - traces.mean()).square().mean() / double(n));
  EXPECT_NEAR(traces.mean(), exact, 5 * deviation);
}

// Variance of v^T J v: 2 |J|_F^2 for normal v, 2 (|J|_F^2 - sum_i J_ii^2) for signs. The variance of n
// squares has a relative error of about sqrt(10/n).
TEST(likelihood, hutchinson_has_the_variance_of_its_probes) {
  const auto data = two_in_the_plane();
  const VectorXd x = Eigen::Vector2d(0.2, 0.4);
  const double u = 0.7;
  const MatrixXd jacobian = data.posterior_covariance({1, u}, x) / (u * u);
  const auto clean = [&](const MatrixXd& at, double level) { return data.denoise({1, level}, at); };
  const auto product = [&](const MatrixXd&, double, const MatrixXd& v) -> MatrixXd {
    return jacobian * v;
  };
  constexpr Eigen::Index n = 20000;
  MatrixXd normal(2, n);
  fill_standard_normal(normal, 1);
  const MatrixXd signs = normal.unaryExpr([](double z) { return z < 0 ? -1.0 : 1.0; });
  const auto variance = [&](const MatrixXd& probes) {
    const VectorXd traces = hutchinson_trace(clean, product, probes)(x.replicate(1, n), u).trace;
    return (traces.array() - traces.mean()).square().mean();
  };
  const double all = 2 * jacobian.squaredNorm();
  const double off_diagonal = all - 2 * jacobian.diagonal().squaredNorm();
  EXPECT_NEAR(variance(normal) / all, 1, 5 * std::sqrt(10.0 / n));
  EXPECT_NEAR(variance(signs) / off_diagonal, 1, 5 * std::sqrt(10.0 / n));
}

// The error of the density follows the tolerance of the integration.
TEST(likelihood, error_falls_with_the_tolerance) {
  const auto data = two_in_the_plane();
  const auto denoise = oracle::exact_trace(data);
  const MatrixXd x = (MatrixXd(2, 1) << 0.5, -0.3).finished();
  const auto found = [&](double tolerance) {
    return log_likelihood(denoise, x, {0.1, 100, {tolerance, tolerance}}).log_density[0];
  };
  const double truth = found(1e-11);
  EXPECT_LT(std::abs(found(1e-4) - truth), 1e-2);
  EXPECT_LT(std::abs(found(1e-6) - truth), 1e-4);
  EXPECT_LT(std::abs(found(1e-8) - truth), 1e-6);
  EXPECT_GT(std::abs(found(1e-3) - truth), std::abs(found(1e-8) - truth));
}

TEST(likelihood, by_probes_refuses_a_single_one) {
  const auto clean = [](const MatrixXd& at, double) { return MatrixXd(0 * at); };
  EXPECT_THROW(log_likelihood_by_probes(clean, central_difference_product(clean),
                                        MatrixXd::Zero(2, 1), 1, 1),
               std::invalid_argument);
}

TEST(likelihood, refuses_an_empty_range) {
  const auto denoise = [](const MatrixXd& x, double) {
    return denoised_with_trace{x, VectorXd::Zero(x.cols())};
  };
  EXPECT_THROW(log_likelihood(denoise, MatrixXd::Zero(1, 1), {1, 1}), std::invalid_argument);
  EXPECT_THROW(log_likelihood(denoise, MatrixXd::Zero(1, 1), {0, 1}), std::invalid_argument);
}

// dy/dt = 1 up to t = 1/2, not a number beyond.
TEST(integrate, ends_where_the_equation_does) {
  const auto f = [](double t, const Eigen::VectorXd& y) {
    return Eigen::VectorXd::Constant(y.size(), t > 0.5 ? std::nan("") : 1.0).eval();
  };
  const Eigen::VectorXd start = Eigen::VectorXd::Zero(2);
  EXPECT_THROW(integrate(f, start, 0, 1), std::domain_error);
  EXPECT_THROW(integrate(f, start, 0.6, 1), std::domain_error);
  EXPECT_NEAR(integrate(f, start, 0, 0.25).state[1], 0.25, 1e-14);
}

TEST(log_likelihood, refuses_answers_of_another_size) {
  const Eigen::MatrixXd x = Eigen::MatrixXd::Zero(3, 2);
  const auto clean = [](const Eigen::MatrixXd& at, double) { return Eigen::MatrixXd(0 * at); };
  const auto product = [](const Eigen::MatrixXd&, double, const Eigen::MatrixXd& v) {
    return Eigen::MatrixXd(0 * v);
  };
  EXPECT_THROW(log_likelihood(hutchinson_trace(clean, product, Eigen::MatrixXd::Ones(2, 2)), x),
               std::invalid_argument);
  const auto short_trace = [](const Eigen::MatrixXd& at, double) {
    return denoised_with_trace{0 * at, Eigen::VectorXd::Zero(1)};
  };
  EXPECT_THROW(log_likelihood(short_trace, x), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
