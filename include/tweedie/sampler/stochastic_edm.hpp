// Stochastic sampling of Karras et al. 2022, algorithm 2: before each step the noise level is
// raised ("churn"), then an ODE step leads from the raised level to the next one.
//
//   gamma = min(S_churn / N, sqrt(2) - 1) if S_tmin <= u <= S_tmax, else 0;   v = (1 + gamma) u
//   y_v = y + S_noise sqrt(v^2 - u^2) z,   then Euler, Heun, ... from (y_v, v) to the next level
//
// with y = x/alpha, u = sigma/alpha. The network is asked at (y_v, v). diffusers asks it at (y, u)
// and adds the noise to the state afterwards, so that the estimate does not see the noise it should
// remove; that form is `late_churn_euler`.
#pragma once

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/runge_kutta.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// Which steps draw noise.
enum class churn_draws {
  where_used,  ///< only steps that raise the level
  every_step   ///< all of them, as k-diffusion and EDM number their draws
};

/// Parameters of algorithm 2: S_churn >= 0, S_tmin <= S_tmax, 0 <= S_noise < inf; samplers refuse
/// others.
struct churn {
  double amount = 0;
  double lowest = 0;
  double highest = std::numeric_limits<double>::infinity();
  double noise_scale = 1;
  churn_draws draws = churn_draws::where_used;

  /// gamma of a step at noise level u, one of `steps`.
  double raise(double u, std::size_t steps) const {
    if (!(u >= lowest && u <= highest)) return 0;
    return std::fmin(amount / static_cast<double>(steps), std::numbers::sqrt2 - 1);
  }
  /// The level such a step starts from.
  double raised(double u, std::size_t steps) const { return (1 + raise(u, steps)) * u; }
};

namespace detail {

// Standard deviation of the noise between level u and the higher level v.
inline double raising_noise(double u, double v) { return std::sqrt((v - u) * (v + u)); }

inline void check_churn(const char* function, const churn& noise) {
  require(noise.amount >= 0, function, "churn.amount", noise.amount, "valid: amount >= 0");
  require(noise.lowest <= noise.highest, function, "churn.lowest", noise.lowest,
          "valid: lowest <= highest");
  require_noise_scale(function, noise.noise_scale);
}

// Raises the level, then the state `step(recorder, x, from, to)` leaves from the raised node.
template <class NodeMaker, class Step>
program churned(const char* name, const legs& steps, const NodeMaker& between, const churn& noise,
                const Step& step) {
  check_signal(name, steps);
  check_churn(name, noise);
  return walk(name, steps, [&](recorder& r, linear x, const leg& l) {
    node from = l.from;
    const double u = chart_coordinate(noise_row, from.level);
    const double v = noise.raised(u, steps.size());
    linear z;
    if (v > u || noise.draws == churn_draws::every_step) z = r.draw();
    if (v > u) {
      from = between(v);
      x = from.level.alpha * (x / l.from.level.alpha + noise.noise_scale * raising_noise(u, v) * z);
    }
    return step(r, x, from, l.to);
  });
}

}  // namespace detail

/// Algorithm 2 with any explicit method; the paper's is Heun's. `between(level)` makes the node of a
/// level that is not in the grid: up to sqrt(2) times the first level, unless churn.highest is lower.
template <class NodeMaker>
program stochastic_edm(const legs& steps, const NodeMaker& between, const churn& noise,
                       const butcher_tableau& method = heun_tableau) {
  return detail::churned("stochastic_edm", steps, between, noise,
                         [&](recorder& r, linear x, const node& from, const node& to) {
                           return runge_kutta_step(r, x, from, to, method, between);
                         });
}

/// Euler steps with noise added after the evaluation. `estimate_from(u, v)` gives the weights of
/// the x0 estimate, D = weights.x y_v + weights.y (raw output), for an evaluation at level u
/// followed by a raise to v. Levels may repeat: diffusers ends so where the last level is
/// sigma_min.
template <class Conversion>
program late_churn_euler(const legs& steps, const churn& noise, const Conversion& estimate_from) {
  detail::check_churn("late_churn_euler", noise);
  return walk_anywhere("late_churn_euler", steps, [&](recorder& r, linear x, const leg& l) {
    const signal_noise to = l.to.level;
    const double u = chart_coordinate(noise_row, l.from.level);
    const double v = noise.raised(u, steps.size());
    const estimate e = r.evaluate(x, l.from);
    linear y = x / l.from.level.alpha;
    if (v > u) y += noise.noise_scale * detail::raising_noise(u, v) * r.draw();
    const state_output weights = estimate_from(u, v);
    const linear clean = weights.x * y + weights.y * e.output;
    return to.alpha * (y + (noise_level(to) - v) / v * (y - clean));
  });
}

// Runge-Kutta on the probability-flow ODE in a schedule's own time and gauge (Karras et al. 2022,
// eq. 4 and algorithm 1; Song et al. 2021, eq. 13 with the same solvers):
//
//   dx/dt = alpha'(t) D(x, t) + sigma'(t) (x - alpha D)/sigma
//
// The ODE is the same as in a chart (sampler/runge_kutta.hpp), the trajectories of a solver are
// not: this form has the linear part that the charts remove, and shows what a choice of clock and
// scaling costs. A step onto clean data is an Euler step.

/// Steps between times of nodes of `schedule`, with churn before each step
/// if `noise` asks for it. Trailing stages with zero weight are skipped, as in `runge_kutta`.
template <class Schedule>
requires differentiable_schedule<Schedule> && invertible_schedule<Schedule> program
runge_kutta_in_time(const Schedule& schedule, const legs& steps,
                    const butcher_tableau& method = heun_tableau, const churn& noise = {}) {
  const auto step = [&](recorder& r, linear x, const node& from, const node& to) {
    const bool clean = to.level.sigma == 0;
    const double h = to.time - from.time;
    const auto rate_of = [&](std::size_t i, linear& stage) {
      const double c = method.c[i];
      const node at = c == 0 ? from : c == 1 ? to : node_at(schedule, from.time + c * h);
      const estimate e = r.evaluate(stage, at);
      if (i == 0) x = stage;
      const signal_noise_rate rate = schedule.rate(at.time);
      const auto [alpha, sigma] = at.level;
      return rate.alpha * e.clean + rate.sigma / sigma * (stage - alpha * e.clean);
    };
    const butcher_tableau& used = clean ? euler_tableau : method;
    const std::vector<linear> k = runge_kutta_slopes(used, used.weighted_stages(), x, h, rate_of);
    return runge_kutta_end(x, h, used.b, k);
  };
  return detail::churned("runge_kutta_in_time", steps, nodes_of(schedule), noise, step);
}

}  // namespace tweedie
