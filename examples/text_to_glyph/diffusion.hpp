// Diffusion in latents, told a caption: one network, two processes to train it with.
//
//   v      1000 steps of Stable Diffusion's betas, rescaled to no signal at the last (Lin et al. 2023)
//   flow   x = (1 - t) x0 + t z, the velocity z - x0 (Liu et al. 2023)
//
// Schedule, prediction and weights of the loss are the library's, and so is the gradient of the loss
// that enters LibTorch's backward pass.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "autoencoder.hpp"
#include "pictures.hpp"
#include "text_encoder.hpp"
#include "trainer.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/interop/libtorch.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/derived.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/training/time_sampling.hpp"
#include "tweedie/training/training_batch.hpp"
#include "unet.hpp"

namespace glyphs {

struct v_process {
  static constexpr const char* name = "v";
  tweedie::discrete_schedule schedule =
      tweedie::zero_terminal_snr(tweedie::scaled_linear_beta_schedule(1000));
  tweedie::network_description network{tweedie::predicts_v};

  std::vector<double> times(std::span<const double> uniforms) const {
    return tweedie::draw_discrete_times(schedule.steps(), uniforms);
  }
  tweedie::grid nodes(int steps) const { return tweedie::trailing(schedule, steps); }
};

struct flow_process {
  static constexpr const char* name = "flow";
  tweedie::rectified_flow schedule;
  tweedie::network_description network{
      .prediction = tweedie::predicts_rectified_velocity,
      .time = [](const tweedie::node& n) { return 1000 * n.time; }};

  std::vector<double> times(std::span<const double> uniforms) const {
    return {uniforms.begin(), uniforms.end()};
  }
  tweedie::grid nodes(int steps) const { return tweedie::uniform(schedule, steps); }
};

struct text_to_latent : nn::Module {
  text_to_latent()
      : text(register_module("text", std::make_shared<text_encoder>())),
        net(register_module("net", std::make_shared<unet>(latent_channels))) {}

  std::shared_ptr<text_encoder> text;
  std::shared_ptr<unet> net;
};

// In one caption of ten nothing is told, for classifier-free guidance; in the others every attribute is
// left out with probability 0.1.
inline std::vector<description> partly_told(std::vector<description> shown,
                                            support::random_draws& random) {
  for (description& d : shown) {
    const std::vector<double> u = random.uniform(attribute_count + 1);
    if (u[attribute_count] < 0.1) d = nothing_told;
    for (std::size_t a = 0; a < attribute_count; ++a)
      if (u[a] < 0.1) d[a] = -1;
  }
  return shown;
}

// The mean squared error of one batch of latents. `answer(input, times)` is the network's.
template <class Process, class Answer>
torch::Tensor diffusion_loss(const Process& process, const torch::Tensor& latents,
                             support::random_draws& random, const Answer& answer) {
  torch::Tensor z = torch::empty_like(latents);
  random.fill_normal(z);
  const auto count = static_cast<std::size_t>(latents.size(0));
  const auto batch = tweedie::make_training_batch(
      latents, z, process.schedule, process.network,
      process.times(tweedie::low_discrepancy(random.uniform(1)[0], count)),
      tweedie::simple_weighting);
  const torch::Tensor losses = tweedie::joined(
      answer(batch.input, batch.network_times()),
      [&](const torch::Tensor& y, torch::Tensor& gradient) {
        return tweedie::regression(y, batch.target, batch.weights(), tweedie::squared_error{},
                                   tweedie::reduction::mean_over_dimensions, gradient);
      });
  return losses.mean();
}

template <class Process>
void train_text_to_latent(text_to_latent& model, const Process& process, autoencoder& vae,
                          const glyph_fonts& fonts, trainer& trainer, int steps,
                          const std::string& vae_file) {
  trainer.train(model.parameters(),
                {.title = std::string("diffusion ") + process.name,
                 .steps = steps,
                 .rate = 2e-3,
                 .depends_on = vae_file},
                [&](int, support::random_draws& random) {
                  const picture_batch batch = fonts.draw(random, 64);
                  const torch::Tensor told = caption_tensor(partly_told(batch.shown, random));
                  return diffusion_loss(
                      process, vae.encode(batch.pictures), random,
                      [&](const torch::Tensor& x, const std::vector<double>& times) {
                        return model.net->forward(x, times, model.text->forward(told));
                      });
                });
}

}  // namespace glyphs
