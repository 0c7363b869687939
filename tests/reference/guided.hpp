// What recorded runs and losses of openai/guided-diffusion share.
#pragma once

#include <string>

#include "outcome.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace reference {

inline tweedie::discrete_schedule guided_schedule(const json& recorded) {
  const std::string name = recorded.at("beta_schedule");
  const int levels = recorded.at("T");
  if (name == "linear")
    return tweedie::linear_beta_schedule(levels, 1e-4 * 1000 / levels, 0.02 * 1000 / levels);
  if (name == "cosine") return tweedie::cosine_schedule(levels);
  throw unsupported("beta_schedule", name);
}

// The time the network is told, in thousandths of the chain where the file asks for it.
inline double guided_network_time(const json& recorded, double t) {
  return recorded.value("rescale_timesteps", false) ? t * (1000 / recorded.at("T").get<double>())
                                                    : t;
}

}  // namespace reference
