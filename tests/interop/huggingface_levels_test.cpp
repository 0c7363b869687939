// Options of the classes that keep noise levels or flow times: what is refused, and which of the
// reference's departures from the published methods the loader keeps.
#include <gtest/gtest.h>

#include <cmath>

#include "interop/expect_named.hpp"
#include "refusal.hpp"
#include "tweedie/interop/huggingface.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/euler.hpp"

namespace tweedie::huggingface::levels_test {
namespace {

using json = nlohmann::json;
using tweedie_test::expect_named;

loaded_sampler load(const char* name, json config, const request& how = 5) {
  config["_class_name"] = std::string(name) + "Scheduler";
  return scheduler(config, how);
}

std::string refusal(const char* name, const json& config, const request& how = 5) {
  return tweedie::refusal([&] { (void)load(name, config, how); });
}

TEST(noise_level_classes, refuse_contradictory_spacings) {
  const json two{{"use_karras_sigmas", true}, {"use_exponential_sigmas", true}};
  for (const char* name : {"EulerDiscrete", "HeunDiscrete", "KDPM2Discrete", "LMSDiscrete",
                           "KDPM2AncestralDiscrete", "DPMSolverSDE", "FlowMatchEulerDiscrete"})
    expect_named(refusal(name, two), {name, "use_karras_sigmas", "only one of"});
  expect_named(refusal("EulerDiscrete", {{"use_karras_sigmas", true}},
                       {std::nullopt, {{"timesteps", {900, 100}}}}),
               {"timesteps", "use_karras_sigmas"});
  expect_named(refusal("EulerDiscrete", json::object(), {5, {{"sigmas", {3, 1, 0}}}}),
               {"sigmas", "without num_inference_steps"});
  expect_named(refusal("EulerAncestralDiscrete", {{"prediction_type", "sample"}}),
               {"prediction_type", "sample", "epsilon, v_prediction"});
  expect_named(refusal("EulerDiscrete", {{"final_sigmas_type", "one"}}),
               {"final_sigmas_type", "one", "zero, sigma_min"});
}

TEST(flow_classes, refuse_what_they_cannot_do) {
  expect_named(refusal("FlowMatchEulerDiscrete", {{"use_dynamic_shifting", true}}), {"mu"});
  expect_named(refusal("FlowMatchLCM", {{"scale_factors", {2, 4}}}), {"scale_factors", "[2,4]"});
  expect_named(refusal("FlowMatchEulerDiscrete", json::object(), {5, {{"sigmas", {1, 0.5}}}}),
               {"sigmas", "num_inference_steps"});
  expect_named(refusal("MiniMaxH3", {{"shift", -1}}), {"shift", "-1"});
  expect_named(refusal("MiniMaxH3", json::object(), {std::nullopt, {{"sigmas", {1, 0.5}}}}),
               {"sigmas", "ending at 0"});
  expect_named(refusal("Helios", {{"scheduler_type", "dmd"}}), {"scheduler_type", "euler, unipc"});
  expect_named(refusal("Helios", {{"thresholding", true}}), {"thresholding", "true"});
  expect_named(refusal("Helios", json::object(), {5, {{"stage_index", 3}}}), {"stage_index", "3"});
}

// The reference's flow times are levels of the straight path, 1 - s and s.
TEST(flow_classes, refuse_flow_times_off_the_straight_path) {
  for (const char* name :
       {"FlowMatchEulerDiscrete", "FlowMatchLCM", "FlowMapEulerDiscrete", "LTXEulerAncestralRF"}) {
    expect_named(refusal(name, json::object(), {std::nullopt, {{"sigmas", {999, 500, 1}}}}),
                 {name, "sigmas = 999", "0 <= sigma <= 1"});
    expect_named(refusal(name, json::object(), {std::nullopt, {{"sigmas", {1, -0.5}}}}),
                 {name, "sigmas = -0.5", "0 <= sigma <= 1"});
    expect_named(refusal(name, json::object(), {std::nullopt, {{"timesteps", {5000, -200}}}}),
                 {name, "sigmas = 5", "0 <= sigma <= 1"});
    const loaded_sampler rounded =
        load(name, json::object(), {std::nullopt, {{"sigmas", {1.0000001, 0.5, 0}}}});
    EXPECT_EQ(rounded.plan.start.level.alpha, 0);
  }
  for (const char* name : {"FlowMatchEulerDiscrete", "FlowMatchLCM", "FlowMatchHeunDiscrete"})
    expect_named(refusal(name, {{"shift", -0.5}}), {name, "sigmas", "after shift"});
  expect_named(refusal("FlowMatchEulerDiscrete", {{"shift_terminal", 2}}), {"sigmas"});
  expect_named(refusal("FlowMatchEulerDiscrete", {{"use_karras_sigmas", true}, {"sigma_max", 50}}),
               {"sigmas = 50"});
  expect_named(refusal("LTXEulerAncestralRF", {{"invert_sigmas", true}}),
               {"sigmas = 0", "invert_sigmas"});
  expect_named(refusal("LTXEulerAncestralRF", json::object(), {std::nullopt, {{"sigmas", {0, 1}}}}),
               {"sigmas = 0", "above 0"});
  for (const json& config : std::vector<json>{{{"shift", "Infinity"}},
                                              {{"shift", 0}},
                                              {{"gamma", -0.5}},
                                              {{"num_train_timesteps", 1}}})
    for (const char* name : {"Helios", "HeliosDMD"})
      expect_named(refusal(name, config), {name, "shift", "gamma", "num_train_timesteps"});
  for (const char* name : {"Helios", "HeliosDMD"})
    expect_named(refusal(name, {{"stages", 1}}, {2, {{"sigmas", {9, 0.5}}}}),
                 {name, "sigmas = 9", "0 <= sigma <= 1"});
}

TEST(flow_classes, take_pairs_of_two_timesteps_in_range_only) {
  for (const char* pairs : {"5", "true", "\"a\"", "[1, 2]", "[[1]]", "[[1, 2, 3]]", "[]",
                            "[[\"a\", \"b\"]]", "[[5000, 0]]", "[[500, -1]]"})
    expect_named(
        refusal("FlowMapEulerDiscrete", json::object(), {5, {}, {{"pairs", json::parse(pairs)}}}),
        {"FlowMapEulerDiscrete", "pairs", "valid"});
  const loaded_sampler sampler =
      load("FlowMapEulerDiscrete", json::object(), {5, {}, {{"pairs", {{1000, 250}, {250, 0}}}}});
  EXPECT_EQ(sampler.plan.evaluations(), 2u);
}

TEST(noise_level_classes, need_two_training_timesteps_between_which_levels_lie) {
  for (const char* name :
       {"DEISMultistep", "DPMSolverMultistep", "DPMSolverMultistepInverse", "DPMSolverSinglestep",
        "SASolver", "UniPCMultistep", "EulerDiscrete", "HeunDiscrete", "KDPM2Discrete",
        "KDPM2AncestralDiscrete", "LMSDiscrete", "DPMSolverSDE"})
    for (const char* spacing : {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"})
      for (const int steps : {1, 2})
        expect_named(refusal(name, {{"num_train_timesteps", 1}, {spacing, true}}, steps),
                     {name, "num_train_timesteps = 1", "2 or more"});
}

TEST(noise_level_classes, take_finite_lists_of_some_timesteps) {
  for (const char* name : {"DPMSolverMultistep", "DPMSolverSinglestep", "EulerDiscrete",
                           "HeunDiscrete", "LCM", "DDPM"})
    for (const json& list : std::vector<json>{json::array(), json::array({std::nan("")}),
                                              json::array({"Infinity", 1})})
      expect_named(refusal(name, json::object(), {std::nullopt, {{"timesteps", list}}}),
                   {name, "timesteps = "});
  expect_named(refusal("DPMSolverMultistepInverse", {{"lambda_min_clipped", 1e300}}),
               {"lambda_min_clipped = 1e+300", "half log-SNR"});
  expect_named(refusal("EulerDiscrete", {{"use_beta_sigmas", true}, {"sigma_min", -1}}),
               {"sigma_min = -1"});
}

TEST(noise_level_classes, pass_on_what_planners_say_with_the_call) {
  expect_named(refusal("EulerDiscrete", json::object(),
                       {std::nullopt, {{"sigmas", {-1, 0.5, 0}}}, {{"s_churn", 1}}}),
               {"EulerDiscrete", R"({"sigmas":[-1,0.5,0]}, {"s_churn":1})", "= -1; valid"});
}

// Rounded to integers, so many timesteps repeat, and a method of order 2 has nothing between them.
TEST(noise_level_classes, name_the_number_of_steps_that_is_too_high) {
  for (const char* name :
       {"DEISMultistep", "DPMSolverMultistep", "SASolver", "UniPCMultistep", "DPMSolverSinglestep"})
    expect_named(refusal(name, json::object(), 1001),
                 {name, "no program for num_inference_steps = 1001: "});
}

TEST(euler_discrete, is_euler_where_nothing_is_churned) {
  const loaded_sampler sampler = load("EulerDiscrete", json::object());
  grid nodes{sampler.plan.start};
  for (const stage& s : sampler.plan.stages)
    if (s.mark) nodes.push_back(s.mark->at);
  const auto denoise = gaussian_denoiser(0.3, 0.6);
  const scalar_law start{0, 30};
  const program_law a = law(sampler.plan, denoise, start);
  const program_law b = law(euler(nodes), denoise, start);
  EXPECT_DOUBLE_EQ(a.result.mean, b.result.mean);
  EXPECT_DOUBLE_EQ(a.result.variance, b.result.variance);
}

TEST(euler_discrete, asks_the_network_before_it_churns) {
  const loaded_sampler sampler = load("EulerDiscrete", json::object(), {5, {}, {{"s_churn", 2}}});
  EXPECT_EQ(sampler.plan.draws.size(), 5u);
  std::size_t i = 0;
  for (const stage& s : sampler.plan.stages)
    if (s.evaluate) {
      EXPECT_EQ(noise_level(s.evaluate->at.level), sampler.sigmas[i++]);
    }
}

TEST(euler_discrete, stops_at_the_lowest_level_with_log_linear_interpolation) {
  const loaded_sampler sampler = load("EulerDiscrete", {{"interpolation_type", "log_linear"}});
  EXPECT_EQ(sampler.sigmas.size(), 7u);
  EXPECT_GT(sampler.plan.stages.back().mark->at.level.sigma, 0);
}

// The first timestep, 20, lies beyond the table and has the level of 19.
TEST(noise_level_classes, take_steps_between_equal_levels_as_the_reference_does) {
  const json config{
      {"num_train_timesteps", 20}, {"timestep_spacing", "leading"}, {"steps_offset", 1}};
  const loaded_sampler ancestral = load("EulerAncestralDiscrete", config, 20);
  EXPECT_EQ(ancestral.sigmas[0], ancestral.sigmas[1]);
  EXPECT_EQ(ancestral.plan.evaluations(), 20u);
  EXPECT_EQ(ancestral.plan.draws.size(), 20u);
  const program_law laws = law(ancestral.plan, gaussian_denoiser(0.2, 0.5), {0.3, 2});
  EXPECT_EQ(laws.marks[0].second.mean, 0.3);
  EXPECT_EQ(laws.marks[0].second.variance, 2);
  EXPECT_EQ(load("HeunDiscrete", config, 20).plan.evaluations(), 39u);
  EXPECT_EQ(load("KDPM2AncestralDiscrete", config, 20).plan.draws.size(), 19u);
  EXPECT_EQ(load("DPMSolverSDE", config, 20).plan.draws.size(), 38u);
  EXPECT_NE(refusal("LMSDiscrete", config, 20), "");
}

TEST(flow_match_euler, shifts_the_lower_end_twice) {
  const double once = shifted(1e-3, 3);
  const loaded_sampler sampler = load("FlowMatchEulerDiscrete", {{"shift", 3}});
  EXPECT_NEAR(sampler.sigmas[4], shifted(once, 3), 1e-16);
  const loaded_sampler dynamic = load("FlowMatchEulerDiscrete", {{"use_dynamic_shifting", true}},
                                      {5, {{"mu", std::log(3.0)}}});
  EXPECT_NEAR(dynamic.sigmas[4], once, 1e-15);
}

TEST(flow_match_euler, runs_towards_noise_with_inverted_levels) {
  const loaded_sampler sampler = load("FlowMatchEulerDiscrete", {{"invert_sigmas", true}});
  EXPECT_EQ(sampler.sigmas.front(), 0);
  EXPECT_EQ(sampler.sigmas.back(), 1);
  for (const lowered_stage& s : lower(sampler.plan, sampler.network).stages)
    for (const linear_pass& pass : s.passes)
      for (const double w : pass.weights) EXPECT_TRUE(std::isfinite(w));
}

TEST(ipndm_class, brings_no_data_in_from_pure_noise) {
  const loaded_sampler sampler = load("IPNDM", json::object());
  EXPECT_EQ(sampler.plan.start.level.alpha, 0);
  const program_law laws = law(sampler.plan, perfect_denoiser(2), {0, 1});
  EXPECT_NEAR(laws.marks.front().second.mean, 0, 1e-15);
}

TEST(lms_class, takes_its_weights_from_the_whole_list_when_it_begins_in_the_middle) {
  // Weight of the first slope in the first step, relative to the length of the step.
  const auto first_weight = [](int begin) {
    const loaded_sampler sampler = load("LMSDiscrete", json::object(), {8, {}, {}, begin});
    const lowered_stage first = lower(sampler.plan, {predicts_noise}).stages.front();
    const auto at = static_cast<std::size_t>(begin);
    double weight = 0;
    const linear_pass& pass = first.passes.at(0);
    for (std::size_t j = 0; j < pass.outputs.size(); ++j)
      for (std::size_t i = 0; i < pass.inputs.size(); ++i)
        if (pass.outputs[j] == first.mark->state && pass.inputs[i].from == operand_kind::output)
          weight = pass.weight(j, i);
    return weight / (sampler.sigmas[at + 1] - sampler.sigmas[at]);
  };
  EXPECT_NEAR(first_weight(0), 1, 1e-12);
  EXPECT_GT(first_weight(4), 1.2);
}

}  // namespace
}  // namespace tweedie::huggingface::levels_test
