#include "tweedie/interop/huggingface.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>

#include "interop/expect_named.hpp"
#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/interop/huggingface/start.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie::huggingface::config_test {
namespace {

using json = nlohmann::json;
using tweedie_test::expect_named;

std::string refusal(const json& config, const request& how = 10) {
  return tweedie::refusal([&] { (void)scheduler(config, how); });
}

TEST(huggingface_scheduler, names_the_key_the_value_and_what_is_supported) {
  expect_named(refusal({{"_class_name", "EulerDiscretScheduler"}}),
               {"_class_name", "EulerDiscretScheduler", "EulerDiscreteScheduler", "DDIMScheduler"});
  expect_named(refusal(json::object()), {"_class_name", "DDIMScheduler"});
  expect_named(refusal({{"_class_name", "DDIMScheduler"}, {"timestep_spacing", "karras"}}),
               {"DDIMScheduler", "timestep_spacing", "karras", "linspace, leading, trailing"});
  expect_named(refusal({{"_class_name", "DDIMScheduler"}, {"beta_strat", 0.1}}),
               {"beta_strat", "0.1"});
  expect_named(refusal({{"_class_name", "DDIMScheduler"}, {"use_karras_sigmas", true}}),
               {"use_karras_sigmas", "true", "not supported"});
  expect_named(refusal({{"_class_name", "DDIMScheduler"}, {"beta_start", "small"}}),
               {"beta_start", "small", "a number"});
  expect_named(refusal({{"_class_name", "DDIMScheduler"}, {"num_train_timesteps", 10.5}}),
               {"num_train_timesteps", "10.5", "integer"});
  expect_named(refusal({{"_class_name", "DDIMScheduler"}, {"clip_sample", 1}}),
               {"clip_sample", "1", "true or false"});
  expect_named(refusal({{"_class_name", "DDIMScheduler"}, {"beta_end", 1.5}}), {"beta", "<= 1"});
}

TEST(huggingface_scheduler, names_arguments_of_the_call) {
  const json ddim{{"_class_name", "DDIMScheduler"}};
  expect_named(refusal(ddim, 1001), {"num_inference_steps", "1001", "1000"});
  expect_named(refusal(ddim, 0), {"num_inference_steps", "0"});
  expect_named(refusal(ddim, {10, {{"sigmas", {1, 0.5}}}}), {"set_timesteps", "sigmas"});
  expect_named(refusal(ddim, {10, {}, {{"s_churn", 1}}}), {"step", "s_churn"});
  expect_named(refusal(ddim, {10, {}, {{"eta", -1}}}), {"eta", "-1"});
  expect_named(refusal(ddim, {10, {}, {}, 10}), {"begin_index", "10"});
  expect_named(refusal({{"_class_name", "DDPMScheduler"}}, {10, {{"timesteps", {5, 3}}}}),
               {"num_inference_steps", "timesteps"});
  expect_named(refusal({{"_class_name", "DDPMScheduler"}}, {std::nullopt, {{"timesteps", {3, 5}}}}),
               {"timesteps", "descending"});
}

// Tables that a run would leave, or divide by zero or read beyond.
// A file of a megabyte must neither end the process by recursion nor ask for all memory.
TEST(huggingface_scheduler, refuses_files_that_nest_deeply_or_ask_for_billions) {
  const auto nested = [](std::size_t depth) {
    return R"({"_class_name": "DDIMScheduler", "trained_betas": )" + std::string(depth, '[') +
           std::string(depth, ']') + "}";
  };
  for (const std::size_t depth : {std::size_t{64}, std::size_t{1000000}})
    expect_named(tweedie::refusal([&] { (void)scheduler(nested(depth), 10); }),
                 {"text: position", "nested deeper than 64"});
  expect_named(tweedie::refusal([&] { (void)scheduler(nested(63), 10); }),
               {"trained_betas", "[[[", "a number"});
  // Brackets of text count nothing, and closed ones no more.
  EXPECT_NO_THROW(parse_python_json(R"({"a": ")" + std::string(100, '[') + R"("})"));
  std::string side_by_side = "[[]";
  for (int i = 0; i < 100; ++i) side_by_side += ", []";
  EXPECT_NO_THROW(parse_python_json(side_by_side + "]"));

  expect_named(refusal({{"_class_name", "DDIMScheduler"}, {"num_train_timesteps", 2000000000}}),
               {"num_train_timesteps = 2000000000", "1 ... 1000000"});
}

TEST(huggingface_scheduler, refuses_betas_that_the_run_divides_by) {
  for (const char* name : {"DDIM", "DDIMParallel", "DDPM", "DDPMParallel", "CogVideoXDDIM",
                           "CogVideoXDPM", "RePaint"}) {
    const std::string scheduler_name = std::string(name) + "Scheduler";
    expect_named(refusal({{"_class_name", scheduler_name}, {"beta_start", 0}}),
                 {name, "beta_start = 0", "beta > 0"});
    expect_named(refusal({{"_class_name", scheduler_name},
                          {"num_train_timesteps", 4},
                          {"trained_betas", {0, 0.1, 0.2, 0.3}}},
                         4),
                 {name, "trained_betas", "beta > 0"});
  }
  for (const char* name : {"DDIM", "DDIMParallel", "DDPM", "DDPMParallel"})
    expect_named(refusal({{"_class_name", std::string(name) + "Scheduler"}, {"beta_start", 1}}),
                 {name, "beta_start = 1", "beta < 1"});
  expect_named(refusal({{"_class_name", "DDIMScheduler"}, {"beta_end", -1}}), {"beta_end", "0 <="});
}

// Neither 0 nor 1 is divided by here: the first is not visited, no step ends at the second.
TEST(huggingface_scheduler, takes_betas_at_the_ends_of_their_range_where_they_do_no_harm) {
  const std::vector<json> configs{
      {{"_class_name", "DDIMScheduler"}, {"beta_start", 0}, {"steps_offset", 1}},
      {{"_class_name", "DPMSolverMultistepScheduler"}, {"beta_start", 0}},
      {{"_class_name", "DDIMScheduler"},
       {"num_train_timesteps", 4},
       {"trained_betas", {0.1, 0.2, 0.3, 1}},
       {"prediction_type", "v_prediction"},
       {"timestep_spacing", "trailing"}}};
  for (const json& config : configs) {
    const loaded_sampler sampler = scheduler(config, 4);
    for (const lowered_stage& s : lower(sampler.plan, sampler.network).stages)
      for (const linear_pass& pass : s.passes)
        for (const double weight : pass.weights) EXPECT_TRUE(std::isfinite(weight)) << config;
  }
}

TEST(huggingface_scheduler, refuses_limits_of_the_estimate_that_leave_no_estimate) {
  for (const char* name : {"DDIM", "DDPM", "DDIMInverse", "UnCLIP", "HeunDiscrete"})
    for (const json& range : std::vector<json>{-1, 0, "-Infinity"})
      expect_named(refusal({{"_class_name", std::string(name) + "Scheduler"},
                            {"clip_sample", true},
                            {"clip_sample_range", range}}),
                   {name, "clip_sample_range", "> 0"});
  for (const char* name : {"DDIM", "DPMSolverMultistep", "EDMDPMSolverMultistep"}) {
    const json config{{"_class_name", std::string(name) + "Scheduler"}, {"thresholding", true}};
    for (const double ratio : {99.5, -0.1}) {
      json bad = config;
      bad["dynamic_thresholding_ratio"] = ratio;
      expect_named(refusal(bad), {name, "dynamic_thresholding_ratio", "<= 1"});
      bad["thresholding"] = false;
      EXPECT_EQ(refusal(bad), "");
    }
    json bad = config;
    bad["sample_max_value"] = 0;
    expect_named(refusal(bad), {name, "sample_max_value = 0", ">= 1"});
    EXPECT_EQ(refusal(config), "");
  }
  // Thresholding wins: the range is not used.
  EXPECT_EQ(
      refusal(
          {{"_class_name", "DDIMScheduler"}, {"thresholding", true}, {"clip_sample_range", -1}}),
      "");
}

// Above 1, 1 - a_s - d^2 is negative in some step.
TEST(huggingface_scheduler, takes_no_more_noise_than_there_is) {
  for (const char* name : {"DDIM", "DDIMParallel", "RePaint"})
    for (const double eta : {2.0, 1.001, -0.5})
      expect_named(
          refusal({{"_class_name", std::string(name) + "Scheduler"}}, {10, {}, {{"eta", eta}}}),
          {name, "eta = ", "0 <= eta <= 1"});
  expect_named(refusal({{"_class_name", "RePaintScheduler"}, {"eta", 2}}), {"eta = 2", "<= 1"});
  EXPECT_EQ(refusal({{"_class_name", "DDIMScheduler"}}, {10, {}, {{"eta", 1}}}), "");
}

TEST(huggingface_scheduler, names_timesteps_outside_the_table) {
  for (const char* name : {"DDPM", "DDPMParallel", "CogVideoXDDIM", "CogVideoXDPM", "DDIM", "PNDM"})
    expect_named(refusal({{"_class_name", std::string(name) + "Scheduler"}, {"steps_offset", -1}}),
                 {name, "steps_offset = -1", "0 or more"});
  for (const double t : {-1.0, 1e300, std::nan("")}) {
    expect_named(
        refusal({{"_class_name", "DDPMScheduler"}}, {std::nullopt, {{"timesteps", {999, t}}}}),
        {"timestep"});
    for (const char* name : {"DDIM", "PNDM", "RePaint", "LCM"}) {
      const loaded_sampler sampler =
          scheduler(json{{"_class_name", std::string(name) + "Scheduler"}}, 10);
      EXPECT_THROW(sampler.forward(t), std::invalid_argument) << name << " " << t;
      EXPECT_THROW(sampler.forward(1000), std::invalid_argument) << name;
    }
  }
}

TEST(huggingface_scheduler, refuses_numbers_that_leave_the_range_of_a_method) {
  struct refused {
    const char* name;
    json config;
    request how;
    const char* message;
  };
  const std::vector<refused> all{
      {"ScoreSdeVe", {{"sampling_eps", 2}}, 10, "sampling_eps = 2"},
      {"ScoreSdeVe", {{"sampling_eps", -1}}, 10, "sampling_eps = -1"},
      {"ScoreSdeVe", {}, {10, {{"sampling_eps", 2}}}, "sampling_eps = 2"},
      {"ScoreSdeVe", {{"sigma_min", 2000}}, 10, "sigma_min = 2000"},
      {"ScoreSdeVp", {{"sampling_eps", 0}}, 10, "sampling_eps = 0"},
      {"ScoreSdeVp", {{"sampling_eps", -1}}, 10, "sampling_eps = -1"},
      {"KarrasVe", {{"s_churn", -1}}, 10, "s_churn = -1"},
      {"KarrasVe", {{"sigma_min", 0}}, 10, "sigma_min = 0"},
      {"CMStochasticIterative", {{"sigma_max", 0.001}}, 10, "sigma_max = 0.001"},
      {"CMStochasticIterative", {{"sigma_min", 1e300}}, 10, "sigma_min = 1e+300"},
      {"CMStochasticIterative", {{"num_train_timesteps", 1}}, 1, "num_train_timesteps = 1"},
      {"EDMEuler", {{"sigma_max", "Infinity"}}, 10, "sigma_max"},
      {"DDPMWuerstchen", {}, {std::nullopt, {{"timesteps", {0, 1}}}}, "timesteps = [0,1]"},
      {"DDPMWuerstchen", {}, {std::nullopt, {{"timesteps", {1.5, 0}}}}, "timesteps = [1.5,0]"},
      {"DDPMWuerstchen", {{"scaler", -1}}, 10, "scaler = -1"},
  };
  for (const refused& r : all) {
    json config = r.config.is_null() ? json::object() : r.config;
    config["_class_name"] = std::string(r.name) + "Scheduler";
    expect_named(refusal(config, r.how), {r.name, r.message, "valid"});
  }
  EXPECT_EQ(refusal({{"_class_name", "ScoreSdeVeScheduler"}, {"sampling_eps", 0}}), "");
  EXPECT_EQ(refusal({{"_class_name", "ScoreSdeVpScheduler"}, {"sampling_eps", 1}}), "");
}

// What no check of a single option sees.
TEST(huggingface_scheduler, never_gives_a_number_that_is_not_finite) {
  expect_named(refusal({{"_class_name", "LCMScheduler"}, {"timestep_scaling", "Infinity"}}),
               {"LCMScheduler", "weight of stage 0", "finite"});
  expect_named(refusal({{"_class_name", "EulerDiscreteScheduler"}, {"beta_end", 1}}),
               {"EulerDiscreteScheduler", "inf"});
  expect_named(refusal({{"_class_name", "HeunDiscreteScheduler"}, {"beta_start", 0}}),
               {"HeunDiscreteScheduler", "nan"});
  expect_named(refusal({{"_class_name", "ScoreSdeVpScheduler"}, {"beta_min", -1}}),
               {"ScoreSdeVpScheduler", "nan", "finite"});
  expect_named(refusal({{"_class_name", "KarrasVeScheduler"}, {"s_noise", "Infinity"}}),
               {"KarrasVeScheduler", "weight of step 0", "finite"});
}

// Files saved from a converted scheduler carry entries of its former class.
TEST(huggingface_scheduler, reports_entries_of_other_classes_that_ask_for_nothing) {
  const loaded_sampler s = scheduler(json{{"_class_name", "PNDMScheduler"},
                                          {"_diffusers_version", "0.6.0"},
                                          {"beta_end", 0.012},
                                          {"beta_schedule", "scaled_linear"},
                                          {"beta_start", 0.00085},
                                          {"clip_sample", false},
                                          {"num_train_timesteps", 1000},
                                          {"set_alpha_to_one", false},
                                          {"skip_prk_steps", true},
                                          {"steps_offset", 1},
                                          {"trained_betas", nullptr}},
                                     50);
  EXPECT_EQ(s.unused_options, std::vector<std::string>{"clip_sample"});
  EXPECT_EQ(s.timesteps.size(), 51u);
  EXPECT_EQ(s.timesteps.front(), 981);
  EXPECT_EQ(s.timesteps.back(), 1);
}

TEST(huggingface_scheduler, reads_text_and_files_with_the_literals_of_python) {
  const std::string text =
      R"( {"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity})";
  const loaded_sampler from_text = scheduler(text, 8);
  EXPECT_EQ(from_text.timesteps.size(), 8u);
  const std::string path = testing::TempDir() + "/scheduler_config.json";
  std::ofstream(path) << text;
  EXPECT_EQ(scheduler(path, 8).timesteps, from_text.timesteps);
  std::remove(path.c_str());
  EXPECT_THROW(scheduler(path, 8), std::invalid_argument);
  EXPECT_THROW(scheduler("{\"_class_name\": ", 8), std::invalid_argument);
  EXPECT_THROW(scheduler(R"({"_class_name": "DDIMScheduler", "beta_end": 1e999})", 8),
               std::invalid_argument);
  std::ofstream(path) << "{\"_class_name\": ";
  expect_named(tweedie::refusal([&] { scheduler(path, 8); }), {path.c_str(), "line 1"});
  std::remove(path.c_str());
  EXPECT_EQ(parse_python_json(R"({"a": "NaN \" Infinity"})")["a"], "NaN \" Infinity");
}

// With steps that divide T, no clipping and an end in clean data, it is the method itself.
TEST(huggingface_scheduler, is_ddim_where_the_reference_departs_in_nothing) {
  const loaded_sampler s = scheduler(json{{"_class_name", "DDIMScheduler"},
                                          {"clip_sample", false},
                                          {"timestep_spacing", "trailing"}},
                                     10);
  const program ours = ddim(trailing(linear_beta_schedule(1000), 10));
  const auto denoise = gaussian_denoiser(0.3, 0.5);
  const program_law a = law(s.plan, denoise, {0.1, 1});
  const program_law b = law(ours, denoise, {0.1, 1});
  ASSERT_EQ(a.marks.size(), b.marks.size());
  for (std::size_t i = 0; i < a.marks.size(); ++i) {
    EXPECT_EQ(a.marks[i].first.time, b.marks[i].first.time);
    EXPECT_NEAR(a.marks[i].second.mean, b.marks[i].second.mean, 1e-12);
    EXPECT_NEAR(a.marks[i].second.variance, b.marks[i].second.variance, 1e-12);
  }
}

// numpy's arange is one entry too long for these, which gives the reference a timestep of -1.
TEST(huggingface_scheduler, trailing_spacing_never_has_an_entry_too_many) {
  for (int n = 1; n <= 1000; ++n) {
    const std::vector<double> t = trailing_timesteps(1000, n);
    ASSERT_EQ(t.size(), static_cast<std::size_t>(n));
    EXPECT_EQ(t.front(), 999);
    EXPECT_GE(t.back(), 0);
    for (std::size_t i = 1; i < t.size(); ++i) ASSERT_LT(t[i], t[i - 1]) << n;
  }
}

// Noise predictions say nothing about x0 at zero signal: refused, unless clipping bounds it.
TEST(huggingface_scheduler, zero_terminal_snr_with_noise_predictions) {
  json config{{"_class_name", "DDIMScheduler"},
              {"rescale_betas_zero_snr", true},
              {"timestep_spacing", "trailing"},
              {"clip_sample", false}};
  const std::vector<float> x{0.3f, -2};
  EXPECT_THROW(start(scheduler(config, 5), x), std::invalid_argument);
  config["prediction_type"] = "v_prediction";
  EXPECT_NO_THROW(start(scheduler(config, 5), x));
  config["prediction_type"] = "epsilon";
  config["clip_sample"] = true;
  auto s = start(scheduler(config, 5), x);
  while (s.next()) std::fill(s.output().begin(), s.output().end(), 0.1f);
  for (const float v : s.state()) EXPECT_TRUE(std::isfinite(v));
}

// The denoiser of one data point, shown to every class as the prediction it expects.
TEST(huggingface_start, runs_clipped_samplers_on_the_callers_tensors) {
  const loaded_sampler sampler =
      scheduler(json{{"_class_name", "DDPMScheduler"}, {"prediction_type", "sample"}}, 20);
  const std::vector<float> x{0.3f, -2, 5, 0};
  auto s = start(sampler, x, gaussian_noise{3});
  int calls = 0;
  while (s.next()) {
    EXPECT_EQ(s.network_time(), sampler.timesteps[static_cast<std::size_t>(calls++)]);
    std::fill(s.output().begin(), s.output().end(), 1.7f);  // clipped to 1
  }
  EXPECT_EQ(calls, 20);
  for (const float v : s.state()) EXPECT_NEAR(v, 1, 1e-5);
}

TEST(huggingface_scheduler, image_to_image_starts_at_the_level_of_its_first_timestep) {
  const loaded_sampler s = scheduler(json{{"_class_name", "DDIMScheduler"}}, {10, {}, {}, 4});
  EXPECT_EQ(s.plan.evaluations(), 6u);
  EXPECT_EQ(s.plan.start.time, 500);
  EXPECT_EQ(s.plan.start.level, s.forward(500));
  EXPECT_EQ(s.timesteps.size(), 10u);
}

// Scheduler files of models in wide use, as their repositories have them.
TEST(huggingface_scheduler, loads_the_files_of_well_known_models) {
  struct model {
    const char* name;
    json config;
    options set_timesteps;
    std::vector<std::string> unused;
  };
  const std::vector<model> models{
      {"Stable Diffusion XL",
       {{"_class_name", "EulerDiscreteScheduler"},
        {"_diffusers_version", "0.19.0.dev0"},
        {"beta_end", 0.012},
        {"beta_schedule", "scaled_linear"},
        {"beta_start", 0.00085},
        {"clip_sample", false},
        {"interpolation_type", "linear"},
        {"num_train_timesteps", 1000},
        {"prediction_type", "epsilon"},
        {"sample_max_value", 1.0},
        {"set_alpha_to_one", false},
        {"skip_prk_steps", true},
        {"steps_offset", 1},
        {"timestep_spacing", "leading"},
        {"trained_betas", nullptr},
        {"use_karras_sigmas", false}},
       {},
       {"clip_sample", "sample_max_value", "set_alpha_to_one", "skip_prk_steps"}},
      {"Stable Diffusion 2.1",
       {{"_class_name", "DDIMScheduler"},
        {"beta_end", 0.012},
        {"beta_schedule", "scaled_linear"},
        {"beta_start", 0.00085},
        {"clip_sample", false},
        {"num_train_timesteps", 1000},
        {"prediction_type", "v_prediction"},
        {"set_alpha_to_one", false},
        {"skip_prk_steps", true},
        {"steps_offset", 1},
        {"trained_betas", nullptr}},
       {},
       {"skip_prk_steps"}},
      {"FLUX.1 dev",
       {{"_class_name", "FlowMatchEulerDiscreteScheduler"},
        {"base_image_seq_len", 256},
        {"base_shift", 0.5},
        {"max_image_seq_len", 4096},
        {"max_shift", 1.15},
        {"num_train_timesteps", 1000},
        {"shift", 3.0},
        {"use_dynamic_shifting", true}},
       {{"mu", 1.15}},
       {}},
      {"Wan 2.1",
       {{"_class_name", "UniPCMultistepScheduler"},
        {"beta_end", 0.02},
        {"beta_schedule", "linear"},
        {"beta_start", 0.0001},
        {"disable_corrector", json::array()},
        {"dynamic_thresholding_ratio", 0.995},
        {"final_sigmas_type", "zero"},
        {"flow_shift", 3.0},
        {"lower_order_final", true},
        {"num_train_timesteps", 1000},
        {"predict_x0", true},
        {"prediction_type", "flow_prediction"},
        {"rescale_betas_zero_snr", false},
        {"sample_max_value", 1.0},
        {"solver_order", 2},
        {"solver_p", nullptr},
        {"solver_type", "bh2"},
        {"steps_offset", 0},
        {"thresholding", false},
        {"timestep_spacing", "linspace"},
        {"trained_betas", nullptr},
        {"use_beta_sigmas", false},
        {"use_exponential_sigmas", false},
        {"use_flow_sigmas", true},
        {"use_karras_sigmas", false}},
       {},
       {}},
      {"Stable Video Diffusion",
       {{"_class_name", "EulerDiscreteScheduler"},
        {"beta_end", 0.012},
        {"beta_schedule", "scaled_linear"},
        {"beta_start", 0.00085},
        {"clip_sample", false},
        {"interpolation_type", "linear"},
        {"num_train_timesteps", 1000},
        {"prediction_type", "v_prediction"},
        {"set_alpha_to_one", false},
        {"sigma_max", 700.0},
        {"sigma_min", 0.002},
        {"skip_prk_steps", true},
        {"steps_offset", 1},
        {"timestep_spacing", "leading"},
        {"timestep_type", "continuous"},
        {"trained_betas", nullptr},
        {"use_karras_sigmas", true}},
       {},
       {"clip_sample", "set_alpha_to_one", "skip_prk_steps"}},
      {"DeepFloyd IF",
       {{"_class_name", "DDPMScheduler"},
        {"beta_end", 0.02},
        {"beta_schedule", "squaredcos_cap_v2"},
        {"beta_start", 0.0001},
        {"clip_sample", true},
        {"clip_sample_range", 1.0},
        {"dynamic_thresholding_ratio", 0.95},
        {"num_train_timesteps", 1000},
        {"prediction_type", "epsilon"},
        {"sample_max_value", 1.5},
        {"thresholding", true},
        {"trained_betas", nullptr},
        {"variance_type", "learned_range"}},
       {},
       {}},
  };
  for (const model& m : models) {
    const loaded_sampler s = scheduler(m.config, {30, m.set_timesteps});
    EXPECT_GE(s.timesteps.size(), 30u) << m.name;
    EXPECT_EQ(s.unused_options, m.unused) << m.name;
  }
}

// The file clips to 1, the caller's transform sees that and has the last word.
TEST(huggingface_start, takes_a_transform_after_that_of_the_file) {
  const std::vector<float> x{0.3f, -2, 5, 0};
  const auto end = [&](const json& file, auto&&... parts) {
    auto s = start(scheduler(file, 20), x, gaussian_noise{3}, parts...);
    while (s.next()) std::fill(s.output().begin(), s.output().end(), 1.7f);
    return std::vector<float>(s.state().begin(), s.state().end());
  };
  const json clips{{"_class_name", "DDPMScheduler"}, {"prediction_type", "sample"}};
  json thresholds = clips;
  thresholds["thresholding"] = true;
  json leaves = clips;
  leaves["clip_sample"] = false;
  const auto halved = [](std::span<float> clean, std::size_t, const node&) {
    for (float& v : clean) v /= 2;
  };
  const auto each = [](float value) { return std::vector<float>(4, value); };
  const auto expect = [](const std::vector<float>& a, const std::vector<float>& b) {
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(a[i], b[i], 1e-5f);
  };
  expect(end(clips), each(1));
  expect(end(clips, halved), each(0.5f));
  expect(end(clips, clip{-0.25, 0.25}), each(0.25f));
  expect(end(clips, clip{-5, 5}), each(1));
  expect(end(thresholds, halved), each(0.5f));
  expect(end(leaves), each(1.7f));
  expect(end(leaves, halved), each(0.85f));
  expect(end(leaves, clip{-1.5, 1.5}), each(1.5f));
  try {
    start(scheduler(clips, 20), x, halved);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_EQ(std::string(e.what()).substr(0, 20), "huggingface::start: ");
  }
}

// A file is read once; its parsed form takes any number of steps.
TEST(huggingface_scheduler, takes_what_has_been_read) {
  const json file = parse_configuration(R"({"_class_name": "DDIMScheduler"})");
  EXPECT_EQ(scheduler(file, 5).timesteps.size(), 5u);
  EXPECT_EQ(scheduler(file, 20).timesteps.size(), 20u);
}

// One step paints the whole known part: where the mask is 1 the result is the original.
TEST(huggingface_start, pastes_what_is_known) {
  const loaded_sampler sampler =
      scheduler(json{{"_class_name", "RePaintScheduler"}, {"num_train_timesteps", 20}},
                {10, {{"jump_length", 2}, {"jump_n_sample", 2}}, {{"eta", 1}}});
  const std::vector<float> original{0.5f, -0.25f};
  const std::vector<float> mask{1, 0};
  gaussian_noise noise{5};
  const std::vector<float> x{0.3f, -2};
  auto s = start(sampler, x, noise);
  std::size_t mark = 0;
  for (auto event = s.advance(); event != sampling_event::finished; event = s.advance()) {
    if (event == sampling_event::evaluate)
      std::fill(s.output().begin(), s.output().end(), 0.1f);
    else
      paste_known(sampler, mark++, s, noise, std::span(original), std::span(mask), 1);
  }
  EXPECT_EQ(mark, sampler.timesteps.size());
  EXPECT_EQ(s.state()[0], original[0]);
  EXPECT_NE(s.state()[1], original[1]);
  const std::vector<float> three(3);
  EXPECT_THROW(paste_known(sampler, 0, s, noise, std::span(three), std::span(three), 1),
               std::invalid_argument);
}

// Every jump up takes T//N = 20 draws at once. The denoiser of one data point ends there.
template <class S>
void expect_repaint_ends_at_the_data() {
  const loaded_sampler sampler = scheduler(json{{"_class_name", "RePaintScheduler"}}, 50);
  EXPECT_GT(sampler.plan.draws.size(), 20 * sampler.plan.evaluations() / 10);
  const std::vector<S> x{S(0.3), S(-2), S(5), S(0)};
  const S data = S(0.25);
  auto s = start(sampler, x, gaussian_noise{3});
  while (s.next()) {
    const signal_noise level = sampler.forward(s.network_time());
    for (std::size_t i = 0; i < x.size(); ++i)
      s.output()[i] = (s.input()[i] - S(level.alpha) * data) / S(level.sigma);
  }
  for (const S v : s.state()) EXPECT_NEAR(v, data, 1e-5);
}

TEST(huggingface_start, runs_repaint_whose_jumps_take_many_draws) {
  expect_repaint_ends_at_the_data<float>();
  expect_repaint_ends_at_the_data<double>();
}

}  // namespace
}  // namespace tweedie::huggingface::config_test
