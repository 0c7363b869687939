// Latents from noise and captions: the library walks, the network answers.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "diffusion.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/solve/sampling.hpp"

namespace glyphs {

struct request {
  std::vector<description> told;
  std::vector<description> against = {};  // negative captions; empty: nothing told
  double guidance = 3;
  std::uint64_t seed = 1;
};

inline torch::Tensor standard_noise(std::size_t items, std::uint64_t seed) {
  torch::Tensor x =
      torch::empty({static_cast<std::int64_t>(items), latent_channels, latent_side, latent_side});
  tweedie::fill_standard_normal(x, seed);
  return x;
}

// The network's answers by pieces that stay in cache.
inline void answer(text_to_latent& model, const torch::Tensor& x, double time,
                   const torch::Tensor& text, torch::Tensor out) {
  constexpr std::int64_t piece = 64;
  for (std::int64_t first = 0; first < x.size(0); first += piece) {
    const std::int64_t count = std::min(piece, x.size(0) - first);
    out.narrow(0, first, count)
        .copy_(model.net->forward(x.narrow(0, first, count),
                                  std::vector<double>(static_cast<std::size_t>(count), time),
                                  text.narrow(0, first, count)));
  }
}

// Runs `plan` from x, one item for each caption. `after_step(run)` may change the state.
template <class AfterStep>
torch::Tensor sampled(text_to_latent& model, const tweedie::network_description& network,
                      const tweedie::program& plan, const torch::Tensor& x, const request& wanted,
                      const AfterStep& after_step) {
  const torch::NoGradGuard no_gradients;
  const bool guided = wanted.guidance != 1;
  const torch::Tensor told = model.text->forward(caption_tensor(wanted.told));
  const torch::Tensor other = model.text->forward(caption_tensor(
      wanted.against.empty() ? std::vector<description>(wanted.told.size(), nothing_told)
                             : wanted.against));
  tweedie::sampling run(plan, network, x, tweedie::gaussian_noise{wanted.seed + 1000},
                        tweedie::guidance_scale(wanted.guidance));
  for (;;) {
    switch (run.advance()) {
      case tweedie::sampling_event::evaluate:
        if (guided) answer(model, run.input(), run.network_time(), other, run.output(0));
        answer(model, run.input(), run.network_time(), told, run.output(1));
        break;
      case tweedie::sampling_event::step: after_step(run); break;
      case tweedie::sampling_event::finished: return run.state().clone();
    }
  }
}

inline torch::Tensor sampled(text_to_latent& model, const tweedie::network_description& network,
                             const tweedie::program& plan, const torch::Tensor& x,
                             const request& wanted) {
  return sampled(model, network, plan, x, wanted, [](auto&) {});
}

inline torch::Tensor sampled(text_to_latent& model, const tweedie::network_description& network,
                             const tweedie::program& plan, const request& wanted) {
  return sampled(model, network, plan, standard_noise(wanted.told.size(), wanted.seed), wanted);
}

// DPM-Solver++ of second order. It reckons in sigma/alpha, so that it starts just below pure noise.
template <class Process>
tweedie::program dpm_solver(const Process& process, int steps) {
  return tweedie::dpm_solver_plus_plus(tweedie::below_pure_noise(process.nodes(steps)), 2);
}

}  // namespace glyphs
