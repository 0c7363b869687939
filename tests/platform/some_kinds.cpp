// Kinds of files that are replayed on other processors: random words and normals, schedules, runs.
#include "reference/kinds.hpp"

namespace reference {

std::span<const file_kind> file_kinds() {
  static constexpr file_kind kinds[] = {
      {"random123-kat/1", replay_counter_random},
      {"torch-cpu-rng/1", replay_torch_random},
      {"schedules/1", replay_schedules},
      {"score-sde/1", replay_score_sde},
      {"dpm-solver-unipc-cases/1", replay_dpm_solver_unipc},
  };
  return kinds;
}

}  // namespace reference
