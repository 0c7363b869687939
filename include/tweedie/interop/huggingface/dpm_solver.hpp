// DPMSolverMultistepScheduler, DPMSolverMultistepInverseScheduler, DPMSolverSinglestepScheduler.
//
// Kept from the reference: the third-order multistep term of half the size (order 2), the wrong sign
// in the third-order SDE term (weak order 1), lowered orders at the end of runs of fewer than 15
// steps, independent noise in every step of a singlestep block.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tweedie/interop/huggingface/dpm_solver_levels.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/sampler/singlestep.hpp"

namespace tweedie::huggingface {

/// Timesteps and levels of the inverse scheduler: from data to noise. Repeated timesteps are dropped,
/// their levels are not, so that later steps use earlier levels.
inline level_list inverse_levels(const config& c, const alpha_bar_table& table,
                                 const request& how) {
  const int train_steps = table.steps();
  const std::vector<double> all = table.noise_levels();
  const spacing_switches s = read_switches(c);
  const int steps = read_steps(c, how);
  const int noisiest = train_steps - 1 - clipped_entries(c, table);
  const std::string spacing = read_spacing_name(c);
  const int offset = c.integer("steps_offset", 0);

  level_list out;
  if (spacing == "trailing") {
    out.timesteps =
        reversed(numpy_trailing_timesteps(noisiest + 1, static_cast<double>(train_steps) / steps));
  } else if (spacing == "linspace") {
    out.timesteps = mapped(linspace(0, noisiest, steps + 1), round_half_even);
    out.timesteps.pop_back();
  } else {
    const int stride = (noisiest + 1) / (steps + 1);
    for (int k = 0; k < steps; ++k) out.timesteps.push_back(k * stride + offset);
  }
  if (noisiest < 0 && !s.any())
    c.refuse("lambda_min_clipped", "below the half log-SNR of some timestep");
  place_levels(out, c, s, reversed(all), steps, c.number("flow_shift", 1), true);
  // The reference takes the sampler's own flow levels, which fall: no inversion.
  if (s.flow && !how.faithful && out.sigmas.front() > out.sigmas.back()) {
    out.sigmas = reversed(out.sigmas);
    out.timesteps = reversed(out.timesteps);
  }
  out.sigmas.push_back(s.any() ? out.sigmas.back() : all[static_cast<std::size_t>(noisiest)]);
  std::vector<double> unique;
  for (const double t : out.timesteps)
    if (std::find(unique.begin(), unique.end(), t) == unique.end()) unique.push_back(t);
  out.timesteps = truncated(unique);
  return out;
}

/// algorithm_type and solver_type of this family.
struct dpm_solver_kind {
  bool noise_form = false;
  bool stochastic = false;
  bool midpoint = true;
};

/// \throws std::invalid_argument for a type that the class does not have.
inline dpm_solver_kind read_dpm_solver_kind(const config& c,
                                            std::initializer_list<const char*> algorithms) {
  const std::string algorithm = c.text("algorithm_type", "dpmsolver++", algorithms);
  const std::string solver =
      c.text("solver_type", "midpoint", {"midpoint", "heun", "logrho", "bh1", "bh2"});
  return {algorithm == "dpmsolver" || algorithm == "sde-dpmsolver", algorithm.starts_with("sde-"),
          solver != "heun"};
}

/// The multistep method of a kind, with the reference's terms of second and third order.
inline multistep_model model_of(const dpm_solver_kind& kind, const clean_transform& transform) {
  multistep_model model;
  if (kind.noise_form) model.row = noise_row;
  model.noise = noise_source_of(transform);
  model.second = kind.midpoint ? second_order_term::halved : second_order_term::exact;
  model.third = third_order_term::published;
  if (kind.stochastic) {
    // The reference has no third-order update for sde-dpmsolver.
    model.third = kind.noise_form ? third_order_term::exact : third_order_term::published_sde;
    model.stochasticity = [](const node&) { return 1.0; };
  }
  return model;
}

/// The options that ask for zero noise at the end of a method that cannot reach it.
inline void refuse_zero_end(const config& c, const dpm_solver_kind& kind) {
  if (kind.noise_form && ends_at_zero(c))
    c.refuse("final_sigmas_type", "sigma_min where algorithm_type is dpmsolver or sde-dpmsolver");
}

/// Reads solver_order.
inline int read_solver_order(const config& c) {
  const int order = c.integer("solver_order", 2);
  if (order < 1) c.refuse("solver_order", "1, 2, 3; more means 3");
  return order;
}

/// Orders of the multistep classes from begin_index on: they ramp up to at most three; the last step
/// is first order where `first_order_end` says so, and fewer than 15 steps end with orders 2, 1 where
/// lower_order_final is set.
inline std::vector<int> read_orders(const config& c, const request& how, int steps,
                                    bool first_order_end) {
  const int order = read_solver_order(c);
  const bool few = c.flag("lower_order_final", true) && steps < 15;
  std::vector<int> orders;
  for (int i = how.begin_index; i < steps; ++i) {
    int now = (std::min)({order, i - how.begin_index + 1, 3});
    if (i == steps - 1 && (few || first_order_end)) now = 1;
    if (i == steps - 2 && few) now = (std::min)(now, 2);
    orders.push_back(now);
  }
  return orders;
}

/// Reads variance_type, which these classes do not draw with. With learned and learned_range the network
/// answers twice the channels, and the first half is its prediction: hand on that alone.
inline void read_dropped_variance(const config& c) {
  c.text("variance_type", "fixed_small",
         {"fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned",
          "learned_range"});
}

/// Plans the multistep classes.
inline loaded_sampler load_multistep(const config& c, const request& how, const level_list& levels,
                                     const dpm_solver_kind& kind, bool ends_at_order_one) {
  read_dropped_variance(c);
  const bool first_order_end = c.flag("euler_at_final", false) || ends_at_order_one;
  loaded_sampler out = without_plan(c, how, levels, kind.noise_form);
  out.plan = multistep(levels.nodes(c, how), read_orders(c, how, levels.steps(), first_order_end),
                       model_of(kind, out.transform));
  return out;
}

inline loaded_sampler load_dpm_solver_multistep(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::nearly);
  const bool cosine = c.text("beta_schedule", "linear", table_schedules) == "squaredcos_cap_v2";
  const level_list levels = read_levels(
      c, how, table,
      {.shift = read_flow_shift(c, how), .lu = true, .custom = true, .rounded = !cosine});
  const dpm_solver_kind kind = read_dpm_solver_kind(
      c, {"dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++", "deis"});
  refuse_zero_end(c, kind);
  return load_multistep(c, how, levels, kind, levels.sigmas.back() == 0);
}

inline loaded_sampler load_dpm_solver_multistep_inverse(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::unsupported);
  const level_list levels = inverse_levels(c, table, how);
  const dpm_solver_kind kind = read_dpm_solver_kind(
      c, {"dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++", "deis"});
  return load_multistep(c, how, levels, kind, false);
}

/// Orders of a singlestep run: blocks 1 ... order, cut or lowered at the end.
inline std::vector<int> singlestep_orders(int steps, int order, bool lower_order_final,
                                          bool zero_end) {
  std::vector<int> orders;
  for (int i = 0; i < steps; ++i) orders.push_back(i % order + 1);
  // The last whole block is broken up: 1 2 1 instead of 1 2 3, 1 1 instead of 1 2.
  if (zero_end || (lower_order_final && order > 1 && steps % order == 0)) orders.back() = 1;
  return orders;
}

inline loaded_sampler load_dpm_solver_singlestep(const config& c, const request& how) {
  const alpha_bar_table table = read_betas(c, table_schedules, zero_terminal_snr::unsupported);
  const level_list levels = read_levels(
      c, how, table, {.shift = read_flow_shift(c, how), .custom = true, .spaced = false});
  const dpm_solver_kind kind =
      read_dpm_solver_kind(c, {"dpmsolver", "dpmsolver++", "sde-dpmsolver++", "deis"});
  refuse_zero_end(c, kind);
  const int order = read_solver_order(c);
  if (order > 3) c.refuse("solver_order", "1, 2, 3");
  read_dropped_variance(c);

  loaded_sampler out = without_plan(c, how, levels, kind.noise_form);
  const std::vector<int> orders = singlestep_orders(
      levels.steps(), order, c.flag("lower_order_final", false), levels.sigmas.back() == 0);
  out.tables["order_list"].assign(orders.begin(), orders.end());
  const grid nodes = levels.nodes(c, how);
  out.plan = singlestep(nodes, std::span(orders).subspan(static_cast<std::size_t>(how.begin_index)),
                        model_of(kind, out.transform),
                        kind.midpoint     ? singlestep_third::newest_slope
                        : kind.stochastic ? singlestep_third::published_sde
                                          : singlestep_third::quadratic);
  return out;
}

}  // namespace tweedie::huggingface
