// Laws of every oracle: one line a new one.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tweedie/oracle/distribution.hpp"
#include "tweedie/oracle/empirical.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/line.hpp"
#include "tweedie/oracle/mixture.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

const MatrixXd spread = (MatrixXd(2, 2) << 0.5, 0.2, 0.2, 0.3).finished();

template <class Data>
Data make();
template <>
oracle::gaussian<double> make() {
  return {Eigen::Vector2d(1, -0.5), spread};
}
template <>
oracle::mixture<double> make() {
  return oracle::mixture<double>({{1, Eigen::Vector2d(1, 0), spread},
                                  {2, Eigen::Vector2d(-1, 0.5), MatrixXd::Identity(2, 2) * 0.1}});
}
template <>
oracle::empirical<double> make() {
  return oracle::empirical<double>((MatrixXd(2, 3) << 0, 1, -1, 0.5, 0.2, -0.3).finished());
}
struct laplace : oracle::line {
  laplace() : line(oracle::laplace(0.3, 0.7)) {}
};
struct student_t : oracle::line {
  student_t() : line(oracle::student_t(3, -0.2, 0.5)) {}
};
struct uniform : oracle::line {
  uniform() : line(oracle::uniform_between(-1, 2)) {}
};
template <>
laplace make() {
  return {};
}
template <>
student_t make() {
  return {};
}
template <>
uniform make() {
  return {};
}

template <class Data>
class oracle_laws : public testing::Test {
 protected:
  Data data = make<Data>();
  std::vector<signal_noise> levels = {{1, 0.3}, {0.8, 0.6}, {0.2, 1.5}, {1, 20}, {0, 1}};
  MatrixXd x = MatrixXd::NullaryExpr(data.dimension(), 4, [](Eigen::Index i, Eigen::Index j) {
    return 0.7 * static_cast<double>(j) - 1.1 + 0.4 * static_cast<double>(i);
  });
};

using all = testing::Types<oracle::gaussian<double>, oracle::mixture<double>,
                           oracle::empirical<double>, laplace, student_t, uniform>;
TYPED_TEST_SUITE(oracle_laws, all);

TYPED_TEST(oracle_laws, score_is_the_gradient_of_the_log_density) {
  for (const signal_noise level : this->levels) {
    const double h = 1e-4 * level.sigma;
    const MatrixXd score = this->data.score(level, this->x);
    for (Eigen::Index i = 0; i < this->x.rows(); ++i) {
      MatrixXd up = this->x;
      MatrixXd down = this->x;
      up.row(i).array() += h;
      down.row(i).array() -= h;
      const VectorXd slope =
          (log_density(this->data, level, up) - log_density(this->data, level, down)) / (2 * h);
      EXPECT_LT((score.row(i).transpose() - slope).norm() * level.sigma, 1e-6) << level.sigma;
    }
  }
}

TYPED_TEST(oracle_laws, tweedie_ties_score_denoiser_and_noise) {
  for (const signal_noise level : this->levels) {
    const MatrixXd score = this->data.score(level, this->x);
    const MatrixXd clean = this->data.denoise(level, this->x);
    const double scale = 1 + this->x.norm() / level.sigma;
    EXPECT_LT((noise(this->data, level, this->x) + level.sigma * score).norm(), 1e-11 * scale);
    EXPECT_LT((this->x + level.sigma * level.sigma * score - level.alpha * clean).norm(),
              1e-11 * (1 + this->x.norm()) * (1 + level.sigma));
    // Along the straight path from data to noise the velocity is z - x0.
    EXPECT_LT((velocity(this->data, level, {-1, 1}, this->x) -
               (noise(this->data, level, this->x) - clean))
                  .norm(),
              1e-12 * scale);
  }
}

TYPED_TEST(oracle_laws, covariance_is_the_slope_of_the_denoiser) {
  for (const signal_noise level : this->levels) {
    if (level.alpha == 0) continue;
    const double h = 1e-4 * level.sigma;
    for (Eigen::Index j = 0; j < this->x.cols(); ++j) {
      const VectorXd point = this->x.col(j);
      const MatrixXd exact = covariance(this->data, level, point);
      for (Eigen::Index i = 0; i < point.size(); ++i) {
        const VectorXd step = h * VectorXd::Unit(point.size(), i);
        const VectorXd slope =
            (this->data.denoise(level, point + step) - this->data.denoise(level, point - step)) /
            (2 * h);
        EXPECT_LT((exact.col(i) - level.sigma * level.sigma / level.alpha * slope).norm(),
                  1e-6 * (1 + exact.norm()))
            << level.sigma;
      }
    }
  }
}

// With no signal x says nothing about the data: the answer is the mean, the same for all x.
TYPED_TEST(oracle_laws, pure_noise_says_nothing) {
  const MatrixXd clean = this->data.denoise({0, 1}, this->x);
  EXPECT_LT((clean.colwise() - clean.col(0)).norm(), 1e-11);
}

}  // namespace
}  // namespace tweedie
