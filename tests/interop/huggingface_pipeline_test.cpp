// What flow pipelines ask of their scheduler, and what the loader does with files as they are published.
#include "tweedie/interop/huggingface/pipeline.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "refusal.hpp"
#include "tweedie/interop/huggingface.hpp"

namespace tweedie::huggingface {
namespace {

using json = nlohmann::json;

const json flux = json::parse(R"({"_class_name":"FlowMatchEulerDiscreteScheduler",
  "_diffusers_version":"0.30.0.dev0","base_image_seq_len":256,"base_shift":0.5,"max_image_seq_len":4096,
  "max_shift":1.15,"num_train_timesteps":1000,"shift":3.0,"use_dynamic_shifting":true})");

TEST(flow_pipeline, levels_of_flux_are_shifted_evenly_from_one_to_one_over_n) {
  ASSERT_EQ(image_tokens(1024, 1024), 4096u);
  EXPECT_NEAR(pipeline_log_shift(flux, 4096), 1.15, 1e-15);
  EXPECT_NEAR(pipeline_log_shift(flux, 1024), 0.63, 1e-15);
  EXPECT_NEAR(pipeline_log_shift(flux, 256), 0.5, 1e-15);
  const auto sampler = scheduler(flux, flow_pipeline(flux, 4, 4096));
  const double e = std::exp(1.15);
  const double s[] = {1, 0.75, 0.5, 0.25};
  ASSERT_EQ(sampler.sigmas.size(), 5u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(sampler.sigmas[i], e / (e + 1 / s[i] - 1), 1e-15);
    EXPECT_NEAR(sampler.timesteps[i], 1000 * sampler.sigmas[i], 1e-12);
  }
  EXPECT_EQ(sampler.sigmas[4], 0);
  // The class's own levels end at 1/T instead of 1/N: a picture of another kind.
  const auto own = scheduler(flux, {4, {{"mu", 1.15}}});
  EXPECT_GT(std::abs(own.sigmas[3] - sampler.sigmas[3]), 0.4);
}

TEST(flow_pipeline, ends_at_the_terminal_shift_of_ltx) {
  const json ltx{{"_class_name", "FlowMatchEulerDiscreteScheduler"},
                 {"use_dynamic_shifting", true},
                 {"base_shift", 0.95},
                 {"max_shift", 2.05},
                 {"base_image_seq_len", 1024},
                 {"max_image_seq_len", 4096},
                 {"shift_terminal", 0.1}};
  const auto sampler = scheduler(ltx, flow_pipeline(ltx, 8, 2560));
  EXPECT_NEAR(pipeline_log_shift(ltx, 2560), 1.5, 1e-15);
  EXPECT_NEAR(sampler.sigmas[0], 1, 1e-15);
  EXPECT_NEAR(sampler.sigmas[7], 0.1, 1e-15);
}

TEST(flow_pipeline, leaves_mu_out_where_the_file_does_not_shift_dynamically) {
  json schnell = flux;
  schnell["use_dynamic_shifting"] = false;
  schnell["shift"] = 1.0;
  const auto sampler = scheduler(schnell, flow_pipeline(schnell, 4, 4096));
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(sampler.sigmas[i], 1 - 0.25 * static_cast<double>(i), 1e-15);
  EXPECT_EQ(scheduler(schnell, flow_pipeline(schnell, 1, 4096)).sigmas,
            (std::vector<double>{1, 0}));
}

// The values published with the fit (and printed by other implementations of it).
TEST(flow_pipeline, takes_the_shift_of_tokens_and_steps_of_flux_2) {
  EXPECT_NEAR(empirical_log_shift(4096, 50), 2.02335116, 5e-9);
  EXPECT_NEAR(empirical_log_shift(4096, 28), 2.15144316, 5e-9);
  EXPECT_NEAR(empirical_log_shift(1024, 50), 1.70195621, 5e-9);
  EXPECT_NEAR(empirical_log_shift(5000, 10), empirical_log_shift(5000, 200), 0);
  const auto asked = flow_pipeline(flux, 50, 4096, empirical_log_shift(4096, 50));
  EXPECT_NEAR(asked.set_timesteps.values()["mu"].get<double>(), 2.02335116, 5e-9);
  EXPECT_THROW(empirical_log_shift(0, 50), std::invalid_argument);
  EXPECT_THROW(empirical_log_shift(4096, 0), std::invalid_argument);
}

TEST(flow_pipeline, is_what_the_refusal_of_a_missing_mu_leads_to) {
  const std::string message = refusal([] { (void)scheduler(flux, 4); });
  EXPECT_NE(message.find("flow_pipeline"), std::string::npos) << message;
  EXPECT_THROW(flow_pipeline(flux, 0, 4096), std::invalid_argument);
  EXPECT_THROW(image_tokens(1000, 1024), std::invalid_argument);
  EXPECT_THROW(image_tokens(1024, 1024, 0), std::invalid_argument);
}

TEST(inverse_scheduler, rises_with_flow_levels_and_falls_only_for_who_wants_the_reference) {
  const json file{{"_class_name", "DPMSolverMultistepInverseScheduler"},
                  {"num_train_timesteps", 1000},
                  {"prediction_type", "flow_prediction"},
                  {"use_flow_sigmas", true},
                  {"flow_shift", 3.0}};
  const auto inverse = scheduler(file, 6);
  EXPECT_TRUE(std::ranges::is_sorted(inverse.sigmas));
  EXPECT_TRUE(std::ranges::is_sorted(inverse.timesteps));
  EXPECT_LT(inverse.sigmas.front(), 0.5);
  EXPECT_GT(inverse.sigmas.back(), 0.9);
  request as_published = 6;
  as_published.faithful = true;
  const auto published = scheduler(file, as_published);
  EXPECT_GT(published.sigmas.front(), published.sigmas.back());
}

// Every inversion among the classes rises, whatever spacing is switched on.
TEST(inverse_scheduler, never_falls) {
  for (const char* name : {"DPMSolverMultistepInverseScheduler", "DDIMInverseScheduler"})
    for (const char* spacing : {"linspace", "leading", "trailing"})
      for (const char* levels : {"", "use_karras_sigmas", "use_exponential_sigmas",
                                 "use_beta_sigmas", "use_flow_sigmas"}) {
        const bool ddim = std::string(name) == "DDIMInverseScheduler";
        if (ddim && (*levels || std::string(spacing) == "linspace")) continue;
        json file{{"_class_name", name}, {"timestep_spacing", spacing}};
        if (*levels) file[levels] = true;
        const auto sampler = scheduler(file, 7);
        EXPECT_TRUE(std::ranges::is_sorted(sampler.timesteps)) << file;
        EXPECT_TRUE(std::ranges::is_sorted(sampler.sigmas)) << file;
      }
}

TEST(published_files, with_keys_that_nobody_reads_load_and_list_them) {
  const json llada{{"_class_name", "FlowMatchEulerDiscreteScheduler"},
                   {"shift", 3.0},
                   {"stochastic_sampling", true},
                   {"use_uniform_sigmas", true}};
  const auto sampler = scheduler(llada, 4);
  EXPECT_NE(std::ranges::find(sampler.unused_options, "use_uniform_sigmas"),
            sampler.unused_options.end());
  json misspelt = llada;
  misspelt["use_uniform_sigma"] = true;
  EXPECT_THROW(scheduler(misspelt, 4), std::invalid_argument);
}

// Pipelines of Flux pass a mu whatever the file says; schnell's shifts by a constant.
TEST(published_files, list_a_mu_that_they_do_not_shift_by) {
  const auto unused = [](const json& file) {
    return scheduler(file, {4, {{"mu", 0.7}}}).unused_options;
  };
  json schnell{{"_class_name", "FlowMatchEulerDiscreteScheduler"}, {"shift", 1.0}};
  EXPECT_EQ(unused(schnell), std::vector<std::string>{"mu"});
  schnell["use_dynamic_shifting"] = true;
  EXPECT_EQ(unused(schnell), std::vector<std::string>{});
}

// Also where the value decides nothing, it is one that the reference knows.
TEST(published_files, name_values_that_exist) {
  for (const char* name : {"DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
                           "DPMSolverMultistepInverseScheduler", "SASolverScheduler"}) {
    json file{{"_class_name", name}, {"variance_type", "learned_range"}};
    EXPECT_NO_THROW(scheduler(file, 4)) << name;
    file["variance_type"] = nullptr;
    EXPECT_NO_THROW(scheduler(file, 4)) << name;
    file["variance_type"] = "learned_rnage";
    EXPECT_NE(refusal([&] { (void)scheduler(file, 4); }).find("learned_range"), std::string::npos);
  }
  json file{{"_class_name", "FlowMatchLCMScheduler"}, {"upscale_mode", "area"}};
  EXPECT_NO_THROW(scheduler(file, 4));
  file["upscale_mode"] = "cubic";
  EXPECT_NE(refusal([&] { (void)scheduler(file, 4); }).find("bicubic"), std::string::npos);
}

TEST(unknown_classes, name_their_relative_or_the_nearest_spelling) {
  const auto told = [](const char* name) {
    return refusal([&] { (void)scheduler(json{{"_class_name", name}}, 4); });
  };
  EXPECT_NE(told("FlowUniPCMultistepScheduler")
                .find("use UniPCMultistepScheduler with use_flow_sigmas = true"),
            std::string::npos);
  EXPECT_NE(told("FlashFlowMatchEulerDiscreteScheduler").find("stochastic_sampling = true"),
            std::string::npos);
  EXPECT_NE(told("RectifiedFlowScheduler").find("use FlowMatchEulerDiscreteScheduler"),
            std::string::npos);
  EXPECT_NE(told("EulerDiscretScheduler").find("nearest: EulerDiscreteScheduler"),
            std::string::npos);
  EXPECT_EQ(told("MyOwn").find("nearest"), std::string::npos);
  EXPECT_NE(told("MyOwn").find("supported: DDIMScheduler, "), std::string::npos);
}

}  // namespace
}  // namespace tweedie::huggingface
