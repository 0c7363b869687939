// What the recorded losses have in common: the test network on a batch.
#pragma once

#include <cmath>
#include <vector>

#include "outcome.hpp"

namespace reference {

/// 0.3 sin x + 0.2 x + 0.1 cos(t/100).
inline double test_network(double x, double t) {
  return 0.3 * std::sin(x) + 0.2 * x + 0.1 * std::cos(t / 100);
}

/// x/(1 + level^2) + 0.1 sin x.
inline double test_denoiser(double x, double level) {
  return x / (1 + level * level) + 0.1 * std::sin(x);
}

std::vector<outcome> replay_consistency_losses(const json& file);
std::vector<outcome> replay_edm_losses(const json& file);
std::vector<outcome> replay_guided_losses(const json& file);

}  // namespace reference
