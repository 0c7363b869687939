#include "tweedie/oracle/reverse_kernel.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "oracle/two_on_the_line.hpp"
#include "refusal.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

signal_noise level(double sigma) { return {std::sqrt(1 - sigma * sigma), sigma}; }

// Bayes, and the mean over x_t of the kernel is the marginal.
TEST(reverse_kernel, is_bayes) {
  const auto data = two_on_the_line();
  const signal_noise from = level(0.7), to = level(0.5);
  const transition_kernel forward = transition(to, from);
  const auto kernel = oracle::reverse_kernel(data, from, to, one(0.3));
  for (const double x : {-1.0, 0.1, 0.6}) {
    const double off = 0.3 - forward.mean * x;
    EXPECT_NEAR(kernel.log_density({1, 0}, one(x)),
                data.log_density(to, one(x)) +
                    isotropic_log_density(off * off, forward.variance, 1) -
                    data.log_density(from, one(0.3)),
                1e-12);
  }
  // E[x_to | x_from] = posterior mean at E[x0 | x_from].
  const double b = forward.variance;
  const double mean = to.alpha * b / (from.sigma * from.sigma) * data.denoise(from, one(0.3))(0) +
                      forward.mean * to.sigma * to.sigma / (from.sigma * from.sigma) * 0.3;
  EXPECT_NEAR(kernel.moments().first[0], mean, 1e-13);
}

// Small steps are Gaussian to third order in the variance of the step.
TEST(reverse_kernel_gaussianity, falls_with_the_third_power_of_the_step) {
  const auto data = two_on_the_line();
  const signal_noise to = level(0.6);
  const auto divergence = [&](double beta) {
    const signal_noise from{to.alpha * std::sqrt(1 - beta),
                            std::sqrt((1 - beta) * to.sigma * to.sigma + beta)};
    double sum = 0;
    for (const double x : {-0.9, -0.3, 0.2, 0.9})
      sum += oracle::reverse_kernel_gaussianity(data, from, to, x);
    return sum;
  };
  double before = divergence(0.01);
  for (const double beta : {0.005, 0.0025}) {
    const double now = divergence(beta);
    EXPECT_NEAR(std::log2(before / now), 3, 0.15);
    before = now;
  }
  // One step over all the noise has the two modes of the data.
  EXPECT_GT(oracle::reverse_kernel_gaussianity(data, level(0.999), {1, 0}, 0.0), 0.1);
}

TEST(reverse_kernel_gaussianity, of_gaussian_data_is_zero) {
  const oracle::mixture<double> data({{1, one(0.4), MatrixXd::Constant(1, 1, 0.3)}});
  EXPECT_NEAR(oracle::reverse_kernel_gaussianity(data, level(0.9), level(0.3), 1.2), 0, 1e-13);
}

TEST(reverse_kernel, refuses_what_is_no_reverse_step) {
  EXPECT_THROW(oracle::reverse_kernel(two_on_the_line(), level(0.3), level(0.5), one(0)),
               std::invalid_argument);
  EXPECT_EQ(refusal([] {
              oracle::reverse_kernel(two_on_the_line(), level(0.5), level(0.5), one(0));
            }).find("reverse_kernel: variance of the step = 0"),
            0U);
  EXPECT_EQ(refusal([] {
              oracle::reverse_kernel(two_on_the_line(), level(0.5), level(0.3),
                                     VectorXd(VectorXd::Zero(2)));
            }).find("reverse_kernel: size of x = 2"),
            0U);
  EXPECT_EQ(refusal([] {
              oracle::reverse_kernel_gaussianity(two_on_the_line(), level(0.5), level(0.5), 0.3);
            }).find("reverse_kernel: variance of the step = 0"),
            0U);
}

}  // namespace
}  // namespace tweedie
