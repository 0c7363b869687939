// Image-to-image and inpainting: the trained model as it is, started or corrected on the way.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "sample.hpp"
#include "tweedie/edit/known_region.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/resampling.hpp"
#include "tweedie/solve/add_noise.hpp"
#include "workshop.hpp"

namespace glyphs {

// Noise a picture to the level of a strength, then denoise it as the other caption says (SDEdit).
inline void show_image_to_image(workshop& w) {
  const std::vector<description> told = w.descriptions(w.pictures(100), 111);
  support::random_draws random(112);
  const torch::Tensor pictures =
      w.fonts.draw(random, static_cast<Eigen::Index>(told.size())).pictures;
  const torch::Tensor latents = w.vae.encode(pictures);
  constexpr int steps = 25;
  const tweedie::grid nodes = w.process.nodes(steps);
  std::vector<torch::Tensor> rows{pictures.narrow(0, 0, 12)};
  for (const double strength : {0.2, 0.4, 0.6, 0.8, 1.0}) {
    const int run = tweedie::steps_of_strength(steps, strength);
    const tweedie::grid part = tweedie::starting_at(nodes, static_cast<std::size_t>(steps - run));
    torch::Tensor x = standard_noise(told.size(), 21);
    const std::vector<tweedie::signal_noise> levels(told.size(), part.front().level);
    tweedie::add_noise(latents, x, levels, x);
    const torch::Tensor edited =
        w.vae.decode(sampled(w.model, w.process.network, tweedie::ddim(part), x, {.told = told}));
    char name[64];
    std::snprintf(name, sizeof name, "strength %.1f", strength);
    w.number(std::string(name) + ", rms change",
             (edited - pictures).square().mean().sqrt().item<double>());
    w.number(std::string(name) + ", all attributes of the new caption",
             adherence_of(w.reader.read(edited), told).all);
    rows.push_back(edited.narrow(0, 0, 12));
  }
  w.sheet("image_to_image", torch::cat(rows), 12);
}

// The left half of a picture is kept, the right half is made to a caption that says the symbol only.
inline void show_inpainting(workshop& w) {
  const std::vector<description> shown = w.descriptions(w.pictures(100), 113);
  std::vector<description> told(shown.size(), nothing_told);
  for (std::size_t i = 0; i < told.size(); ++i) told[i][symbol] = shown[i][symbol];
  support::random_draws random(114);
  const torch::Tensor pictures = w.fonts.draw(random, shown).pictures;
  const torch::Tensor latents = w.vae.encode(pictures);

  const std::vector<float> one = [] {
    std::vector<float> pixels(side * side, 0.0f);
    for (std::size_t p = 0; p < pixels.size(); ++p)
      if (p % side < side / 2) pixels[p] = 1;
    return pixels;
  }();
  const std::vector<float> small = tweedie::latent_mask<float>(one, side, side, side / latent_side);
  const torch::Tensor mask = torch::tensor(small)
                                 .view({1, 1, latent_side, latent_side})
                                 .expand(latents.sizes())
                                 .contiguous();
  const torch::Tensor pixel_mask = torch::tensor(one).view({1, 1, side, side});
  std::vector<torch::Tensor> rows{pictures.narrow(0, 0, 12),
                                  (pictures * pixel_mask).narrow(0, 0, 12)};
  for (const int visits : {1, 5}) {
    const tweedie::grid nodes = w.process.nodes(25);
    const auto plan = tweedie::resampled(nodes, 1, visits);
    tweedie::known_region<float> known(floats(latents), floats(mask), 115);
    const torch::Tensor x =
        sampled(w.model, w.process.network, plan, standard_noise(told.size(), 22), {.told = told},
                [&](auto& run) { known.paste(run); });
    // The pixels themselves are pasted once more (blended latent diffusion).
    const torch::Tensor made = w.vae.decode(x);
    const torch::Tensor filled = pictures * pixel_mask + made * (1 - pixel_mask);
    const std::string name = "inpainting, levels visited " + std::to_string(visits) + " times";
    const adherence a = adherence_of(w.reader.read(filled), shown);
    w.number(name + ", symbol", a.each[symbol]);
    w.number(name + ", colour of the known half", a.each[colour]);
    w.number(name + ", background of the known half", a.each[background]);
    w.number(name + ", jump at the seam",
             (filled.narrow(3, side / 2, 1) - filled.narrow(3, side / 2 - 1, 1))
                 .abs()
                 .mean()
                 .item<double>());
    rows.push_back(filled.narrow(0, 0, 12));
  }
  w.number("real pictures, jump at the seam",
           (pictures.narrow(3, side / 2, 1) - pictures.narrow(3, side / 2 - 1, 1))
               .abs()
               .mean()
               .item<double>());
  w.sheet("inpainting", torch::cat(rows), 12);
}

}  // namespace glyphs
