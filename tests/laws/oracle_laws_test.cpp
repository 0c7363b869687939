// Laws of every oracle: one line a new one.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tweedie/oracle/distribution.hpp"
#include "tweedie/oracle/empirical.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/line.hpp"
#include "tweedie/oracle/linear_inverse.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/oracle/point.hpp"
#include "tweedie/oracle/product.hpp"
#include "tweedie/oracle/stationary.hpp"
#include "tweedie/tensor/random.hpp"

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
template <>
oracle::point make() {
  return oracle::point(Eigen::Vector2d(0.7, -0.4));
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
struct texture : oracle::stationary<> {
  texture() : stationary({3, 2}, oracle::power_law({3, 2}, 2, 0.6), 0.2) {}
};
struct measured_gaussian : oracle::gaussian<double> {
  measured_gaussian()
      : gaussian(
            oracle::posterior(make<oracle::gaussian<double>>(),
                              {(MatrixXd(1, 2) << 1, -0.5).finished(), VectorXd::Ones(1), 0.4})) {}
};
struct measured_mixture : oracle::mixture<double> {
  measured_mixture()
      : mixture(
            oracle::posterior(make<oracle::mixture<double>>(),
                              {(MatrixXd(1, 2) << 0.3, 1).finished(), VectorXd::Zero(1), 0.5})) {}
};
oracle::product blocks() {
  return oracle::product(
      {laplace(), make<oracle::mixture<double>>(), oracle::point(VectorXd::Ones(1)), uniform()});
}
template <>
oracle::product make() {
  return blocks();
}
template <>
oracle::rotated make() {
  const double c = std::cos(0.6), s = std::sin(0.6);
  return {oracle::product({laplace(), uniform()}), (MatrixXd(2, 2) << c, -s, s, c).finished()};
}
template <class Data>
requires std::default_initializable<Data> Data make() { return {}; }

template <class Data>
class oracle_laws : public testing::Test {
 protected:
  Data data = make<Data>();
  std::vector<signal_noise> levels = {{1, 0.3}, {0.8, 0.6}, {0.2, 1.5}, {1, 20}, {0, 1}};
  MatrixXd x = MatrixXd::NullaryExpr(data.dimension(), 4, [](Eigen::Index i, Eigen::Index j) {
    return 0.7 * static_cast<double>(j) - 1.1 + 0.4 * static_cast<double>(i);
  });
};

using all =
    testing::Types<oracle::gaussian<double>, oracle::mixture<double>, oracle::empirical<double>,
                   oracle::point, laplace, student_t, uniform, texture, measured_gaussian,
                   measured_mixture, oracle::product, oracle::rotated>;
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

// What is not a number in one column stays there.
TYPED_TEST(oracle_laws, columns_that_are_not_numbers_spoil_no_other) {
  const signal_noise level{0.8, 0.6};
  MatrixXd spoilt = this->x;
  spoilt.col(1).setConstant(NAN);
  const std::vector<Eigen::Index> others = {0, 2, 3};
  const MatrixXd clean = this->data.denoise(level, this->x);
  const MatrixXd found = this->data.denoise(level, spoilt);
  EXPECT_EQ(MatrixXd(found(Eigen::all, others)), MatrixXd(clean(Eigen::all, others)));
  const MatrixXd score = this->data.score(level, spoilt);
  EXPECT_TRUE(MatrixXd(score(Eigen::all, others)).allFinite());
  EXPECT_TRUE(score.col(1).hasNaN());
}

// Sample i is the same however many are drawn, and another with another seed or draw.
TYPED_TEST(oracle_laws, samples_are_functions_of_their_key) {
  const MatrixXd many = this->data.sample(7, {.seed = 3});
  EXPECT_EQ(many.rows(), this->data.dimension());
  EXPECT_LT((many.leftCols(3) - this->data.sample(3, {.seed = 3})).norm(), 1e-14);
  EXPECT_EQ(this->data.sample(0, {.seed = 3}).cols(), 0);
  EXPECT_THROW(this->data.sample(-1, {.seed = 3}), std::invalid_argument);
  if constexpr (!std::same_as<TypeParam, oracle::point>) {
    EXPECT_GT((many - this->data.sample(7, {.seed = 4})).norm(), 0.1);
    EXPECT_GT((many - this->data.sample(7, {.seed = 3, .draw = 0})).norm(), 0.1);
  }
}

// Of a mean that should be 0, within 5 standard errors: by chance once in 1.7 million.
void expect_zero_mean(const Eigen::ArrayXd& values, const char* what) {
  const auto n = static_cast<double>(values.size());
  const double mean = values.mean();
  const double error = std::sqrt((values - mean).square().sum() / (n - 1) / n);
  EXPECT_LE(std::abs(mean), 5 * error + 1e-12) << what;
}

// On samples, noised: scores have mean zero and E[score x^T] = -I (Stein 1981), what the denoiser leaves
// over is orthogonal to what x says, and its covariance is the mean of the one the oracle states.
TYPED_TEST(oracle_laws, hold_in_the_mean_over_samples) {
  const Eigen::Index n = 800, d = this->data.dimension();
  const MatrixXd clean = this->data.sample(n, {.seed = 11});
  MatrixXd z(d, n);
  fill_standard_normal(z, 12);
  for (const signal_noise level : {signal_noise{1, 0.4}, {0.5, 0.8}}) {
    const MatrixXd noisy = level.alpha * clean + level.sigma * z;
    const MatrixXd score = this->data.score(level, noisy);
    const MatrixXd off = clean - this->data.denoise(level, noisy);
    std::vector<MatrixXd> spreads;
    for (Eigen::Index k = 0; k < n; ++k)
      spreads.push_back(covariance(this->data, level, VectorXd(noisy.col(k))));
    for (Eigen::Index i = 0; i < d; ++i) {
      expect_zero_mean(score.row(i), "score");
      expect_zero_mean(off.row(i), "error of the denoiser");
      for (Eigen::Index j = 0; j < d; ++j) {
        expect_zero_mean(score.row(i).array() * noisy.row(j).array() + (i == j ? 1 : 0), "Stein");
        expect_zero_mean(off.row(i).array() * score.row(j).array(), "orthogonality");
        Eigen::ArrayXd stated(n);
        for (Eigen::Index k = 0; k < n; ++k) stated[k] = spreads[static_cast<std::size_t>(k)](i, j);
        expect_zero_mean((off.row(i).array() * off.row(j).array()).transpose() - stated,
                         "covariance");
      }
    }
  }
}

}  // namespace
}  // namespace tweedie
