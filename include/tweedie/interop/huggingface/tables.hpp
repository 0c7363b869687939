// The tables of the reference's schedulers: beta schedules, timestep spacings, noise-level
// spacings, with numpy's rounding and lengths, in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <optional>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/config.hpp"
#include "tweedie/schedule/schedule.hpp"

namespace tweedie::huggingface {

// ---- numpy's rules ---------------------------------------------------------------------------

/// numpy.linspace and torch.linspace: count values from first to last, both included.
inline std::vector<double> linspace(double first, double last, int count) {
  std::vector<double> values(static_cast<std::size_t>(std::max(count, 0)));
  const double step = count > 1 ? (last - first) / (count - 1) : 0;
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<double>(i) * step;
  if (count > 1) values.back() = last;
  return values;
}

/// numpy.arange: ceil((stop - start) / step) values; the increment is rounded as numpy rounds it.
inline std::vector<double> arange(double start, double stop, double step) {
  const double length = std::ceil((stop - start) / step);
  std::vector<double> values(static_cast<std::size_t>(std::max(length, 0.0)));
  const double increment = (start + step) - start;
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = start + static_cast<double>(i) * increment;
  return values;
}

/// numpy.round: half to even.
inline double round_half_even(double value) { return std::nearbyint(value); }

inline std::vector<double> reversed(std::vector<double> values) {
  std::reverse(values.begin(), values.end());
  return values;
}

/// numpy.interp(x, 0 ... size-1, values).
inline double interpolate(double x, const std::vector<double>& values) {
  if (x <= 0) return values.front();
  if (x >= static_cast<double>(values.size() - 1)) return values.back();
  const auto i = static_cast<std::size_t>(x);
  return values[i] + (values[i + 1] - values[i]) * (x - static_cast<double>(i));
}

// ---- beta schedules: used by every class with num_train_timesteps and beta_start ---------------

/// Algorithm 1 of Lin et al. 2024: shifts and scales sqrt(alpha_bar) so that the last is zero.
inline std::vector<double> rescale_zero_terminal_snr(const std::vector<double>& betas) {
  std::vector<double> root;
  double product = 1;
  for (const double beta : betas) root.push_back(std::sqrt(product *= 1 - beta));
  const double first = root.front();
  const double last = root.back();
  for (double& r : root) r = (r - last) * (first / (first - last));
  std::vector<double> rescaled;
  for (std::size_t k = 0; k < root.size(); ++k) {
    const double alpha_bar = root[k] * root[k];
    const double before = k == 0 ? 1 : root[k - 1] * root[k - 1];
    rescaled.push_back(1 - alpha_bar / before);
  }
  return rescaled;
}

/// beta(k) = min(1 - alpha_bar((k+1)/T) / alpha_bar(k/T), 0.999).
inline std::vector<double> betas_of_alpha_bar(int steps,
                                              const std::function<double(double)>& alpha_bar) {
  std::vector<double> betas;
  for (int k = 0; k < steps; ++k)
    betas.push_back(std::min(1 - alpha_bar(static_cast<double>(k + 1) / steps) /
                                     alpha_bar(static_cast<double>(k) / steps),
                             0.999));
  return betas;
}

/// How a class deals with rescale_betas_zero_snr.
enum class zero_terminal_snr {
  unsupported,  ///< the class has no such option
  exact,        ///< alpha_bar(T-1) = 0: DDPM*, DDIM*
  nearly        ///< alpha_bar(T-1) = 2^-24: Euler*, DPM-Solver*, UniPC, SA-Solver
};

/// The variance-preserving table of a class: alpha_bar(k), k = 0 ... T-1.
struct alpha_bar_table {
  std::vector<double> betas;
  std::vector<double> alpha_bars;

  int steps() const { return static_cast<int>(alpha_bars.size()); }
  double at(int k) const { return alpha_bars.at(static_cast<std::size_t>(k)); }
  /// (sqrt(alpha_bar), sqrt(1 - alpha_bar)).
  signal_noise level(int k) const { return level_of(at(k)); }
  static signal_noise level_of(double alpha_bar) {
    return {std::sqrt(alpha_bar), std::sqrt(1 - alpha_bar)};
  }
  /// sqrt((1 - alpha_bar) / alpha_bar), k = 0 ... T-1: increasing.
  std::vector<double> noise_levels() const {
    std::vector<double> levels;
    for (const double a : alpha_bars) levels.push_back(std::sqrt((1 - a) / a));
    return levels;
  }
};

/// Reads num_train_timesteps, beta_start, beta_end, beta_schedule, trained_betas and
/// rescale_betas_zero_snr; `valid` are the beta schedules the class knows.
inline alpha_bar_table read_betas(const config& c, std::initializer_list<const char*> valid,
                                  zero_terminal_snr zero, double start_default = 0.0001,
                                  double end_default = 0.02,
                                  const char* schedule_default = "linear") {
  const int steps = c.integer("num_train_timesteps", 1000);
  if (steps < 1) c.refuse("num_train_timesteps", "a positive integer");
  const double start = c.number("beta_start", start_default);
  const double end = c.number("beta_end", end_default);
  const std::string kind = c.text("beta_schedule", schedule_default, valid);
  alpha_bar_table table;
  if (const auto trained = c.numbers("trained_betas")) {
    if (static_cast<int>(trained->size()) != steps)
      c.refuse("trained_betas", "as many values as num_train_timesteps");
    table.betas = *trained;
  } else if (kind == "linear") {
    table.betas = linspace(start, end, steps);
  } else if (kind == "scaled_linear") {
    table.betas = linspace(std::sqrt(start), std::sqrt(end), steps);
    for (double& beta : table.betas) beta *= beta;
  } else if (kind == "squaredcos_cap_v2") {
    table.betas = betas_of_alpha_bar(steps, [](double t) {
      const double c_t = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
      return c_t * c_t;
    });
  } else if (kind == "laplace") {
    table.betas = betas_of_alpha_bar(steps, [](double t) {
      const double log_snr =
          -0.5 * std::copysign(1, 0.5 - t) * std::log(1 - 2 * std::abs(0.5 - t) + 1e-6);
      const double snr = std::exp(log_snr);
      return std::sqrt(snr / (1 + snr));
    });
  } else if (kind == "exp") {
    table.betas = betas_of_alpha_bar(steps, [](double t) { return std::exp(-12 * t); });
  } else {  // sigmoid
    for (const double x : linspace(-6, 6, steps))
      table.betas.push_back(1 / (1 + std::exp(-x)) * (end - start) + start);
  }
  for (const double beta : table.betas)
    if (!(beta >= 0 && beta <= 1))
      c.fail("beta", tweedie::detail::number(beta) +
                         "; valid: 0 <= beta <= 1 (beta_start, beta_end, trained_betas)");
  const bool rescale =
      zero != zero_terminal_snr::unsupported && c.flag("rescale_betas_zero_snr", false);
  if (rescale) table.betas = rescale_zero_terminal_snr(table.betas);
  double product = 1;
  for (const double beta : table.betas) table.alpha_bars.push_back(product *= 1 - beta);
  if (rescale && zero == zero_terminal_snr::nearly) table.alpha_bars.back() = std::exp2(-24.0);
  return table;
}

// ---- timestep spacings: integer timesteps, noisy to clean --------------------------------------

/// Reads and checks the number of inference steps against the number of training steps.
inline int read_steps(const config& c, const std::optional<int>& steps, int train_steps) {
  if (!steps) c.fail("num_inference_steps", "(absent); valid: 1 ... num_train_timesteps");
  if (*steps < 1 || *steps > train_steps)
    c.fail("num_inference_steps", std::to_string(*steps) + "; valid: 1 ... num_train_timesteps = " +
                                      std::to_string(train_steps));
  return *steps;
}

/// round(linspace(0, T-1, N)): DDPM*, DDIM*, PNDM.
inline std::vector<double> linspace_timesteps(int train_steps, int steps) {
  std::vector<double> t = linspace(0, train_steps - 1, steps);
  for (double& v : t) v = round_half_even(v);
  return reversed(std::move(t));
}

/// k (T // N) + offset: DDPM*, DDIM*, PNDM, Euler, ...
inline std::vector<double> leading_timesteps(int train_steps, int steps, int offset) {
  const int ratio = train_steps / steps;
  std::vector<double> t;
  for (int k = steps; k-- > 0;) t.push_back(k * ratio + offset);
  return t;
}

/// round(arange(T, 0, -T/N)) - 1. Where rounding makes numpy's arange one entry longer, that entry
/// (timestep -1) is left out.
inline std::vector<double> trailing_timesteps(int train_steps, int steps) {
  std::vector<double> t = arange(train_steps, 0, -static_cast<double>(train_steps) / steps);
  t.resize(static_cast<std::size_t>(steps));
  for (double& v : t) v = round_half_even(v) - 1;
  return t;
}

/// Reads timestep_spacing and steps_offset, for the classes whose N points are these three.
inline std::vector<double> read_spacing(const config& c, int train_steps, int steps,
                                        const char* spacing_default = "leading") {
  const std::string spacing =
      c.text("timestep_spacing", spacing_default, {"linspace", "leading", "trailing"});
  const int offset = c.integer("steps_offset", 0);
  if (spacing == "linspace") return linspace_timesteps(train_steps, steps);
  if (spacing == "trailing") return trailing_timesteps(train_steps, steps);
  if (offset < 0) c.refuse("steps_offset", "0 or more");
  return leading_timesteps(train_steps, steps, offset);
}

/// Position of a timestep in a list, up to rounding: the second one if it occurs twice (the rule of
/// the first step of the sigma-based classes), the last one if it does not occur.
inline std::size_t index_for_timestep(const std::vector<double>& timesteps, double t) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < timesteps.size(); ++i)
    if (std::abs(timesteps[i] - t) <= 1e-6 * std::abs(t)) found.push_back(i);
  if (found.empty()) return timesteps.size() - 1;
  return found.size() > 1 ? found[1] : found[0];
}

// ---- noise-level spacings: Euler*, Heun, LMS, KDPM2*, DPM-Solver*, UniPC, DEIS, SA-Solver ------

/// Karras et al. 2022, eq. 5, from high to low.
inline std::vector<double> karras_levels(double low, double high, int steps, double rho = 7) {
  std::vector<double> levels;
  const double a = std::pow(high, 1 / rho);
  const double b = std::pow(low, 1 / rho);
  for (const double ramp : linspace(0, 1, steps))
    levels.push_back(std::pow(a + ramp * (b - a), rho));
  return levels;
}

/// Evenly spaced logarithms, from high to low.
inline std::vector<double> exponential_levels(double low, double high, int steps) {
  std::vector<double> levels = linspace(std::log(high), std::log(low), steps);
  for (double& level : levels) level = std::exp(level);
  return levels;
}

/// Timestep of a noise level: linear in the logarithm of the (increasing) table, clamped to it.
/// \throws std::invalid_argument for a table of fewer than two levels
inline double time_of_level(double level, const std::vector<double>& log_levels) {
  const double x = std::log(std::max(level, 1e-10));
  tweedie::detail::require(log_levels.size() >= 2, "huggingface::scheduler", "num_train_timesteps",
                           static_cast<double>(log_levels.size()),
                           "valid: 2 or more where timesteps follow from noise levels");
  const std::size_t last = log_levels.size() - 2;
  std::size_t low = 0;
  for (std::size_t k = 0; k < log_levels.size(); ++k)
    if (x >= log_levels[k]) low = k;
  low = std::min(low, last);
  const double w =
      std::clamp((log_levels[low] - x) / (log_levels[low] - log_levels[low + 1]), 0.0, 1.0);
  return (1 - w) * static_cast<double>(low) + w * static_cast<double>(low + 1);
}

}  // namespace tweedie::huggingface
