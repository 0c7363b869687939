#include "tweedie/oracle/gaussian.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/metric/frechet.hpp"
#include "tweedie/tensor/random.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::VectorXd;

MatrixXd random_covariance(int d, double condition, unsigned seed) {
  std::srand(seed);
  const MatrixXd q = MatrixXd::Random(d, d).householderQr().householderQ();
  VectorXd s(d);
  for (int i = 0; i < d; ++i) s[i] = std::pow(condition, -i / std::max(1.0, d - 1.0));
  MatrixXd out = q * s.asDiagonal() * q.transpose();
  return (out + out.transpose()) / 2;
}

TEST(gaussian_distribution, log_density_equals_the_direct_formula) {
  for (int d = 1; d <= 6; ++d) {
    const MatrixXd s = random_covariance(d, 1e6, 3);
    const VectorXd m = VectorXd::Random(d);
    const MatrixXd x = MatrixXd::Random(d, 5);
    const oracle::gaussian<> p(m, s);
    for (int k = 0; k < 5; ++k) {
      const VectorXd r = x.col(k) - m;
      const double direct =
          -0.5 * r.dot(s.inverse() * r) - 0.5 * std::log(s.determinant()) - d * half_log_two_pi;
      EXPECT_NEAR(p.log_density({1, 0}, x)[k] / direct, 1, 1e-9);
      EXPECT_LT((p.score({1, 0}, x).col(k) + s.inverse() * r).norm(), 1e-9 * r.norm() * 1e6);
    }
    EXPECT_NEAR(p.entropy(), 0.5 * std::log(s.determinant()) + d * (half_log_two_pi + 0.5), 1e-9);
  }
}

TEST(gaussian_distribution, log_density_is_a_sum_of_conditionals) {
  const int d = 5;
  const oracle::gaussian<> p(VectorXd::Random(d), random_covariance(d, 100, 7));
  const VectorXd x = VectorXd::Random(d);
  double sum = 0;
  std::vector<Eigen::Index> known;
  for (Eigen::Index i = 0; i < d; ++i) {
    std::vector<Eigen::Index> first = known;
    first.push_back(i);
    const auto next = p.marginal(first).conditional(known, x(known));
    sum += next.log_density({1, 0}, x.segment(i, 1))[0];
    known = first;
  }
  EXPECT_NEAR(p.log_density({1, 0}, x)[0], sum, 1e-11);
}

TEST(gaussian_distribution, follows_affine_maps_and_integrates_to_one) {
  const oracle::gaussian<> p(VectorXd::Random(2), random_covariance(2, 10, 5));
  MatrixXd a(2, 2);
  a << 2, 0.3, -0.5, 1.4;
  const VectorXd b = VectorXd::Random(2), x = VectorXd::Random(2);
  const oracle::gaussian<> q(a * p.mean() + b, a * p.covariance() * a.transpose());
  EXPECT_NEAR(q.log_density({1, 0}, a * x + b)[0],
              p.log_density({1, 0}, x)[0] - std::log(std::abs(a.determinant())), 1e-12);
  double mass = 0;
  const double h = 0.05;
  for (double u = -8; u <= 8; u += h)
    for (double v = -8; v <= 8; v += h)
      mass += h * h * std::exp(p.log_density({1, 0}, Eigen::Vector2d(u, v) + p.mean())[0]);
  EXPECT_NEAR(mass, 1, 1e-9);
}

TEST(gaussian_distribution, large_dimensions_do_not_underflow) {
  const int d = 150;  // det = 1e-450
  const auto p = oracle::gaussian<>::isotropic(VectorXd::Zero(d), 1e-3);
  EXPECT_NEAR(p.entropy(), d * (half_log_two_pi + 0.5 + std::log(1e-3) / 2), 1e-9);
  EXPECT_NEAR(p.log_density({1, 0}, VectorXd::Zero(d))[0],
              -d * (half_log_two_pi + std::log(1e-3) / 2), 1e-9);
  EXPECT_NEAR(kl_divergence(p, oracle::gaussian<>::isotropic(VectorXd::Ones(d), 2e-3)),
              d * normal_divergence(0.0, std::log(1e-3), 1.0, std::log(2e-3)), 1e-8);
}

TEST(gaussian_distribution, dimension_zero_is_a_point_of_probability_one) {
  const oracle::gaussian<> p(VectorXd(0), MatrixXd(0, 0));
  EXPECT_EQ(p.log_density({1, 0}, MatrixXd(0, 3)), VectorXd::Zero(3));
  EXPECT_EQ(p.entropy(), 0);
  EXPECT_EQ(kl_divergence(p, p), 0);
  EXPECT_EQ(frechet_distance(p, p), 0);
  EXPECT_EQ(p.sample(MatrixXd(0, 2)).cols(), 2);
  EXPECT_EQ(p.factor().size(), 0);
}

TEST(gaussian_distribution, dimension_one_is_the_normal) {
  const oracle::gaussian<> p(VectorXd::Constant(1, 0.4), MatrixXd::Constant(1, 1, 2.5));
  EXPECT_NEAR(p.log_density({1, 0}, VectorXd::Constant(1, 1.1))[0],
              normal_log_density(1.1, 0.4, std::log(2.5)), 1e-15);
  EXPECT_NEAR(p.entropy(), normal_entropy(std::log(2.5)), 1e-15);
}

TEST(gaussian_distribution, singular_covariances) {
  MatrixXd a(3, 2);
  a << 1, 0, 2, 1, 0, -1;
  const VectorXd m = VectorXd::Ones(3);
  const oracle::gaussian<> p(m, a * a.transpose());
  EXPECT_EQ(p.rank(), 2);
  EXPECT_LT((p.factor() * p.factor().transpose() - a * a.transpose()).norm(), 1e-14);
  const auto flat = oracle::gaussian<>::diagonal(m, Eigen::Vector3d(1, 0, 2));
  EXPECT_THROW(flat.log_density({1, 0}, MatrixXd::Zero(3, 1)), std::invalid_argument);
  EXPECT_EQ(p.entropy(), -std::numeric_limits<double>::infinity());
  const auto full = oracle::gaussian<>::isotropic(m, 1);
  EXPECT_EQ(kl_divergence(p, full), std::numeric_limits<double>::infinity());
  EXPECT_THROW(kl_divergence(full, p), std::domain_error);
  // Two coordinates determine the third: x = m + a z.
  const VectorXd z = VectorXd::Random(2), x = m + a * z;
  const auto rest = p.conditional({0, 2}, x(std::vector<Eigen::Index>{0, 2}));
  EXPECT_NEAR(rest.mean()[0], x[1], 1e-13);
  EXPECT_EQ(rest.rank(), 0);
  EXPECT_THROW(p.conditional({0, 1, 2}, x + Eigen::Vector3d(0, 0, 1)), std::domain_error);
  const oracle::gaussian<> point(m, MatrixXd::Zero(3, 3));
  EXPECT_EQ(point.rank(), 0);
  EXPECT_NEAR(frechet_distance(point, full), 3, 1e-14);
}

TEST(gaussian_distribution, conditioning_is_bayes) {
  const oracle::gaussian<> p(VectorXd::Random(4), random_covariance(4, 50, 11));
  const VectorXd x = VectorXd::Random(4);
  const auto given = p.conditional({3, 1}, x(std::vector<Eigen::Index>{3, 1}));
  EXPECT_NEAR(given.log_density({1, 0}, x(std::vector<Eigen::Index>{0, 2}))[0],
              p.log_density({1, 0}, x)[0] -
                  p.marginal({1, 3}).log_density({1, 0}, x(std::vector<Eigen::Index>{1, 3}))[0],
              1e-11);
}

TEST(divergence, equals_the_textbook_formula_and_sums_over_axes) {
  const int d = 4;
  const oracle::gaussian<> p(VectorXd::Random(d), random_covariance(d, 30, 1));
  const oracle::gaussian<> q(VectorXd::Random(d), random_covariance(d, 30, 2));
  const MatrixXd inverse = q.covariance().inverse();
  const VectorXd r = q.mean() - p.mean();
  const double direct = 0.5 * ((inverse * p.covariance()).trace() - d + r.dot(inverse * r) +
                               2 * (q.entropy() - p.entropy()));
  EXPECT_NEAR(kl_divergence(p, q), direct, 1e-11);
  EXPECT_NEAR(kl_divergence(p, p), 0, 1e-27);
  const VectorXd v = VectorXd::LinSpaced(d, 0.1, 2), w = VectorXd::LinSpaced(d, 1, 0.4);
  double sum = 0;
  for (int i = 0; i < d; ++i)
    sum += normal_divergence(p.mean()[i], std::log(v[i]), q.mean()[i], std::log(w[i]));
  EXPECT_NEAR(kl_divergence(oracle::gaussian<>::diagonal(p.mean(), v),
                            oracle::gaussian<>::diagonal(q.mean(), w)),
              sum, 1e-13);
}

TEST(transport, commuting_covariances_and_the_metric_axioms) {
  const int d = 4;
  const VectorXd v = VectorXd::LinSpaced(d, 0.1, 2), w = VectorXd::LinSpaced(d, 1, 0.4);
  const auto p = oracle::gaussian<>::diagonal(VectorXd::Random(d), v);
  const auto q = oracle::gaussian<>::diagonal(VectorXd::Random(d), w);
  EXPECT_NEAR(frechet_distance(p, q),
              (p.mean() - q.mean()).squaredNorm() + (v.cwiseSqrt() - w.cwiseSqrt()).squaredNorm(),
              1e-13);
  const oracle::gaussian<> a(VectorXd::Random(d), random_covariance(d, 30, 4));
  const oracle::gaussian<> b(VectorXd::Random(d), random_covariance(d, 30, 5));
  const auto distance = [](const auto& x, const auto& y) {
    return std::sqrt(frechet_distance(x, y));
  };
  EXPECT_NEAR(distance(a, b), distance(b, a), 1e-13);
  EXPECT_LE(distance(a, b), distance(a, p) + distance(p, b));
  EXPECT_LT(distance(a, a), 1e-13);
  const MatrixXd t = transport_matrix(a, b);
  EXPECT_LT((t * a.covariance() * t - b.covariance()).norm(), 1e-12);
  EXPECT_GT(t.selfadjointView<Eigen::Lower>().eigenvalues().minCoeff(), 0);
  const MatrixXd i = MatrixXd::Identity(d, d);
  EXPECT_NEAR(frechet_distance(a, b),
              (a.mean() - b.mean()).squaredNorm() + ((i - t) * a.covariance() * (i - t)).trace(),
              1e-12);
}

TEST(gaussian_distribution, samples_have_its_covariance) {
  const oracle::gaussian<> p(VectorXd::Random(3), random_covariance(3, 20, 9));
  const MatrixXd z = std::sqrt(3.0) * MatrixXd::Identity(3, 3);
  const MatrixXd x = p.sample(z).colwise() - p.mean();
  EXPECT_LT((x * x.transpose() / 3 - p.covariance()).norm(), 1e-14);
}

TEST(gaussian_distribution, norms_of_samples_concentrate) {
  // E|z| = sqrt(2) Gamma((d + 1)/2) / Gamma(d/2), standard deviation sqrt(d - E^2).
  const int d = 3072, n = 1000;
  const double mean =
      std::numbers::sqrt2 * std::exp(std::lgamma((d + 1) / 2.0) - std::lgamma(d / 2.0));
  const double deviation = std::sqrt(d - mean * mean);
  EXPECT_NEAR(mean, 55.42111547681, 1e-9);
  EXPECT_NEAR(deviation, .70707801, 1e-6);
  MatrixXd z(d, n);
  fill_standard_normal(z, 1);
  const VectorXd norms = z.colwise().norm();
  EXPECT_NEAR(norms.mean(), mean, 5 * deviation / std::sqrt(n));
  EXPECT_NEAR(std::sqrt((norms.array() - mean).square().mean()), deviation,
              5 * deviation / std::sqrt(2.0 * n));
}

TEST(gaussian_distribution, score_is_the_gradient_of_the_log_density) {
  const int d = 4;
  const oracle::gaussian<> p(VectorXd::Random(d), random_covariance(d, 100, 13));
  const MatrixXd precision = p.covariance().inverse();
  for (const double distance : {0.1, 1.0, 1e3}) {
    const VectorXd x = p.mean() + distance * VectorXd::Random(d);
    const VectorXd score = p.score({1, 0}, x);
    for (int i = 0; i < d; ++i) {
      const auto at = [&](double v) {
        VectorXd moved = x;
        moved[i] = v;
        return p.log_density({1, 0}, moved)[0];
      };
      const auto plain_formula = [&](const tweedie_test::differentiated& v) {
        using S = tweedie_test::differentiated;
        S sum(0);
        for (int j = 0; j < d; ++j)
          for (int k = 0; k < d; ++k) {
            const S a = j == i ? S(v - p.mean()[j]) : S(x[j] - p.mean()[j]);
            const S b = k == i ? S(v - p.mean()[k]) : S(x[k] - p.mean()[k]);
            sum = S(sum - 0.5 * precision(j, k) * (a * b));
          }
        return sum;
      };
      EXPECT_NEAR(score[i], tweedie_test::forward_mode(plain_formula, x[i]),
                  1e-11 * (1 + score.norm()));
      EXPECT_NEAR(score[i], tweedie_test::central_difference(at, x[i], 1e-4 * distance),
                  1e-7 * (1 + score.norm()));
    }
  }
}

TEST(gaussian_distribution, columns_are_independent_points) {
  const oracle::gaussian<> p(VectorXd::Random(3), random_covariance(3, 20, 17));
  const MatrixXd x = 3 * MatrixXd::Random(3, 6);
  for (int k = 0; k < 6; ++k) {
    const MatrixXd one = x.col(k);
    EXPECT_NEAR(p.log_density({1, 0}, one)[0], p.log_density({1, 0}, x)[k], 1e-13);
    EXPECT_LT((p.score({1, 0}, one) - p.score({1, 0}, x).col(k)).norm(),
              1e-13 * p.score({1, 0}, one).norm());
  }
}

TEST(gaussian_distribution, refuses_what_is_not_a_distribution) {
  const VectorXd m = VectorXd::Zero(2);
  MatrixXd s(2, 2);
  s << 1, 2, 2, 1;
  EXPECT_THROW(oracle::gaussian<>(m, s), std::invalid_argument);
  s << 1, 0.5, 0.4, 1;
  EXPECT_THROW(oracle::gaussian<>(m, s), std::invalid_argument);
  EXPECT_THROW(oracle::gaussian<>(m, MatrixXd::Identity(3, 3)), std::invalid_argument);
  EXPECT_THROW(oracle::gaussian<>(m, MatrixXd::Constant(2, 2, NAN)), std::invalid_argument);
  const oracle::gaussian<> p(m, MatrixXd::Identity(2, 2));
  EXPECT_THROW(p.marginal({2}), std::out_of_range);
  EXPECT_THROW(p.marginal({0, 0}), std::invalid_argument);
  EXPECT_THROW(p.log_density({1, 0}, MatrixXd::Zero(3, 1)), std::invalid_argument);
  EXPECT_THROW(p.score({1, 0}, MatrixXd::Zero(1, 1)), std::invalid_argument);
  EXPECT_THROW(p.sample(MatrixXd::Zero(1, 1)), std::invalid_argument);
  EXPECT_THROW(oracle::gaussian<>::isotropic(m, -1), std::invalid_argument);
  EXPECT_THROW(p.conditional({0}, m), std::invalid_argument);
  EXPECT_THROW(p.conditional({-1}, m.head(1)), std::out_of_range);
  const auto other = oracle::gaussian<>::isotropic(VectorXd::Zero(3), 1);
  EXPECT_THROW(kl_divergence(p, other), std::invalid_argument);
  EXPECT_THROW(frechet_distance(p, other), std::invalid_argument);
  EXPECT_THROW(transport_matrix(oracle::gaussian<>(m, MatrixXd::Zero(2, 2)), p), std::domain_error);
}

TEST(gaussian_distribution, works_in_float) {
  using Eigen::MatrixXf, Eigen::VectorXf;
  const MatrixXf s = random_covariance(3, 10, 2).cast<float>(),
                 s2 = random_covariance(3, 5, 3).cast<float>();
  const VectorXf m = VectorXf::Constant(3, 0.5f), one = VectorXf::Ones(3);
  const oracle::gaussian<float> p(m, s), q(one, s2);
  const oracle::gaussian<> exact(m.cast<double>(), s.cast<double>()),
      exact_q(one.cast<double>(), s2.cast<double>());
  const VectorXd x = VectorXd::Constant(3, 1.25);
  const VectorXf single = x.cast<float>();
  const auto near = [](double ours, double truth) {
    EXPECT_LT(tweedie_test::relative_error(ours, truth), 1e-5);
  };
  near(p.log_density({1, 0}, single)[0], exact.log_density({1, 0}, x)[0]);
  near(p.entropy(), exact.entropy());
  near(kl_divergence(p, q), kl_divergence(exact, exact_q));
  near(frechet_distance(p, q), frechet_distance(exact, exact_q));
  near((p.score({1, 0}, single).cast<double>() - exact.score({1, 0}, x)).norm() /
           exact.score({1, 0}, x).norm(),
       0);
  near(p.conditional({1}, single.head(1)).mean()[0], exact.conditional({1}, x.head(1)).mean()[0]);
}

TEST(gaussian_distribution, at_a_level_is_the_marginal_there) {
  const oracle::gaussian<> data(VectorXd::Random(3), random_covariance(3, 20, 21));
  const MatrixXd x = MatrixXd::Random(3, 4);
  for (const signal_noise level : {signal_noise{0.6, 0.8}, {0, 1}, {1, 5}, {1, 0}}) {
    const auto marginal = data.at(level);
    EXPECT_LT((marginal.log_density({1, 0}, x) - data.log_density(level, x)).norm(), 1e-12);
    EXPECT_LT((marginal.covariance() - data.marginal_covariance(level)).norm(), 1e-14);
    // What is lost by starting from pure noise is a divergence of two Gaussians.
    if (level.sigma > 0) {
      const auto noise =
          oracle::gaussian<>::isotropic(VectorXd::Zero(3), level.sigma * level.sigma);
      EXPECT_NEAR(kl_divergence(marginal, noise), data.prior_divergence(level), 1e-13);
    }
  }
}

TEST(gaussian_distribution, wide_spectra_in_float) {
  const auto wide =
      oracle::gaussian<float>::diagonal(Eigen::Vector2f::Zero(), Eigen::Vector2f(100, 1e-4f));
  EXPECT_EQ(wide.rank(), 2);
  EXPECT_NEAR(wide.log_density({1, 0}, Eigen::MatrixXf::Zero(2, 1))[0],
              -2 * half_log_two_pi - std::log(1e-2) / 2, 1e-5);
}

TEST(transport, errors_name_their_function) {
  const auto p = oracle::gaussian<>::isotropic(VectorXd::Zero(2), 1),
             q = oracle::gaussian<>::isotropic(VectorXd::Zero(3), 1);
  try {
    transport_matrix(p, q);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_EQ(std::string(e.what()).rfind("transport_matrix: dimension of the second = 3", 0), 0u)
        << e.what();
  }
}

}  // namespace
