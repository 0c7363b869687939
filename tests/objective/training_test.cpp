// Gradient descent on the library's gradients reaches the optimum that is known in closed form.
//
// The optima depend on the first two moments of the random numbers alone, so that a cloud of 2d
// points with mean 0 and covariance I stands for them exactly: nothing is sampled, nothing but
// rounding separates the end of a training from the optimum.

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "tweedie/metric/frechet.hpp"
#include "tweedie/objective/adversarial.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/objective/vae.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/training/training_batch.hpp"

namespace {

using namespace tweedie;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// +-sqrt(d) e_i.
MatrixXd cloud(Index d) {
  MatrixXd points(d, 2 * d);
  points << MatrixXd::Identity(d, d), -MatrixXd::Identity(d, d);
  return std::sqrt(static_cast<double>(d)) * points;
}

// Orthonormal columns, none along an axis.
MatrixXd rotation(Index d) {
  MatrixXd a(d, d);
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j) a(i, j) = std::sin(1.0 + 2.0 * static_cast<double>(i * d + j));
  return Eigen::HouseholderQR<MatrixXd>(a).householderQ() * MatrixXd::Identity(d, d);
}

MatrixXd covariance(const VectorXd& eigenvalues) {
  const MatrixXd q = rotation(eigenvalues.size());
  return q * eigenvalues.asDiagonal() * q.transpose();
}

// output = W x + b at one time, for data N(m, S). The loss is quadratic in (W, b) with Hessian
// 2 weight E (x, 1)(x, 1)^T. Descent with step 2/(largest + least eigenvalue) shrinks the distance
// to the optimum by (k - 1)/(k + 1) a step, k the condition number (Nesterov 2004, theorem 2.1.14).
struct linear_denoiser {
  MatrixXd weights;  // d x (d + 1), of (x, 1)
  double loss = 0;
};

const VectorXd data_mean = Eigen::Vector3d(0.5, -1, 0.2);
const VectorXd data_variances = Eigen::Vector3d(2, 0.5, 0.1);

template <class Scalar, class Prediction>
linear_denoiser trained_denoiser(const Prediction& predicted, double time, double contraction) {
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  constexpr Index d = 3, items = 4 * d;
  const MatrixXd both = cloud(2 * d);
  const oracle::gaussian<> data(data_mean, covariance(data_variances));
  const matrix x0 = data.sample(both.topRows(d)).template cast<Scalar>();
  const matrix z = both.bottomRows(d).template cast<Scalar>();
  const auto batch = make_training_batch(x0, z, cosine_path{}, network_description{predicted},
                                         std::vector<double>(static_cast<std::size_t>(items), time),
                                         sample_weighting);

  matrix input = matrix::Ones(d + 1, items);
  input.topRows(d) = batch.input;
  const double factor = 2 * batch.items[0].weight / items;
  const VectorXd curvature = Eigen::SelfAdjointEigenSolver<matrix>(input * input.transpose())
                                 .eigenvalues()
                                 .template cast<double>() *
                             factor;
  const double least = curvature[0], largest = curvature[d];
  const int steps = static_cast<int>(
      std::ceil(std::log(contraction) / std::log((largest - least) / (largest + least))));
  const auto rate = static_cast<Scalar>(2 / (largest + least));

  matrix weights = matrix::Zero(d, d + 1), gradient(d, items);
  linear_denoiser result;
  for (int step = 0; step <= steps; ++step) {
    const matrix output = weights * input;
    result.loss = mean_over_items(regression(output, batch.target, batch.weights(), squared_error{},
                                             reduction::sum_over_dimensions, gradient));
    if (step < steps) weights -= rate / Scalar(items) * (gradient * input.transpose());
  }
  result.weights = weights.template cast<double>();
  return result;
}

// The least loss is E tr Cov of what is asked, given the state. Weighted as an error of the sample
// it is that of the sample, tr sigma^2 S C^-1, whatever the network predicts. Excess loss is
// quadratic in the distance of the parameters, hence far below the bound on these.
template <class Scalar, class Prediction>
void expect_optimal_denoiser(const Prediction& predicted, double contraction, double tolerance) {
  const oracle::gaussian<double> data(data_mean, covariance(data_variances));
  const cosine_path schedule;
  for (const double time : {0.05, 0.5, 0.9}) {
    const signal_noise level = schedule(time);
    const linear_denoiser trained = trained_denoiser<Scalar>(predicted, time, contraction);
    const plane_row row = predicted(node_at(schedule, time));
    const VectorXd origin = data.predict(level, row, VectorXd::Zero(3));
    MatrixXd exact(3, 4);
    exact << data.predict(level, row, MatrixXd::Identity(3, 3)).colwise() - origin, origin;
    EXPECT_LT((trained.weights - exact).norm(), tolerance * (1 + exact.norm())) << time;
    EXPECT_NEAR(trained.loss, data.posterior_covariance(level).trace(), tolerance) << time;
  }
}

TEST(training, of_a_linear_denoiser_reaches_the_posterior_mean_and_its_variance) {
  expect_optimal_denoiser<double>(predicts_sample, 1e-12, 1e-10);
  expect_optimal_denoiser<double>(predicts_noise, 1e-12, 1e-10);
  expect_optimal_denoiser<double>(predicts_v, 1e-12, 1e-10);
  expect_optimal_denoiser<double>(predicts_rectified_velocity, 1e-12, 1e-10);
}

TEST(training, of_a_linear_denoiser_in_float_stops_at_its_rounding) {
  expect_optimal_denoiser<float>(predicts_sample, 1e-6, 1e-4);
  expect_optimal_denoiser<float>(predicts_v, 1e-6, 1e-4);
}

// p(x | z) = N(W z + m, e^s I), q(z | x) = N(V x + c, diag e^l), one vector of parameters.
struct linear_vae {
  Index d, k;
  bool learns_noise;
  VectorXd parameters;

  Index size() const { return 2 * d * k + d + 2 * k + 1; }
  Eigen::Map<const MatrixXd> decoder() const { return {parameters.data(), d, k}; }
  Eigen::Map<const MatrixXd> encoder() const { return {parameters.data() + d * k, k, d}; }
  auto mean() const { return parameters.segment(2 * d * k, d); }
  auto offset() const { return parameters.segment(2 * d * k + d, k); }
  auto log_variance() const { return parameters.segment(2 * d * k + d + k, k); }
  double log_noise() const { return parameters[size() - 1]; }

  // -ELBO, averaged over the columns of x; its derivative in the parameters.
  double loss(const MatrixXd& x, VectorXd& gradient) const {
    const MatrixXd eps_points = cloud(k);
    const Index draws = eps_points.cols(), items = x.cols() * draws;
    MatrixXd data(d, items), eps(k, items);
    for (Index i = 0; i < x.cols(); ++i) {
      data.middleCols(i * draws, draws) = x.col(i).replicate(1, draws);
      eps.middleCols(i * draws, draws) = eps_points;
    }
    const MatrixXd code = (encoder() * data).colwise() + offset();
    const MatrixXd spread = log_variance().replicate(1, items);
    MatrixXd z(k, items), dcode(k, items), dspread(k, items);
    reparameterise(code, spread, eps, z);
    const MatrixXd guess = (decoder() * z).colwise() + mean();
    const MatrixXd noise = MatrixXd::Constant(d, items, log_noise());
    MatrixXd dguess(d, items), dnoise(d, items);
    constexpr auto sum = reduction::sum_over_dimensions;
    double value =
        mean_over_items(normal_negative_log_likelihoods(data, guess, noise, sum, dguess, dnoise));
    const MatrixXd dz = decoder().transpose() * dguess;
    value +=
        mean_over_items(latent_divergences(code, spread, eps, dz, 1.0, 0.0, sum, dcode, dspread));

    const MatrixXd ddecoder = dguess * z.transpose(), dencoder = dcode * data.transpose();
    gradient.resize(size());
    gradient << ddecoder.reshaped(), dencoder.reshaped(), dguess.rowwise().sum(),
        dcode.rowwise().sum(), dspread.rowwise().sum(), learns_noise ? dnoise.sum() : 0.0;
    gradient /= static_cast<double>(items);
    return value;
  }
};

// Descent with momentum until the gradient is 1e-10 long; returns the steps that took.
int train(linear_vae& model, const MatrixXd& x, double& loss) {
  VectorXd gradient, velocity = VectorXd::Zero(model.size());
  for (int step = 1; step <= 40000; ++step) {
    loss = model.loss(x, gradient);
    if (gradient.norm() < 1e-10) return step;
    velocity = 0.95 * velocity - 0.02 * gradient;
    model.parameters += velocity;
  }
  return -1;
}

linear_vae starting_vae(Index d, Index k, bool learns_noise) {
  linear_vae model{d, k, learns_noise, {}};
  model.parameters = VectorXd::Zero(model.size());
  for (Index i = 0; i < 2 * d * k; ++i)
    model.parameters[i] = 0.3 * std::cos(3.0 * static_cast<double>(i) + 1);
  return model;
}

// Probabilistic PCA (Tipping and Bishop 1999, eq. 7 and 8): the likelihood is largest at
// sigma^2 = mean of the discarded eigenvalues, W W^T = sum over the kept ones of
// (lambda_i - sigma^2) u_i u_i^T. The bound of the linear VAE has the same maximum (Lucas et al.
// 2019, section 4), since with orthogonal columns of W the posterior covariance is diagonal.
TEST(training, of_a_linear_vae_reaches_the_likelihood_of_probabilistic_pca) {
  constexpr Index d = 4, k = 2;
  const Eigen::Vector4d lambda(3, 1.5, 0.4, 0.2);
  const VectorXd centre = Eigen::Vector4d(1, -0.5, 0, 0.3);
  const MatrixXd s = covariance(lambda), u = rotation(d);
  const MatrixXd x = oracle::gaussian<>(centre, s).sample(cloud(d));
  linear_vae model = starting_vae(d, k, true);
  double loss = 0;
  ASSERT_GT(train(model, x, loss), 0);

  const double noise = (lambda[2] + lambda[3]) / 2;
  const double best = -0.5 * (std::log(lambda[0] * lambda[1] * noise * noise) +
                              d * (1 + std::log(2 * std::numbers::pi)));
  EXPECT_NEAR(-loss, best, 1e-12);
  const MatrixXd w = model.decoder();
  MatrixXd exact = MatrixXd::Zero(d, d);
  for (Index i = 0; i < k; ++i) exact += (lambda[i] - noise) * u.col(i) * u.col(i).transpose();
  EXPECT_LT((w * w.transpose() - exact).norm(), 1e-7);
  EXPECT_NEAR(std::exp(model.log_noise()), noise, 1e-8);
  EXPECT_LT((model.mean() - centre).norm(), 1e-8);
  const MatrixXd precision = MatrixXd::Identity(k, k) + w.transpose() * w / noise;
  EXPECT_LT(
      (precision.inverse() - MatrixXd(model.log_variance().array().exp().matrix().asDiagonal()))
          .norm(),
      1e-7);
}

// With the noise held at sigma^2 the kept directions are those with lambda_i > sigma^2; the latent
// left over collapses to its prior (Lucas et al. 2019, section 4.2).
TEST(training, of_a_linear_vae_collapses_the_latents_that_do_not_pay) {
  constexpr Index d = 4, k = 3;
  const Eigen::Vector4d lambda(4, 2.5, 0.5, 0.2);
  const MatrixXd s = covariance(lambda), u = rotation(d);
  const MatrixXd x = oracle::gaussian<>(VectorXd::Zero(d), s).sample(cloud(d));
  linear_vae model = starting_vae(d, k, false);
  double loss = 0;
  ASSERT_GT(train(model, x, loss), 0);

  const double best = -0.5 * (std::log(lambda[0] * lambda[1]) + 2 + lambda[2] + lambda[3] +
                              d * std::log(2 * std::numbers::pi));
  EXPECT_NEAR(-loss, best, 1e-12);
  const MatrixXd w = model.decoder();
  const MatrixXd exact = (lambda[0] - 1) * u.col(0) * u.col(0).transpose() +
                         (lambda[1] - 1) * u.col(1) * u.col(1).transpose();
  EXPECT_LT((w * w.transpose() - exact).norm(), 1e-7);
  VectorXd variances = model.log_variance().array().exp();
  std::sort(variances.begin(), variances.end());
  EXPECT_LT((variances - Eigen::Vector3d(1 / lambda[0], 1 / lambda[1], 1)).norm(), 1e-7);
}

// x = A z + m against logit = x^T Q x + b^T x + c with the penalty gamma/2 E_data |2 Q x + b|^2.
// At (Q, b) = 0 the gradient of the discriminator is the difference of the first two moments times
// a slope of 1/2 or 1, and that of the generator is 0: the game is at rest where the moments agree.
// The penalty makes it get there (Mescheder et al. 2018, theorem 4.1).
struct quadratic_game {
  MatrixXd a, q;
  VectorXd m, b;
  double c = 0;
  static constexpr double gamma = 1;

  MatrixXd generated(const MatrixXd& z) const { return (a * z).colwise() + m; }
  Eigen::RowVectorXd logits(const MatrixXd& x) const {
    const Eigen::RowVectorXd quadratic = x.cwiseProduct(q * x).colwise().sum();
    return (quadratic + b.transpose() * x).array() + c;
  }
  MatrixXd logit_gradient(const MatrixXd& x) const { return (2 * q * x).colwise() + b; }

  // One step of both players at once; returns the length of the whole gradient.
  template <class Game>
  double step(const Game& game, const MatrixXd& real, const MatrixXd& z, double rate) {
    const MatrixXd fake = generated(z);
    const auto slopes = [&](adversarial_part part, const MatrixXd& x) {
      const MatrixXd l = logits(x);
      MatrixXd slope(1, x.cols());
      adversarial_losses(game, part, l, reduction::sum_over_dimensions, slope);
      return MatrixXd(slope / static_cast<double>(x.cols()));
    };
    const MatrixXd at_real = slopes(adversarial_part::real, real);
    const MatrixXd at_fake = slopes(adversarial_part::fake, fake);
    const MatrixXd wanted = slopes(adversarial_part::generator, fake);
    MatrixXd dq = real * at_real.asDiagonal() * real.transpose() +
                  fake * at_fake.asDiagonal() * fake.transpose();
    VectorXd db = real * at_real.transpose() + fake * at_fake.transpose();
    const double dc = at_real.sum() + at_fake.sum();
    const MatrixXd field = logit_gradient(real);
    for (Index i = 0; i < real.cols(); ++i) {
      const double slope = zero_centred_penalty(field.col(i).squaredNorm(), gamma).slope /
                           static_cast<double>(real.cols());
      dq += slope * 2 *
            (field.col(i) * real.col(i).transpose() + real.col(i) * field.col(i).transpose());
      db += slope * 2 * field.col(i);
    }
    const MatrixXd dx = logit_gradient(fake) * wanted.asDiagonal();
    const MatrixXd da = dx * z.transpose();
    const VectorXd dm = dx.rowwise().sum();
    q -= rate * dq;
    b -= rate * db;
    c -= rate * dc;
    a -= rate * da;
    m -= rate * dm;
    return std::sqrt(dq.squaredNorm() + db.squaredNorm() + dc * dc + da.squaredNorm() +
                     dm.squaredNorm());
  }
};

template <class Game>
void expect_generator_matches_the_data(const Game& game) {
  constexpr Index d = 2;
  const VectorXd mean = Eigen::Vector2d(0.7, -0.4);
  const MatrixXd s = covariance(Eigen::Vector2d(1.5, 0.4)), z = cloud(d);
  const MatrixXd real = oracle::gaussian<>(mean, s).sample(z);
  quadratic_game players{MatrixXd::Identity(d, d), MatrixXd::Zero(d, d), VectorXd::Zero(d),
                         VectorXd::Zero(d)};
  double length = 1;
  for (int step = 0; length > 1e-11 && step < 10000; ++step)
    length = players.step(game, real, z, 0.05);
  ASSERT_LE(length, 1e-11);
  EXPECT_LT((players.m - mean).norm(), 1e-9);
  EXPECT_LT((players.a * players.a.transpose() - s).norm(), 1e-9);
  EXPECT_LT(players.q.norm() + players.b.norm(), 1e-9);
}

TEST(training, of_a_linear_generator_by_a_game_reaches_mean_and_covariance) {
  expect_generator_matches_the_data(minimax_game{});
  expect_generator_matches_the_data(non_saturating_game{});
  expect_generator_matches_the_data(least_squares_game{});
  expect_generator_matches_the_data(hinge_game{});
  expect_generator_matches_the_data(wasserstein_game{});
}

}  // namespace
