// Preconditioning (Karras et al. 2022, table 1 and appendix B.6): the network F sees c_in y and
// the time c_noise, and D(y) = c_skip y + c_out F, with y = x/alpha at noise level s = sigma/alpha:
//
//   c_skip = sd^2/(s^2 + sd^2),   c_out = s sd/sqrt(s^2 + sd^2),   c_in = 1/sqrt(s^2 + sd^2),
//   c_noise = log(s)/4,           weight = 1/c_out^2
//
// for data of standard deviation sd. Input and target of F then have unit variance, and c_skip is
// the value that makes c_out least. As a row in the plane of (x0, z):
//   F = ((1 - c_skip) x0 - c_skip s z)/c_out.
#pragma once

#include <cmath>
#include <limits>

#include "tweedie/schedule/prediction.hpp"

namespace tweedie {

/// c_skip, c_out and c_in at one noise level.
struct preconditioning {
  double skip = 0;
  double out = 0;
  double in = 0;
  double noise = 0;   ///< what the network is told; -inf at level 0
  double weight = 0;  ///< loss weight on |D - x0|^2; +inf at level 0
};

namespace detail {

inline void require_deviation(const char* function, double data_deviation) {
  require(data_deviation > 0 && std::isfinite(data_deviation), function, "data_deviation",
          data_deviation, "valid: 0 < data_deviation < inf");
}

}  // namespace detail

/// Coefficients at noise level `level` in [0, inf) for data deviation `data_deviation` > 0.
inline preconditioning edm_preconditioning(double level, double data_deviation = 0.5) {
  detail::require(level >= 0 && std::isfinite(level), "edm_preconditioning", "level", level,
                  "valid: 0 <= level < inf");
  detail::require_deviation("edm_preconditioning", data_deviation);
  const double norm = std::hypot(level, data_deviation);
  const double ratio = data_deviation / norm;
  const double out = level * ratio;
  return {ratio * ratio, out, 1 / norm, std::log(level) / 4, 1 / (out * out)};
}

/// Boundary-respecting preconditioning of consistency models (Song et al. 2023, eq. 5 and
/// appendix C): f(x, epsilon) = x exactly, c_skip = sd^2/((s-eps)^2 + sd^2),
/// c_out = (s - eps) sd/sqrt(s^2 + sd^2).
inline preconditioning consistency_preconditioning(double level, double data_deviation = 0.5,
                                                   double least_level = 0.002) {
  detail::require(level >= least_level && std::isfinite(level), "consistency_preconditioning",
                  "level", level, "valid: least_level <= level < inf");
  const preconditioning edm = edm_preconditioning(level, data_deviation);
  const double above = level - least_level;
  const double variance = data_deviation * data_deviation;
  const double out = above * data_deviation * edm.in;
  return {variance / (above * above + variance), out, edm.in, edm.noise, 1 / (out * out)};
}

/// EDM's F as a prediction kind: F = (sigma x0/sd - alpha sd z)/sqrt(sigma^2 + alpha^2 sd^2). The
/// row refers to x0 and z themselves, so it is the same in every gauge; at pure noise it is x0/sd.
/// It is undefined at level 0, where F carries no information, and refused there.
/// \throws std::invalid_argument unless 0 < data_deviation < inf.
inline auto predicts_edm(double data_deviation = 0.5) {
  detail::require_deviation("predicts_edm", data_deviation);
  return [data_deviation](const node& n) {
    const auto [alpha, sigma] = n.level;
    detail::require(sigma > 0, "predicts_edm", "sigma", sigma, "valid: sigma > 0");
    const double norm = std::hypot(sigma, alpha * data_deviation);
    return plane_row{sigma / (data_deviation * norm), -alpha * data_deviation / norm};
  };
}

/// The network inside a consistency model as a prediction kind; refused at the least level, where the
/// model is the identity whatever the network says, and at pure noise.
/// \throws std::invalid_argument unless 0 < data_deviation < inf.
inline auto predicts_consistency(double data_deviation = 0.5, double least_level = 0.002) {
  detail::require_deviation("predicts_consistency", data_deviation);
  return [data_deviation, least_level](const node& n) {
    const double level = noise_level(n.level);
    detail::require(level > least_level, "predicts_consistency", "level", level,
                    "valid: level > least_level");
    const preconditioning c = consistency_preconditioning(level, data_deviation, least_level);
    return plane_row{(1 - c.skip) / c.out, -c.skip * level / c.out};
  };
}

/// Input scale of EDM networks on a state x = alpha (x0 + s z): c_in / alpha.
/// \throws std::invalid_argument unless 0 < data_deviation < inf.
inline auto edm_input(double data_deviation = 0.5) {
  detail::require_deviation("edm_input", data_deviation);
  return [data_deviation](const node& n) {
    return 1 / std::hypot(n.level.sigma, n.level.alpha * data_deviation);
  };
}

/// Clock of EDM networks: log(noise level)/4.
inline constexpr auto edm_time = [](const node& n) { return std::log(noise_level(n.level)) / 4; };

}  // namespace tweedie
