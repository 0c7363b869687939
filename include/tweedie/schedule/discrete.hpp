// Discrete schedules of the literature by name: what T, and a few numbers, make of a formula for beta or
// alpha_bar. Times and ends: schedule/discrete_schedule.hpp.
#pragma once

#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "tweedie/schedule/discrete_schedule.hpp"

namespace tweedie {

namespace detail {

inline void require_steps(const char* function, int steps) {
  require(steps >= 1, function, "steps", steps, "valid: steps >= 1");
}

/// n values from first to last inclusive, rounded as numpy rounds them; both ends exact. n = 1 gives
/// first.
inline std::vector<double> linspace(double first, double last, int n) {
  std::vector<double> values(static_cast<std::size_t>(n));
  const double step = n > 1 ? (last - first) / (n - 1) : 0;
  for (int i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = first + i * step;
  if (n > 1) values.back() = last;
  return values;
}

template <class Function>
std::vector<double> mapped(std::vector<double> values, const Function& f) {
  for (double& v : values) v = f(v);
  return values;
}

/// beta(k) = min(1 - f((k+1)/T) / f(k/T), max_beta) for a decreasing f.
template <class Function>
std::vector<double> betas_of_alpha_bar(int steps, double max_beta, const Function& f) {
  std::vector<double> betas;
  for (int k = 0; k < steps; ++k) {
    const double beta = 1 - f((k + 1.0) / steps) / f(static_cast<double>(k) / steps);
    betas.push_back(beta > max_beta ? max_beta : beta);
  }
  return betas;
}

// The betas of the schedules below that have the same names.
inline std::vector<double> scaled_linear_betas(int steps, double first, double last) {
  return mapped(linspace(std::sqrt(first), std::sqrt(last), steps),
                [](double root) { return root * root; });
}

inline std::vector<double> sigmoid_betas(int steps, double first, double last) {
  return mapped(linspace(-6, 6, steps),
                [=](double u) { return 1 / (1 + std::exp(-u)) * (last - first) + first; });
}

inline std::vector<double> cosine_betas(int steps, double offset = 0.008, double max_beta = 0.999) {
  return betas_of_alpha_bar(steps, max_beta, [offset](double t) {
    const double c = std::cos((t + offset) / (1 + offset) * std::numbers::pi / 2);
    return c * c;
  });
}

inline std::vector<double> exponential_betas(int steps, double max_beta = 0.999) {
  return betas_of_alpha_bar(steps, max_beta, [](double t) { return std::exp(-12 * t); });
}

}  // namespace detail

/// beta linear in k (Ho et al. 2020, section 4: 1e-4 to 0.02 for T = 1000).
inline discrete_schedule linear_beta_schedule(int steps, double first = 1e-4, double last = 0.02) {
  detail::require_steps("linear_beta_schedule", steps);
  return from_betas(detail::linspace(first, last, steps));
}

/// sqrt(beta) linear in k (Rombach et al. 2022; Stable Diffusion: 0.00085 to 0.012).
inline discrete_schedule scaled_linear_beta_schedule(int steps, double first = 0.00085,
                                                     double last = 0.012) {
  detail::require_steps("scaled_linear_beta_schedule", steps);
  for (const double beta : {first, last})
    detail::require(beta >= 0, "scaled_linear_beta_schedule", "beta", beta,
                    "valid: 0 <= beta <= 1");
  return from_betas(detail::scaled_linear_betas(steps, first, last));
}

/// The "quad" table of Ho et al. 2020: the formula of `scaled_linear_beta_schedule` with the range
/// of the linear one.
inline discrete_schedule quadratic_beta_schedule(int steps, double first = 1e-4,
                                                 double last = 0.02) {
  return scaled_linear_beta_schedule(steps, first, last);
}

/// beta constant: alpha_bar(k) = (1 - beta)^(k+1).
inline discrete_schedule constant_beta_schedule(int steps, double beta) {
  detail::require_steps("constant_beta_schedule", steps);
  return from_betas(std::vector<double>(static_cast<std::size_t>(steps), beta));
}

/// beta(k) = 1 / (T - k): alpha_bar(k) = 1 - (k+1)/T (Sohl-Dickstein et al. 2015, section 2.4).
inline discrete_schedule jsd_schedule(int steps) {
  detail::require_steps("jsd_schedule", steps);
  std::vector<double> log_signal, log_noise;
  for (int k = 0; k < steps; ++k) {
    log_signal.push_back(std::log((steps - k - 1.0) / steps));
    log_noise.push_back(std::log((k + 1.0) / steps));
  }
  return {std::move(log_signal), std::move(log_noise)};
}

/// beta rises linearly over the first `fraction` of the steps, then stays at `last`
/// (Ho et al. 2020, code; fraction 0.1 and 0.5 are "warmup10" and "warmup50").
inline discrete_schedule warmup_beta_schedule(int steps, double first, double last,
                                              double fraction) {
  detail::require_steps("warmup_beta_schedule", steps);
  detail::require(fraction >= 0 && fraction <= 1, "warmup_beta_schedule", "fraction", fraction,
                  "valid: 0 <= fraction <= 1");
  std::vector<double> betas(static_cast<std::size_t>(steps), last);
  const int warm = static_cast<int>(steps * fraction);
  if (warm > 0) {
    const std::vector<double> rise = detail::linspace(first, last, warm);
    for (std::size_t k = 0; k < rise.size(); ++k) betas[k] = rise[k];
  }
  return from_betas(betas);
}

/// beta = first + (last - first) * sigmoid(u), u linear in [-6, 6] (Xu et al. 2022, GeoDiff).
inline discrete_schedule sigmoid_beta_schedule(int steps, double first = 1e-4, double last = 0.02) {
  detail::require_steps("sigmoid_beta_schedule", steps);
  return from_betas(detail::sigmoid_betas(steps, first, last));
}

/// alpha_bar(t) = cos^2(pi/2 (t + s)/(1 + s)), beta <= max_beta (Nichol and Dhariwal 2021, eq. 17).
inline discrete_schedule cosine_schedule(int steps, double offset = 0.008,
                                         double max_beta = 0.999) {
  detail::require_steps("cosine_schedule", steps);
  return from_betas(detail::cosine_betas(steps, offset, max_beta));
}

/// alpha_bar(t) = exp(-12 t), beta <= max_beta (Karras-style exponential transform).
inline discrete_schedule exponential_schedule(int steps, double max_beta = 0.999) {
  detail::require_steps("exponential_schedule", steps);
  return from_betas(detail::exponential_betas(steps, max_beta));
}

/// Laplace-distributed log-SNR, log SNR(t) = mu - b sign(1/2 - t) log(1 - 2 |t - 1/2|)
/// (Hang et al. 2024, table 1), as beta <= max_beta.
inline discrete_schedule laplace_schedule(int steps, double mu = 0, double b = 0.5,
                                          double max_beta = 0.999) {
  detail::require_steps("laplace_schedule", steps);
  detail::require(b > 0, "laplace_schedule", "b", b, "valid: b > 0");
  return from_betas(detail::betas_of_alpha_bar(steps, max_beta, [mu, b](double t) {
    const double noise_to_signal =
        std::exp(-mu) * (t < 0.5 ? std::pow(2 * t, b) : std::pow(2 * (1 - t), -b));
    return 1 / (1 + noise_to_signal);
  }));
}

/// Cauchy-distributed log-SNR, log SNR(t) = mu + gamma tan(pi/2 (1 - 2 t)) (Hang et al. 2024, table 1), as beta <=
/// max_beta.
inline discrete_schedule cauchy_schedule(int steps, double mu = 0, double gamma = 0.5,
                                         double max_beta = 0.999) {
  detail::require_steps("cauchy_schedule", steps);
  detail::require(gamma > 0, "cauchy_schedule", "gamma", gamma, "valid: gamma > 0");
  const auto log_snr_at = [&](double t) {
    return mu + gamma * std::tan(std::numbers::pi / 2 * (1 - 2 * t));
  };
  // 1 - alpha_bar(t)/alpha_bar(s) from the two log SNRs, which at the clean end are too large for alpha_bar to tell
  // from 1.
  std::vector<double> betas;
  for (int k = 0; k < steps; ++k) {
    const double before = log_snr_at(static_cast<double>(k) / steps);
    const double after = log_snr_at((k + 1.0) / steps);
    const double beta = -std::expm1(after - before) / (1 + std::exp(after));
    betas.push_back(beta > max_beta ? max_beta : beta);
  }
  return from_betas(betas);
}

/// alpha_bar falls along a sigmoid from 1 to 0: (g(1) - g(t))/(g(1) - g(0)), g(t) = sigmoid((first + t (last -
/// first))/temperature), as beta <= max_beta (Jabri et al. 2023; Chen 2023, algorithm 1). Not GeoDiff's, whose
/// betas are a sigmoid.
/// \throws std::invalid_argument unless first < last are finite and 0 < temperature < inf.
inline discrete_schedule sigmoid_signal_schedule(int steps, double first = -3, double last = 3,
                                                 double temperature = 1, double max_beta = 0.999) {
  constexpr const char* name = "sigmoid_signal_schedule";
  detail::require_steps(name, steps);
  detail::require(std::isfinite(first), name, "first", first, "valid: finite");
  detail::require(last > first && std::isfinite(last), name, "last", last,
                  "valid: first < last < inf");
  detail::require(temperature > 0 && std::isfinite(temperature), name, "temperature", temperature,
                  "valid: 0 < temperature < inf");
  const auto g = [=](double t) {
    return 1 / (1 + std::exp(-(first + t * (last - first)) / temperature));
  };
  return from_betas(detail::betas_of_alpha_bar(
      steps, max_beta, [&](double t) { return (g(1) - g(t)) / (g(1) - g(0)); }));
}

/// alpha_bar(t) = 1 - sqrt(t + s) (Li et al. 2022, Diffusion-LM), beta <= max_beta.
inline discrete_schedule sqrt_schedule(int steps, double offset = 1e-4, double max_beta = 0.999) {
  detail::require_steps("sqrt_schedule", steps);
  return from_betas(detail::betas_of_alpha_bar(
      steps, max_beta, [offset](double t) { return std::fdim(1, std::sqrt(t + offset)); }));
}

}  // namespace tweedie
