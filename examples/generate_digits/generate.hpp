// Pictures from noise: the library walks, the network answers.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "network.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/solve/sampling.hpp"

namespace digits {

inline Eigen::MatrixXf standard_noise(Eigen::Index pixels, std::size_t items, std::uint64_t seed) {
  Eigen::MatrixXf noise(pixels, static_cast<Eigen::Index>(items));
  tweedie::gaussian_noise{seed}.fill({.draw = 0, .kind = {}, .items = items},
                                     tweedie::elements(noise));
  return noise;
}

// One picture per label. `watch(node, state)` sees every finished step.
template <class Watch>
Eigen::MatrixXf generate(digit_network& network, const tweedie::program& plan,
                         const std::vector<int>& labels, double guidance, std::uint64_t seed,
                         const Watch& watch) {
  const std::vector<int> untold(labels.size(), network.no_class());
  tweedie::sampling run(
      plan, network.description(), standard_noise(network.pixels(), labels.size(), seed),
      tweedie::gaussian_noise{seed + 1}, tweedie::clip{-1, 1}, tweedie::guidance_scale(guidance));
  for (;;) {
    switch (run.advance()) {
      case tweedie::sampling_event::evaluate: {
        const std::vector<double> times(labels.size(), run.network_time());
        if (guidance != 1) network(run.input(), times, untold, run.output(0));
        network(run.input(), times, labels, run.output(1));
        break;
      }
      case tweedie::sampling_event::step: watch(run.reached(), run.state()); break;
      case tweedie::sampling_event::finished: return run.state();
    }
  }
}

inline Eigen::MatrixXf generate(digit_network& network, const tweedie::program& plan,
                                const std::vector<int>& labels, double guidance,
                                std::uint64_t seed) {
  return generate(network, plan, labels, guidance, seed, [](const auto&, const auto&) {});
}

}  // namespace digits
