// Consistency objectives: a network f that gives the same answer at every point of a trajectory.
//
//   loss = w(t) d(f(x_t, t), stop-gradient f(x_s, s)),   s < t neighbours   (Song et al. 2023, eq. 7)
//
// What it learns is the end of the trajectory, not the mean of x0 given x_t (sampler/consistency.hpp).
// The loss itself is `regression` with the target f(x_s); this header makes the pairs of levels, the
// curricula and the continuous-time tangent.
//   distillation (CD)  x_s from x_t by a step of the teacher's ODE         `first_order_step`
//   training (CT)      x_s = alpha_s x0 + sigma_s z with the x0 and z of x_t
// With the x0 estimate of the teacher replaced by x0 itself, a first-order step is exactly CT.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tweedie/distribution/normal_distribution.hpp"
#include "tweedie/schedule/signal_noise.hpp"
#include "tweedie/tensor/numeric.hpp"
#include "tweedie/tensor/per_item.hpp"

namespace tweedie {

/// x_s = x * (x_t) + clean * (x0 estimate): the first-order ODE step, finite at both ends.
struct solver_step {
  double x = 0;
  double clean = 0;
};
inline solver_step first_order_step(signal_noise from, signal_noise to) {
  detail::require(from.sigma > 0, "first_order_step", "sigma", from.sigma, "valid: sigma > 0");
  const double kept = to.sigma / from.sigma;
  return {kept, to.alpha - from.alpha * kept};
}

/// Number of noise levels N(k) of step k of K (Song et al. 2023, appendix C):
/// ceil(sqrt(k/K ((s1 + 1)^2 - s0^2) + s0^2) - 1) + 1.
inline int consistency_levels(double step, double total_steps, int first, int last) {
  detail::require(total_steps > 0 && std::isfinite(total_steps), "consistency_levels",
                  "total_steps", total_steps, "valid: 0 < total_steps < inf");
  detail::require(step >= 0 && step <= total_steps, "consistency_levels", "step", step,
                  "valid: 0 <= step <= total_steps");
  detail::require(first >= 1 && first <= last, "consistency_levels", "first", first,
                  "valid: 1 <= first <= last");
  const double low = static_cast<double>(first) * first;
  const double high = (last + 1.0) * (last + 1.0);
  return (std::max)(1, static_cast<int>(
                           std::ceil(std::sqrt(step / total_steps * (high - low) + low) - 1))) +
         1;
}

/// Decay exp(s0 log mu0 / N) of the target network when N levels are in use. The authors' code puts
/// N - 1 in place of the paper's N.
inline double consistency_decay(double first_decay, int first_levels, int levels) {
  detail::require(first_decay > 0 && first_decay < 1, "consistency_decay", "first_decay",
                  first_decay, "valid: 0 < first_decay < 1");
  detail::require(levels >= 1, "consistency_decay", "levels", levels, "valid: levels >= 1");
  return std::exp(first_levels * std::log(first_decay) / levels);
}

/// Number of levels of improved consistency training, min(s0 2^floor(k/K'), s1) + 1 with
/// K' = floor(K / (log2 floor(s1/s0) + 1)) (Song and Dhariwal 2024, section 3.4).
inline int doubling_levels(double step, double total_steps, int first, int last) {
  detail::require(step >= 0 && step <= total_steps, "doubling_levels", "step", step,
                  "valid: 0 <= step <= total_steps");
  detail::require(first >= 1 && first <= last, "doubling_levels", "first", first,
                  "valid: 1 <= first <= last");
  const double stages = std::log2(std::floor(static_cast<double>(last) / first)) + 1;
  const double length = (std::max)(1.0, std::floor(total_steps / stages));
  return static_cast<int>(std::min<double>(first * std::exp2(std::floor(step / length)), last)) + 1;
}

/// Probabilities of the intervals between increasing noise levels under a log-normal density,
/// normalised (Song and Dhariwal 2024, eq. 10: mean -1.1, deviation 2).
/// \throws std::invalid_argument also where the levels are so far off that no probability is left.
inline std::vector<double> level_probabilities(std::span<const double> levels, double mean,
                                               double deviation) {
  constexpr const char* name = "level_probabilities";
  detail::require(levels.size() >= 2, name, "levels", static_cast<double>(levels.size()),
                  "valid: at least two");
  detail::require(std::isfinite(mean), name, "mean", mean, "valid: finite");
  detail::require(deviation > 0, name, "deviation", deviation, "valid: deviation > 0");
  std::vector<double> out;
  double total = 0;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    detail::require(levels[i] > 0 && levels[i] < levels[i + 1], name, "level", levels[i],
                    "valid: positive and increasing");
    const double low = (std::log(levels[i]) - mean) / deviation;
    const double high = (std::log(levels[i + 1]) - mean) / deviation;
    // Both on the side where the distribution function is small.
    out.push_back(low > 0 ? normal_cdf(-low) - normal_cdf(-high)
                          : normal_cdf(high) - normal_cdf(low));
    total += out.back();
  }
  detail::require(total > 0, name, "probability of all levels", total,
                  "valid: > 0; levels nearer to the mean");
  for (double& p : out) p /= total;
  return out;
}

/// The less noisy level r of a pair in easy consistency tuning, r/t = 1 - n(t)/q^stage clamped at 0,
/// n(t) = 1 + k sigmoid(-b t) (Geng et al. 2025, eq. 11); stage counts the finished doublings.
inline double easy_consistency_level(double t, int stage, double q = 2, double k = 8,
                                     double b = 1) {
  detail::require(t > 0, "easy_consistency_level", "t", t, "valid: t > 0");
  detail::require(stage >= 0, "easy_consistency_level", "stage", stage, "valid: stage >= 0");
  detail::require(q > 1, "easy_consistency_level", "q", q, "valid: q > 1");
  const double n = 1 + k * sigmoid(-b * t);
  return t * (std::max)(0.0, 1 - n / std::pow(q, stage));
}

/// Tangent of the continuous-time consistency model f = cos t x - sin t sigma_d F on the path
/// x = cos t x0 + sin t z (Lu and Song 2025, eq. 6 and section 4.1), per element:
///   g = -cos^2 t (sigma_d F - dx/dt) - r cos t sin t (x + sigma_d dF/dt)
/// F is the network without gradient, dF/dt its total derivative along the trajectory (a
/// Jacobian-vector product), dx/dt the teacher's or the conditional velocity, r the warm-up in
/// [0, 1]. The objective is sum (F - F_fixed - weight g)^2: its gradient is -2 weight g.
template <class S>
S trigflow_tangent(const S& x, const S& network, const S& velocity, const S& network_rate, double t,
                   double sigma_data, double warm_up) {
  const double c = std::cos(t), s = std::sin(t);
  return -(c * c) * (sigma_data * network - velocity) -
         (warm_up * c * s) * (x + sigma_data * network_rate);
}

/// g / (|g| + c) over one item, in place (section 4.1: c = 0.1).
template <storage_scalar S>
void normalise_tangent(std::span<S> g, double c) {
  detail::require(c > 0, "normalise_tangent", "c", c, "valid: c > 0");
  const auto tangent = std::tuple(detail::named("g", g));
  const double squares = detail::per_item(
      "normalise_tangent", reduction::sum_over_dimensions,
      detail::item_kernel{[](const auto& v) { return detail::squared(detail::widened(v)); }},
      tangent)[0];
  const auto copy = [](const auto& v, auto& out) { out = v; };
  detail::per_item("normalise_tangent", reduction::sum_over_dimensions,
                   detail::item_kernel{copy, 1, 1 / (std::sqrt(squares) + c)}, tangent, tangent);
}

}  // namespace tweedie
