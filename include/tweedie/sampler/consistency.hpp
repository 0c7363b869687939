// Multistep consistency sampling (Song et al. 2023, algorithm 1; Luo et al. 2023 for latents):
// jump to the data with one evaluation, noise again to a lower level, repeat.
//
//   f = c_skip(t) x + c_out(t) D(x, t)        the consistency function, f = x at the clean end
//   x_s = a f + sqrt(sigma_s^2 - a^2 sigma_0^2) z,   a = alpha_s/alpha_0
//
// f is where the probability flow from x ends, a possible picture, and not E[x0 | x_t], the mean of all that
// x may have come from, which a denoiser answers: on N(0, s^2), with c = alpha^2 s^2 + sigma^2, they are
// (s/sqrt(c)) x and (alpha s^2/c) x. A denoiser put for f samples something else.
//
// Here (alpha_0, sigma_0) is the level f lives at: the last node of the grid, clean data or the
// smallest noise level of the training. With the straight prediction D = f the scaling is (0, 1).
// TrigFlow / SCM (Lu and Song 2024) is the same on nodes (cos t, sigma_d sin t).
//
// TCD (Zheng et al. 2024, algorithm 2) jumps to an intermediate time t' = (1 - gamma) s along the
// probability flow (a DDIM step) and noises from there to s; gamma = 1 is consistency sampling,
// gamma = 0 is DDIM.
#pragma once

#include <cmath>
#include <functional>
#include <type_traits>

#include "tweedie/sampler/walk.hpp"
#include "tweedie/schedule/discrete.hpp"

namespace tweedie {

/// f = skip * x + out * D.
struct consistency_scaling {
  double skip = 0;
  double out = 1;
};

/// Boundary scaling of latent consistency models (Luo et al. 2023, appendix): with u = c t,
/// skip = d^2/(u^2 + d^2), out = u/sqrt(u^2 + d^2), at timestep t, d the data's standard deviation.
inline consistency_scaling latent_consistency_scaling(double t, double time_scale = 10,
                                                      double data = 0.5) {
  const double u = time_scale * t;
  return {data * data / (u * u + data * data), u / std::sqrt(u * u + data * data)};
}

/// How estimates of the data are noised again.
struct renoising {
  std::function<consistency_scaling(const node&)> scaling = {};  ///< f; empty: f = D
  signal_noise home = {1, 0};                                    ///< the level f lives at
  bool always_draws = false;  ///< with weight 0 where a leg ends at `home`, too
};

/// Consistency sampling along any legs, rising ones included: at the end of each stands f, noised
/// from its home to there.
inline program renoised_estimates(const char* function, const legs& steps,
                                  const renoising& how = {}) {
  return walk_anywhere(function, steps, [&](recorder& r, linear x, const leg& l) {
    const consistency_scaling c = how.scaling ? how.scaling(l.from) : consistency_scaling{};
    const transition_kernel up = transition(how.home, l.to.level);
    const estimate e = r.evaluate(x, l.from);
    x = up.mean * (c.skip * x + c.out * e.clean);
    if (up.variance > 0 || how.always_draws) x += std::sqrt(up.variance) * r.draw();
    return x;
  });
}

/// Consistency sampling over a grid of falling noise, N evaluations, N - 1 draws.
inline program consistency(const legs& steps,
                           const std::function<consistency_scaling(const node&)>& scaling = {}) {
  check_descending("consistency", steps);
  return renoised_estimates(
      "consistency", steps,
      {.scaling = scaling, .home = steps.empty() ? signal_noise{} : steps.back().to.level});
}

namespace detail {

// The level of `schedule` the fraction gamma of the way from time s to its clean time. A table has no
// levels between its first entry, time 0, and clean data, time -1: time 0 is taken there.
template <noise_schedule Schedule>
signal_noise towards_clean(const Schedule& schedule, double s, double gamma) {
  const double clean = schedule.clean_time();
  if (gamma == 1) return schedule(clean);
  const double time = s + gamma * (clean - s);
  if constexpr (std::is_same_v<Schedule, discrete_schedule>) {
    if (time > clean && time < 0) return schedule(0);
  }
  return schedule(time);
}

}  // namespace detail

/// Trajectory consistency sampling along any legs that do not rise; `below(leg)` is the level that the
/// probability flow is followed to.
template <class Level>
program trajectory_consistency_by(const char* function, const legs& steps, const Level& below) {
  return walk_anywhere(function, steps, [&](recorder& r, linear x, const leg& l) {
    const signal_noise reached = below(l);
    const estimate e = r.evaluate(x, l.from);
    x = reached.alpha * e.clean + reached.sigma * e.noise;
    if (reached != l.to.level) x = renoised(r, x, reached, l.to.level);
    return x;
  });
}

/// Trajectory consistency sampling. The intermediate node of a step to time s is that of
/// `schedule` at s + gamma (clean - s): gamma = 0 stays at s, gamma = 1 goes to clean data. In a
/// discrete schedule it is time 0 where that lies between time 0 and clean data.
template <noise_schedule Schedule>
program trajectory_consistency(const Schedule& schedule, const legs& steps, double gamma) {
  constexpr const char* name = "trajectory_consistency";
  detail::require(gamma >= 0 && gamma <= 1, name, "gamma", gamma, "valid: 0 <= gamma <= 1");
  check_descending(name, steps);
  return trajectory_consistency_by(name, steps, [&](const leg& l) {
    return gamma > 0 && l.to.level.sigma > 0 ? detail::towards_clean(schedule, l.to.time, gamma)
                                             : l.to.level;
  });
}

}  // namespace tweedie
