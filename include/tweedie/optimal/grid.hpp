// The grid with the least error for a planner and a model of your own.
//
// Three inputs, three ways to the same thing, from the cheapest to the most exact:
//   spectrum   the variances of the data along its principal axes. For Gaussian data the law of what a
//              planner makes is known exactly (program/law.hpp); the grid minimises
//              sum_k (sqrt(v_k) - s_k)^2, the squared Wasserstein distance between what is made and
//              the data, with no network and no sample. For DDIM and one variance s^2 this is the
//              tangent law level = s tan(theta), theta even (Sabour et al. 2024, theorem 3.1)
//   recorded   estimates of pilot runs at many nodes; the grid is the path of N legs with the least
//              sum of local errors, by dynamic programming (Watson et al. 2021), again without the
//              network
//   model      pilot runs and the network; the grid minimises the error at the end of the run
//
// For levels and weights together, which gains more, see optimal/program.hpp.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <utility>
#include <vector>

#include "tweedie/grid/published.hpp"
#include "tweedie/optimal/least_cost_path.hpp"
#include "tweedie/optimal/least_squares.hpp"
#include "tweedie/optimal/pilot.hpp"
#include "tweedie/program/generated.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie {

/// A sampler that is given its grid: grid -> program.
template <class Planner>
concept planner_of_grids = std::is_invocable_r_v<program, const Planner&, const grid&>;

/// Variances of data along its principal axes, largest first, from one sample a column: eigenvalues of
/// the covariance around the mean, the `samples - 1` of them that so many samples determine. Costs
/// O(n d min(n, d)).
/// \throws std::invalid_argument for fewer than two samples, or numbers that are not finite.
template <class Derived>
Eigen::VectorXd spectrum_of(const Eigen::MatrixBase<Derived>& samples) {
  using Eigen::MatrixXd;
  constexpr const char* name = "spectrum_of";
  const Eigen::Index count = samples.cols();
  detail::require(count >= 2, name, "samples", static_cast<double>(count), "valid: at least 2");
  if (!samples.allFinite()) detail::fail(name, "the samples must be finite");
  MatrixXd centred = samples.template cast<double>();
  centred.colwise() -= centred.rowwise().mean().eval();
  const bool tall = centred.rows() >= count;
  const MatrixXd gram =
      tall ? MatrixXd(centred.transpose() * centred) : MatrixXd(centred * centred.transpose());
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(gram, Eigen::EigenvaluesOnly);
  const Eigen::Index kept = (std::min)(centred.rows(), count - 1);
  return eigen.eigenvalues().tail(kept).reverse().cwiseMax(0) / static_cast<double>(count - 1);
}

namespace detail {

/// The grids from which searches start, N levels each by name. Tables are stretched in the logarithm
/// over the range.
inline std::vector<std::pair<const char*, std::vector<double>>> starting_levels(level_range range,
                                                                                int steps) {
  const double highest = range.highest;
  const double lowest = range.lowest;
  const auto stretched = [&](std::vector<double> table) {
    const double factor = std::log(highest / lowest) / std::log(table.front() / table.back());
    const double last = table.back();
    for (double& level : table) level = lowest * std::pow(level / last, factor);
    table.pop_back();
    return table;
  };
  return {
      {"karras", karras_levels(steps, highest, lowest)},
      {"exponential", exponential_levels(steps, highest, lowest)},
      {"kl_optimal", tangent_levels(steps, highest, lowest)},
      {"align_your_steps", stretched(log_linear_levels(align_your_steps_sd15_levels, steps + 1))},
      {"gits", stretched(gits_levels(steps))}};
}

/// Levels, in the logarithm, brought within the range and 1 % apart.
inline Eigen::VectorXd separated(Eigen::VectorXd p, Eigen::Index levels, level_range range) {
  constexpr double apart = 0.01;
  for (Eigen::Index i = 0; i < levels; ++i) {
    const double lowest = std::log(range.lowest) + apart * static_cast<double>(levels - 1 - i);
    const double highest = std::log(range.highest) - apart * static_cast<double>(i + 1);
    p[i] = std::clamp(p[i], lowest, (std::max)(lowest, highest));
    if (i > 0) p[i] = (std::min)(p[i], p[i - 1] - apart);
  }
  return p;
}

/// The grid that minimises the mean square of `residuals(program)` among those that `planner` takes.
template <invertible_schedule Schedule, planner_of_grids Planner, class Residuals>
grid least_error_grid(const char* function, const Schedule& schedule, int steps,
                      const Planner& planner, const Residuals& residuals,
                      const search_options& options) {
  using Eigen::VectorXd;
  require(steps >= 2, function, "steps", steps, "valid: at least 2");
  const level_range range = searched_levels(schedule);
  const auto grid_of = [&](const VectorXd& p) {
    std::vector<double> levels{range.highest};
    for (const double level : p) levels.push_back(std::exp(level));
    return from_noise(schedule, levels);
  };
  const auto measure = [&](const VectorXd& p) -> VectorXd {
    return residuals(planner(grid_of(p)));
  };
  const auto admissible = [&](VectorXd p) {
    const Eigen::Index levels = p.size();
    return separated(std::move(p), levels, range);
  };
  const auto jacobian = [&](const VectorXd& p, const VectorXd& r) {
    Eigen::MatrixXd out(r.size(), p.size());
    for (Eigen::Index k = 0; k < p.size(); ++k) {
      VectorXd moved = p;
      moved[k] += options.probe;
      out.col(k) = (measure(moved) - r) / options.probe;
    }
    return out;
  };
  search_result best;
  best.mean_square = std::numeric_limits<double>::infinity();
  for (const auto& [name, levels] : starting_levels(range, steps)) {
    const VectorXd start = Eigen::Map<const VectorXd>(levels.data() + 1, steps - 1).array().log();
    search_result found = least_squares(admissible(start), measure, jacobian, admissible, options);
    if (found.mean_square < best.mean_square) best = std::move(found);
  }
  if (best.parameters.size() == 0) fail(function, "no grid has a finite error");
  return grid_of(best.parameters);
}

}  // namespace detail

/// The grid of `steps` steps on which `planner` makes, from exact marginals at the noisy end, the law
/// nearest to Gaussian data with these variances (`spectrum_of`). Planners that draw are taken too.
/// \throws std::invalid_argument for no variances, or one that is negative or not finite.
template <invertible_schedule Schedule, planner_of_grids Planner>
grid optimal_grid(const Schedule& schedule, int steps, const Planner& planner,
                  const Eigen::VectorXd& variances,
                  const search_options& options = {.iterations = 40, .ridge = 0}) {
  constexpr const char* name = "optimal_grid";
  detail::require(variances.size() > 0, name, "variances", 0, "valid: at least one");
  for (const double v : variances)
    detail::require(v >= 0 && std::isfinite(v), name, "variance", v, "valid: 0 <= variance < inf");
  std::vector<scalar_law> data;
  for (const double v : variances) data.push_back({0, v});
  const auto residuals = [&](const program& plan) -> Eigen::VectorXd {
    const std::vector<scalar_law> made = generated(plan, data);
    Eigen::VectorXd out(variances.size());
    for (Eigen::Index k = 0; k < out.size(); ++k)
      out[k] = std::sqrt((std::max)(0.0, made[static_cast<std::size_t>(k)].variance)) -
               std::sqrt(variances[k]);
    return out;
  };
  return detail::least_error_grid(name, schedule, steps, planner, residuals, options);
}

/// The grid of `steps` steps on which a deterministic `planner` ends nearest to where the pilots end.
template <invertible_schedule Schedule, planner_of_grids Planner, batch_denoiser Denoiser>
grid optimal_grid(const Schedule& schedule, int steps, const Planner& planner,
                  const Denoiser& denoise, const pilot_runs& pilots,
                  const search_options& options = {}) {
  const auto residuals = [&](const program& plan) -> Eigen::VectorXd {
    return detail::end_residuals(run_denoiser(plan, denoise, pilots.start), pilots);
  };
  return detail::least_error_grid("optimal_grid", schedule, steps, planner, residuals, options);
}

/// How legs are judged from records.
enum class recorded_planner {
  ddim,      ///< each leg by its first estimate; the path is found in O(K T^2)
  multistep  ///< data-prediction Adams of order 2 (DPM-Solver++(2M), exact weights), O(K T^3)
};

/// The nodes of `pilots` (recorded with keep = true), `steps` + 1 of them from the first to the last,
/// over which the sum of local errors of a planner is least. The local error of a leg is what the
/// planner makes from the recorded state and estimates minus the recorded state, root mean square
/// over the pilots, in units of the deviation that x has at the end of the leg: the flow of Gaussian
/// data carries errors in these units on unchanged.
/// \param data_deviation of a coordinate of the data; 0 takes the rms of the pilots' ends
/// \throws std::invalid_argument for pilots without records, or more steps than were recorded.
inline grid optimal_grid(const pilot_runs& pilots, int steps,
                         recorded_planner planner = recorded_planner::ddim,
                         double data_deviation = 0);

namespace detail {

/// Inner products of everything recorded: states 0 ... T (the last is the end), then estimates.
inline Eigen::MatrixXd recorded_products(const pilot_runs& pilots) {
  const auto nodes = static_cast<Eigen::Index>(pilots.states.size());
  const Eigen::Index size = pilots.end.size();
  Eigen::MatrixXd all(size, 2 * nodes + 1);
  for (Eigen::Index i = 0; i < nodes; ++i) {
    all.col(i) = pilots.states[static_cast<std::size_t>(i)].reshaped();
    all.col(nodes + 1 + i) = pilots.clean[static_cast<std::size_t>(i)].reshaped();
  }
  all.col(nodes) = pilots.end.reshaped();
  return all.transpose() * all / static_cast<double>(size);
}

}  // namespace detail

inline grid optimal_grid(const pilot_runs& pilots, int steps, recorded_planner planner,
                         double data_deviation) {
  constexpr const char* name = "optimal_grid";
  const std::size_t last = pilots.states.size();  // index of the clean node
  detail::require(last >= 1 && pilots.clean.size() == last && pilots.nodes.size() == last + 1, name,
                  "recorded nodes", static_cast<double>(last),
                  "valid: pilots recorded with keep = true");
  detail::require(steps >= 1 && static_cast<std::size_t>(steps) <= last, name, "steps", steps,
                  "valid: 1 <= steps <= recorded nodes");
  if (data_deviation == 0)
    data_deviation = pilots.end.norm() / std::sqrt(static_cast<double>(pilots.end.size()));
  detail::require(data_deviation > 0 && std::isfinite(data_deviation), name, "data_deviation",
                  data_deviation, "valid: 0 < data_deviation < inf");
  const Eigen::MatrixXd products = detail::recorded_products(pilots);
  const auto state = [](std::size_t i) { return static_cast<Eigen::Index>(i); };
  const auto clean = [&](std::size_t i) { return static_cast<Eigen::Index>(last + 1 + i); };

  // Local error of the leg from node i to node j; `before` is the node before i, or i if there is none.
  const auto error = [&](std::size_t before, std::size_t i, std::size_t j) {
    const signal_noise from = pilots.nodes[i].level;
    const signal_noise to = pilots.nodes[j].level;
    const ddim_weights whole = ddim_step(from, to);
    double older = 0;
    const signal_noise old = pilots.nodes[before].level;
    if (before != i && to.sigma > 0 && old.alpha > 0) {
      // Mean of (lambda - lambda_i) over the leg, weighted by e^(lambda - lambda_j), over lambda_i -
      // lambda_before.
      const double h = std::log(noise_level(from) / noise_level(to));
      const double mean = h / -std::expm1(-h) - 1;
      older = -whole.clean * mean / std::log(noise_level(old) / noise_level(from));
    }
    const Eigen::Index at[] = {state(j), state(i), clean(i), clean(before)};
    const double weight[] = {-1, whole.state, whole.clean - older, older};
    double square = 0;
    for (int a = 0; a < 4; ++a)
      for (int b = 0; b < 4; ++b) square += weight[a] * weight[b] * products(at[a], at[b]);
    return std::sqrt((std::max)(square, 0.0)) / std::hypot(to.alpha * data_deviation, to.sigma);
  };

  grid out;
  for (const std::size_t i : least_cost_path(last + 1, static_cast<std::size_t>(steps),
                                             planner == recorded_planner::multistep, error))
    out.push_back(pilots.nodes[i]);
  return out;
}

}  // namespace tweedie
