// Pictures of three-dimensional scenes, as far as distilling a diffusion model into one needs them.
//
//   volume rendering   C = sum_i T_i (1 - exp(-s_i d_i)) c_i,   T_i = exp(-sum_{j<i} s_j d_j)
//                      Mildenhall et al. 2020, eq. 3; densities s, distances d >= 0
//   splatting          Sigma' = J W Sigma W^T J^T               Zwicker et al. 2001, eq. 26 (EWA)
//
// The weights T_i (1 - exp(-s_i d_i)) and the light that passes, T_n, add up to 1; a constant density
// gives 1 - exp(-s D) over a distance D however it is cut. Fields and splats describe a scene and render it;
// what generates is the diffusion model whose gradient they follow (objective/distillation.hpp).
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// How much each piece of a ray adds to its pixel, and what passes through all of them.
struct ray_weights {
  std::vector<double> pieces;  ///< T_i (1 - exp(-s_i d_i))
  double transmittance = 1;    ///< T_n, the weight of the background
};

/// Weights of the pieces of a ray, from the eye on.
/// \throws std::invalid_argument unless there are as many distances as densities, all >= 0 and not
///   NaN, distances finite; an infinite density is opaque.
inline ray_weights volume_rendering(std::span<const double> densities,
                                    std::span<const double> distances) {
  detail::require_equal("volume_rendering", "distances.size()", distances.size(), densities.size());
  ray_weights out;
  double depth = 0;  // optical depth so far: T = exp(-depth)
  for (std::size_t i = 0; i < densities.size(); ++i) {
    detail::require(densities[i] >= 0, "volume_rendering", "density", densities[i], "valid: >= 0");
    detail::require(distances[i] >= 0 && std::isfinite(distances[i]), "volume_rendering",
                    "distance", distances[i], "valid: 0 <= distance < inf");
    const double piece = distances[i] == 0 ? 0 : densities[i] * distances[i];
    out.pieces.push_back(-std::exp(-depth) * std::expm1(-piece));
    depth += piece;
  }
  out.transmittance = std::exp(-depth);
  return out;
}

/// Covariance, in pixels, of a Gaussian seen through a pinhole.
/// \param covariance of the Gaussian in the world, symmetric
/// \param rotation of the world into the camera, whose third axis looks ahead
/// \param centre of the Gaussian in the camera's coordinates, centre.z() > 0
/// \param focal focal length in pixels
/// \throws std::invalid_argument for a centre that is not in front of the camera, or a focal length that is not
///   positive and finite.
template <class S>
Eigen::Matrix<S, 2, 2> splat_covariance(const Eigen::Matrix<S, 3, 3>& covariance,
                                        const Eigen::Matrix<S, 3, 3>& rotation,
                                        const Eigen::Matrix<S, 3, 1>& centre, double focal) {
  detail::require(centre.z() > 0, "splat_covariance", "centre.z()", static_cast<double>(centre.z()),
                  "valid: in front of the camera, > 0");
  detail::require(focal > 0 && std::isfinite(focal), "splat_covariance", "focal", focal,
                  "valid: 0 < focal < inf");
  const S f = static_cast<S>(focal) / centre.z();
  Eigen::Matrix<S, 2, 3> slopes;  // of the projection f (x, y) / z
  slopes << f, 0, -f * centre.x() / centre.z(), 0, f, -f * centre.y() / centre.z();
  const Eigen::Matrix<S, 2, 3> map = slopes * rotation;
  return map * covariance * map.transpose();
}

}  // namespace tweedie
