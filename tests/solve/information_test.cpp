#include "tweedie/solve/information.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/mixture.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// The identity holds for each point, up to the draws: 5 standard deviations, and what the range and
// the rule leave out.
template <class Data>
void expect_agreement(const Data& data, const MatrixXd& x, const VectorXd& exact) {
  const auto denoise = [&](signal_noise level, const MatrixXd& y) {
    return data.denoise(level, y);
  };
  const information_likelihood found = log_likelihood_by_information(denoise, x);
  for (Eigen::Index i = 0; i < x.cols(); ++i) {
    EXPECT_NEAR(found.log_density[i], exact[i], 5 * found.deviation[i] + 2e-3) << i;
    EXPECT_LT(found.deviation[i], 0.2) << i;
  }
}

TEST(information_likelihood, is_the_density_of_gaussian_and_mixture_data) {
  const MatrixXd x = (MatrixXd(2, 4) << 0.1, -1, 1.2, 2, 0.5, 0.7, -1, 0.3).finished();
  const MatrixXd spread = (MatrixXd(2, 2) << 0.5, 0.2, 0.2, 0.3).finished();
  const oracle::gaussian<double> gaussian(Eigen::Vector2d(0.2, -0.1), spread);
  expect_agreement(gaussian, x, gaussian.log_density({1, 0}, x));
  const oracle::mixture<double> mixture(
      {{1, Eigen::Vector2d(1, 0), spread}, {2, Eigen::Vector2d(-1, 0.5), 0.2 * spread}});
  VectorXd exact(4);
  for (Eigen::Index i = 0; i < 4; ++i) exact[i] = mixture.log_density({1, 0}, x.col(i));
  expect_agreement(mixture, x, exact);
}

// For standard normal data the two errors differ by (1 - x^2)/(1 + g)^2 in the mean.
TEST(information_likelihood, of_a_standard_normal_has_no_integral_at_one_deviation) {
  const auto denoise = [](signal_noise level, const MatrixXd& y) -> MatrixXd {
    return level.alpha * y;
  };
  const information_likelihood found =
      log_likelihood_by_information(denoise, MatrixXd::Ones(1, 1), {.draws = 200});
  EXPECT_NEAR(found.log_density[0], -std::log(2 * std::numbers::pi * std::numbers::e) / 2,
              5 * found.deviation[0] + 1e-4);
}

TEST(information_likelihood, refuses_an_empty_range) {
  const auto denoise = [](signal_noise, const MatrixXd& y) -> MatrixXd { return y; };
  EXPECT_EQ(refusal([&] {
              log_likelihood_by_information(denoise, MatrixXd::Ones(1, 1), {.highest_snr = 1e-7});
            }).find("log_likelihood_by_information: highest_snr = 1e-07"),
            0U);
}

}  // namespace
}  // namespace tweedie
