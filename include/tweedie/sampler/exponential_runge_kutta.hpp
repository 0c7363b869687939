// Exponential Runge-Kutta methods in the half log-SNR, for the x0 or the z prediction, on the ODE or
// on an SDE with the same marginals.
//
//   X_i = state(c_i) x + gain(c_i) sum_j a_ij P_j / sum_j a_ij + noise,   P_i = P(X_i) at lambda + c_i h
//   x'  = state(1)   x + gain(1)   sum_j b_j P_j  / sum_j b_j   + noise
//
// with the exact steps of sampler/exponential.hpp. The a_ij, b_j are combinations of phi_k(c z), z the
// exponent of the step (-h for x0, h for z), that sum to c_i phi_1(c_i z) and phi_1(z) (Hochbruck and
// Ostermann 2010, eq. 2.35); the entries of the first column follow from that and are not stored.
//
//   method               evaluations   order   source
//   etd2(c)              2             2       RES 2s (Zhang et al. 2023), DPM-Solver-2 "taylor"
//   dpm_solver_2(c)      2             2       Lu et al. 2022a, algorithm 1
//   etd3(c_2, c_3)       3             3       Hochbruck and Ostermann 2005, eq. 5.8; RES 3s
//   dpm_solver_3(..)     3             3       Lu et al. 2022a, algorithm 2
//   cox_matthews         4             4       Cox and Matthews 2002, eq. 26-29 (ETD4RK)
//   krogstad             4             4       Krogstad 2005, eq. 51 (ETDRK4-B)
//   hochbruck_ostermann  5             4       Hochbruck and Ostermann 2005, eq. 5.19; stiff order 4
//
// With stochasticity tau = 1 and the x0 prediction, dpm_solver_2 and dpm_solver_3 are SEEDS-2 and
// SEEDS-3 (Gonzalez et al. 2023): the noises of the stages of a step belong to one path.
//
// A step to sigma = 0 or from alpha = 0 is a first-order step: lambda is infinite there.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/sampler/exponential.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// weight * phi_k(c z), a part of a_ij, or of b_j where i is the number of stages; counted from 0.
struct phi_term {
  std::size_t i = 0;
  std::size_t j = 0;
  double weight = 0;
  int k = 1;
  double c = 1;
};

/// An explicit exponential method. Invariant: c[0] = 0, 0 < c[i] <= 1; 1 <= j < i in every term.
struct exponential_tableau {
  std::vector<double> c;
  std::vector<phi_term> terms;

  /// a_ij(z), or b_j(z) for i = stages; j >= 1.
  double entry(std::size_t i, std::size_t j, double z) const {
    double sum = 0;
    for (const phi_term& t : terms)
      if (t.i == i && t.j == j) sum += t.weight * phi(t.k, t.c * z);
    return sum;
  }
};

namespace detail {

inline void require_stage(const char* function, const char* argument, double c) {
  require(c > 0 && c <= 1, function, argument, c, "valid: a place in the step, 0 < c <= 1");
}

}  // namespace detail

/// Two evaluations, the second at c in (0, 1]: the line through both, integrated exactly.
inline exponential_tableau etd2(double c = 0.5) {
  detail::require_stage("etd2", "c", c);
  return {{0, c}, {{2, 1, 1 / c, 2, 1}}};
}

/// Two evaluations, the second at c in (0, 1]: the slope with half the weight of the constant.
inline exponential_tableau dpm_solver_2(double c = 0.5) {
  detail::require_stage("dpm_solver_2", "c", c);
  return {{0, c}, {{2, 1, 0.5 / c, 1, 1}}};
}

/// Three evaluations at 0, c_2, c_3 with stiff order 3. c_2 != 2/3, and c_2 != c_3.
inline exponential_tableau etd3(double c_2 = 0.5, double c_3 = 1) {
  detail::require_stage("etd3", "c_2", c_2);
  detail::require_stage("etd3", "c_3", c_3);
  const double gamma = (3 * c_3 - 2) * c_3 / ((2 - 3 * c_2) * c_2);
  detail::require(std::isfinite(gamma) && gamma * c_2 + c_3 != 0, "etd3", "c_2", c_2,
                  "valid: 0 < c_2, c_3 <= 1, c_2 != 2/3, c_2 != c_3");
  const double scale = 1 / (gamma * c_2 + c_3);
  return {{0, c_2, c_3},
          {{2, 1, gamma * c_2, 2, c_2},
           {2, 1, c_3 * c_3 / c_2, 2, c_3},
           {3, 1, gamma * scale, 2, 1},
           {3, 2, scale, 2, 1}}};
}

/// Three evaluations at 0, c_2, c_3, both in (0, 1]; the last step uses the line through the first
/// and the third.
inline exponential_tableau dpm_solver_3(double c_2 = 1.0 / 3, double c_3 = 2.0 / 3) {
  detail::require_stage("dpm_solver_3", "c_2", c_2);
  detail::require_stage("dpm_solver_3", "c_3", c_3);
  return {{0, c_2, c_3}, {{2, 1, c_3 * c_3 / c_2, 2, c_3}, {3, 2, 1 / c_3, 2, 1}}};
}

namespace detail {

// The stages of Cox and Matthews with other a_ij: their b_j are shared.
inline exponential_tableau with_cox_matthews_weights(std::vector<phi_term> terms) {
  for (const phi_term& b :
       {phi_term{4, 1, 2, 2, 1}, phi_term{4, 1, -4, 3, 1}, phi_term{4, 2, 2, 2, 1},
        phi_term{4, 2, -4, 3, 1}, phi_term{4, 3, -1, 2, 1}, phi_term{4, 3, 4, 3, 1}})
    terms.push_back(b);
  return {{0, 0.5, 0.5, 1}, std::move(terms)};
}

}  // namespace detail

inline exponential_tableau cox_matthews() {
  return detail::with_cox_matthews_weights({{2, 1, 0.5, 1, 0.5}, {3, 2, 1, 1, 0.5}});
}

inline exponential_tableau krogstad() {
  return detail::with_cox_matthews_weights({{2, 1, 1, 2, 0.5}, {3, 2, 2, 2, 1}});
}

inline exponential_tableau hochbruck_ostermann() {
  return {{0, 0.5, 0.5, 1, 0.5},
          {{2, 1, 1, 2, 0.5},
           {3, 1, 1, 2, 1},
           {3, 2, 1, 2, 1},
           {4, 1, 0.5, 2, 0.5},
           {4, 1, -1, 3, 1},
           {4, 1, 0.25, 2, 1},
           {4, 1, -0.5, 3, 0.5},
           {4, 2, 0.5, 2, 0.5},
           {4, 2, -1, 3, 1},
           {4, 2, 0.25, 2, 1},
           {4, 2, -0.5, 3, 0.5},
           {4, 3, -0.25, 2, 0.5},
           {4, 3, 1, 3, 1},
           {4, 3, -0.25, 2, 1},
           {4, 3, 0.5, 3, 0.5},
           {5, 3, -1, 2, 1},
           {5, 3, 4, 3, 1},
           {5, 4, 4, 2, 1},
           {5, 4, -8, 3, 1}}};
}

/// How exponential_runge_kutta runs a tableau.
struct exponential_options {
  plane_row row = clean_row;                       ///< clean_row or noise_row
  double stochasticity = 0;                        ///< tau >= 0; 0 is the ODE and draws nothing
  const char* caller = "exponential_runge_kutta";  ///< whom errors name
};

/// Runs the tableau over a descending grid. `between(level)` makes the node of a noise level between
/// those of the grid (sampler/chart.hpp: nodes_of(schedule), noise_level_nodes).
template <class NodeMaker>
program exponential_runge_kutta(const legs& steps, const exponential_tableau& method,
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

template <class NodeMaker>
linear exponential_runge_kutta_step(recorder& r, const linear& x, const leg& l,
                                    const exponential_tableau& method, const NodeMaker& between,
                                    const exponential_options& options) {
  const node& from = l.from;
  const node& to = l.to;
  const auto output = [&](const linear& state, const node& at) {
    const estimate e = r.evaluate(state, at);
    return options.row.x0 * e.clean + options.row.z * e.noise;
  };
  const bool finite = to.level.sigma > 0 && from.level.alpha > 0;
  std::vector<double> places{1};  // in ascending order, each once
  for (std::size_t i = 1; finite && i < method.c.size(); ++i) {
    std::size_t at = 0;
    while (at < places.size() && places[at] < method.c[i]) ++at;
    if (at == places.size() || places[at] != method.c[i])
      places.insert(places.begin() + static_cast<std::ptrdiff_t>(at), method.c[i]);
  }
  std::vector<node> stops;
  const double start = half_log_snr(from.level);
  for (const double c : places)
    stops.push_back(c == 1 ? to : between(std::exp(-std::lerp(start, half_log_snr(to.level), c))));
  const auto stop_of = [&](double c) {
    std::size_t stop = 0;
    while (places[stop] != c) ++stop;
    return stop;
  };

  std::vector<linear> outputs{output(x, from)};
  const step_path path(r, from, stops, options);
  const double z = step_between(from.level, to.level, options.row, options.stochasticity).exponent;
  const auto state_at = [&](std::size_t i, double c) {
    const std::size_t stop = stop_of(c);
    const exponential_step s =
        step_between(from.level, stops[stop].level, options.row, options.stochasticity);
    return s.state * x + s.gain * stage_mean(outputs, method, i, c, z) + path.at(stop);
  };
  if (!finite) return state_at(1, 1);  // one output: first order
  for (std::size_t i = 1; i < method.c.size(); ++i)
    outputs.push_back(output(state_at(i, method.c[i]), stops[stop_of(method.c[i])]));
  return state_at(method.c.size(), 1);
}

}  // namespace detail

template <class NodeMaker>
program exponential_runge_kutta(const legs& steps, const exponential_tableau& method,
                                const NodeMaker& between, const exponential_options& options) {
  if (options.row != clean_row && options.row != noise_row)
    detail::fail(options.caller, "row.x0", options.row.x0, "valid: data (1, 0) or noise (0, 1)");
  for (std::size_t i = 1; i < method.c.size(); ++i)
    detail::require_stage(options.caller, "c", method.c[i]);
  if (options.row == noise_row) check_signal(options.caller, steps);
  return walk(options.caller, steps, [&](recorder& r, linear x, const leg& l) {
    return detail::exponential_runge_kutta_step(r, x, l, method, between, options);
  });
}

}  // namespace tweedie
