// The DPM-Solver relatives of the Hugging Face loader: what their options do, and what is refused.
#include <gtest/gtest.h>

#include <string>

#include "refusal.hpp"
#include "tweedie/interop/huggingface.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie {
namespace {

using huggingface::loaded_sampler;
using huggingface::request;
using nlohmann::json;

json config_of(const std::string& name, json entries = json::object()) {
  entries["_class_name"] = name;
  return entries;
}

const char* const with_tables[] = {
    "DPMSolverMultistepScheduler",  "DPMSolverMultistepInverseScheduler",
    "DPMSolverSinglestepScheduler", "DEISMultistepScheduler",
    "UniPCMultistepScheduler",      "SASolverScheduler"};
const char* const with_levels[] = {"EDMDPMSolverMultistepScheduler",
                                   "CosineDPMSolverMultistepScheduler"};

std::string message_of(const json& config, const request& how) {
  return tweedie::refusal([&] { huggingface::scheduler(config, how); });
}

TEST(dpm_solver_schedulers, load_with_defaults_for_any_number_of_steps) {
  for (const auto& names : {std::span<const char* const>(with_tables), {with_levels}})
    for (const char* name : names)
      for (const int steps : {1, 2, 3, 14, 15, 16, 50}) {
        const loaded_sampler s = huggingface::scheduler(config_of(name), steps);
        EXPECT_EQ(s.timesteps.size(), static_cast<std::size_t>(steps)) << name;
        EXPECT_EQ(s.sigmas.size(), s.timesteps.size() + 1) << name;
        EXPECT_EQ(s.plan.evaluations(), s.timesteps.size()) << name;
        EXPECT_EQ(s.plan.steps(), s.timesteps.size()) << name;
      }
}

TEST(dpm_solver_schedulers, of_order_one_are_ddim_on_their_levels) {
  for (const char* name : {"DPMSolverMultistepScheduler", "DEISMultistepScheduler"})
    for (const char* spacing : {"use_karras_sigmas", "use_flow_sigmas", "use_beta_sigmas"}) {
      const loaded_sampler s = huggingface::scheduler(
          config_of(name, {{"solver_order", 1}, {spacing, true}, {"flow_shift", 3.0}}), 8);
      grid nodes;
      for (const stage& at : s.plan.stages) nodes.push_back(at.evaluate->at);
      nodes.push_back(s.plan.stages.back().mark->at);
      if (nodes[7].level == nodes[8].level) nodes.pop_back();
      const auto denoise = gaussian_denoiser(0.3, 0.5);
      EXPECT_NEAR(law(s.plan, denoise, {0.2, 1}).result.mean,
                  law(ddim(nodes), denoise, {0.2, 1}).result.mean, 1e-12);
    }
}

TEST(dpm_solver_schedulers, start_in_the_middle_with_an_empty_history) {
  for (const char* name : with_tables) {
    const loaded_sampler whole = huggingface::scheduler(config_of(name), 12);
    const loaded_sampler rest = huggingface::scheduler(config_of(name), {12, {}, {}, 5});
    EXPECT_EQ(rest.timesteps, whole.timesteps);
    EXPECT_EQ(rest.plan.evaluations(), 7u);
    EXPECT_EQ(rest.plan.start.time, whole.timesteps[5]);
    EXPECT_NEAR(rest.plan.start.level.sigma, rest.forward(whole.timesteps[5]).sigma, 1e-15) << name;
  }
}

TEST(dpm_solver_schedulers, singlestep_lists_the_orders_of_the_reference) {
  const auto orders = [](int steps, int order, const char* final, bool lower) {
    return huggingface::scheduler(
               config_of("DPMSolverSinglestepScheduler", {{"solver_order", order},
                                                          {"final_sigmas_type", final},
                                                          {"lower_order_final", lower}}),
               steps)
        .tables.at("order_list");
  };
  using list = std::vector<double>;
  EXPECT_EQ(orders(6, 3, "sigma_min", false), (list{1, 2, 3, 1, 2, 3}));
  EXPECT_EQ(orders(6, 3, "sigma_min", true), (list{1, 2, 3, 1, 2, 1}));
  EXPECT_EQ(orders(7, 3, "sigma_min", false), (list{1, 2, 3, 1, 2, 3, 1}));
  EXPECT_EQ(orders(8, 3, "zero", false), (list{1, 2, 3, 1, 2, 3, 1, 1}));
  EXPECT_EQ(orders(4, 2, "zero", true), (list{1, 2, 1, 1}));
  EXPECT_EQ(orders(5, 2, "sigma_min", false), (list{1, 2, 1, 2, 1}));
}

TEST(dpm_solver_schedulers, sampling_never_leaves_finite_numbers) {
  // Combinations that give NaN in the reference or that it refuses for lack of code.
  for (const json& c :
       {config_of("UniPCMultistepScheduler", {{"solver_type", "bh1"}}),
        config_of("UniPCMultistepScheduler", {{"predict_x0", false}}),
        config_of("UniPCMultistepScheduler", {{"lower_order_final", false}}),
        config_of("DPMSolverMultistepScheduler", {{"algorithm_type", "sde-dpmsolver"},
                                                  {"solver_order", 3},
                                                  {"final_sigmas_type", "sigma_min"}}),
        config_of("EDMDPMSolverMultistepScheduler",
                  {{"algorithm_type", "sde-dpmsolver++"}, {"solver_order", 3}}),
        config_of("CosineDPMSolverMultistepScheduler", {{"solver_order", 3}})})
    for (const lowered_stage& s :
         lower(huggingface::scheduler(c, 20).plan, huggingface::scheduler(c, 20).network).stages)
      for (const linear_pass& pass : s.passes)
        for (const double w : pass.weights) EXPECT_TRUE(std::isfinite(w)) << c;
}

TEST(dpm_solver_schedulers, ends_of_the_configuration_override_those_of_the_table) {
  const loaded_sampler s = huggingface::scheduler(
      config_of("UniPCMultistepScheduler",
                {{"use_exponential_sigmas", true}, {"sigma_min", 0.05}, {"sigma_max", 10.0}}),
      7);
  EXPECT_NEAR(s.sigmas.front(), 10, 1e-13);
  EXPECT_NEAR(s.sigmas[6], 0.05, 1e-15);
}

TEST(dpm_solver_schedulers, refuse_what_is_unknown_or_contradictory_by_name) {
  struct refusal {
    const char* name;
    json entries;
    request how;
    const char* key;
  };
  const std::optional<int> no_steps;
  for (const refusal& r : {
           refusal{"DPMSolverMultistepScheduler", {{"solver_order", 0}}, 5, "solver_order"},
           refusal{"DPMSolverSinglestepScheduler", {{"solver_order", 4}}, 5, "solver_order"},
           refusal{
               "DPMSolverMultistepScheduler", {{"algorithm_type", "euler"}}, 5, "algorithm_type"},
           refusal{"DPMSolverMultistepScheduler",
                   {{"algorithm_type", "dpmsolver"}},
                   5,
                   "final_sigmas_type"},
           refusal{
               "DPMSolverMultistepScheduler", {{"prediction_type", "score"}}, 5, "prediction_type"},
           refusal{"DPMSolverMultistepScheduler",
                   {{"prediction_type", "flow_prediction"},
                    {"algorithm_type", "dpmsolver"},
                    {"final_sigmas_type", "sigma_min"}},
                   5,
                   "prediction_type"},
           refusal{"DPMSolverMultistepScheduler",
                   {{"use_karras_sigmas", true}, {"use_beta_sigmas", true}},
                   5,
                   "use_karras_sigmas"},
           refusal{"DPMSolverMultistepScheduler",
                   {{"use_karras_sigmas", true}, {"use_flow_sigmas", true}},
                   5,
                   "flow sigma"},
           refusal{"DPMSolverMultistepScheduler",
                   {{"use_karras_sigmas", true}},
                   request(no_steps, {{"timesteps", {900, 500}}}),
                   "timesteps"},
           refusal{"DPMSolverMultistepScheduler", json::object(), request(no_steps, json::object()),
                   "num_inference_steps"},
           refusal{"DPMSolverMultistepScheduler", json::object(), request(5, {{"mu", 0.5}}), "mu"},
           refusal{"DPMSolverMultistepScheduler", json::object(), 0, "num_inference_steps"},
           refusal{"DPMSolverMultistepScheduler", json::object(), request(5, {}, {}, 5),
                   "begin_index"},
           refusal{
               "DPMSolverMultistepScheduler", {{"beta_schedule", "sigmoid"}}, 5, "beta_schedule"},
           refusal{"DPMSolverMultistepInverseScheduler",
                   {{"algorithm_type", "sde-dpmsolver++"}},
                   5,
                   "length"},
           refusal{"DEISMultistepScheduler", {{"solver_type", "dopri"}}, 5, "solver_type"},
           refusal{"DEISMultistepScheduler", {{"use_lu_lambdas", true}}, 5, "use_lu_lambdas"},
           refusal{"UniPCMultistepScheduler", {{"use_dynamic_shifting", true}}, 5, "mu"},
           refusal{"UniPCMultistepScheduler", {{"shift_terminal", 0.1}}, 5, "shift_terminal"},
           refusal{"UniPCMultistepScheduler", json::object(),
                   request(no_steps, {{"sigmas", {0.9, 0.5}}}), "sigmas"},
           refusal{"UniPCMultistepScheduler", {{"solver_p", {{"a", 1}}}}, 5, "solver_p"},
           refusal{"SASolverScheduler", {{"predictor_order", 5}}, 5, "predictor_order"},
           refusal{"SASolverScheduler", {{"corrector_order", 0}}, 5, "corrector_order"},
           refusal{"SASolverScheduler", {{"tau_func", "constant"}}, 5, "tau_func"},
           refusal{"EDMDPMSolverMultistepScheduler", {{"sigma_min", 100.0}}, 5, "sigma_min"},
           refusal{"EDMDPMSolverMultistepScheduler",
                   {{"prediction_type", "sample"}},
                   5,
                   "prediction_type"},
           refusal{
               "CosineDPMSolverMultistepScheduler", {{"solver_type", "euler"}}, 5, "solver_type"},
       })
    EXPECT_NE(message_of(config_of(r.name, r.entries), r.how).find(r.key), std::string::npos)
        << r.name << r.entries << " -> \"" << message_of(config_of(r.name, r.entries), r.how)
        << '"';
}

}  // namespace
}  // namespace tweedie
