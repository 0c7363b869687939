// Runge-Kutta on the probability-flow ODE in a schedule's own time and gauge (Karras et al. 2022,
// eq. 4 and algorithm 1; Song et al. 2021, eq. 13 with the same solvers):
//
//   dx/dt = alpha'(t) D(x, t) + sigma'(t) (x - alpha D)/sigma
//
// The ODE is the same as in a chart (sampler/runge_kutta.hpp), the trajectories of a solver are
// not: this form has the linear part that the charts remove, and shows what a choice of clock and
// scaling costs. A step onto clean data is an Euler step.
#pragma once

#include <vector>

#include "tweedie/sampler/stochastic_edm.hpp"

namespace tweedie {

/// Steps between the times of `nodes`, which are nodes of `schedule`, with churn before each step
/// if `noise` asks for it. Trailing stages with zero weight are skipped, as in `runge_kutta`.
template <class Schedule>
requires differentiable_schedule<Schedule> && invertible_schedule<Schedule> program
runge_kutta_in_time(const Schedule& schedule, const legs& steps,
                    const butcher_tableau& method = heun_tableau, const churn& noise = {}) {
  const auto between = [&](double level) {
    return node_at(schedule, schedule.time_of(-std::log(level)));
  };
  const auto step = [&](recorder& r, linear x, const node& from, const node& to) {
    const double h = to.time - from.time;
    const std::size_t stages = to.level.sigma == 0 ? 1 : method.weighted_stages();
    std::vector<linear> k;
    for (std::size_t i = 0; i < stages; ++i) {
      const double c = method.c[i];
      const node at = c == 0 ? from : c == 1 ? to : node_at(schedule, from.time + c * h);
      linear stage = x;
      for (std::size_t j = 0; j < i; ++j) stage += h * method.a[i][j] * k[j];
      const estimate e = r.evaluate(stage, at);
      if (i == 0) x = stage;
      const signal_noise_rate rate = schedule.rate(at.time);
      const auto [alpha, sigma] = at.level;
      k.push_back(rate.alpha * e.clean + rate.sigma / sigma * (stage - alpha * e.clean));
    }
    for (std::size_t i = 0; i < stages; ++i)
      x += h * (to.level.sigma == 0 ? 1 : method.b[i]) * k[i];
    return x;
  };
  return detail::churned("runge_kutta_in_time", steps, between, noise, step);
}

}  // namespace tweedie
