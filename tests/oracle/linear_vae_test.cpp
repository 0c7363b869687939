#include "tweedie/oracle/linear_vae.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/objective/vae.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

oracle::gaussian<double> data() {
  const MatrixXd q = Eigen::AngleAxisd(0.8, Eigen::Vector3d(1, -2, 0.5).normalized()).matrix();
  return {Eigen::Vector3d(0.5, -1, 2),
          q * Eigen::Vector3d(2, 0.6, 0.1).asDiagonal() * q.transpose()};
}
// E over the data of the model's log-density: -KL(data || model) - entropy.
double mean_log_likelihood(const oracle::linear_vae<>& model) {
  const MatrixXd c = model.law_of_samples().covariance();
  return -((c.inverse() * data().covariance()).trace() + std::log(c.determinant()) +
           3 * std::log(2 * std::numbers::pi)) /
         2;
}

TEST(linear_vae, best_one_is_a_maximum_and_collapses_where_noise_exceeds_variance) {
  const auto best = best_linear_vae(data(), 2, 0.5);
  EXPECT_NEAR(best.weights.col(0).squaredNorm(), 2 - 0.25, 1e-14);
  EXPECT_NEAR(best.weights.col(1).squaredNorm(), 0.6 - 0.25, 1e-14);
  const double top = mean_log_likelihood(best);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    oracle::linear_vae<> other = best;
    MatrixXd step(3, 2);
    fill_standard_normal(step, seed);
    other.weights += 0.05 * step;
    EXPECT_LT(mean_log_likelihood(other), top);
  }
  // Collapse at noise = variance, from both sides; the encoder of a collapsed latent is the prior.
  EXPECT_GT(best_linear_vae(data(), 2, std::sqrt(0.6 - 1e-9)).weights.col(1).norm(), 1e-5);
  const auto collapsed = best_linear_vae(data(), 2, std::sqrt(0.6 + 1e-9));
  EXPECT_EQ(collapsed.weights.col(1).norm(), 0);
  const auto latent = collapsed.encode(Eigen::Vector3d(3, 1, -1));
  EXPECT_NEAR(latent.mean()[1], 0, 1e-15);
  EXPECT_NEAR(latent.covariance()(1, 1), 1, 1e-14);
  // As many latents as dimensions and noise below all variances: the data.
  EXPECT_LT(
      (best_linear_vae(data(), 3, 0.3).law_of_samples().covariance() - data().covariance()).norm(),
      1e-14);
  EXPECT_EQ(best_linear_vae(data(), 0, 0.3).law_of_means().covariance().norm(), 0);
}

// Cov of means W W^T, of samples W W^T + s^2 I: by the laws, and by what vae_generate makes (entries of a
// sample covariance within 5 standard errors).
TEST(vae_generate, means_are_less_dispersed_than_samples) {
  const auto model = best_linear_vae(data(), 2, 0.5);
  const MatrixXd means = model.weights * model.weights.transpose();
  EXPECT_LT((model.law_of_means().covariance() - means).norm(), 1e-14);
  EXPECT_LT((model.law_of_samples().covariance() - means - 0.25 * MatrixXd::Identity(3, 3)).norm(),
            1e-14);
  const auto decode = [&](const MatrixXd& z) { return model.decode(z); };
  constexpr Eigen::Index n = 4000;
  for (const vae_output output : {vae_output::decoder_mean, vae_output::decoder_sample}) {
    const MatrixXd x = vae_generate(decode, 2, n, model.deviation, output, 7);
    const MatrixXd exact = output == vae_output::decoder_mean
                               ? means
                               : MatrixXd(means + 0.25 * MatrixXd::Identity(3, 3));
    const MatrixXd off = x.colwise() - model.mean;
    const MatrixXd found = off * off.transpose() / static_cast<double>(n);
    for (Eigen::Index i = 0; i < 3; ++i)
      for (Eigen::Index j = 0; j < 3; ++j)
        EXPECT_NEAR(found(i, j), exact(i, j),
                    5 * std::sqrt((exact(i, i) * exact(j, j) + exact(i, j) * exact(i, j)) / n));
  }
  // Sample i is the same in any number of them.
  EXPECT_EQ(vae_generate(decode, 2, 3, 0.5, vae_output::decoder_sample, 7),
            MatrixXd(vae_generate(decode, 2, 9, 0.5, vae_output::decoder_sample, 7).leftCols(3)));
  EXPECT_EQ(refusal([&] {
              vae_generate(decode, 2, 3, -1, vae_output::decoder_sample, 7);
            }).find("vae_generate: deviation = -1"),
            0U);
}

// The law of total variance, and no other affine decoder has a smaller error.
TEST(mse_optimal_decoder, loses_the_variance_of_data_given_the_latent) {
  const MatrixXd encoder = (MatrixXd(2, 3) << 1, 0.2, -0.5, 0, 1, 0.3).finished();
  const double deviation = 0.4;
  const auto best = mse_optimal_decoder(data(), encoder, deviation);
  const MatrixXd s = data().covariance();
  const MatrixXd latent =
      encoder * s * encoder.transpose() + deviation * deviation * MatrixXd::Identity(2, 2);
  EXPECT_LT((best.gain * latent * best.gain.transpose() + best.lost - s).norm(), 1e-13);
  const auto error = [&](const MatrixXd& gain) {
    return (s - gain * encoder * s - s * encoder.transpose() * gain.transpose() +
            gain * latent * gain.transpose())
        .trace();
  };
  EXPECT_NEAR(error(best.gain), best.lost.trace(), 1e-13);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    MatrixXd step(3, 2);
    fill_standard_normal(step, seed);
    EXPECT_GT(error(best.gain + 0.05 * step), best.lost.trace());
  }
  EXPECT_EQ(refusal([&] {
              mse_optimal_decoder(data(), encoder, 0.0);
            }).find("mse_optimal_decoder: deviation = 0"),
            0U);
  EXPECT_EQ(refusal([&] {
              mse_optimal_decoder(data(), MatrixXd(MatrixXd::Ones(1, 2)), 1.0);
            }).find("mse_optimal_decoder: columns of the encoder = 2"),
            0U);
  EXPECT_EQ(refusal([&] { best_linear_vae(data(), 4, 1.0); }).find("best_linear_vae: latents = 4"),
            0U);
  EXPECT_EQ(
      refusal([&] { best_linear_vae(data(), 1, -1.0); }).find("best_linear_vae: deviation = -1"),
      0U);
}

}  // namespace
}  // namespace tweedie
