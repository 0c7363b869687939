// Exponential Runge-Kutta methods in the half log-SNR, for the x0 or the z prediction, on the ODE or
// on an SDE with the same marginals.
//
//   X_i = state(c_i) x + gain(c_i) sum_j a_ij P_j / sum_j a_ij + noise,   P_i = P(X_i) at lambda + c_i h
//   x'  = state(1)   x + gain(1)   sum_j b_j P_j  / sum_j b_j   + noise
//
// with the exact steps of sampler/exponential.hpp, z the exponent of the step (-h for x0, h for z), and
// a_ij(z), b_j(z) from a tableau (sampler/exponential_tableau.hpp).
//
// With stochasticity tau = 1 and the x0 prediction, dpm_solver_2 and dpm_solver_3 are SEEDS-2 and
// SEEDS-3 (Gonzalez et al. 2023): the noises of the stages of a step belong to one path.
//
// A step to sigma = 0 or from alpha = 0 is a first-order step: lambda is infinite there.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/sampler/exponential_tableau.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// How exponential_runge_kutta runs a tableau.
struct exponential_options {
  plane_row row = clean_row;                       ///< clean_row or noise_row
  double stochasticity = 0;                        ///< tau >= 0; 0 is the ODE and draws nothing
  const char* caller = "exponential_runge_kutta";  ///< whom errors name
};

/// Runs a tableau over a descending grid. `between(level)` makes the node of a noise level between
/// those of the grid (sampler/chart.hpp: nodes_of(schedule), noise_level_nodes).
/// \throws std::invalid_argument for other rows, stages outside (0, 1] and a negative stochasticity.
template <class NodeMaker>
program exponential_runge_kutta(const legs& steps, const exponential_tableau& method,
                                const NodeMaker& between, const exponential_options& options = {});

/// The same with a tableau for each step.
template <class NodeMaker>
program exponential_runge_kutta(const legs& steps, std::span<const exponential_tableau> methods,
                                const NodeMaker& between, const exponential_options& options = {});

namespace detail {

inline double seeds_stochasticity(const char* function, double eta) {
  require(eta >= 0 && std::isfinite(eta), function, "eta", eta, "valid: 0 <= eta < inf");
  return std::sqrt(eta);
}

}  // namespace detail

/// SEEDS-2 (Gonzalez et al. 2023, algorithm 2), eta in [0, inf), c in (0, 1].
template <class NodeMaker>
program seeds_2(const legs& steps, const NodeMaker& between, double eta = 1, double c = 0.5) {
  return exponential_runge_kutta(
      steps, dpm_solver_2(c), between,
      {.stochasticity = detail::seeds_stochasticity("seeds_2", eta), .caller = "seeds_2"});
}

/// SEEDS-3 (Gonzalez et al. 2023, algorithm 3), eta in [0, inf).
template <class NodeMaker>
program seeds_3(const legs& steps, const NodeMaker& between, double eta = 1) {
  return exponential_runge_kutta(
      steps, dpm_solver_3(), between,
      {.stochasticity = detail::seeds_stochasticity("seeds_3", eta), .caller = "seeds_3"});
}

namespace detail {

// Mean output of stage i at c: entries / (c phi_1(c z)), the first entry closing the sum to 1.
inline linear stage_mean(std::span<const linear> outputs, const exponential_tableau& method,
                         std::size_t i, double c, double z) {
  linear mean = outputs[0];
  for (std::size_t j = 1; j < i && j < outputs.size(); ++j)
    mean += method.entry(i, j, z) / (c * phi(1, c * z)) * (outputs[j] - outputs[0]);
  return mean;
}

// The noise of one step at some places in (0, 1], as one path through all of them.
class step_path {
 public:
  step_path() = default;
  step_path(recorder& r, const node& from, std::span<const node> stops,
            const exponential_options& options) {
    if (options.stochasticity == 0) return;
    node last = from;
    linear noise;
    for (const node& stop : stops) {
      const exponential_step s =
          step_between(last.level, stop.level, options.row, options.stochasticity);
      noise =
          s.state * noise + s.noise * r.draw({noise_level(last.level), noise_level(stop.level)});
      noises_.push_back(noise);
      last = stop;
    }
  }
  linear at(std::size_t stop) const { return noises_.empty() ? linear() : noises_[stop]; }

 private:
  std::vector<linear> noises_;
};

// The evaluations of one step, at its start and at the later stages of a tableau.
class exponential_stages {
 public:
  template <class NodeMaker>
  exponential_stages(recorder& r, const linear& x, const leg& l, const exponential_tableau& method,
                     const NodeMaker& between, const exponential_options& options)
      : from_(l.from), options_(options), start_(x) {
    const bool finite = l.to.level.sigma > 0 && l.from.level.alpha > 0;
    for (std::size_t i = 1; finite && i < method.c.size(); ++i) {  // in ascending order, each once
      std::size_t at = 0;
      while (at < places_.size() && places_[at] < method.c[i]) ++at;
      if (at == places_.size() || places_[at] != method.c[i])
        places_.insert(places_.begin() + static_cast<std::ptrdiff_t>(at), method.c[i]);
    }
    const double start = half_log_snr(from_.level);
    for (const double c : places_)
      stops_.push_back(
          c == 1 ? l.to : between(noise_level_of(std::lerp(start, half_log_snr(l.to.level), c))));
    outputs_.push_back(output(r, x, from_));
    path_ = step_path(r, from_, stops_, options_);
    exponent_ =
        step_between(from_.level, l.to.level, options_.row, options_.stochasticity).exponent;
    for (std::size_t i = 1; finite && i < method.c.size(); ++i)
      outputs_.push_back(output(r, state(method, i, method.c[i]), stops_[stop_of(method.c[i])]));
  }

  /// The state at the end by the weights of `method`, whose stages are the first of these; by the
  /// first output alone where the step is of first order.
  linear end(const exponential_tableau& method) const { return state(method, method.c.size(), 1); }

 private:
  linear output(recorder& r, const linear& x, const node& at) const {
    const estimate e = r.evaluate(x, at);
    return options_.row.x0 * e.clean + options_.row.z * e.noise;
  }
  std::size_t stop_of(double c) const {
    std::size_t stop = 0;
    while (places_[stop] != c) ++stop;
    return stop;
  }
  linear state(const exponential_tableau& method, std::size_t i, double c) const {
    const std::size_t stop = stop_of(c);
    const exponential_step s =
        step_between(from_.level, stops_[stop].level, options_.row, options_.stochasticity);
    return s.state * start_ + s.gain * stage_mean(outputs_, method, i, c, exponent_) +
           path_.at(stop);
  }

  node from_;
  exponential_options options_;
  linear start_;
  std::vector<double> places_{1};
  std::vector<node> stops_;
  std::vector<linear> outputs_;
  step_path path_;
  double exponent_ = 0;
};

}  // namespace detail

template <class NodeMaker>
program exponential_runge_kutta(const legs& steps, std::span<const exponential_tableau> methods,
                                const NodeMaker& between, const exponential_options& options) {
  const char* const name = options.caller;
  if (options.row != clean_row && options.row != noise_row)
    detail::fail(name, "row.x0", options.row.x0, "valid: data (1, 0) or noise (0, 1)");
  detail::require(methods.size() == steps.size(), name, "methods",
                  static_cast<double>(methods.size()), "valid: one for each step");
  for (const exponential_tableau& method : methods)
    for (std::size_t i = 1; i < method.c.size(); ++i) detail::require_stage(name, "c", method.c[i]);
  return walk(name, steps, [&](recorder& r, const linear& x, const leg& l, std::size_t i) {
    return detail::exponential_stages(r, x, l, methods[i], between, options).end(methods[i]);
  });
}

template <class NodeMaker>
program exponential_runge_kutta(const legs& steps, const exponential_tableau& method,
                                const NodeMaker& between, const exponential_options& options) {
  const std::vector<exponential_tableau> methods(steps.size(), method);
  return exponential_runge_kutta(steps, std::span(methods), between, options);
}

}  // namespace tweedie
