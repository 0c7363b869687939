// What a noise schedule is: a function t -> (alpha, sigma) whose
// signal-to-noise ratio decreases from clean_time() to noisy_time(), strictly but for tables with beta = 0.
//
// Everything else (SNR, drift f = alpha'/alpha, squared diffusion g^2 = 2 sigma (sigma' - f sigma),
// grids, solvers, losses) is derived from that pair, once.
#pragma once

#include <cmath>
#include <concepts>

#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie {

/// t -> (alpha, sigma) on [clean_time, noisy_time] (or the reverse order of the two numbers).
template <class Schedule>
concept noise_schedule = requires(const Schedule& s, double t) {
  { s(t) } -> std::same_as<signal_noise>;
  { s.clean_time() } -> std::convertible_to<double>;
  { s.noisy_time() } -> std::convertible_to<double>;
};

/// A schedule with exact derivatives (alpha', sigma') in its own clock.
template <class Schedule>
concept differentiable_schedule = noise_schedule<Schedule> &&
    requires(const Schedule& s, double t) {
  { s.rate(t) } -> std::same_as<signal_noise_rate>;
};

/// A schedule that finds the time at which a half log-SNR is reached.
template <class Schedule>
concept invertible_schedule = noise_schedule<Schedule> && requires(const Schedule& s, double h) {
  { s.time_of(h) } -> std::convertible_to<double>;
};

/// Linear SDE dx = f x dt + g dW with the marginals of the schedule (Song et al. 2021, eq. 5;
/// Kingma et al. 2021, section 2): f = alpha'/alpha, g^2 = 2 sigma (sigma' - f sigma).
struct diffusion_coefficients {
  double drift = 0;              ///< f(t)
  double squared_diffusion = 0;  ///< g(t)^2
};

/// Coefficients of the forward SDE at t.
/// \throws std::invalid_argument where alpha = 0: the drift is unbounded there.
template <differentiable_schedule Schedule>
diffusion_coefficients forward_sde(const Schedule& schedule, double t) {
  const signal_noise s = schedule(t);
  const signal_noise_rate rate = schedule.rate(t);
  detail::require(s.alpha > 0, "forward_sde", "alpha", s.alpha, "valid: alpha > 0");
  const double drift = rate.alpha / s.alpha;
  return {drift, 2 * s.sigma * (rate.sigma - drift * s.sigma)};
}

/// A point of a walk through noise: its time in the schedule's clock and its (alpha, sigma).
struct node {
  double time = 0;
  signal_noise level;

  friend bool operator==(const node&, const node&) = default;
};

/// The node of `schedule` at time t.
template <noise_schedule Schedule>
node node_at(const Schedule& schedule, double t) {
  return {t, schedule(t)};
}

/// The node of `schedule` at a noise level sigma/alpha.
template <invertible_schedule Schedule>
node node_of_level(const Schedule& schedule, double level) {
  return node_at(schedule, schedule.time_of(-std::log(level)));
}

}  // namespace tweedie
