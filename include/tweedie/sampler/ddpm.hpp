// DDPM ancestral sampling (Ho et al. 2020, algorithm 2), over all levels or a subset of them.
//
//   x_s = c0 D + ct x_t + sqrt(variance) z
//
// with the posterior weights c0, ct of process/reverse.hpp between neighbouring nodes t -> s of
// any grid, D the x0 estimate at x_t, and the variance
//   fixed small   v         exact for data that is one point
//   fixed large   b         exact for standard normal data
//   learned range exp(w log b + (1 - w) log v), w from the network (Nichol and Dhariwal 2021)
//   analytic      v + c0^2 * (variance of x0 given x_t) (Bao et al. 2022; exact for isotropic
//                 Gaussian data)
// Without the noise it is no sampler: the means alone go to the mean of the data. On N(0, 0.25) the
// thousand steps of the linear schedule end at a deviation of alpha_T 0.25/(0.25 alpha_T^2 + sigma_T^2) =
// 0.0016 instead of 0.5. What samples without noise is another formula, DDIM (sampler/ddim.hpp).
//
// The last step, to clean data, adds no noise there, as in the algorithm; for data that is no point the
// exact chain draws x0 from its posterior, with the analytic variance alpha_s^2 Var(x0 | x_t):
// `last_noise::drawn`.
#pragma once

#include <cmath>
#include <functional>
#include <utility>

#include "tweedie/process/reverse.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// Variances of the reverse kernels: the posterior's, beta~ (Ho et al. 2020, section 3.2), or the forward step's, beta.
struct fixed_small {};
struct fixed_large {};
/// The network answers interpolation values v in [-1, 1] beside its prediction.
struct learned_range {};
/// The network answers the log-variance itself beside its prediction (guided-diffusion's LEARNED).
struct learned_log_variance {};
/// Variance of x0 given x_t per dimension, as a function of the node.
struct analytic_variance {
  std::function<double(const node&)> clean_variance;
};

/// What a step that ends in clean data does.
enum class last_noise {
  none,  ///< it returns the mean (Ho et al. 2020, algorithm 2): pictures without a last grain
  drawn  ///< it draws with its variance: with the analytic one the chain is exact, on Gaussian data
};

/// Any one of them.
class reverse_variance {
 public:
  reverse_variance(fixed_small) : kind_(kind::fixed_small) {}
  reverse_variance(fixed_large) : kind_(kind::fixed_large) {}
  reverse_variance(learned_range) : kind_(kind::range) {}
  reverse_variance(learned_log_variance) : kind_(kind::log_variance) {}
  reverse_variance(analytic_variance known)
      : kind_(kind::analytic), clean_variance_(std::move(known.clean_variance)) {}

  /// The noise of the step with posterior weights q from `from`.
  linear draw(recorder& r, const posterior_weights& q, const node& from) const {
    double variance = 0;
    switch (kind_) {
      case kind::fixed_small: variance = small_variance(q); break;
      case kind::fixed_large: variance = large_variance(q); break;
      case kind::range:
        if (q.variance == 0) break;  // the range is the single value 0
        return r.draw({.learned = true,
                       .log_lower = std::log(small_variance(q)),
                       .log_upper = std::log(large_variance(q))});
      case kind::log_variance:  // ((1 + v) - (1 - v))/2 = v
        return r.draw({.learned = true, .log_lower = -1, .log_upper = 1});
      case kind::analytic: variance = analytic_variance_of(q, clean_variance_(from)); break;
    }
    return variance == 0 ? linear() : std::sqrt(variance) * r.draw();
  }

 private:
  enum class kind { fixed_small, fixed_large, range, log_variance, analytic };
  kind kind_;
  std::function<double(const node&)> clean_variance_;
};

/// Ancestral sampling along any legs with weights of the caller's: posterior_of(leg) are those of its
/// mean, noise(r, q, leg) is what a step with posterior weights q adds to it.
template <class Posterior, class Noise>
program ddpm_by(const char* function, const legs& steps, const Posterior& posterior_of,
                const Noise& noise) {
  return walk_anywhere(function, steps, [&](recorder& r, const linear& x, const leg& l) {
    const posterior_weights q = posterior_of(l);
    linear next = q.clean * r.evaluate(x, l.from).clean + q.state * x;
    next += noise(r, q, l);
    return next;
  });
}

/// Ancestral sampling over a grid of falling noise, N evaluations. A step that ends in clean data adds
/// noise only if `last` says so and the variance is not 0: v and the learned range are 0 there.
inline program ddpm(const legs& steps, const reverse_variance& variance = fixed_small{},
                    last_noise last = last_noise::none) {
  check_descending("ddpm", steps);
  return ddpm_by(
      "ddpm", steps, [](const leg& l) { return posterior(l.from.level, l.to.level); },
      [&](recorder& r, const posterior_weights& q, const leg& l) {
        const bool noisy = l.to.level.sigma > 0 || last == last_noise::drawn;
        return noisy ? variance.draw(r, q, l.from) : linear();
      });
}

}  // namespace tweedie
