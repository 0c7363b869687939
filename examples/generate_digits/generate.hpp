// Pictures from noise: the library walks, the network answers.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "network.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/solve/sampling.hpp"

namespace digits {

// One picture per label. `watch(reached, state)` sees every finished step.
template <class Watch>
Eigen::MatrixXf generate(digit_network& network, const tweedie::program& plan,
                         const std::vector<int>& labels, double guidance, std::uint64_t seed,
                         const Watch& watch) {
  Eigen::MatrixXf noise(network.pixels(), static_cast<Eigen::Index>(labels.size()));
  tweedie::standard_normal(seed, noise);
  // Guidance mixes two answers, D(x) + w (D(x, c) - D(x)); at w = 1 one of them is not needed.
  std::vector<double> weights{guidance};
  if (guidance != 1) weights.push_back(1 - guidance);
  const std::vector<int> untold(labels.size(), network.no_class());

  tweedie::sampling run(plan, network.description(), noise, tweedie::gaussian_noise{seed + 1},
                        tweedie::clip{-1, 1}, weights);
  for (;;) {
    switch (run.advance()) {
      case tweedie::sampling_event::evaluate:
        network(run.input(), run.network_time(), labels, run.output());
        if (guidance != 1) network(run.input(), run.network_time(), untold, run.output(1));
        break;
      case tweedie::sampling_event::step:
        watch(run.reached(), run.state());
        break;
      case tweedie::sampling_event::finished:
        return run.state();
    }
  }
}

inline Eigen::MatrixXf generate(digit_network& network, const tweedie::program& plan,
                                const std::vector<int>& labels, double guidance,
                                std::uint64_t seed) {
  return generate(network, plan, labels, guidance, seed, [](const auto&, const auto&) {});
}

}  // namespace digits
