// The steps of a chain as its variational bound sees them, and what a network's answers are in them.
//
// The model's mean is the posterior's with the x0 estimate in place of x0, so that its error is a
// multiple of the error of the network's answer y to the target y*: mu - mu_q = gain (y - y*).
// The log-variance is fixed, or affine in a second output v of the network:
//   small  log v_q    large  log b    learned  v    learned range  interpolated, v = -1 ... 1
// (Nichol and Dhariwal 2021, eq. 15). At the last step v_q = 0; its logarithm is replaced by that
// of the step before, as all implementations do.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "tweedie/process/reverse.hpp"
#include "tweedie/schedule/prediction.hpp"

namespace tweedie {

/// One step of a chain as the bound sees it.
struct bound_step {
  signal_noise from, to;
  double clean_weight = 1;            ///< of x0 in the mean of the posterior
  double posterior_log_variance = 0;  ///< log v_q, at the last step that of the step before
  double forward_log_variance = 0;    ///< log b
  bool last = false;                  ///< leads to data: the term is the decoder's
};

/// The steps of a chain over `levels` from noisy to clean; the last level is clean data.
inline std::vector<bound_step> bound_steps(std::span<const signal_noise> levels) {
  constexpr const char* name = "bound_steps";
  detail::require(levels.size() >= 2, name, "levels", static_cast<double>(levels.size()),
                  "valid: at least two");
  detail::require(levels.back().sigma == 0, name, "last sigma", levels.back().sigma,
                  "valid: 0, the chain ends at data");
  std::vector<bound_step> steps;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    const posterior_weights q = posterior(levels[i], levels[i + 1]);
    detail::require(q.upper_variance > 0, name, "forward variance", q.upper_variance,
                    "valid: levels of strictly decreasing noise");
    bound_step s{levels[i],
                 levels[i + 1],
                 q.clean,
                 std::log(q.variance),
                 std::log(q.upper_variance),
                 i + 2 == levels.size()};
    if (s.last)
      s.posterior_log_variance =
          steps.empty() ? s.forward_log_variance : steps.back().posterior_log_variance;
    steps.push_back(s);
  }
  return steps;
}

/// How the variance of the reverse kernels is chosen.
enum class bound_variance { fixed_small, fixed_large, learned, learned_range };

/// Log-variance offset + slope * v of the model.
struct affine_log_variance {
  double offset = 0;
  double slope = 0;
};

/// The variance of a reverse kernel as a function of the network's v, which fixed variances ignore.
inline affine_log_variance model_log_variance(const bound_step& step, bound_variance kind) {
  const double low = step.posterior_log_variance;
  const double high = step.forward_log_variance;
  switch (kind) {
    case bound_variance::fixed_small: return {low, 0};
    case bound_variance::fixed_large: return {step.last ? low : high, 0};
    case bound_variance::learned: return {0, 1};
    case bound_variance::learned_range: return {(low + high) / 2, (high - low) / 2};
  }
  detail::fail("model_log_variance", "unknown bound_variance");
}

/// d mean / d output for a network whose answers have the given row.
inline double mean_gain(const bound_step& step, plane_row row) {
  return step.clean_weight * sample_from(step.from, row).y;
}

/// What the terms need of one item. A network that predicts the mean of x_s itself has gain 1 and
/// the posterior mean as its target.
struct bound_item {
  bound_step step;
  double gain = 1;
  affine_log_variance log_variance;
};

/// For a network whose answers have the given row.
inline bound_item make_bound_item(const bound_step& step, plane_row row, bound_variance kind) {
  return {step, mean_gain(step, row), model_log_variance(step, kind)};
}

}  // namespace tweedie
