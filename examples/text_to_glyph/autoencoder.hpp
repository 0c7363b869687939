// The variational autoencoder: 3 x 32 x 32 pixels to 4 x 8 x 8 latents and back, 12 numbers for one.
//
//   loss = |x - decode(z)|^2 / (2 s^2) + w KL(q(z | x) || N(0, I))      per picture
//
// w is small: it keeps latents smooth and of bounded size, not normal. What scale they have is measured
// afterwards, and the diffusion model sees them with mean 0 and variance 1 (Rombach et al. 2022,
// appendix G).
#pragma once

#include <torch/torch.h>

#include "layers.hpp"
#include "pictures.hpp"
#include "trainer.hpp"
#include "tweedie/objective/vae.hpp"
#include "tweedie/schedule/latent.hpp"

namespace glyphs {

inline constexpr std::int64_t latent_channels = 4, latent_side = 8;

class autoencoder : public nn::Module {
 public:
  autoencoder() {
    const auto block = [](std::int64_t features) {
      return std::make_shared<residual_block>(features, features);
    };
    // Squares of 2 x 2 pixels become features at once: most of the work is at 16 x 16 and 8 x 8.
    encoder_ = register_module(
        "encoder", nn::Sequential(nn::PixelUnshuffle(2), convolution(12, 32), block(32),
                                  convolution(32, 64, 3, 2), block(64), normalisation(64),
                                  nn::SiLU(), convolution(64, 2 * latent_channels)));
    decoder_ = register_module(
        "decoder",
        nn::Sequential(convolution(latent_channels, 64), block(64), block(64),
                       nn::Upsample(nn::UpsampleOptions().scale_factor(std::vector<double>{2, 2})),
                       convolution(64, 48), block(48), normalisation(48), nn::SiLU(),
                       convolution(48, 12), nn::PixelShuffle(2)));
  }

  // Mean and log-variance of q(z | x).
  std::pair<torch::Tensor, torch::Tensor> posterior(const torch::Tensor& pictures) {
    const auto parts = encoder_->forward(pictures).chunk(2, 1);
    return {parts[0], parts[1]};
  }
  torch::Tensor decode_unscaled(const torch::Tensor& z) { return decoder_->forward(z); }

  // Latents as the diffusion model sees them, and pictures of such latents.
  torch::Tensor encode(const torch::Tensor& pictures) {
    const torch::NoGradGuard no_gradients;
    return ((posterior(pictures).first - scaling.shift) * scaling.scale).contiguous();
  }
  torch::Tensor decode(const torch::Tensor& latents) {
    const torch::NoGradGuard no_gradients;
    return decode_unscaled(latents / scaling.scale + scaling.shift).clamp(-1, 1);
  }

  tweedie::latent_scaler scaling;

 private:
  nn::Sequential encoder_{nullptr}, decoder_{nullptr};
};

// Trains it, measures the scale of its latents, and returns the file of its weights.
inline std::string train_autoencoder(autoencoder& vae, const glyph_fonts& fonts, trainer& trainer,
                                     int steps) {
  constexpr double divergence_weight = 1e-2, deviation = 0.1;
  const std::string file = trainer.train(
      vae.parameters(), {.title = "autoencoder", .steps = steps, .rate = 2e-3},
      [&](int, support::random_draws& random) {
        const picture_batch batch = fonts.draw(random, 32);
        const auto [mean, log_variance] = vae.posterior(batch.pictures);
        torch::Tensor eps = torch::empty_like(mean, torch::MemoryFormat::Contiguous);
        random.fill_normal(eps);
        const torch::Tensor z = mean + torch::exp(0.5 * log_variance) * eps;
        const torch::Tensor error =
            (vae.decode_unscaled(z) - batch.pictures).square().sum({1, 2, 3});
        const torch::Tensor divergence =
            0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum({1, 2, 3});
        return (error / (2 * deviation * deviation) + divergence_weight * divergence).mean() /
               (3 * side * side);
      });
  support::random_draws random(1);
  const torch::NoGradGuard no_gradients;
  const torch::Tensor latents = vae.posterior(fonts.draw(random, 512).pictures).first;
  vae.scaling = {latents.mean().item<double>(), 1 / latents.std().item<double>()};
  return file;
}

}  // namespace glyphs
