#pragma once

#include "tweedie/schedule/discrete.hpp"

namespace tweedie_test {

// Stable Diffusion's.
inline const tweedie::discrete_schedule& schedule() {
  static const tweedie::discrete_schedule s = tweedie::scaled_linear_beta_schedule(1000);
  return s;
}

}  // namespace tweedie_test
