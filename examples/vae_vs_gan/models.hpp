// A variational autoencoder and an adversarial pair, both of two small perceptrons.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdio>
#include <vector>

#include "../support/descend.hpp"
#include "../support/perceptron.hpp"
#include "../support/progress.hpp"
#include "../support/random.hpp"
#include "tweedie/objective/adversarial.hpp"
#include "tweedie/objective/vae.hpp"

namespace vae_vs_gan {

using Eigen::MatrixXf;
using Eigen::VectorXf;
using network = support::perceptron<float>;

constexpr Eigen::Index latents = 16, width = 96, batch = 64;

inline MatrixXf some(const MatrixXf& pictures, support::random_draws& random) {
  return pictures(Eigen::all, random.below(pictures.cols(), batch));
}
inline MatrixXf normals(Eigen::Index rows, Eigen::Index columns, support::random_draws& random) {
  MatrixXf z(rows, columns);
  random.fill_normal(z);
  return z;
}

// p(x | z) = N(decoder(z), e^log_variance I), z standard normal.
struct autoencoder {
  network decoder;
  float log_variance = 0;

  // The mean is what is usually shown as a sample; a sample has the noise, too.
  MatrixXf mean(const MatrixXf& z) const {
    network::activations a;
    return decoder.forward(z, {}, {}, a);
  }
};

// Encoder, decoder and the common variance climb E_q log p(x | z) - KL(q(z | x) || p(z)).
inline autoencoder train_autoencoder(const MatrixXf& pictures, int steps) {
  const Eigen::Index pixels = pictures.rows();
  support::random_draws random(11);
  network encoder({.input = pixels, .output = 2 * latents, .width = width}, 12);
  autoencoder model{network({.input = latents, .output = pixels, .width = width}, 13), 0};
  const Eigen::Index first = encoder.parameters.size(), second = model.decoder.parameters.size();
  VectorXf parameters(first + second + 1);
  const auto unpack = [&] {
    encoder.parameters = parameters.head(first);
    model.decoder.parameters = parameters.segment(first, second);
    model.log_variance = parameters[first + second];
  };
  parameters << encoder.parameters, model.decoder.parameters, 0.0F;
  network::activations encoding, decoding;
  VectorXf encoder_gradient(first), decoder_gradient(second);
  MatrixXf z(latents, batch), dmean(z), dspread(z), dguess(pixels, batch), dnoise(dguess);
  support::descend(
      parameters, {.title = "VAE", .steps = steps, .rising_steps = 100, .second_decay = 0.99},
      [&](int, VectorXf& gradient) {
        unpack();
        constexpr auto sum = tweedie::reduction::sum_over_dimensions;
        const MatrixXf x = some(pictures, random), eps = normals(latents, batch, random);
        const MatrixXf& code = encoder.forward(x, {}, {}, encoding);
        const MatrixXf mean = code.topRows(latents), spread = code.bottomRows(latents);
        tweedie::reparameterise(mean, spread, eps, z);
        const MatrixXf& guess = model.decoder.forward(z, {}, {}, decoding);
        const MatrixXf noise = MatrixXf::Constant(pixels, batch, model.log_variance);
        double loss = tweedie::mean_over_items(
            tweedie::normal_negative_log_likelihoods(x, guess, noise, sum, dguess, dnoise));
        decoder_gradient.setZero();
        const MatrixXf dz = model.decoder.backward(dguess, decoding, decoder_gradient);
        loss += tweedie::mean_over_items(
            tweedie::latent_divergences(mean, spread, eps, dz, 1.0, 0.0, sum, dmean, dspread));
        MatrixXf dcode(2 * latents, batch);
        dcode << dmean, dspread;
        encoder_gradient.setZero();
        encoder.backward(dcode, encoding, encoder_gradient);
        gradient << encoder_gradient, decoder_gradient, dnoise.sum();
        gradient /= static_cast<float>(batch);
        return loss;
      });
  unpack();
  return model;
}

struct generator {
  network net;

  MatrixXf operator()(const MatrixXf& z, network::activations& a) const {
    return net.forward(z, {}, {}, a).array().tanh();
  }
};

// gamma/2 E |grad logit|^2 at real pictures. Its derivative in the parameters is gamma times that
// of the gradient's component along itself, taken as a difference of two points on that line.
inline void add_penalty(const network& net, const MatrixXf& real, double gamma,
                        VectorXf& gradient) {
  network::activations a;
  VectorXf scratch = VectorXf::Zero(gradient.size());
  net.forward(real, {}, {}, a);
  const MatrixXf slope = net.backward(MatrixXf::Ones(1, real.cols()), a, scratch);
  const double squared_norm = static_cast<double>(slope.colwise().squaredNorm().mean());
  const double weight = 2 * tweedie::zero_centred_penalty(squared_norm, gamma).slope;
  const auto h = static_cast<float>(0.1 / std::sqrt(squared_norm + 1e-12));
  for (const float side : {h, -h}) {
    net.forward(real + side * slope, {}, {}, a);
    const auto factor = static_cast<float>(weight / static_cast<double>(real.cols())) / (2 * side);
    net.backward(MatrixXf::Constant(1, real.cols(), factor), a, gradient);
  }
}

// The non-saturating game. The penalty (Mescheder et al. 2018) keeps it from circling; gamma = 0
// leaves it out.
inline generator train_generator(const MatrixXf& pictures, int steps, double gamma) {
  constexpr double rate = 1e-3;
  constexpr int penalty_every = 4;  // with as many times the weight (Karras et al. 2020, 3.1)
  const Eigen::Index pixels = pictures.rows();
  const tweedie::non_saturating_game game;
  support::random_draws random(21);
  generator maker{network({.input = latents, .output = pixels, .width = width}, 22)};
  network judge({.input = pixels, .output = 1, .width = width}, 23);
  tweedie::adam<float> maker_adam{.first_decay = 0, .second_decay = 0.99};
  tweedie::adam<float> judge_adam{.first_decay = 0, .second_decay = 0.99};
  VectorXf average = maker.net.parameters;
  network::activations making, judging;
  MatrixXf slope(1, batch);
  const auto judged = [&](tweedie::adversarial_part part, const MatrixXf& x) {
    const double loss = tweedie::mean_over_items(
        tweedie::adversarial_losses(game, part, judge.forward(x, {}, {}, judging),
                                    tweedie::reduction::sum_over_dimensions, slope));
    slope /= static_cast<float>(batch);
    return loss;
  };
  support::progress bar(gamma > 0 ? "GAN" : "GAN, no penalty", steps);
  double shown = 0;
  for (int step = 0; step < steps; ++step) {
    const MatrixXf real = some(pictures, random);
    VectorXf gradient = VectorXf::Zero(judge.parameters.size());
    double loss = judged(tweedie::adversarial_part::real, real);
    judge.backward(slope, judging, gradient);
    loss += judged(tweedie::adversarial_part::fake, maker(normals(latents, batch, random), making));
    judge.backward(slope, judging, gradient);
    if (gamma > 0 && step % penalty_every == 0)
      add_penalty(judge, real, gamma * penalty_every, gradient);
    judge_adam.step(tweedie::elements(judge.parameters), tweedie::elements(gradient), rate);

    const MatrixXf fake = maker(normals(latents, batch, random), making);
    judged(tweedie::adversarial_part::generator, fake);
    VectorXf unused = VectorXf::Zero(judge.parameters.size());
    const MatrixXf dfake = judge.backward(slope, judging, unused);
    gradient.setZero(maker.net.parameters.size());
    maker.net.backward((dfake.array() * (1.0F - fake.array().square())).matrix(), making, gradient);
    maker_adam.step(tweedie::elements(maker.net.parameters), tweedie::elements(gradient), rate);
    average += 0.005F * (maker.net.parameters - average);

    shown += (step == 0 ? 1 : 0.02) * (loss - shown);
    char text[40];
    std::snprintf(text, sizeof text, "discriminator's loss %.3f", shown);
    bar.show(step + 1, text);
  }
  maker.net.parameters = average;
  return maker;
}

}  // namespace vae_vs_gan
