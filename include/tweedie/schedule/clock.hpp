// Clocks: the time that networks of each family are told, as functions of a node.
//
//   told                    formula                    families
//   the node's own time     t                          tables asked on their own grid: SD, SDXL, DDPM
//   flow_time               sigma                      flow networks whose code hides the 1000; pi0
//   flow_time_in_thousands  1000 sigma                 SD3, Flux, Wan as scheduler timesteps
//   data_time               1 - sigma                  flows from noise at 0 to data at 1: F5-TTS,
//                                                      Matcha, ZipVoice, GR00T
//   noise_level_time        sigma / alpha              VE networks (NCSN++)
//   edm_time                log(sigma / alpha) / 4     EDM, SVD (schedule/precondition.hpp)
//   table_time(schedule)    index k of a table         SD, SDXL asked at noise levels (k-diffusion)
//
// sigma means that of the straight path, sigma / (alpha + sigma). Each clock but the first depends
// on the noise level alone, so that it is the same in every gauge and for nodes of any schedule.
#pragma once

#include <utility>

#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// Time of the straight path x = (1 - t) x0 + t z, in [0, 1]: 0 is data, 1 is noise.
inline constexpr auto flow_time = [](const node& n) {
  return n.level.sigma / (n.level.alpha + n.level.sigma);
};

/// The same in thousandths, in [0, 1000].
inline constexpr auto flow_time_in_thousands = [](const node& n) { return 1000 * flow_time(n); };

/// Time of the straight path x = (1 - t) z + t x0, in [0, 1]: 0 is noise, 1 is data.
inline constexpr auto data_time = [](const node& n) {
  return n.level.alpha / (n.level.alpha + n.level.sigma);
};

/// sigma / alpha, in [0, +inf].
inline constexpr auto noise_level_time = [](const node& n) { return noise_level(n.level); };

/// The time at which `schedule` has the node's noise level, for a table its array index with
/// fractions. For networks that are trained on a table and run on nodes of another clock.
/// The clock throws std::invalid_argument beyond the levels of the schedule.
template <invertible_schedule Schedule>
auto table_time(Schedule schedule) {
  return [schedule = std::move(schedule)](const node& n) {
    return node_of_level(schedule, noise_level(n.level)).time;
  };
}

}  // namespace tweedie
