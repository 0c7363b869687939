#include "tweedie/restore/red_diff.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "restore/measuring.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace tweedie {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using tweedie_test::measuring;

// The estimate, the noise it is shown with and Adam, against the formulas of the paper: slopes by noises, not by x0.
template <class S>
void red_diff_is_its_loss(double tolerance) {
  const auto table = linear_beta_schedule(1000);
  const grid nodes = karras(table, 5);
  const std::vector<double> y{1.5, -0.2, 0.3, 0.1};
  const std::vector<S> start{1, 0, S(0.5), S(-0.5), 1, 0};
  red_diff<S, dense_operator> run(nodes, {predicts_noise}, dense_operator{measuring()}, y, start,
                                  5);
  adam<double> descent{.second_decay = 0.99};
  std::vector<double> u(start.begin(), start.end()), slope(6), z(3);
  const auto network = [](double x, double t) {
    return 0.3 * std::sin(3 * x) + 0.2 * x + t / 5000;
  };
  std::uint32_t k = 0;
  for (; run.next(); ++k) {
    const auto [alpha, sigma] = nodes[k].level;
    EXPECT_EQ(run.network_time(), nodes[k].time);
    for (std::size_t item = 0; item < 2; ++item) {
      fill_normal(noise_key{5, static_cast<std::uint32_t>(item), k}, 0, std::span<double>(z));
      const Eigen::Map<const VectorXd> own(u.data() + 3 * item, 3);
      const VectorXd pull = measuring().transpose() *
                            (measuring() * own - Eigen::Map<const VectorXd>(&y[2 * item], 2)) / 2;
      for (std::size_t i = 0; i < 3; ++i) {
        const double x = alpha * u[3 * item + i] + sigma * z[i];
        EXPECT_NEAR(run.input()[3 * item + i], x, tolerance);
        const double answer = network(x, nodes[k].time);
        run.output()[3 * item + i] = static_cast<S>(answer);
        slope[3 * item + i] =
            pull[static_cast<Index>(i)] + 0.25 / 3 * sigma / alpha * (answer - z[i]);
      }
    }
    descent.step(u, slope, 0.1);
  }
  EXPECT_EQ(k, 5u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(run.state()[i], u[i], tolerance);
}
TEST(red_diff, is_the_descent_of_its_loss) {
  red_diff_is_its_loss<double>(1e-10);
  red_diff_is_its_loss<float>(1e-3);
}

// At one level, over many steps of a low rate: the ridge estimate of the header.
TEST(red_diff, stays_at_the_ridge_estimate_of_isotropic_data) {
  const MatrixXd& a = measuring();
  const VectorXd y = (VectorXd(2) << 1.5, -0.2).finished();
  const double v = 0.7, gain = 0.8 * v / (0.64 * v + 0.36);
  const double lambda = 0.5, w = 1 - 0.8 * gain, penalty = lambda * w * 2 / 3;
  const VectorXd ridge =
      (a.transpose() * a + penalty * MatrixXd::Identity(3, 3)).llt().solve(a.transpose() * y);
  grid nodes;  // falling by less than the test sees
  for (int k = 0; k < 20000; ++k) nodes.push_back({500, {0.8, 0.6 * (1 - 1e-9 * k)}});
  red_diff<double, dense_operator> run(nodes, {predicts_sample}, dense_operator{a}, {y[0], y[1]},
                                       {0, 0, 0}, 5, {.lambda = lambda, .rate = 0.002});
  VectorXd mean = VectorXd::Zero(3);
  while (run.next()) {
    if (run.steps_done() >= 4000) mean += Eigen::Map<const VectorXd>(run.state().data(), 3) / 16000;
    for (std::size_t i = 0; i < 3; ++i) run.output()[i] = gain * run.input()[i];
  }
  EXPECT_LT((mean - ridge).norm(), 0.03);
  const VectorXd nearest = a.transpose() * (a * a.transpose()).inverse() * y;  // without a denoiser
  EXPECT_GT((mean - nearest).norm(), 0.1);
}

TEST(red_diff, refuses_what_it_cannot_use_and_keeps_the_estimate) {
  const grid nodes = karras(linear_beta_schedule(1000), 5);
  const dense_operator a{measuring()};
  const auto make = [&](const grid& g, std::vector<double> y, std::vector<double> start,
                        red_diff_options how = {}) {
    return red_diff<double, dense_operator>(g, {predicts_sample}, a, std::move(y), start, 5, how);
  };
  EXPECT_THROW(make(reversed(nodes), {1, 2}, {0, 0, 0}), std::invalid_argument);
  EXPECT_THROW(make({clean_node(0)}, {1, 2}, {0, 0, 0}), std::invalid_argument);
  EXPECT_THROW(make(nodes, {1}, {0, 0, 0}), std::invalid_argument);
  EXPECT_THROW(make(nodes, {1, std::nan("")}, {0, 0, 0}), std::invalid_argument);
  EXPECT_THROW(make(nodes, {1, 2}, {0, 0}), std::invalid_argument);
  EXPECT_THROW(make(nodes, {1, 2}, {0, 0, std::nan("")}), std::invalid_argument);
  EXPECT_THROW(make(nodes, {1, 2}, {0, 0, 0}, {.lambda = -1}), std::invalid_argument);
  EXPECT_THROW(make(nodes, {1, 2}, {0, 0, 0}, {.rate = 0}), std::invalid_argument);
  auto run = make(nodes, {1, 2}, {0.5, 0, 0});
  run.next();
  run.output()[1] = std::nan("");
  EXPECT_THROW(run.next(), std::invalid_argument);
  EXPECT_EQ(run.state()[0], 0.5);
}

}  // namespace
}  // namespace tweedie
