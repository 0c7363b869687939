#include "tweedie/metric/frechet.hpp"

#include <gtest/gtest.h>

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// tr (S_1^1/2 S_2 S_1^1/2)^1/2 is the sum of the roots of the eigenvalues of S_1 S_2.
double textbook(const point_moments& p, const point_moments& q) {
  const Eigen::VectorXcd values = MatrixXd(p.covariance * q.covariance).eigenvalues();
  return (p.mean - q.mean).squaredNorm() + p.covariance.trace() + q.covariance.trace() -
         2 * values.real().cwiseMax(0).cwiseSqrt().sum();
}

TEST(frechet, equals_the_textbook_formula) {
  std::srand(4);
  const MatrixXd a = MatrixXd::Random(4, 4), b = MatrixXd::Random(4, 4);
  const point_moments p{VectorXd::Random(4), a * a.transpose()};
  const point_moments q{VectorXd::Random(4), b * b.transpose()};
  EXPECT_NEAR(frechet_distance(p, q), textbook(p, q), 1e-12);
  EXPECT_NEAR(frechet_distance(p, p), 0, 1e-28);
  EXPECT_NEAR(frechet_distance(p, q), frechet_distance(q, p), 1e-12);
}

TEST(frechet, commuting_covariances_and_singular_ones) {
  const VectorXd v = VectorXd::LinSpaced(3, 0, 2), w = VectorXd::LinSpaced(3, 1, 0);
  const point_moments p{VectorXd::Zero(3), v.asDiagonal()}, q{VectorXd::Ones(3), w.asDiagonal()};
  EXPECT_NEAR(frechet_distance(p, q), 3 + (v.cwiseSqrt() - w.cwiseSqrt()).squaredNorm(), 1e-14);
}

TEST(frechet, of_point_sets) {
  std::srand(5);
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(3, 50);
  EXPECT_NEAR(frechet_distance(x, x), 0, 1e-12);
  EXPECT_NEAR(frechet_distance(x, (x.array() + 0.5f).matrix()), 0.75, 1e-6);
  const point_moments m = moments_of(x);
  EXPECT_NEAR(m.covariance(0, 0), (x.row(0).cast<double>().array() - m.mean[0]).square().sum() / 49,
              1e-14);
  EXPECT_THROW(moments_of(x.leftCols(1)), std::invalid_argument);
  EXPECT_THROW(frechet_distance(x, Eigen::MatrixXf::Random(2, 9)), std::invalid_argument);
}

TEST(frechet, of_fewer_points_than_dimensions_keeps_its_digits) {
  std::srand(6);
  const MatrixXd x = MatrixXd::Random(60, 10);
  const double trace = moments_of(x).covariance.trace();
  EXPECT_GE(frechet_distance(x, x), 0);
  EXPECT_LE(frechet_distance(x, x), 1e-13 * trace);
  // Scaling about the mean by c: (c - 1)^2 tr S.
  const VectorXd mean = x.rowwise().mean();
  const MatrixXd wider = (1.5 * (x.colwise() - mean)).colwise() + mean;
  EXPECT_NEAR(frechet_distance(x, wider), 0.25 * trace, 1e-13 * trace);
  // Fewer points on the other side.
  const point_moments p = moments_of(x), q = moments_of(MatrixXd(MatrixXd::Random(60, 7)));
  EXPECT_NEAR(frechet_distance(p, q), textbook(p, q), 1e-6 * trace);
  EXPECT_NEAR(frechet_distance(p, q), frechet_distance(q, p), 1e-13 * trace);
  const point_moments point{p.mean, MatrixXd::Zero(60, 60)};
  EXPECT_NEAR(frechet_distance(p, point), trace, 1e-13 * trace);
}

TEST(frechet, refuses_what_are_no_moments) {
  const VectorXd m = VectorXd::Zero(2);
  const MatrixXd one = MatrixXd::Identity(2, 2);
  EXPECT_THROW(frechet_distance({m, one}, {m, one * NAN}), std::invalid_argument);
  EXPECT_THROW(frechet_distance({m, one}, {m, MatrixXd::Identity(3, 3)}), std::invalid_argument);
  EXPECT_THROW(frechet_distance({m, one}, {m * NAN, one}), std::invalid_argument);
  EXPECT_THROW(frechet_distance({m, -one}, {m, one}), std::invalid_argument);
}

}  // namespace
