// The tables of the reference's schedulers: beta schedules, timestep spacings, noise-level
// spacings, with numpy's rounding and lengths, in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/interop/huggingface/call.hpp"
#include "tweedie/schedule/derived.hpp"

namespace tweedie::huggingface {

using tweedie::detail::linspace;
using tweedie::detail::mapped;

/// numpy.interp(x, 0 ... size-1, values).
inline double interpolate(double x, const std::vector<double>& values) {
  if (x <= 0) return values.front();
  if (x >= static_cast<double>(values.size() - 1)) return values.back();
  const auto i = static_cast<std::size_t>(x);
  return values[i] + (values[i + 1] - values[i]) * (x - static_cast<double>(i));
}

// ---- beta schedules: used by every class with num_train_timesteps and beta_start ---------------

/// The beta schedules of most classes.
inline constexpr std::initializer_list<const char*> table_schedules{"linear", "scaled_linear",
                                                                    "squaredcos_cap_v2"};

/// How a class deals with rescale_betas_zero_snr.
enum class zero_terminal_snr {
  unsupported,  ///< the class has no such option
  exact,        ///< alpha_bar(T-1) = 0: DDPM*, DDIM*
  nearly        ///< alpha_bar(T-1) = 2^-24: Euler*, DPM-Solver*, UniPC, SA-Solver
};

/// The variance-preserving table of a class: alpha_bar(k), k = 0 ... T-1. As running products: the
/// logarithms of `discrete_schedule` are more exact than the reference where alpha_bar is near 1.
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
    return mapped(alpha_bars, [](double a) { return std::sqrt((1 - a) / a); });
  }
};

/// beta_schedule = laplace: `laplace_schedule` with 1e-6 under the logarithm, and the root of its
/// alpha_bar.
inline std::vector<double> laplace_betas(int steps) {
  return tweedie::detail::betas_of_alpha_bar(steps, 0.999, [](double t) {
    const double log_snr =
        -0.5 * std::copysign(1, 0.5 - t) * std::log(1 - 2 * std::abs(0.5 - t) + 1e-6);
    const double snr = std::exp(log_snr);
    return std::sqrt(snr / (1 + snr));
  });
}

/// Reads num_train_timesteps, beta_start, beta_end, beta_schedule, trained_betas and
/// rescale_betas_zero_snr; `valid` are the beta schedules the class knows.
inline alpha_bar_table read_betas(const config& c, std::initializer_list<const char*> valid,
                                  zero_terminal_snr zero, double start_default = 0.0001,
                                  double end_default = 0.02,
                                  const char* schedule_default = "linear") {
  const int steps = read_train_steps(c);
  const double start = c.number("beta_start", start_default);
  const double end = c.number("beta_end", end_default);
  const std::string kind = c.text("beta_schedule", schedule_default, valid);
  alpha_bar_table table;
  std::vector<double>& betas = table.betas;
  if (const auto trained = c.numbers("trained_betas")) {
    if (static_cast<int>(trained->size()) != steps)
      c.refuse("trained_betas", "as many values as num_train_timesteps");
    betas = *trained;
  } else {
    betas = kind == "linear"              ? linspace(start, end, steps)
            : kind == "scaled_linear"     ? tweedie::detail::scaled_linear_betas(steps, start, end)
            : kind == "squaredcos_cap_v2" ? tweedie::detail::cosine_betas(steps)
            : kind == "laplace"           ? laplace_betas(steps)
            : kind == "exp"               ? tweedie::detail::exponential_betas(steps)
                                          : tweedie::detail::sigmoid_betas(steps, start, end);
  }
  for (const double beta : betas)
    if (!(beta >= 0 && beta <= 1))
      c.fail("beta", tweedie::detail::number(beta) +
                         "; valid: 0 <= beta <= 1 (beta_start, beta_end, trained_betas)");
  const auto products = [&betas] {
    double product = 1;
    return mapped(betas, [&](double beta) { return product *= 1 - beta; });
  };
  table.alpha_bars = products();
  if (zero == zero_terminal_snr::unsupported || !c.flag("rescale_betas_zero_snr", false))
    return table;
  // The reference goes back to betas, and rounds their products again.
  double before = 1;
  const auto root = [](double a) { return std::sqrt(a); };
  betas = mapped(
      tweedie::detail::zero_terminal_alphas(mapped(table.alpha_bars, root)),
      [&](double alpha) { return 1 - alpha * alpha / std::exchange(before, alpha * alpha); });
  table.alpha_bars = products();
  if (zero == zero_terminal_snr::nearly) table.alpha_bars.back() = std::exp2(-24.0);
  return table;
}

// ---- timestep spacings: integer timesteps, noisy to clean --------------------------------------

/// round(linspace(0, T-1, N)): DDPM*, DDIM*, PNDM. One step is the step from 0.
inline std::vector<double> linspace_timesteps(int train_steps, int steps) {
  return reversed(mapped(linspace(0, train_steps - 1, steps), round_half_even));
}

/// k (T // N) + offset: DDPM*, DDIM*, PNDM, Euler, ...
inline std::vector<double> leading_timesteps(int train_steps, int steps, int offset) {
  const int ratio = train_steps / steps;
  std::vector<double> t;
  for (int k = steps; k-- > 0;) t.push_back(k * ratio + offset);
  return t;
}

/// round(arange(last, 0, -stride)) - 1, with numpy's increment and its length: for some numbers of
/// steps (61 of 1000, ...) rounding makes it one entry, the timestep -1, longer.
inline std::vector<double> numpy_trailing_timesteps(double last, double stride) {
  const double increment = (last - stride) - last;
  std::vector<double> t;
  for (int i = 0; i < std::ceil(last / stride); ++i)
    t.push_back(round_half_even(last + i * increment) - 1);
  return t;
}

/// The same over the whole table, without that entry: DDPM*, DDIM*, PNDM.
inline std::vector<double> trailing_timesteps(int train_steps, int steps) {
  std::vector<double> t =
      numpy_trailing_timesteps(train_steps, static_cast<double>(train_steps) / steps);
  t.resize(static_cast<std::size_t>(steps));
  return t;
}

/// Reads timestep_spacing.
inline std::string read_spacing_name(const config& c, const char* otherwise = "linspace") {
  return c.text("timestep_spacing", otherwise, {"linspace", "leading", "trailing"});
}

/// Reads timestep_spacing and steps_offset, for the classes whose N points are these three.
inline std::vector<double> read_spacing(const config& c, int train_steps, int steps) {
  const std::string spacing = read_spacing_name(c, "leading");
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

/// Position of the listed timestep nearest to t, the first of equals.
inline std::size_t nearest_timestep(const std::vector<double>& timesteps, double t) {
  const auto distance = [t](double listed) { return std::abs(listed - t); };
  return static_cast<std::size_t>(std::ranges::min_element(timesteps, {}, distance) -
                                  timesteps.begin());
}

/// "add_noise", "scale_noise": the level of a listed timestep, or of the start of a run that begins
/// later.
template <class Level>
std::function<signal_noise(double)> listed_forward(const loaded_sampler& sampler,
                                                   const request& how, const Level& level_of) {
  return [t = sampler.timesteps, s = sampler.sigmas, begin = how.begin_index,
          start = sampler.plan.start.level, level_of](double timestep) {
    return begin > 0 ? start : level_of(s[index_for_timestep(t, timestep)]);
  };
}

// ---- noise-level spacings: Euler*, Heun, LMS, KDPM2*, DPM-Solver*, UniPC, DEIS, SA-Solver ------

/// Karras levels whose ends are rounded as the others are, in either order: a last level that is
/// listed again differs by that rounding, which decides the noise of the step between the two.
inline std::vector<double> rounded_karras_levels(double low, double high, int steps,
                                                 double rho = 7) {
  return mapped(linspace(0, 1, steps), [=](double u) { return karras_level(u, high, low, rho); });
}

/// Evenly spaced logarithms, in either order.
inline std::vector<double> geometric_levels(double first, double last, int steps) {
  return mapped(linspace(std::log(first), std::log(last), steps),
                [](double logarithm) { return std::exp(logarithm); });
}

/// Timestep of a noise level: linear in the logarithm of the (increasing) table, clamped to it.
/// \throws std::invalid_argument for a table of fewer than two levels
inline double time_of_level(double level, const std::vector<double>& log_levels) {
  const double x = std::log((std::max)(level, 1e-10));
  tweedie::detail::require(log_levels.size() >= 2, "huggingface::scheduler", "num_train_timesteps",
                           static_cast<double>(log_levels.size()),
                           "valid: 2 or more where timesteps follow from noise levels");
  const std::size_t last = log_levels.size() - 2;
  std::size_t low = 0;
  for (std::size_t k = 0; k < log_levels.size(); ++k)
    if (x >= log_levels[k]) low = k;
  low = (std::min)(low, last);
  const double w =
      std::clamp((log_levels[low] - x) / (log_levels[low] - log_levels[low + 1]), 0.0, 1.0);
  return (1 - w) * static_cast<double>(low) + w * static_cast<double>(low + 1);
}

}  // namespace tweedie::huggingface
