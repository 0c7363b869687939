#include "tweedie/metric/transport.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace {

using namespace tweedie;
using Eigen::Index;
using Eigen::MatrixXd;

double cost_of(const MatrixXd& cost, const std::vector<Index>& partner) {
  double sum = 0;
  for (std::size_t i = 0; i < partner.size(); ++i) sum += cost(static_cast<Index>(i), partner[i]);
  return sum;
}

TEST(optimal_assignment, equals_brute_force) {
  std::srand(3);
  for (int n = 1; n <= 8; ++n)
    for (int trial = 0; trial < 3; ++trial) {
      const MatrixXd cost = MatrixXd::Random(n, n);
      std::vector<Index> partner(static_cast<std::size_t>(n));
      std::iota(partner.begin(), partner.end(), 0);
      double best = cost_of(cost, partner);
      while (std::next_permutation(partner.begin(), partner.end()))
        best = std::min(best, cost_of(cost, partner));
      const std::vector<Index> found = optimal_assignment(cost);
      EXPECT_NEAR(cost_of(cost, found), best, 1e-13);
      std::vector<Index> sorted = found;
      std::sort(sorted.begin(), sorted.end());
      std::iota(partner.begin(), partner.end(), 0);
      EXPECT_EQ(sorted, partner);
    }
  EXPECT_TRUE(optimal_assignment(MatrixXd(0, 0)).empty());
}

TEST(optimal_assignment, on_the_line_is_sorting) {
  std::srand(5);
  const Index n = 64;
  const MatrixXd x = MatrixXd::Random(1, n), y = 2 * MatrixXd::Random(1, n);
  const std::vector<Index> partner = optimal_assignment(squared_distances(x, y));
  const auto rank = [](const MatrixXd& v, Index i) {
    int r = 0;
    for (Index j = 0; j < v.cols(); ++j) r += v(0, j) < v(0, i);
    return r;
  };
  for (Index i = 0; i < n; ++i)
    EXPECT_EQ(rank(x, i), rank(y, partner[static_cast<std::size_t>(i)]));
}

TEST(sinkhorn, meets_its_marginals_and_tends_to_the_optimal_plan) {
  std::srand(7);
  const MatrixXd cost =
      squared_distances(MatrixXd(MatrixXd::Random(2, 6)), MatrixXd(MatrixXd::Random(2, 6)));
  const double best = cost_of(cost, optimal_assignment(cost)) / 6;
  double previous = 1e9;
  for (const double epsilon : {1.0, 0.3, 0.1}) {
    const entropic_plan p = sinkhorn(cost, epsilon);
    EXPECT_LT((p.plan.rowwise().sum().array() - 1.0 / 6).abs().maxCoeff(), 1e-10);
    EXPECT_LT((p.plan.colwise().sum().array() - 1.0 / 6).abs().maxCoeff(), 1e-10);
    const double transported = (p.plan.array() * cost.array()).sum();
    EXPECT_LT(transported, previous);
    previous = transported;
  }
  EXPECT_LE(previous, best + 0.1 * std::log(6));  // epsilon times the entropy of the permutation
  EXPECT_GE(previous, best - 1e-9);
}

// Schroedinger bridge of N(0, a^2) and N(0, b^2): covariance (sqrt(4 a^2 b^2 + s^4) - s^2)/2.
TEST(sinkhorn, of_two_gaussians_has_the_closed_form_covariance) {
  const double a = 1.3, b = 0.7, s = 0.8;
  const int n = 121;
  MatrixXd cost(n, n);
  std::vector<double> p(n), q(n);
  double p_sum = 0, q_sum = 0;
  const auto x = [&](int i) { return 6.5 * a * (2.0 * i / (n - 1) - 1); };
  const auto y = [&](int i) { return 6.5 * b * (2.0 * i / (n - 1) - 1); };
  for (int i = 0; i < n; ++i) {
    p_sum += p[static_cast<std::size_t>(i)] = std::exp(-x(i) * x(i) / (2 * a * a));
    q_sum += q[static_cast<std::size_t>(i)] = std::exp(-y(i) * y(i) / (2 * b * b));
    for (int j = 0; j < n; ++j) cost(i, j) = (x(i) - y(j)) * (x(i) - y(j)) / 2;
  }
  for (double& v : p) v /= p_sum;
  for (double& v : q) v /= q_sum;
  const entropic_plan plan = sinkhorn(cost, p, q, s * s);
  double covariance = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) covariance += plan.plan(i, j) * x(i) * y(j);
  EXPECT_NEAR(covariance, .6446242792, 1e-8);
  EXPECT_NEAR((std::sqrt(4 * a * a * b * b + s * s * s * s) - s * s) / 2, .6446242792, 5e-11);
}

// The derivative of min <P, C> + epsilon KL(P || p q') in the costs is the plan (envelope theorem).
TEST(sinkhorn, plan_is_the_gradient_of_the_entropic_cost) {
  std::srand(11);
  const MatrixXd cost =
      squared_distances(MatrixXd(MatrixXd::Random(2, 4)), MatrixXd(MatrixXd::Random(2, 5)));
  for (const double epsilon : {0.1, 1.0, 60.0}) {
    const auto optimum = [&](const MatrixXd& c) {
      const MatrixXd plan = sinkhorn(c, epsilon, 1e-14).plan;
      return (plan.array() * c.array()).sum() +
             epsilon * (plan.array() * (plan.array() * 20).log()).sum();
    };
    const MatrixXd plan = sinkhorn(cost, epsilon, 1e-14).plan;
    for (Index i = 0; i < 4; ++i)
      for (Index j = 0; j < 5; ++j) {
        MatrixXd up = cost, down = cost;
        up(i, j) += 1e-4;
        down(i, j) -= 1e-4;
        EXPECT_NEAR(plan(i, j), (optimum(up) - optimum(down)) / 2e-4, 1e-8);
      }
  }
}

TEST(sinkhorn, does_not_underflow_at_small_epsilon) {
  const MatrixXd cost = (MatrixXd(2, 2) << 0, 4000, 4000, 1).finished();
  const MatrixXd plan = sinkhorn(cost, 1).plan;
  EXPECT_NEAR(plan(0, 0), 0.5, 1e-12);
  EXPECT_NEAR(plan(1, 1), 0.5, 1e-12);
  EXPECT_EQ(plan(0, 1), 0);
}

TEST(squared_distances, agree_in_float_and_double) {
  std::srand(13);
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(7, 3), y = Eigen::MatrixXf::Random(7, 4);
  const MatrixXd single = squared_distances(x, y),
                 exact = squared_distances(MatrixXd(x.cast<double>()), MatrixXd(y.cast<double>()));
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 4; ++j) {
      EXPECT_NEAR(single(i, j) / exact(i, j), 1, 2e-6);
      EXPECT_NEAR(exact(i, j), (x.col(i) - y.col(j)).cast<double>().squaredNorm(), 1e-6);
    }
}

TEST(sinkhorn, refuses_what_it_cannot_do) {
  const MatrixXd cost = MatrixXd::Random(3, 3);
  EXPECT_THROW(sinkhorn(cost, 0), std::invalid_argument);
  EXPECT_THROW(sinkhorn(cost, 1, 1e-10, 0), std::invalid_argument);
  EXPECT_THROW(sinkhorn(cost, 1, 1e-10, 1), std::invalid_argument);
  EXPECT_THROW(sinkhorn(cost, 1e-6, 1e-12, 3), std::runtime_error);
  EXPECT_THROW(sinkhorn(MatrixXd::Constant(3, 3, NAN), 1), std::invalid_argument);
  const std::vector<double> third(3, 1 / 3.0), half(2, 0.5);
  EXPECT_THROW(sinkhorn(cost, third, half, 1), std::invalid_argument);
  EXPECT_THROW(sinkhorn(cost, third, std::vector<double>{0.5, 0.5, 0.5}, 1), std::invalid_argument);
  EXPECT_THROW(sinkhorn(cost, third, std::vector<double>{1, 0, 0}, 1), std::invalid_argument);
  EXPECT_THROW(optimal_assignment(MatrixXd::Random(2, 3)), std::invalid_argument);
  EXPECT_THROW(optimal_assignment(MatrixXd::Constant(2, 2, NAN)), std::invalid_argument);
  EXPECT_THROW(squared_distances(MatrixXd(2, 3), MatrixXd(3, 3)), std::invalid_argument);
}

TEST(draw_partners, follows_the_rows_of_the_plan) {
  MatrixXd plan(2, 3);
  plan << 0.1, 0.3, 0.1, 0, 0.25, 0.25;
  EXPECT_EQ(draw_partners(plan, std::vector<double>{0.19, 0}), (std::vector<Index>{0, 1}));
  EXPECT_EQ(draw_partners(plan, std::vector<double>{0.21, 0.51}), (std::vector<Index>{1, 2}));
  EXPECT_THROW(draw_partners(plan, std::vector<double>{0.1}), std::invalid_argument);
  EXPECT_THROW(draw_partners(plan, std::vector<double>{0.1, 1}), std::invalid_argument);
}

}  // namespace
