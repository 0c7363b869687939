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
#include "tweedie/sampler/euler.hpp"
#include "tweedie/sampler/heun.hpp"
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

inline std::vector<planner> planners() {
  return {
      {"ddim", [](const grid& g) { return ddim(g); }},
      {"ddim, eta = 0.5", [](const grid& g) { return ddim(g, 0.5); }, true},
      {"ddim, eta = 1", [](const grid& g) { return ddim(g, 1); }, true},
      {"ddpm, fixed small", [](const grid& g) { return ddpm(g); }, true},
      {"ddpm, fixed large", [](const grid& g) { return ddpm(g, fixed_large{}); }, true, false},
      {"ddpm, analytic",
       [](const grid& g) {
         return ddpm(g, analytic_variance{[](const node&) { return 0.0; }});
       },
       true},
      {"euler", [](const grid& g) { return euler(g); }},
      {"heun", [](const grid& g) { return heun(g); }, false, true, true, 2, 2},
      {"euler ancestral", [](const grid& g) { return euler_ancestral(g); }, true, true, true},
      {"euler ancestral, eta = 0.3", [](const grid& g) { return euler_ancestral(g, 0.3); }, true,
       true, true},
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
      {"vp sde to t = 0.001", at_times(variance_preserving_schedule{}, std::vector{1.0, 0.3, 0.001})},
  };
}

}  // namespace tweedie::laws
