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
      {"ddim", [](const grid& g) { return ddim(g); }},
      {"ddim, eta = 0.5", [](const grid& g) { return ddim(g, 0.5); }, true},
      {"ddim, eta = 1", [](const grid& g) { return ddim(g, 1); }, true},
      {"ddpm, fixed small", [](const grid& g) { return ddpm(g); }, true},
      {"ddpm, fixed large", [](const grid& g) { return ddpm(g, fixed_large{}); }, true, false},
      {"ddpm, analytic",
       [](const grid& g) { return ddpm(g, analytic_variance{[](const node&) { return 0.0; }}); },
       true},
      {"euler", [](const grid& g) { return euler(g); }},
      {"heun", [](const grid& g) { return heun(g); }, false, true, true, 2, 2},
      {"euler ancestral", [](const grid& g) { return euler_ancestral(g); }, true, true, true},
      {"euler ancestral, eta = 0.3", [](const grid& g) { return euler_ancestral(g, 0.3); }, true,
       true, true},
      {"DPM-Solver++ 1", [](const grid& g) { return dpm_solver_plus_plus(g, 1); }},
      {"DPM-Solver++ 2M", [](const grid& g) { return dpm_solver_plus_plus(g, 2); }, false, true,
       false, 1, 2},
      {"DPM-Solver multistep 2", [](const grid& g) { return dpm_solver_multistep(g, 2); }, false,
       true, true, 1, 2},
      {"DEIS 2", [](const grid& g) { return deis(g, 2); }, false, true, true, 1, 2},
      {"UniP-2", [](const grid& g) { return unip(g, 2); }, false, true, false, 1, 2},
      {"UniPC-1", [](const grid& g) { return unipc(g, 1); }, false, true, false, 1, 2},
      {"UniPC-2", [](const grid& g) { return unipc(g, 2); }, false, true, false, 1, 3},
      {"DPM-Solver++ singlestep 2",
       [](const grid& g) {
         check_descending("singlestep", g);
         return singlestep(g, block_orders(g, 2));
       },
       false, true, false, 1, 2},
      {"SDE-DPM-Solver++ 2M", [](const grid& g) { return sde_dpm_solver_plus_plus(g, 2); }, true},
      {"SDE-DPM-Solver++ 3M, eta = 0.4",
       [](const grid& g) { return sde_dpm_solver_plus_plus(g, 3, 0.4); }, true},
      {"SA-Solver", [](const grid& g) { return sa_solver(g, constant(0.7), 3, 3); }, true},
      {"ER-SDE 3", [](const grid& g) { return er_sde(g, 3); }, true, true, true},
      {"ER-SDE 2, ODE", [](const grid& g) { return er_sde(g, 2, ode_noise_scale); }, false, true,
       true, 1, 2},
      {"RES 2s", [](const grid& g) { return exponential_runge_kutta(g, etd2(), inner_node); },
       false, true, false, 2, 2},
      {"ETD 3", [](const grid& g) { return exponential_runge_kutta(g, etd3(), inner_node); }, false,
       true, false, 3, 3},
      {"Krogstad", [](const grid& g) { return exponential_runge_kutta(g, krogstad(), inner_node); },
       false, true, false, 4, 4},
      {"SEEDS-2", [](const grid& g) { return seeds_2(g, inner_node); }, true, true, false, 2},
      {"SEEDS-3", [](const grid& g) { return seeds_3(g, inner_node); }, true, true, false, 3},
      {"Ralston", [](const grid& g) { return runge_kutta(g, ralston_tableau, noise_level_nodes); },
       false, true, true, 2, 2},
      {"Bogacki-Shampine in flow time",
       [](const grid& g) {
         return runge_kutta(g, bogacki_shampine_tableau, noise_level_nodes, straight_row);
       },
       false, true, false, 3, 3},
      {"linear multistep in the noise level",
       [](const grid& g) {
         return linear_multistep(g, 2, noise_row, {.last = last_step::denoises});
       },
       false, true, false, 1, 2},
      {"linear multistep in flow time",
       [](const grid& g) {
         return linear_multistep(g, 2, straight_row, {.last = last_step::denoises});
       },
       false, true, false, 1, 2},
      {"ipndm", [](const grid& g) { return ipndm(g, 2); }, false, true, false, 1, 2},
      {"ipndm-v", [](const grid& g) { return ipndm_v(g, 2); }, false, true, false, 1, 2},
      {"dpm 2", [](const grid& g) { return dpm_2(g, noise_level_nodes); }, false, true, true, 2, 2},
      {"dpm 2 ancestral", [](const grid& g) { return dpm_2_ancestral(g, noise_level_nodes); }, true,
       true, true, 2},
      {"algorithm 2 of Karras et al.",
       [](const grid& g) {
         return stochastic_edm(g, noise_level_nodes, {.amount = 3, .lowest = 0.05, .highest = 50});
       },
       true, true, true, 2},
      {"dpm-solver++ (sde)", [](const grid& g) { return dpmpp_sde(g, noise_level_nodes); }, true,
       true, true, 2},
      {"gradient estimation", [](const grid& g) { return gradient_estimation(g); }, false, true,
       true},
      {"flow ancestral", [](const grid& g) { return flow_ancestral(g); }, true},
      {"DPM-Solver-2", [](const grid& g) { return dpm_solver(g, 2, inner_node); }, false, true,
       true, 2, 2},
      {"DPM-Solver++ 3S",
       [](const grid& g) { return dpm_solver(g, 3, inner_node, {.row = clean_row}); }, false, true,
       false, 3, 3},
      {"DPM-Solver++ 2S ancestral",
       [](const grid& g) { return dpm_solver_ancestral(g, 2, inner_node); }, true, true, false, 2},
      {"restart", [](const grid& g) { return restart(g, inner_node, {}); }, false, true, true, 2,
       2},
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
