// Timesteps and noise levels of the classes that follow k-diffusion: EulerDiscrete,
// EulerAncestralDiscrete, HeunDiscrete, KDPM2Discrete, KDPM2AncestralDiscrete, LMSDiscrete,
// DPMSolverSDE.
//
// They keep x = x0 + s z with s = sigma/alpha of a beta table, show the network x/sqrt(s^2 + 1) and
// tell it a fractional timestep.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/dpm_solver_levels.hpp"

namespace tweedie::huggingface {

/// The level (1, sigma) of a noise level sigma, as the classes with sigmas keep their states.
inline constexpr auto exploding = [](double level) { return variance_exploding(level); };

/// N timesteps, N noise levels and the one the last step reaches, noisy to clean.
struct noise_level_list {
  std::vector<double> timesteps;
  std::vector<double> levels;
  std::vector<double> table;  ///< noise levels of the beta table, increasing
  std::vector<double> table_logarithms;
  bool reaches_noise = true;  ///< linspace or trailing: the run starts at the noisiest level

  noise_level_list(const config& c, const alpha_bar_table& betas)
      : table(betas.noise_levels()),
        table_logarithms(mapped(table, [](double level) { return std::log(level); })),
        reaches_noise(read_spacing_name(c) != "leading") {}

  std::size_t steps() const { return timesteps.size(); }
  double time_of(double level) const { return time_of_level(level, table_logarithms); }

  /// A node between two steps, timed by the table.
  auto between() const {
    return [list = *this](double level) {
      return node{list.time_of(level), variance_exploding(level)};
    };
  }

  /// Nodes of the steps from begin_index on.
  grid nodes(const config& c, const request& how) const {
    const double last = levels[steps()];
    return listed_nodes(c, how, timesteps, levels, last == 0 ? -1 : time_of(last), exploding);
  }
};

/// Reads timestep_spacing and steps_offset; `train_steps` points, `steps` of them. Unlike the
/// integer spacings, linspace is not rounded, and trailing keeps the extra timestep -1.
inline std::vector<double> fractional_timesteps(const config& c, int train_steps, int steps) {
  const std::string spacing = read_spacing_name(c);
  const int offset = c.integer("steps_offset", 0);
  if (spacing == "linspace") return reversed(linspace(0, train_steps - 1, steps));
  if (spacing == "leading") return leading_timesteps(train_steps, steps, offset);
  return numpy_trailing_timesteps(train_steps, static_cast<double>(train_steps) / steps);
}

/// What differs between the classes.
struct noise_level_rules {
  bool respaces = true;  ///< knows use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas
  bool karras_has_ends = true;        ///< sigma_min and sigma_max apply to Karras levels, too
  bool rounds_karras = false;         ///< timesteps of Karras levels are rounded
  bool custom_timesteps = false;      ///< set_timesteps takes a list of timesteps
  bool train_steps_argument = false;  ///< set_timesteps takes num_train_timesteps
  bool spans_table = false;           ///< respaced levels reach from end to end of the table
};

/// Timesteps and levels of a class: num_inference_steps or custom timesteps, timestep_spacing, then
/// the use_*_sigmas switches. The last step reaches 0.
inline noise_level_list read_noise_levels(const config& c, const request& how,
                                          const alpha_bar_table& table,
                                          const noise_level_rules& rules) {
  noise_level_list out(c, table);
  const spacing_switches switches = rules.respaces ? read_switches(c) : spacing_switches{};
  if (switches.flow) c.fail("use_flow_sigmas", "true; not supported by this class");

  const auto custom = rules.custom_timesteps ? read_list(how, "timesteps", false) : std::nullopt;
  if (custom) {
    if (switches.any())
      how.set_timesteps.refuse("timesteps",
                               "not together with use_karras_sigmas, "
                               "use_exponential_sigmas or use_beta_sigmas");
    out.timesteps = *custom;
    c.without_effect({"steps_offset"});
  } else {
    const int steps = read_steps(c, how);
    int train_steps = table.steps();
    if (rules.train_steps_argument)
      train_steps = how.set_timesteps.integer("num_train_timesteps", train_steps);
    if (train_steps < 1) how.set_timesteps.refuse("num_train_timesteps", "a positive integer");
    out.timesteps = fractional_timesteps(c, train_steps, steps);
  }
  for (const double t : out.timesteps) out.levels.push_back(interpolate(t, out.table));

  if (switches.any()) {
    const int steps = read_steps(c, how);
    const double low = rules.spans_table ? out.table.front() : out.levels.back();
    const double high = rules.spans_table ? out.table.back() : out.levels.front();
    out.levels = switches.karras && !rules.karras_has_ends
                     ? rounded_karras_levels(low, high, steps)
                     : respaced_levels(c, switches, {low, high}, steps);
    out.timesteps =
        respaced_timesteps(out.levels, out.table, switches.karras && rules.rounds_karras);
  }
  out.levels.push_back(0);
  return out;
}

/// v_0, then w_1, v_1, w_2, v_2, ...: the lists of classes with two stages a step.
inline std::vector<double> interleaved(const std::vector<double>& v, const std::vector<double>& w) {
  std::vector<double> out{v.front()};
  for (std::size_t i = 1; i < v.size(); ++i) out.insert(out.end(), {w[i - 1], v[i]});
  return out;
}

/// v_0, then every later entry but the last twice: how classes with two stages list their levels.
inline std::vector<double> doubled(std::vector<double> v) {
  const double last = v.back();
  v.pop_back();
  v = interleaved(v, {v.begin() + 1, v.end()});
  v.push_back(last);
  return v;
}

/// The walk of `step` along nodes whose levels may repeat (steps_offset beyond the table, more steps
/// than timesteps): a leg of no length asks the network, twice in classes of two `stages`, and draws
/// as the reference does, and changes nothing.
template <class Step>
program walk_with_repeats(const noise_level_list& list, const grid& nodes, int stages, int draws,
                          Step step) {
  constexpr const char* name = "huggingface::scheduler";
  legs falling;
  for (const leg& l : legs(nodes))
    if (l.from.level != l.to.level) falling.push_back(l);
  check_descending(name, falling);
  return walk_anywhere(name, nodes, [&](recorder& r, const linear& x, const leg& l) -> linear {
    if (l.from.level != l.to.level) return step(r, x, l);
    r.evaluate(x, l.from);
    if (stages > 1) r.evaluate(x, list.between()(noise_level(l.from.level)));
    for (int i = 0; i < draws; ++i) r.draw();
    return x;
  });
}

/// Fills what all these classes share, after timesteps and sigmas of `out` are set: x0 + s z, the
/// input scale 1/sqrt(s^2 + 1), the initial noise and the level of a listed timestep.
inline void finish_noise_levels(const config& c, const request& how, const noise_level_list& list,
                                std::initializer_list<const char*> predictions,
                                loaded_sampler& out) {
  out.network = read_prediction(c, predictions);
  out.network.input_scale = variance_preserving_input;
  const double highest = *std::max_element(out.sigmas.begin(), out.sigmas.end());
  out.init_noise_sigma = list.reaches_noise ? highest : std::sqrt(highest * highest + 1);
  out.forward = listed_forward(out, how, exploding);
}

}  // namespace tweedie::huggingface
