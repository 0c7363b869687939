// Noise levels and network conventions of the DPM-Solver relatives: DPMSolverMultistep, its inverse,
// DPMSolverSinglestep, DEISMultistep, UniPCMultistep, SASolver.
//
// All keep noise levels s = sigma/alpha of a beta table, or flow times s, and read
//   (alpha, sigma) = (1, s) / sqrt(1 + s^2),   or (1 - s, s) with use_flow_sigmas.
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tweedie/grid/beta_quantile.hpp"
#include "tweedie/grid/grid.hpp"
#include "tweedie/interop/huggingface/variance_preserving.hpp"
#include "tweedie/sampler/multistep.hpp"

namespace tweedie::huggingface {

/// What the reference holds after set_timesteps: N timesteps, N + 1 levels (more where it drops
/// repeated timesteps and keeps their levels).
struct level_list {
  std::vector<double> timesteps;
  std::vector<double> sigmas;
  bool flow = false;

  int steps() const { return static_cast<int>(timesteps.size()); }

  signal_noise level(double sigma) const {
    tweedie::detail::require(
        !flow || sigma <= 1, "huggingface::scheduler", "flow sigma", sigma,
        "valid: 0 <= sigma <= 1; use_flow_sigmas does not go with this spacing");
    if (flow) return {1 - sigma, sigma};
    const double alpha = 1 / std::sqrt(sigma * sigma + 1);
    return {alpha, sigma * alpha};
  }

  /// Nodes of the steps from begin_index on.
  grid nodes(const config& c, const request& how) const {
    return listed_nodes(c, how, timesteps, sigmas, sigmas[timesteps.size()] == 0 ? -1 : 0,
                        [&](double sigma) { return level(sigma); });
  }

  /// "add_noise" before the first step of a run that skips `first` steps.
  std::function<signal_noise(double)> forward(int first) const {
    return [list = *this, first](double t) {
      const auto begin = static_cast<std::size_t>(first);
      const bool starts = first > 0 && list.timesteps[begin] == t;
      return list.level(list.sigmas[starts ? begin : index_for_timestep(list.timesteps, t)]);
    };
  }
};

// ---- timesteps ---------------------------------------------------------------------------------

/// round(linspace(0, last - 1, N + 1)) without 0, noisy to clean.
inline std::vector<double> linspace_but_first(int last, int steps) {
  std::vector<double> t = linspace_timesteps(last, steps + 1);
  t.pop_back();
  return t;
}

/// timestep_spacing of this family: N + 1 points, the cleanest of which is left out. `last` is the
/// number of timesteps left after lambda_min_clipped.
inline std::vector<double> spaced_timesteps(const config& c, int train_steps, int last, int steps) {
  const std::string spacing = read_spacing_name(c);
  const int offset = c.integer("steps_offset", 0);
  if (spacing == "trailing")
    return numpy_trailing_timesteps(last, static_cast<double>(train_steps) / steps);
  if (spacing == "linspace") return linspace_but_first(last, steps);
  std::vector<double> t = leading_timesteps(last, steps + 1, offset);
  t.pop_back();
  return t;
}

/// Number of table entries whose half log-SNR lies below lambda_min_clipped.
inline int clipped_entries(const config& c, const alpha_bar_table& table) {
  const double lowest = c.number("lambda_min_clipped", -std::numeric_limits<double>::infinity());
  int count = 0;
  for (const double a : table.alpha_bars)
    count += std::log(std::sqrt(a)) - std::log(std::sqrt(1 - a)) < lowest;
  return count;
}

// ---- levels ------------------------------------------------------------------------------------

/// The use_*_sigmas switches of a configuration.
struct spacing_switches {
  bool karras = false, exponential = false, beta = false, lu = false, flow = false;

  bool respace() const { return karras || exponential || beta || lu; }
  bool any() const { return respace() || flow; }
};

/// \throws std::invalid_argument where more than one of the first three is on.
inline spacing_switches read_switches(const config& c, bool knows_lu = false) {
  const spacing_switches s{
      c.flag("use_karras_sigmas", false), c.flag("use_exponential_sigmas", false),
      c.flag("use_beta_sigmas", false), knows_lu && c.flag("use_lu_lambdas", false),
      c.flag("use_flow_sigmas", false)};
  if (s.karras + s.exponential + s.beta > 1)
    c.fail("use_karras_sigmas",
           "true; valid: only one of use_karras_sigmas, "
           "use_exponential_sigmas, use_beta_sigmas");
  return s;
}

/// Levels of the switched spacing between the ends of `table` (its order decides the direction);
/// sigma_min and sigma_max of the configuration override the ends and may come in either order.
inline std::vector<double> respaced_levels(const config& c, const spacing_switches& s,
                                           const std::vector<double>& table, int steps) {
  const double low = c.number("sigma_min", table.front());
  const double high = c.number("sigma_max", table.back());
  const auto valid = [](double level) { return level >= 0 && std::isfinite(level); };
  if (c.has("sigma_min") && !valid(low)) c.refuse("sigma_min", "finite, sigma_min >= 0");
  if (c.has("sigma_max") && !valid(high)) c.refuse("sigma_max", "finite, sigma_max >= 0");
  if (s.karras) return rounded_karras_levels(low, high, steps);
  if (s.lu) return geometric_levels(table.back(), table.front(), steps);
  if (s.exponential) return geometric_levels(high, low, steps);
  return mapped(linspace(0, 1, steps),
                [=](double u) { return low + beta_quantile(1 - u, 0.6, 0.6) * (high - low); });
}

/// Timesteps of respaced levels, rounded or not.
inline std::vector<double> respaced_timesteps(const std::vector<double>& levels,
                                              const std::vector<double>& table, bool rounded) {
  const std::vector<double> logarithms = mapped(table, [](double v) { return std::log(v); });
  return mapped(levels, [&](double v) {
    const double time = time_of_level(v, logarithms);
    return rounded ? round_half_even(time) : time;
  });
}

/// shift s / (1 + (shift - 1) s).
inline double shifted(double s, double shift) { return shift * s / (1 + (shift - 1) * s); }

/// Shifted even spacing from 1 - 1/T down, 0 left out.
inline std::vector<double> flow_levels(double shift, int train_steps, int steps) {
  std::vector<double> levels = reversed(linspace(1, 1.0 / train_steps, steps + 1));
  levels.pop_back();
  return mapped(levels, [=](double alpha) { return shifted(1 - alpha, shift); });
}

/// Cut to integers, as the reference stores timesteps.
inline std::vector<double> truncated(const std::vector<double>& timesteps) {
  return mapped(timesteps, [](double t) { return std::trunc(t); });
}

/// Gives `list` the levels of its timesteps or, where a spacing is switched on, `steps` levels
/// between the ends of `table` (its order decides the direction) and their timesteps; those of
/// use_karras_sigmas and use_lu_lambdas are rounded if `rounded` says so.
inline void place_levels(level_list& list, const config& c, const spacing_switches& s,
                         const std::vector<double>& table, int steps, double shift, bool rounded) {
  const std::vector<double> rising = table.front() < table.back() ? table : reversed(table);
  const int train_steps = static_cast<int>(table.size());
  list.flow = s.flow;
  if (s.respace()) {
    list.sigmas = respaced_levels(c, s, table, steps);
    list.timesteps = respaced_timesteps(list.sigmas, rising, rounded && (s.karras || s.lu));
  } else if (s.flow) {
    list.sigmas = flow_levels(shift, train_steps, steps);
    list.timesteps = mapped(list.sigmas, [=](double v) { return v * train_steps; });
  } else {
    list.sigmas = mapped(list.timesteps, [&](double t) { return interpolate(t, rising); });
  }
}

/// Reads final_sigmas_type: whether a run ends at level 0 or at the lowest of its levels.
inline bool ends_at_zero(const config& c) {
  return c.text("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
}

/// flow_shift, or exp(mu) where set_timesteps is given mu.
inline double read_flow_shift(const config& c, const request& how) {
  const double shift = c.number("flow_shift", 1);
  const bool dynamic = c.flag("use_dynamic_shifting", false);
  c.text("time_shift_type", "exponential", {"exponential", "linear"});
  const auto mu = how.set_timesteps.maybe_number("mu");
  if (!mu) return shift;
  if (!dynamic) how.set_timesteps.refuse("mu", "only with use_dynamic_shifting = true");
  c.text("time_shift_type", "exponential", {"exponential"});
  return std::exp(*mu);
}

/// What differs between the classes.
struct level_rules {
  double shift = 1;       ///< of flow levels
  bool lu = false;        ///< knows use_lu_lambdas
  bool custom = false;    ///< set_timesteps takes a list of timesteps
  bool spaced = true;     ///< knows timestep_spacing; else linspace
  bool clips = true;      ///< knows lambda_min_clipped
  bool rounded = true;    ///< timesteps of Karras levels are rounded
  bool reads_end = true;  ///< knows final_sigmas_type; else respaced levels end with the last one
                          ///< twice, others with the level of timestep 0
};

/// Timesteps and levels of a class whose runs fall: custom timesteps or num_inference_steps, then the
/// use_*_sigmas switches.
inline level_list read_levels(const config& c, const request& how, const alpha_bar_table& table,
                              const level_rules& rules) {
  const spacing_switches s = read_switches(c, rules.lu);
  const auto custom = rules.custom ? read_list(how, "timesteps", false) : std::nullopt;
  if (custom && s.respace()) how.set_timesteps.refuse("timesteps", "only without use_*_sigmas");
  const int steps = custom ? static_cast<int>(custom->size()) : read_steps(c, how);
  const int last = table.steps() - (rules.clips ? clipped_entries(c, table) : 0);
  level_list out;
  out.timesteps = rules.spaced ? spaced_timesteps(c, table.steps(), last, steps)
                               : linspace_but_first(last, steps);
  if (custom) out.timesteps = truncated(*custom);
  const std::vector<double> all = table.noise_levels();
  place_levels(out, c, s, all, steps, rules.shift, rules.rounded);
  out.timesteps = truncated(out.timesteps);
  const double lowest = s.any() && !rules.reads_end ? out.sigmas.back() : all.front();
  out.sigmas.push_back(rules.reads_end && ends_at_zero(c) ? 0 : lowest);
  return out;
}

// ---- network -----------------------------------------------------------------------------------

/// Row of a prediction y for which x0 = cx x + cy y at this level.
inline plane_row row_of_sample(signal_noise level, double cx, double cy) {
  if (cx == 0) return {1 / cy, 0};
  const double l = -level.sigma / cy;
  return {(level.alpha * cx - 1) * l / level.sigma, cx * l};
}

/// Row of a prediction y for which z = cx x + cy y at this level.
inline plane_row row_of_noise(signal_noise level, double cx, double cy) {
  const double l = level.alpha / cy;
  return {-cx * l, (1 - level.sigma * cx) * l / level.alpha};
}

/// prediction_type. v_prediction means x0 = alpha x - sigma y (or z = alpha y + sigma x) and
/// flow_prediction x0 = x - s y with the listed level s, whatever (alpha, sigma) are.
inline network_description read_dpm_solver_prediction(const config& c, bool noise_form, bool flow,
                                                      const char* otherwise = "epsilon") {
  const std::string kind = c.text("prediction_type", otherwise,
                                  {"epsilon", "sample", "v_prediction", "flow_prediction"});
  network_description network;
  if (kind == "sample") network.prediction = predicts_sample;
  if (kind == "v_prediction")
    network.prediction = [noise_form](const node& n) {
      const auto [alpha, sigma] = n.level;
      return noise_form ? row_of_noise(n.level, sigma, alpha)
                        : row_of_sample(n.level, alpha, -sigma);
    };
  if (kind != "flow_prediction") return network;
  if (noise_form) c.refuse("prediction_type", "epsilon, sample or v_prediction in noise form");
  network.prediction = [flow](const node& n) {
    return row_of_sample(n.level, 1, flow ? -n.level.sigma : -noise_level(n.level));
  };
  return network;
}

/// A sampler with everything but its plan.
inline loaded_sampler without_plan(const config& c, const request& how, const level_list& levels,
                                   bool noise_form) {
  loaded_sampler out;
  out.network = read_dpm_solver_prediction(c, noise_form, levels.flow);
  out.transform = read_thresholding(c);
  out.timesteps = levels.timesteps;
  out.sigmas = levels.sigmas;
  out.forward = levels.forward(how.begin_index);
  return out;
}

/// Where z comes from in a noise-prediction method: the thresholded x0, if there is one.
inline noise_estimate noise_source_of(const clean_transform& transform) {
  return std::holds_alternative<std::monostate>(transform) ? noise_estimate::from_output
                                                           : noise_estimate::from_clean;
}

}  // namespace tweedie::huggingface
