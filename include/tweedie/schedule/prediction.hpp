// Every linear prediction kind is a row (p_x, p_z) in the plane of (x0, z): y = p_x x0 + p_z z.
//
// Given x = alpha x0 + sigma z, one 2x2 system turns y into x0 and z, and so any kind into any
// other. With the determinant l = alpha p_z - sigma p_x,
//   x0 = (p_z x - sigma y) / l,      z = (alpha y - p_x x) / l.
//
//   kind     row (p_x, p_z)                          source
//   sample   (1, 0)                                  Ho et al. 2020, section 3.2
//   noise    (0, 1)                                  Ho et al. 2020, eq. 12
//   v        (-sigma, alpha)                         Salimans and Ho 2022, appendix D
//   flow     (alpha', sigma'); rectified: (-1, 1)    Lipman et al. 2023; Liu et al. 2023
//   score    (0, -1/sigma)                           Song et al. 2021
//   EDM F    ((1 - c_skip)/c_out, -c_skip level/c_out)    Karras et al. 2022, eq. 7
//
// "It predicts noise, not images" says nothing of what it knows: given x the kinds are one another. What differs
// is how errors count. An x0 estimate takes sigma/alpha times those of the noise (157 at the end of DDPM's
// linear table, 14.6 of Stable Diffusion's), a noise estimate alpha/sigma times those of x0.
//
// The noise a network predicts is the whole noise z of x_t, not the noise of the last step: see
// process/reverse.hpp for the relation of the two.
#pragma once

#include <cmath>
#include <concepts>

#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// Coefficients of a prediction y = x0 * (data) + z * (noise).
struct plane_row {
  double x0 = 0;
  double z = 0;

  friend bool operator==(const plane_row&, const plane_row&) = default;
};

/// Weights of a result written as x * (state) + y * (prediction).
struct state_output {
  double x = 0;
  double y = 0;
};

/// A prediction kind: any function from a node, as the network sees it, to its row.
template <class Prediction>
concept prediction_kind = requires(const Prediction& p, const node& n) {
  { p(n) } -> std::same_as<plane_row>;
};

/// x0 itself, or the noise z of x = alpha x0 + sigma z.
inline constexpr auto predicts_sample = [](const node&) { return plane_row{1, 0}; };
inline constexpr auto predicts_noise = [](const node&) { return plane_row{0, 1}; };

/// v = alpha z - sigma x0; the row is taken in the gauge in which the network sees its input.
inline constexpr auto predicts_v = [](const node& n) {
  return plane_row{-n.level.sigma, n.level.alpha};
};

/// Velocity of the straight path x = (1 - t) x0 + t z: dx/dt = z - x0.
inline constexpr auto predicts_rectified_velocity = [](const node&) { return plane_row{-1, 1}; };

/// Velocity from noise to data, x0 - z: the straight path run from noise at 0 to data at 1 (F5-TTS,
/// Matcha, GR00T), whose networks are told `data_time` (schedule/clock.hpp).
inline constexpr auto predicts_velocity_to_data = [](const node&) { return plane_row{1, -1}; };

/// Score of the noised density, -z / sigma; refused at sigma = 0, where it is unbounded.
inline constexpr auto predicts_score = [](const node& n) {
  detail::require(n.level.sigma > 0, "predicts_score", "sigma", n.level.sigma, "valid: sigma > 0");
  return plane_row{0, -1 / n.level.sigma};
};

/// Velocity alpha' x0 + sigma' z of the path of `schedule`, in that schedule's own time.
template <differentiable_schedule Schedule>
auto predicts_velocity(Schedule schedule) {
  return [schedule = std::move(schedule)](const node& n) {
    const signal_noise_rate rate = schedule.rate(n.time);
    return plane_row{rate.alpha, rate.sigma};
  };
}

/// Determinant of (x, y) against (x0, z): alpha p_z - sigma p_x. Its square is the loss gain
/// between kinds: |dy|^2 = (l / sigma)^2 |dx0|^2 = (l / alpha)^2 |dz|^2 at fixed x.
inline double determinant(signal_noise level, plane_row row) {
  return level.alpha * row.z - level.sigma * row.x0;
}

namespace detail {

inline void require_finite(const char* function, plane_row row) {
  require(std::isfinite(row.x0), function, "row.x0", row.x0, "valid: finite");
  require(std::isfinite(row.z), function, "row.z", row.z, "valid: finite");
}

}  // namespace detail

/// x0 as a combination of x and y. Exact for sample predictions, also at sigma = 0 and alpha = 0.
/// \throws std::invalid_argument where x and y do not determine x0 (a noise prediction at alpha =
///   0), or if the row is not finite.
inline state_output sample_from(signal_noise level, plane_row row) {
  detail::require_finite("sample_from", row);
  if (row.z == 0 && row.x0 != 0) return {0, 1 / row.x0};
  const double l = determinant(level, row);
  detail::require(l != 0 && std::isfinite(l), "sample_from", "determinant", l,
                  "x0 is undefined here; at alpha = 0 use a v, sample or velocity prediction");
  return {row.z / l, -level.sigma / l};
}

/// z as a combination of x and y. Exact for noise predictions, also at sigma = 0 and alpha = 0.
/// \throws std::invalid_argument where x and y do not determine z (a sample prediction at sigma =
///   0), or if the row is not finite.
inline state_output noise_from(signal_noise level, plane_row row) {
  detail::require_finite("noise_from", row);
  if (row.x0 == 0 && row.z != 0) return {0, 1 / row.z};
  const double l = determinant(level, row);
  detail::require(l != 0 && std::isfinite(l), "noise_from", "determinant", l,
                  "z is undefined here; at sigma = 0 use a noise or velocity prediction");
  return {-row.x0 / l, level.alpha / l};
}

/// The prediction with row `to` as a combination of x and the prediction with row `from`.
/// \throws std::invalid_argument where x and the prediction `from` do not determine it, or if a row
///   is not finite.
inline state_output convert(signal_noise level, plane_row from, plane_row to) {
  detail::require_finite("convert", to);
  if (from == to) return {0, 1};
  if (to.z == 0) {
    const state_output s = sample_from(level, from);
    return {to.x0 * s.x, to.x0 * s.y};
  }
  if (to.x0 == 0) {
    const state_output n = noise_from(level, from);
    return {to.z * n.x, to.z * n.y};
  }
  const double l = determinant(level, from);
  detail::require(l != 0 && std::isfinite(l), "convert", "determinant", l,
                  "the state and the given prediction are proportional here");
  return {(to.x0 * from.z - to.z * from.x0) / l, determinant(level, to) / l};
}

/// Factor of squared errors at a fixed state: |d to|^2 = loss_gain * |d from|^2.
/// noise from sample: SNR. v from sample: SNR + 1 (variance preserving).
inline double loss_gain(signal_noise level, plane_row from, plane_row to) {
  const double factor = convert(level, from, to).y;
  return factor * factor;
}

}  // namespace tweedie
