#include "tweedie/restore/decoupled.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "restore/measuring.hpp"

namespace tweedie {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using tweedie_test::measuring;

// A run that has come down to clean data, in its only step.
struct stopped_run {
  struct walk {
    node start{0, {0.6, 0.8}};
    std::vector<stage> stages{};
  };
  std::vector<double> x;
  std::span<double> state() { return x; }
  node reached() const { return clean_node(0); }
  std::size_t steps_done() const { return 1; }
  std::size_t steps_total() const { return 1; }
  walk plan() const { return {}; }
};

// Two Langevin steps from a point of the plane: the recursion of mean and covariance, x <- (I - h H) x + h b + sqrt(2 h) z.
TEST(decoupled, langevin_steps_have_the_law_of_their_recursion) {
  const std::size_t items = 3000;
  const double s = 0.4, r2 = 0.5;
  const MatrixXd& a = measuring();
  const VectorXd x0 = (VectorXd(3) << 0.3, -1, 2).finished();
  const VectorXd y = (VectorXd(2) << 1.5, -0.2).finished();
  std::vector<double> all, x;
  for (std::size_t i = 0; i < items; ++i) {
    all.insert(all.end(), y.begin(), y.end());
    x.insert(x.end(), x0.begin(), x0.end());
  }
  const auto constant = [&](signal_noise) { return r2; };
  const auto drawn = [&](const langevin_steps& how) {
    decoupled draw(dense_operator{a}, all, s, 5, constant, how);
    stopped_run run{x};
    draw.apply(run);
    return MatrixXd(Eigen::Map<const MatrixXd>(run.x.data(), 3, static_cast<Index>(items)));
  };
  const MatrixXd h = MatrixXd::Identity(3, 3) / r2 + a.transpose() * a / (s * s);
  const double error = 4 / std::sqrt(static_cast<double>(items));
  for (const int count : {1, 2, 60}) {
    const double length = 0.05;
    const MatrixXd out = drawn({count, length, length});
    VectorXd mean = x0;
    MatrixXd covariance = MatrixXd::Zero(3, 3);
    const MatrixXd step = MatrixXd::Identity(3, 3) - length * h;
    for (int k = 0; k < count; ++k) {
      mean = step * mean + length * (a.transpose() * y / (s * s) + x0 / r2);
      covariance = step * covariance * step.transpose() + 2 * length * MatrixXd::Identity(3, 3);
    }
    const VectorXd found = out.rowwise().mean();
    const MatrixXd centred = out.colwise() - found;
    EXPECT_LT((found - mean).cwiseAbs().maxCoeff(), error);
    EXPECT_LT((centred * centred.transpose() / static_cast<double>(items) - covariance)
                  .cwiseAbs()
                  .maxCoeff(),
              1.5 * error);
    // Many steps forget where they start: the mean is that of the exact draw, the covariance apart by the length.
    if (count == 60) {
      EXPECT_LT((mean - h.inverse() * (a.transpose() * y / (s * s) + x0 / r2)).norm(), 1e-6);
    }
  }
  EXPECT_THROW(drawn({300, 10, 10}), std::domain_error);
  const auto make = [&](const langevin_steps& how) {
    return decoupled(dense_operator{a}, all, s, 5, constant, how);
  };
  EXPECT_THROW(make({0, 1, 1}), std::invalid_argument);
  EXPECT_THROW(make({1, 0, 1}), std::invalid_argument);
  EXPECT_THROW(make({1, 1, std::nan("")}), std::invalid_argument);
}

TEST(decoupled, refuses_states_that_are_not_finite_and_leaves_them) {
  decoupled draw(dense_operator{measuring()}, {1.5, -0.2, 1.5, -0.2}, 0.4, 5);
  const std::vector<double> x{0.3, -1, 2, 0, 0, std::nan("")};
  stopped_run run{x};
  EXPECT_THROW(draw.apply(run), std::invalid_argument);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(run.x[i], x[i]);
}

}  // namespace
}  // namespace tweedie
