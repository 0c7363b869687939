// Every planner of the core on every grid the laws are checked on. A new planner or grid is one
// more line here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/program.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/sampler/er_sde.hpp"
#include "tweedie/sampler/euler.hpp"
#include "tweedie/sampler/exponential_runge_kutta.hpp"
#include "tweedie/sampler/flow.hpp"
#include "tweedie/sampler/heun.hpp"
#include "tweedie/sampler/ipndm.hpp"
#include "tweedie/sampler/linear_multistep.hpp"
#include "tweedie/sampler/midpoint.hpp"
#include "tweedie/sampler/restart.hpp"
#include "tweedie/sampler/runge_kutta.hpp"
#include "tweedie/sampler/sa_solver.hpp"
#include "tweedie/sampler/singlestep.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie::laws {

struct planner {
  std::string name;
  std::function<program(const grid&)> plan;
  bool draws = false;
  bool keeps_marginals = true;   // conditional on x0 the state is N(alpha x0, sigma^2 I) at marks
  bool needs_signal = false;     // refuses a start with alpha = 0
  int evaluations_per_step = 1;  // but one in a step to clean data
  int order = 1;                 // of a deterministic planner
};

// Nodes between those of a grid, in the gauge of rectified flow: planners must not mind.
inline node inner_node(double level) { return {level, rectified(level)}; }

inline auto constant(double tau) {
  return [tau](const node&) { return tau; };
}

inline std::vector<planner> planners() {
  return {
      {.name = "ddim", .plan = [](const grid& g) { return ddim(g); }},
      {.name = "ddim, eta = 0.5",
       .plan = [](const grid& g) { return ddim(g, 0.5); },
       .draws = true},
      {.name = "ddim, eta = 1", .plan = [](const grid& g) { return ddim(g, 1); }, .draws = true},
      {.name = "ddpm, fixed small", .plan = [](const grid& g) { return ddpm(g); }, .draws = true},
      {.name = "ddpm, fixed large",
       .plan = [](const grid& g) { return ddpm(g, fixed_large{}); },
       .draws = true,
       .keeps_marginals = false},
      {.name = "ddpm, analytic",
       .plan =
           [](const grid& g) {
             return ddpm(g, analytic_variance{[](const node&) { return 0.0; }});
           },
       .draws = true},
      {.name = "euler", .plan = [](const grid& g) { return euler(g); }},
      {.name = "heun",
       .plan = [](const grid& g) { return heun(g); },
       .needs_signal = true,
       .evaluations_per_step = 2,
       .order = 2},
      {.name = "euler ancestral",
       .plan = [](const grid& g) { return euler_ancestral(g); },
       .draws = true,
       .needs_signal = true},
      {.name = "euler ancestral, eta = 0.3",
       .plan = [](const grid& g) { return euler_ancestral(g, 0.3); },
       .draws = true,
       .needs_signal = true},
      {.name = "DPM-Solver++ 1", .plan = [](const grid& g) { return dpm_solver_plus_plus(g, 1); }},
      {.name = "DPM-Solver++ 2M",
       .plan = [](const grid& g) { return dpm_solver_plus_plus(g, 2); },
       .order = 2},
      {.name = "DPM-Solver multistep 2",
       .plan = [](const grid& g) { return dpm_solver_multistep(g, 2); },
       .needs_signal = true,
       .order = 2},
      {.name = "DEIS 2",
       .plan = [](const grid& g) { return deis(g, 2); },
       .needs_signal = true,
       .order = 2},
      {.name = "UniP-2", .plan = [](const grid& g) { return unip(g, 2); }, .order = 2},
      {.name = "UniPC-1", .plan = [](const grid& g) { return unipc(g, 1); }, .order = 2},
      {.name = "UniPC-2", .plan = [](const grid& g) { return unipc(g, 2); }, .order = 3},
      {.name = "DPM-Solver++ singlestep 2",
       .plan =
           [](const grid& g) {
             check_descending("singlestep", g);
             return singlestep(g, block_orders(g, 2));
           },
       .order = 2},
      {.name = "SDE-DPM-Solver++ 2M",
       .plan = [](const grid& g) { return sde_dpm_solver_plus_plus(g, 2); },
       .draws = true},
      {.name = "SDE-DPM-Solver++ 3M, eta = 0.4",
       .plan = [](const grid& g) { return sde_dpm_solver_plus_plus(g, 3, 0.4); },
       .draws = true},
      {.name = "SA-Solver",
       .plan = [](const grid& g) { return sa_solver(g, constant(0.7), 3, 3); },
       .draws = true},
      {.name = "ER-SDE 3",
       .plan = [](const grid& g) { return er_sde(g, 3); },
       .draws = true,
       .needs_signal = true},
      {.name = "ER-SDE 2, ODE",
       .plan = [](const grid& g) { return er_sde(g, 2, ode_noise_scale); },
       .needs_signal = true,
       .order = 2},
      {.name = "RES 2s",
       .plan = [](const grid& g) { return exponential_runge_kutta(g, etd2(), inner_node); },
       .evaluations_per_step = 2,
       .order = 2},
      {.name = "ETD 3",
       .plan = [](const grid& g) { return exponential_runge_kutta(g, etd3(), inner_node); },
       .evaluations_per_step = 3,
       .order = 3},
      {.name = "Krogstad",
       .plan = [](const grid& g) { return exponential_runge_kutta(g, krogstad(), inner_node); },
       .evaluations_per_step = 4,
       .order = 4},
      {.name = "SEEDS-2",
       .plan = [](const grid& g) { return seeds_2(g, inner_node); },
       .draws = true,
       .evaluations_per_step = 2},
      {.name = "SEEDS-3",
       .plan = [](const grid& g) { return seeds_3(g, inner_node); },
       .draws = true,
       .evaluations_per_step = 3},
      {.name = "Ralston",
       .plan = [](const grid& g) { return runge_kutta(g, ralston_tableau, noise_level_nodes); },
       .needs_signal = true,
       .evaluations_per_step = 2,
       .order = 2},
      {.name = "Bogacki-Shampine in flow time",
       .plan =
           [](const grid& g) {
             return runge_kutta(g, bogacki_shampine_tableau, noise_level_nodes, straight_row);
           },
       .evaluations_per_step = 3,
       .order = 3},
      {.name = "linear multistep in the noise level",
       .plan =
           [](const grid& g) {
             return linear_multistep(g, 2, noise_row, {.last = last_step::denoises});
           },
       .order = 2},
      {.name = "linear multistep in flow time",
       .plan =
           [](const grid& g) {
             return linear_multistep(g, 2, straight_row, {.last = last_step::denoises});
           },
       .order = 2},
      {.name = "ipndm", .plan = [](const grid& g) { return ipndm(g, 2); }, .order = 2},
      {.name = "ipndm-v", .plan = [](const grid& g) { return ipndm_v(g, 2); }, .order = 2},
      {.name = "dpm 2",
       .plan = [](const grid& g) { return dpm_2(g, noise_level_nodes); },
       .needs_signal = true,
       .evaluations_per_step = 2,
       .order = 2},
      {.name = "dpm 2 ancestral",
       .plan = [](const grid& g) { return dpm_2_ancestral(g, noise_level_nodes); },
       .draws = true,
       .needs_signal = true,
       .evaluations_per_step = 2},
      {.name = "algorithm 2 of Karras et al.",
       .plan =
           [](const grid& g) {
             return stochastic_edm(g, noise_level_nodes,
                                   {.amount = 3, .lowest = 0.05, .highest = 50});
           },
       .draws = true,
       .needs_signal = true,
       .evaluations_per_step = 2},
      {.name = "dpm-solver++ (sde)",
       .plan = [](const grid& g) { return dpmpp_sde(g, noise_level_nodes); },
       .draws = true,
       .needs_signal = true,
       .evaluations_per_step = 2},
      {.name = "gradient estimation",
       .plan = [](const grid& g) { return gradient_estimation(g); },
       .needs_signal = true},
      {.name = "flow ancestral",
       .plan = [](const grid& g) { return flow_ancestral(g); },
       .draws = true},
      {.name = "DPM-Solver-2",
       .plan = [](const grid& g) { return dpm_solver(g, 2, inner_node); },
       .needs_signal = true,
       .evaluations_per_step = 2,
       .order = 2},
      {.name = "DPM-Solver++ 3S",
       .plan = [](const grid& g) { return dpm_solver(g, 3, inner_node, {.row = clean_row}); },
       .evaluations_per_step = 3,
       .order = 3},
      {.name = "DPM-Solver++ 2S ancestral",
       .plan = [](const grid& g) { return dpm_solver_ancestral(g, 2, inner_node); },
       .draws = true,
       .evaluations_per_step = 2},
      {.name = "restart",
       .plan = [](const grid& g) { return restart(g, inner_node, {}); },
       .needs_signal = true,
       .evaluations_per_step = 2,
       .order = 2},
  };
}

struct named_grid {
  std::string name;
  grid nodes;
};

inline std::vector<named_grid> grids() {
  const auto ddpm_schedule = linear_beta_schedule(1000);
  const auto cosine = cosine_schedule(1000);
  return {
      {"trailing 10", trailing(ddpm_schedule, 10)},
      {"trailing 10 with alpha = 1", variance_exploding(trailing(ddpm_schedule, 10))},
      {"leading 7", leading(cosine, 7)},
      {"one step", trailing(ddpm_schedule, 1)},
      {"karras 12", karras(scaled_linear_beta_schedule(1000), 12)},
      {"rectified flow from t = 0.99",
       at_times(rectified_flow{}, std::vector{0.99, 0.8, 0.5, 0.1, 0.01, 0.0})},
      {"edm", ending_clean(edm_schedule{}, at_times(edm_schedule{}, karras_levels(8, 80, 0.002)))},
      {"vp sde to t = 0.001",
       at_times(variance_preserving_schedule{}, std::vector{1.0, 0.3, 0.001})},
  };
}

}  // namespace tweedie::laws
