// Timesteps and noise levels of the classes that follow k-diffusion: EulerDiscrete,
// EulerAncestralDiscrete, HeunDiscrete, KDPM2Discrete, KDPM2AncestralDiscrete, LMSDiscrete,
// DPMSolverSDE.
//
// They keep x = x0 + s z with s = sigma/alpha of a beta table, show the network x/sqrt(s^2 + 1) and
// tell it a fractional timestep.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/interop/huggingface/dpm_solver_levels.hpp"

namespace tweedie::huggingface {

/// N timesteps and N noise levels, noisy to clean, without the final zero.
struct noise_level_list {
  std::vector<double> timesteps;
  std::vector<double> levels;
  std::vector<double> table;  ///< noise levels of the beta table, increasing
  std::vector<double> table_logarithms;
  bool reaches_noise = true;  ///< linspace or trailing: the run starts at the noisiest level

  std::size_t steps() const { return timesteps.size(); }
  double time_of(double level) const { return time_of_level(level, table_logarithms); }

  /// A node between two steps, timed by the table.
  auto between() const {
    return [list = *this](double level) {
      return node{list.time_of(level), variance_exploding(level)};
    };
  }

  /// Nodes of the steps from `first` on; `last` is the level that the last step reaches.
  grid nodes(const config& c, int first, double last = 0) const {
    remaining(c, timesteps, first);
    grid out;
    for (auto i = static_cast<std::size_t>(first); i < steps(); ++i)
      out.push_back({timesteps[i], variance_exploding(levels[i])});
    out.push_back({last == 0 ? -1.0 : time_of(last), variance_exploding(last)});
    return out;
  }
};

/// Reads timestep_spacing and steps_offset; `train_steps` points, `steps` of them. Unlike the
/// integer spacings, linspace is not rounded, and trailing keeps the extra timestep -1 that
/// rounding gives it for some numbers of steps (61 of 1000, ...).
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
/// the use_*_sigmas switches.
inline noise_level_list read_noise_levels(const config& c, const request& how,
                                          const alpha_bar_table& table,
                                          const noise_level_rules& rules) {
  noise_level_list out;
  out.table = table.noise_levels();
  for (const double level : out.table) out.table_logarithms.push_back(std::log(level));
  const spacing_switches switches = rules.respaces ? read_switches(c) : spacing_switches{};
  if (switches.flow) c.fail("use_flow_sigmas", "true; not supported by this class");

  const auto custom =
      rules.custom_timesteps ? how.set_timesteps.numbers("timesteps") : std::nullopt;
  int steps = 0;
  if (custom) {
    if (how.num_inference_steps)
      how.set_timesteps.refuse("timesteps", "without num_inference_steps");
    if (switches.any())
      how.set_timesteps.refuse("timesteps",
                               "not together with use_karras_sigmas, "
                               "use_exponential_sigmas or use_beta_sigmas");
    if (custom->empty()) how.set_timesteps.refuse("timesteps", "at least one timestep");
    out.timesteps = *custom;
    steps = static_cast<int>(custom->size());
    c.without_effect({"steps_offset"});
  } else {
    steps = read_steps(c, how);
    int train_steps = table.steps();
    if (rules.train_steps_argument)
      train_steps = how.set_timesteps.integer("num_train_timesteps", train_steps);
    if (train_steps < 1) how.set_timesteps.refuse("num_train_timesteps", "a positive integer");
    out.timesteps = fractional_timesteps(c, train_steps, steps);
  }
  out.reaches_noise = read_spacing_name(c) != "leading";
  for (const double t : out.timesteps) out.levels.push_back(interpolate(t, out.table));

  if (switches.any()) {
    const std::vector<double> ends =
        rules.spans_table ? std::vector<double>{out.table.front(), out.table.back()}
                          : std::vector<double>{out.levels.back(), out.levels.front()};
    out.levels = switches.karras && !rules.karras_has_ends
                     ? rounded_karras_levels(ends[0], ends[1], steps)
                     : respaced_levels(c, switches, ends, steps);
    out.timesteps.clear();
    for (const double level : out.levels) {
      const double t = out.time_of(level);
      out.timesteps.push_back(switches.karras && rules.rounds_karras ? round_half_even(t) : t);
    }
  }
  return out;
}

/// s_0, then every later level twice, then zero: how two-stage classes list their levels.
inline std::vector<double> doubled_levels(const std::vector<double>& levels) {
  std::vector<double> out;
  for (std::size_t i = 0; i < levels.size(); ++i) out.insert(out.end(), i == 0 ? 1 : 2, levels[i]);
  out.push_back(0);
  return out;
}

/// t_0, then m_1, t_1, m_2, t_2, ...: timesteps of both stages.
inline std::vector<double> interleaved(const std::vector<double>& t, const std::vector<double>& m) {
  std::vector<double> out{t.front()};
  for (std::size_t i = 1; i < t.size(); ++i) {
    out.push_back(m[i - 1]);
    out.push_back(t[i]);
  }
  return out;
}

/// Cost of a step of the reference that leads to the level it comes from.
struct idle_step {
  std::vector<node> evaluations;
  int draws = 0;
};

/// The program of `plan` over nodes whose levels may repeat (steps_offset beyond the table, more
/// steps than timesteps): such steps ask the network and draw as the reference does and change
/// nothing. `idle(from)` is the cost of one.
template <class Planner, class Idle>
program plan_with_repeats(const grid& nodes, const Planner& plan, const Idle& idle) {
  grid falling{nodes.front()};
  std::vector<std::pair<std::size_t, idle_step>> repeats;  // after how many steps
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    if (nodes[i].level == falling.back().level) {
      repeats.emplace_back(falling.size() - 1, idle(falling.back()));
      falling.back() = nodes[i];
    } else {
      falling.push_back(nodes[i]);
    }
  }
  program moving = plan(falling);
  if (repeats.empty()) return moving;

  program out = moving;
  out.start = nodes.front();
  out.stages.clear();
  int state = 0;
  int shift = 0;
  std::size_t steps = 0;
  auto next = repeats.begin();
  const auto insert = [&] {
    for (; next != repeats.end() && next->first == steps; ++next) {
      for (const node& at : next->second.evaluations) {
        stage asked;
        asked.evaluate = evaluation{state, at};
        out.stages.push_back(asked);
      }
      out.stages.back().mark = step_mark{state, next->second.evaluations.front()};
      shift += next->second.draws;
      out.draws.insert(out.draws.end(), static_cast<std::size_t>(next->second.draws), {});
    }
  };
  insert();
  for (stage s : moving.stages) {
    for (operand& input : s.pass.inputs)
      if (input.from == operand_kind::draw) input.index += shift;
    out.stages.push_back(s);
    if (!s.mark) continue;
    state = s.mark->state;
    ++steps;
    insert();
  }
  return out;
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
  const int begin = how.begin_index;
  out.forward = [t = out.timesteps, s = out.sigmas, begin,
                 start = out.plan.start.level](double timestep) {
    if (begin > 0) return start;
    return variance_exploding(s[index_for_timestep(t, timestep)]);
  };
}

}  // namespace tweedie::huggingface
