// Pilot runs: a few samples carried by many steps from noise to data, which candidates with few steps
// are then held against.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/optimal/denoiser.hpp"
#include "tweedie/sampler/multistep.hpp"

namespace tweedie {

/// Where samples start and where the probability-flow ODE takes them, one column a sample. What was
/// seen at the nodes is empty unless it was asked for.
struct pilot_runs {
  Eigen::MatrixXd start;
  Eigen::MatrixXd end;
  grid nodes;                           ///< nodes of the walk, the last one is clean data
  std::vector<Eigen::MatrixXd> states;  ///< at each node but the last
  std::vector<Eigen::MatrixXd> clean;   ///< x0 estimate at each node but the last
};

/// The noise levels over which a schedule is searched.
struct level_range {
  double highest = 0;
  double lowest = 0;
};

/// Levels of the schedule, of a table its entries; at most 200, and from 2e-3 on where the schedule ends
/// in clean data.
template <noise_schedule Schedule>
level_range searched_levels(const Schedule& schedule) {
  const double lowest = detail::least_level(schedule);
  const double highest = noise_level(schedule(schedule.noisy_time()));
  return {(std::min)(highest, 200.0), lowest > 0 ? lowest : 2e-3};
}

/// `levels`, noisiest first, as nodes between the noisy end of the schedule, which replaces the
/// first, and clean data.
template <invertible_schedule Schedule>
grid from_noise(const Schedule& schedule, const std::vector<double>& levels) {
  grid nodes{node_at(schedule, schedule.noisy_time())};
  for (std::size_t i = 1; i < levels.size(); ++i)
    nodes.push_back(node_of_level(schedule, levels[i]));
  return ending_clean(schedule, std::move(nodes));
}

/// Carries the columns of `start`, samples at the noisy end of the schedule, to data by `steps` steps
/// of exponential Adams of order 3 over levels even in the logarithm.
/// \param lowest last level before clean data; 0 means the schedule's. Below the levels of a table a
///   network is told time 0; an oracle is exact there
/// \param keep whether states and x0 estimates of every node are kept (2 steps times the size of
///   `start`)
template <invertible_schedule Schedule, batch_denoiser Denoiser>
pilot_runs record_pilots(const Schedule& schedule, const Denoiser& denoise, Eigen::MatrixXd start,
                         int steps = 200, double lowest = 0, bool keep = false) {
  constexpr const char* name = "record_pilots";
  detail::require(steps >= 2, name, "steps", steps, "valid: at least 2");
  detail::require(start.size() > 0, name, "samples", 0, "valid: at least one column and row");
  const level_range range = searched_levels(schedule);
  if (lowest == 0) lowest = range.lowest;
  detail::require(lowest > 0 && lowest < range.highest, name, "lowest", lowest,
                  "valid: 0 < lowest < highest level of the schedule");
  pilot_runs out;
  out.nodes = from_noise(schedule, exponential_levels(steps, range.highest, lowest));
  const program plan = exponential_adams(out.nodes, 3);
  out.start = std::move(start);
  out.end = run_denoiser(
      plan,
      [&](const node& at, const Eigen::MatrixXd& x) -> Eigen::MatrixXd {
        Eigen::MatrixXd clean = denoise(at, x);
        if (keep) {
          out.states.push_back(x);
          out.clean.push_back(clean);
        }
        return clean;
      },
      out.start);
  if (!out.end.allFinite()) detail::fail(name, "a pilot run is not finite");
  return out;
}

namespace detail {

/// What was made minus where the pilots end. A run that left the finite numbers is refused by being
/// worse than any other.
inline Eigen::VectorXd end_residuals(const Eigen::MatrixXd& made, const pilot_runs& pilots) {
  if (!made.allFinite()) return Eigen::VectorXd::Constant(made.size(), 1e100);
  return (made - pilots.end).reshaped();
}

/// Those from number `first` on, `count` of them.
inline pilot_runs some_pilots(const pilot_runs& all, Eigen::Index first, Eigen::Index count) {
  pilot_runs out;
  out.start = all.start.middleCols(first, count);
  out.end = all.end.middleCols(first, count);
  out.nodes = all.nodes;
  for (const Eigen::MatrixXd& x : all.states) out.states.push_back(x.middleCols(first, count));
  for (const Eigen::MatrixXd& x : all.clean) out.clean.push_back(x.middleCols(first, count));
  return out;
}

}  // namespace detail

/// Root mean square, over all samples and dimensions, of what `plan` makes from the pilots' starts
/// minus where the pilots end.
template <batch_denoiser Denoiser>
double end_error(const program& plan, const Denoiser& denoise, const pilot_runs& pilots) {
  const Eigen::MatrixXd made = run_denoiser(plan, denoise, pilots.start);
  return (made - pilots.end).norm() / std::sqrt(static_cast<double>(made.size()));
}

}  // namespace tweedie
