#include "tweedie/objective/vae.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"
#include "tweedie/metric/frechet.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;
using Eigen::MatrixXd;
using Eigen::VectorXd;

TEST(reparameterise, moves_and_scales_noise) {
  const MatrixXd mean = MatrixXd::Random(5, 3), log_variance = MatrixXd::Random(5, 3),
                 eps = MatrixXd::Random(5, 3);
  MatrixXd z(5, 3);
  reparameterise(mean, log_variance, eps, z);
  EXPECT_LT(
      (z.array() - mean.array() - (log_variance / 2).array().exp() * eps.array()).abs().maxCoeff(),
      1e-15);
}

// Reconstruction 1/2 |z - t|^2 stands for any decoder.
double objective(const VectorXd& mean, const VectorXd& log_variance, const VectorXd& eps,
                 const VectorXd& t, double beta, double free_nats) {
  double sum = 0;
  for (int j = 0; j < mean.size(); ++j) {
    const double z = mean[j] + std::exp(log_variance[j] / 2) * eps[j];
    sum += 0.5 * (z - t[j]) * (z - t[j]) +
           beta * std::max(free_nats, standard_normal_divergence<double>(mean[j], log_variance[j]));
  }
  return sum;
}

TEST(latent_divergences, gradients_of_the_whole_bound) {
  VectorXd mean(6), log_variance(6), eps(6), t(6);
  mean << 0.3, -1.2, 0.01, 2, 0.1, -0.5;
  log_variance << -0.5, 0.7, 0.02, -30, 30 * 0.05, -3;
  eps << 0.4, -1, 2, 0.3, -0.2, 0.8;
  t << 1, 0, -1, 0.5, 0.2, 0;
  for (const double beta : {0.0, 1.0, 4.0})
    for (const double free_nats : {0.0, 0.1}) {
      VectorXd z(6), dm(6), dl(6);
      reparameterise(mean, log_variance, eps, z);
      const VectorXd g = z - t;
      const double kl = latent_divergences(mean, log_variance, eps, g, beta, free_nats,
                                           reduction::sum_over_dimensions, dm, dl)[0];
      EXPECT_NEAR(0.5 * g.squaredNorm() + kl,
                  objective(mean, log_variance, eps, t, beta, free_nats), 1e-12);
      const double h = 1e-6;
      for (int j = 0; j < 6; ++j) {
        VectorXd up = mean, down = mean;
        up[j] += h;
        down[j] -= h;
        EXPECT_LT(relative_error(dm[j], (objective(up, log_variance, eps, t, beta, free_nats) -
                                         objective(down, log_variance, eps, t, beta, free_nats)) /
                                            (2 * h)),
                  1e-7);
        up = down = log_variance;
        up[j] += h;
        down[j] -= h;
        EXPECT_LT(relative_error(dl[j], (objective(mean, up, eps, t, beta, free_nats) -
                                         objective(mean, down, eps, t, beta, free_nats)) /
                                            (2 * h)),
                  1e-7);
      }
    }
}

TEST(latent_divergences, refuse_negative_weights) {
  const VectorXd v = VectorXd::Zero(2);
  VectorXd dm(2), dl(2);
  const auto call = [&](double beta, double free_nats) {
    latent_divergences(v, v, v, v, beta, free_nats, reduction::sum_over_dimensions, dm, dl);
  };
  EXPECT_NO_THROW(call(0, 0));
  EXPECT_THROW(call(-1, 0), std::invalid_argument);
  EXPECT_THROW(call(1, -0.1), std::invalid_argument);
  EXPECT_THROW(call(NAN, 0), std::invalid_argument);
  EXPECT_THROW(reparameterise(v, v, VectorXd(VectorXd::Zero(3)), dm), std::invalid_argument);
}

// Probabilistic PCA: x = W z + noise. The posterior is normal, so the bound is tight.
TEST(vae, bound_is_the_log_likelihood_at_the_posterior_of_a_linear_model) {
  MatrixXd w(4, 2);
  w << 1, 0.2, -0.5, 0.8, 0.3, 0.3, 0, -1.1;
  const double noise = 0.4;
  const VectorXd x = VectorXd::LinSpaced(4, -1, 2);
  const oracle::gaussian<> marginal(VectorXd::Zero(4),
                                    w * w.transpose() + noise * MatrixXd::Identity(4, 4));
  const MatrixXd precision = MatrixXd::Identity(2, 2) + w.transpose() * w / noise;
  const auto prior = oracle::gaussian<>::isotropic(VectorXd::Zero(2), 1);
  const auto bound = [&](const oracle::gaussian<>& q) {
    // E_q log p(x | z) in closed form.
    const double reconstruction =
        -0.5 / noise *
            ((x - w * q.mean()).squaredNorm() + (w * q.covariance() * w.transpose()).trace()) -
        2 * std::log(noise) - 4 * half_log_two_pi;
    return reconstruction - kl_divergence(q, prior);
  };
  const oracle::gaussian<> posterior(precision.llt().solve(w.transpose() * x) / noise,
                                     precision.inverse());
  EXPECT_NEAR(bound(posterior), marginal.log_density({1, 0}, x)[0], 1e-12);
  EXPECT_LT(bound(oracle::gaussian<>::isotropic(posterior.mean(), 0.2)),
            marginal.log_density({1, 0}, x)[0]);
}

TEST(vae, a_direction_of_probabilistic_pca_collapses_where_noise_exceeds_its_variance) {
  // Maximum likelihood in one dimension of data variance v: signal variance w^2 = max(0, v - noise).
  const auto log_likelihood = [](double w2, double v, double noise) {
    return -0.5 * (std::log(w2 + noise) + v / (w2 + noise));
  };
  for (const double v : {0.5, 2.0}) {
    const double noise = 1, best = std::max(0.0, v - noise);
    for (const double other : {best + 0.1, std::max(0.0, best - 0.1)})
      EXPECT_LE(log_likelihood(other, v, noise), log_likelihood(best, v, noise));
  }
}

TEST(importance_bound, rises_from_the_elbo_to_the_log_likelihood) {
  // z ~ N(0, 1), x | z ~ N(z, 1), q = N(0.2, 1): log p(x) known; quantiles stand for samples.
  const double x = 1.3;
  const auto log_weight = [&](double z) {
    return normal_log_density(x, z, 0.0) + normal_log_density(z, 0.0, 0.0) -
           normal_log_density(z, 0.2, 0.0);
  };
  const int n = 20;
  std::vector<double> samples;
  for (int i = 0; i < n; ++i) samples.push_back(log_weight(0.2 + normal_quantile((i + 0.5) / n)));
  double one = 0, two = 0, three = 0;
  for (const double a : samples) {
    one += importance_bound(std::vector<double>{a}) / n;
    for (const double b : samples) {
      two += importance_bound(std::vector<double>{a, b}) / n / n;
      for (const double c : samples)
        three += importance_bound(std::vector<double>{a, b, c}) / n / n / n;
    }
  }
  const double exact = normal_log_density(x, 0.0, std::log(2.0));
  EXPECT_LT(one, two);
  EXPECT_LT(two, three);
  EXPECT_LT(three, exact);
  EXPECT_EQ(importance_bound(std::vector<double>{-3.5}), -3.5);
  EXPECT_NEAR(importance_bound(std::vector<double>{-2000, -2000}), -2000, 1e-12);
  EXPECT_THROW(importance_bound({}), std::invalid_argument);
  EXPECT_THROW(importance_slopes({}), std::invalid_argument);
}

TEST(importance_bound, takes_samples_of_probability_zero_but_not_only_them) {
  constexpr double never = -std::numeric_limits<double>::infinity();
  EXPECT_NEAR(importance_bound(std::vector<double>{never, 3}), 3 - std::log(2), 1e-15);
  EXPECT_EQ(importance_slopes(std::vector<double>{never, 3}), (std::vector<double>{0, 1}));
  EXPECT_EQ(importance_bound(std::vector<double>{never, never}), never);
  EXPECT_THROW(importance_slopes(std::vector<double>{never, never}), std::invalid_argument);
  EXPECT_THROW(importance_bound(std::vector<double>{1, NAN}), std::invalid_argument);
  EXPECT_THROW(importance_bound(std::vector<double>{1, -never}), std::invalid_argument);
}

template <class S>
S log_mean_exp(const std::vector<S>& w) {
  using std::exp, std::log;
  S sum(0);
  for (const S& v : w) sum = S(sum + S(exp(S(v - plain(w[0])))));
  return S(log(S(sum / static_cast<double>(w.size()))) + plain(w[0]));
}

TEST(importance_bound, slopes_equal_forward_mode_and_central_differences) {
  for (const std::vector<double>& w :
       {std::vector<double>{-1, 0.3, 60, 59}, {-60, 60}, {-4000, -4000.5, -4002}, {7}}) {
    const std::vector<double> slopes = importance_slopes(w);
    double total = 0;
    for (std::size_t k = 0; k < w.size(); ++k) {
      auto up = w, down = w;
      up[k] += 1e-5;
      down[k] -= 1e-5;
      EXPECT_NEAR(slopes[k], (importance_bound(up) - importance_bound(down)) / 2e-5,
                  1e-8 + 1e-10 * std::abs(w[k]));
      std::vector<differentiated> at(w.begin(), w.end());
      at[k] = variable(w[k]);
      EXPECT_NEAR(slopes[k], log_mean_exp(at).derivatives()[0], 1e-12);
      total += slopes[k];
    }
    EXPECT_NEAR(total, 1, 1e-12);
  }
}

// The gradient of a network is the sum of those of its log weights times the slopes.
TEST(importance_bound, slopes_carry_the_gradient_of_the_encoder) {
  const std::vector<double> eps = {-1.4, 0.3, 0.9};
  const double x = 1.3, log_variance = -0.4;
  const auto log_weight = [&](auto mean, double e) {
    using S = decltype(mean);
    const S z = mean + std::exp(log_variance / 2) * e;
    return S(normal_log_density(S(x), z, S(0.3)) + normal_log_density(z, S(0), S(0)) -
             normal_log_density(z, mean, S(log_variance)));
  };
  for (const double mean : {-60.0, 0.2, 60.0}) {
    std::vector<double> w;
    std::vector<differentiated> by_forward_mode;
    for (const double e : eps) {
      w.push_back(log_weight(mean, e));
      by_forward_mode.push_back(log_weight(variable(mean), e));
    }
    const std::vector<double> slopes = importance_slopes(w);
    double gradient = 0;
    for (std::size_t k = 0; k < w.size(); ++k)
      gradient += slopes[k] * by_forward_mode[k].derivatives()[0];
    const auto bound = [&](double m) {
      std::vector<double> all;
      for (const double e : eps) all.push_back(log_weight(m, e));
      return importance_bound(all);
    };
    EXPECT_LT(relative_error(gradient, log_mean_exp(by_forward_mode).derivatives()[0]), 1e-12);
    EXPECT_LT(relative_error(gradient, central_difference(bound, mean, 1e-5)), 1e-6);
  }
}

}  // namespace
