// Stochastic differential equations dx = f(x, t) dt + g dW, element by element, and ways to step them.
//
//   method            strong order                  step
//   euler_maruyama_steps    1/2; 1 where g(t) only        x + f h + g dW                        Maruyama 1955
//   milstein_steps          1                             ... + g g' (dW^2 - h) / 2             Milstein 1975
//   stochastic_heun_steps   1 where g(t) only             mean of f at both ends                Ruemelin 1982
//   sra1_steps              3/2 where g(t) only           below                                 Roessler 2010, SRA1
//
// SRA1, with the mean c = (1/h) int_t^(t+h) (W(s) - W(t)) ds of the path over the step:
//   x2 = x + 3/4 h f(x, t) + 3/2 c g(t + h)
//   x' = x + h (f(x, t) + 2 f(x2, t + 3/4 h)) / 3 + g(t + h) dW + (g(t) - g(t + h)) c
//
// Diffusion models are of the second kind, "additive": the reverse equation of a schedule keeps g(t) and
// takes f x - (1 + tau^2)/2 g^2 score for f (Song et al. 2021, eq. 6; tau = 1 is theirs, 0 the probability
// flow). Steps may go back in time: h is then negative, dW still has the variance |h|. In the sense of
// Ito; with g(t) only, Stratonovich is the same.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/schedule/schedule.hpp"
#include "tweedie/tensor/normal.hpp"

namespace tweedie {

/// An equation whose noise does not depend on the state: drift(x, t, out) writes f, diffusion(t) is g.
template <class Equation>
concept additive_sde = requires(const Equation& e, std::span<const double> x, double t,
                                std::span<double> out) {
  e.drift(x, t, out);
  { e.diffusion(t) } -> std::convertible_to<double>;
};

/// An equation with noise of its own in each element: diffusion(x, t, out) writes g(x_i, t), and
/// diffusion_slope(x, t, out) its derivative in x_i, which only Milstein's method asks for.
template <class Equation>
concept diagonal_sde = requires(const Equation& e, std::span<const double> x, double t,
                                std::span<double> out) {
  e.drift(x, t, out);
  e.diffusion(x, t, out);
};

/// dx = -rate (x - mean) dt + diffusion dW (Ornstein and Uhlenbeck 1930). rate = 0 is Brownian motion.
struct ornstein_uhlenbeck {
  double rate = 1;
  double mean = 0;
  double noise = 1;

  void drift(std::span<const double> x, double, std::span<double> out) const {
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = -rate * (x[i] - mean);
  }
  double diffusion(double) const { return noise; }

  /// Exact x(t + h) given x(t): normal with mean `mean` + factor (x - mean) and this variance.
  struct transition_law {
    double factor = 1;
    double variance = 0;
  };
  /// \throws std::invalid_argument unless h is finite and not negative.
  transition_law transition(double h) const {
    detail::require(h >= 0 && std::isfinite(h), "ornstein_uhlenbeck::transition", "h", h,
                    "valid: 0 <= h < inf");
    const double variance =
        rate == 0 ? noise * noise * h : -noise * noise * std::expm1(-2 * rate * h) / (2 * rate);
    return {std::exp(-rate * h), variance};
  }
};

/// The forward equation of a schedule: dx = f(t) x dt + g(t) dW, with its marginals.
template <differentiable_schedule Schedule>
struct noising_sde {
  Schedule schedule;

  /// \throws std::invalid_argument where alpha = 0.
  void drift(std::span<const double> x, double t, std::span<double> out) const {
    const double f = forward_sde(schedule, t).drift;
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = f * x[i];
  }
  double diffusion(double t) const { return std::sqrt(forward_sde(schedule, t).squared_diffusion); }
};
template <class Schedule>
noising_sde(Schedule) -> noising_sde<Schedule>;

/// The equation that runs the schedule backwards, to be stepped over falling times:
/// dx = (f x - (1 + tau^2)/2 g^2 score) dt + tau g dW. score(x, t, out) writes the score.
template <differentiable_schedule Schedule, class Score>
struct denoising_sde {
  Schedule schedule;
  Score score;
  double tau = 1;  ///< 0 is the probability-flow ODE

  void drift(std::span<const double> x, double t, std::span<double> out) const {
    const diffusion_coefficients c = forward_sde(schedule, t);
    score(x, t, out);
    const double weight = (1 + tau * tau) / 2 * c.squared_diffusion;
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = c.drift * x[i] - weight * out[i];
  }
  double diffusion(double t) const {
    return tau * std::sqrt(forward_sde(schedule, t).squared_diffusion);
  }
};
template <class Schedule, class Score>
denoising_sde(Schedule, Score, double) -> denoising_sde<Schedule, Score>;

/// A step's piece of a Brownian path, for every element: W(t + h) - W(t) and the mean of W - W(t).
struct brownian_step {
  std::vector<double> increment;
  std::vector<double> mean;
};

/// Independent pieces: increment = sqrt|h| z, mean = (increment + sqrt(|h|/3) z') / 2, keyed by
/// (seed, step, element).
struct brownian_steps {
  std::uint64_t seed = 0;

  void operator()(std::size_t step, double h, brownian_step& out) const {
    const std::size_t n = out.increment.size();
    const double root = std::sqrt(std::abs(h));
    fill_normal(noise_key{seed, 0, static_cast<std::uint32_t>(step)}, 0, std::span(out.increment));
    fill_normal(noise_key{seed, 1, static_cast<std::uint32_t>(step)}, 0, std::span(out.mean));
    for (std::size_t i = 0; i < n; ++i) {
      out.increment[i] *= root;
      out.mean[i] = (out.increment[i] + root / std::sqrt(3) * out.mean[i]) / 2;
    }
  }
};

/// The methods, as values for `simulate`.
struct euler_maruyama_steps {};
struct milstein_steps {};
struct stochastic_heun_steps {};
struct sra1_steps {};

/// Steps `equation` from x at times.front() through all times, in place.
/// \param method euler_maruyama_steps{} (any equation), milstein_steps{} (diagonal, with diffusion_slope),
///   stochastic_heun_steps{} or sra1_steps{} (additive)
/// \param path fills the piece of Brownian motion of a step: path(step, h, brownian_step&)
/// \throws std::invalid_argument unless times are finite; and what the equation throws, x is then where
///   the step before left it.
template <class Method, class Equation, class Path>
void simulate(Method method, const Equation& equation, std::span<double> x,
              std::span<const double> times, const Path& path);

namespace detail {

struct sde_memory {
  brownian_step w;
  std::vector<double> drift, middle, second, noise, slope;

  explicit sde_memory(std::size_t n)
      : w{std::vector<double>(n), std::vector<double>(n)},
        drift(n),
        middle(n),
        second(n),
        noise(n),
        slope(n) {}
};

// noise = g for every element.
template <class Equation>
void fill_diffusion(const Equation& e, std::span<const double> x, double t,
                    std::vector<double>& out) {
  if constexpr (additive_sde<Equation>)
    out.assign(out.size(), e.diffusion(t));
  else
    e.diffusion(x, t, std::span(out));
}

template <class Equation>
void sde_step(euler_maruyama_steps, const Equation& e, std::span<double> x, double t, double h,
              sde_memory& m) {
  e.drift(x, t, std::span(m.drift));
  fill_diffusion(e, x, t, m.noise);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += h * m.drift[i] + m.noise[i] * m.w.increment[i];
}

template <diagonal_sde Equation>
void sde_step(milstein_steps, const Equation& e, std::span<double> x, double t, double h,
              sde_memory& m) {
  e.drift(x, t, std::span(m.drift));
  e.diffusion(x, t, std::span(m.noise));
  e.diffusion_slope(x, t, std::span(m.slope));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double w = m.w.increment[i];
    x[i] += h * m.drift[i] + m.noise[i] * w + m.noise[i] * m.slope[i] * (w * w - std::abs(h)) / 2;
  }
}

template <additive_sde Equation>
void sde_step(stochastic_heun_steps, const Equation& e, std::span<double> x, double t, double h,
              sde_memory& m) {
  const double before = e.diffusion(t), after = e.diffusion(t + h);
  e.drift(x, t, std::span(m.drift));
  for (std::size_t i = 0; i < x.size(); ++i)
    m.middle[i] = x[i] + h * m.drift[i] + before * m.w.increment[i];
  e.drift(m.middle, t + h, std::span(m.second));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] += h * (m.drift[i] + m.second[i]) / 2 + (before + after) / 2 * m.w.increment[i];
}

template <additive_sde Equation>
void sde_step(sra1_steps, const Equation& e, std::span<double> x, double t, double h,
              sde_memory& m) {
  const double before = e.diffusion(t), after = e.diffusion(t + h);
  e.drift(x, t, std::span(m.drift));
  for (std::size_t i = 0; i < x.size(); ++i)
    m.middle[i] = x[i] + 0.75 * h * m.drift[i] + 1.5 * after * m.w.mean[i];
  e.drift(m.middle, t + 0.75 * h, std::span(m.second));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] += h * (m.drift[i] + 2 * m.second[i]) / 3 + after * m.w.increment[i] +
            (before - after) * m.w.mean[i];
}

}  // namespace detail

template <class Method, class Equation, class Path>
void simulate(Method method, const Equation& equation, std::span<double> x,
              std::span<const double> times, const Path& path) {
  static_assert(
      additive_sde<Equation> || diagonal_sde<Equation>,
      "simulate: the equation needs drift(x, t, out), and diffusion(t) or diffusion(x, t, out)");
  static_assert(additive_sde<Equation> || std::same_as<Method, euler_maruyama_steps> ||
                    std::same_as<Method, milstein_steps>,
                "simulate: this method is for equations whose diffusion depends on time only");
  for (const double t : times)
    detail::require(std::isfinite(t), "simulate", "time", t, "valid: finite");
  detail::sde_memory memory(x.size());
  for (std::size_t k = 0; k + 1 < times.size(); ++k) {
    const double h = times[k + 1] - times[k];
    path(k, h, memory.w);
    detail::sde_step(method, equation, x, times[k], h, memory);
  }
}

}  // namespace tweedie
