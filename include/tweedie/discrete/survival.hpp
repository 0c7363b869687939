// How likely a token survives until time t: the noise schedules of discrete diffusion.
//
//   alpha(t) = P(not yet corrupted) = exp(-sigma(t)),   rate(t) = sigma'(t) = -alpha'(t) / alpha(t)
//
// with the total noise sigma(t) of Lou et al. 2024 (SEDD) and Sahoo et al. 2024 (MDLM). Times run
// from data, t = 0, to noise, t = 1. Any schedule with exact derivatives is one by its alpha:
// `survival_of`.
#pragma once

#include <cmath>
#include <concepts>
#include <numbers>

#include "tweedie/schedule/error.hpp"
#include "tweedie/schedule/schedule.hpp"

namespace tweedie::discrete {

/// total(t) = sigma(t), the noise until t, and rate(t) = sigma'(t).
template <class Schedule>
concept survival_schedule = requires(const Schedule& s, double t) {
  { s.total(t) } -> std::convertible_to<double>;
  { s.rate(t) } -> std::convertible_to<double>;
};

/// alpha = exp(-total).
template <survival_schedule Schedule>
double survival(const Schedule& schedule, double t) {
  return std::exp(-schedule.total(t));
}

/// -alpha'(t): finite where alpha = 0 and the rate is not, for schedules that have a `slope`.
template <survival_schedule Schedule>
double survival_slope(const Schedule& schedule, double t) {
  if constexpr (requires { schedule.slope(t); })
    return schedule.slope(t);
  else
    return schedule.rate(t) * survival(schedule, t);
}

/// The time at which the total noise is `total`, by bisection.
template <survival_schedule Schedule>
double time_of(const Schedule& schedule, double total) {
  double low = 0, high = 1;
  for (int k = 0; k < 64; ++k) {
    const double middle = (low + high) / 2;
    (schedule.total(middle) < total ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// alpha = 1 - (1 - eps) t (MDLM's and SEDD's log-linear noise; LLaDA with eps = 0).
struct log_linear {
  double eps = 1e-3;
  double total(double t) const { return -std::log1p(-(1 - eps) * t); }
  double rate(double t) const { return (1 - eps) / (1 - (1 - eps) * t); }
  double slope(double) const { return 1 - eps; }
};

/// sigma = min^(1 - t) max^t.
struct geometric {
  double min = 1e-3, max = 1;
  double total(double t) const { return std::pow(min, 1 - t) * std::pow(max, t); }
  double rate(double t) const { return total(t) * std::log(max / min); }
};

/// sigma = min + t (max - min).
struct linear_noise {
  double min = 0, max = 10;
  double total(double t) const { return min + t * (max - min); }
  double rate(double) const { return max - min; }
};

/// alpha = eps + (1 - eps) cos(pi t / 2).
struct cosine_survival {
  double eps = 1e-3;
  double total(double t) const {
    return -std::log(eps + (1 - eps) * std::cos(t * std::numbers::pi / 2));
  }
  double rate(double t) const {
    const double angle = t * std::numbers::pi / 2;
    return slope(t) / ((1 - eps) * std::cos(angle) + eps);
  }
  double slope(double t) const {
    return std::numbers::pi / 2 * (1 - eps) * std::sin(t * std::numbers::pi / 2);
  }
};

/// alpha = eps + (1 - eps) cos^2(pi t / 2).
struct cosine_squared_survival {
  double eps = 1e-3;
  double total(double t) const {
    const double c = std::cos(t * std::numbers::pi / 2);
    return -std::log(eps + (1 - eps) * c * c);
  }
  double rate(double t) const {
    const double c = std::cos(t * std::numbers::pi / 2);
    return slope(t) / ((1 - eps) * c * c + eps);
  }
  double slope(double t) const {
    return std::numbers::pi / 2 * (1 - eps) * std::sin(t * std::numbers::pi);
  }
};

/// A schedule of the other processes, its alpha taken as the survival probability.
template <differentiable_schedule Schedule>
struct survival_of {
  Schedule schedule;
  double total(double t) const { return -std::log(schedule(t).alpha); }
  double rate(double t) const { return slope(t) / schedule(t).alpha; }
  double slope(double t) const { return -schedule.rate(t).alpha; }
};

/// Weight of the masked bound at t: -alpha' / (1 - alpha) = rate / expm1(total) (Sahoo et al. 2024,
/// eq. 10). 1 / t for the log-linear schedule with eps = 0.
/// \throws std::invalid_argument where nothing is corrupted yet.
template <survival_schedule Schedule>
double unmasking_weight(const Schedule& schedule, double t) {
  const double total = schedule.total(t);
  detail::require(total > 0, "unmasking_weight", "t", t, "valid: where alpha < 1");
  return survival_slope(schedule, t) / -std::expm1(-total);
}

/// The time whose corruption probability lies, in its logarithm, a share t of the way from that of
/// total noise `least` to that of `most`: times so chosen make the masked bound's weight constant.
inline double equal_weight_noise(double least, double most, double t) {
  const auto log_corrupted = [](double total) { return std::log1p(-std::exp(-total)); };
  return -std::log1p(-std::exp(t * log_corrupted(most) + (1 - t) * log_corrupted(least)));
}

}  // namespace tweedie::discrete
