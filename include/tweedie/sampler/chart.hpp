// Charts of the probability-flow ODE: coordinates in which it has no linear part.
//
// With a constant row p = (p_x, p_z) in the (x0, z) plane, y = p_x x0 + p_z z and
// l = alpha p_z - sigma p_x, the ODE of any Gaussian path x = alpha x0 + sigma z reads
//
//   d(x / l) / du = y,    du = (alpha dsigma - sigma dalpha) / l^2.
//
//   row           l               u                        known as
//   noise_row     alpha           sigma / alpha            noise level (Karras et al. 2022)
//   straight_row  alpha + sigma   sigma / (alpha + sigma)  rectified flow time (Liu et al. 2023)
//   clean_row     -sigma          -alpha / sigma           data-prediction form
//
// Any explicit ODE method in u is a sampler; an Euler step is DDIM in every chart. u depends on
// the noise level only, so a step in a chart is the same in every gauge.
#pragma once

#include <cmath>

#include "tweedie/grid/grid.hpp"
#include "tweedie/program/recorder.hpp"
#include "tweedie/sampler/exponential.hpp"
#include "tweedie/schedule/prediction.hpp"

namespace tweedie {

/// The chart coordinate u of a level.
/// \throws std::invalid_argument where the chart ends: pure noise for the noise row, clean data for
///   the clean row.
inline double chart_coordinate(plane_row row, signal_noise level) {
  const double l = determinant(level, row);
  const double u = row.z != 0 ? level.sigma / (row.z * l) : level.alpha / (row.x0 * l);
  detail::require(l != 0 && std::isfinite(u), "chart_coordinate", "noise level", noise_level(level),
                  "valid: where the chart of the row has not ended: alpha > 0 for the noise row, "
                  "sigma > 0 for the data row");
  return u;
}

/// Noise level sigma / alpha at coordinate u.
inline double noise_level_at(plane_row row, double u) {
  return row.z != 0 ? u * row.z * row.z / (1 + u * row.z * row.x0) : -1 / (row.x0 * row.x0 * u);
}

/// The p-output y of an evaluation of x at `at`. z is taken from the x0 estimate, so that a clipped
/// or guided estimate moves the state consistently.
inline linear slope(plane_row row, const linear& x, const estimate& e, const node& at) {
  const auto [alpha, sigma] = at.level;
  if (row.z == 0) return row.x0 * e.clean;
  const linear z = sigma > 0 ? (x - alpha * e.clean) / sigma : e.noise;
  return row.x0 * e.clean + row.z * z;
}

/// A schedule as a maker of nodes between those of a grid: noise level -> node.
template <invertible_schedule Schedule>
auto nodes_of(Schedule schedule) {
  return [schedule = std::move(schedule)](double level) { return node_of_level(schedule, level); };
}

/// Nodes with alpha = 1 whose time is the noise level: the convention of EDM and k-diffusion,
/// where the network is told sigma.
inline constexpr auto noise_level_nodes = [](double level) {
  return node{level, variance_exploding(level)};
};

}  // namespace tweedie
