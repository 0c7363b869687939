// Loading Hugging Face's schedulers of tokens: defaults, and what is refused.
#include "tweedie/interop/huggingface/discrete.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/interop/huggingface.hpp"

namespace tweedie::huggingface {
namespace {

using nlohmann::json;

TEST(DiscreteScheduler, TakesDefaultsOfTheFileAndTheClass) {
  const auto amused = std::get<amused_scheduler>(
      discrete_scheduler({{"_class_name", "AmusedScheduler"}, {"mask_token_id", 8255}}, 3));
  EXPECT_EQ(amused.mask, 8255);
  EXPECT_EQ(amused.temperatures, (std::vector<double>{2, 1, 0}));
  const auto block = std::get<block_refinement_scheduler>(discrete_scheduler(
      {{"_class_name", "BlockRefinementScheduler"}, {"num_inference_steps", 5}}));
  EXPECT_EQ(block.steps, 5u);
  EXPECT_EQ(block.quota(0) + block.quota(1) + block.quota(2) + block.quota(3) + block.quota(4),
            32u);
  const auto vq = std::get<vq_diffusion_scheduler>(
      discrete_scheduler({{"_class_name", "VQDiffusionScheduler"}, {"num_vec_classes", 4097}}));
  EXPECT_EQ(vq.timesteps(), 100u);
}

TEST(DiscreteScheduler, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(refusal([] {
              discrete_scheduler({{"_class_name", "AmusedScheduler"}}, 3);
            }),
            "huggingface::AmusedScheduler: mask_token_id = absent; valid: a token");
  EXPECT_EQ(refusal([] {
              discrete_scheduler({{"_class_name", "EntropyBoundScheduler"}, {"bound", 1}}, 3);
            }),
            "huggingface::EntropyBoundScheduler: bound = 1; this class has no such option");
  EXPECT_EQ(refusal([] {
              discrete_scheduler({{"_class_name", "EntropyBoundScheduler"}}, 0);
            }),
            "huggingface::EntropyBoundScheduler: num_inference_steps = 0; valid: above 0");
  EXPECT_NE(refusal([] {
              discrete_scheduler({{"_class_name", "DDIMScheduler"}}, 3);
            }).find("supported: AmusedScheduler, BlockRefinementScheduler"),
            std::string::npos);
}

// The other loader says where they are, with all their names.
TEST(DiscreteScheduler, AreSentHereByTheOtherLoader) {
  EXPECT_EQ(std::size(detail::token_classes), detail::discrete_classes.size());
  for (const detail::discrete_class& known : detail::discrete_classes)
    EXPECT_EQ(refusal([&] {
                scheduler(json{{"_class_name", known.name}}, 3);
              }),
              "huggingface::scheduler: _class_name = \"" + std::string(known.name) +
                  "\"; it samples tokens: call huggingface::discrete_scheduler "
                  "(huggingface/discrete.hpp)");
}

// Wider tokens, and items run apart with their numbers, get the same.
TEST(DiscreteScheduler, TakesWiderTokensAndParts) {
  const entropy_bound_scheduler scheduler{0.5, 4};
  std::vector<double> logits;
  for (std::size_t k = 0; k < 24; ++k) logits.push_back(2 * std::sin(static_cast<double>(k * k)));
  std::vector<token> x(6, 1);
  std::vector<std::int64_t> wide(6, 1);
  const discrete::counter_uniform source{5};
  scheduler.step(discrete::logits_view<double>(logits, 4), 1, discrete::token_batch{x, 2}, source,
                 0.7, 0.5);
  for (std::uint32_t item = 0; item < 2; ++item) {
    const std::span<std::int64_t> own(wide.data() + 3 * item, 3);
    scheduler.step(discrete::logits_view<double>({logits.data() + 12 * item, 12}, 4), 1,
                   discrete::token_batch{own, 1, item}, source, 0.7, 0.5);
  }
  EXPECT_EQ(wide, std::vector<std::int64_t>(x.begin(), x.end()));
}

// Every class in place on wider tokens, as on narrow ones.
TEST(DiscreteScheduler, TakesWiderTokensInEveryClass) {
  std::vector<double> logits;
  for (std::size_t k = 0; k < 24; ++k) logits.push_back(2 * std::sin(static_cast<double>(k * k)));
  const discrete::logits_view<double> rows(logits, 4);
  const discrete::counter_uniform source{5};
  const auto same = [&](token start, const auto& step) {
    std::vector<token> x(6, start);
    std::vector<std::int64_t> wide(6, start);
    step(discrete::token_batch{x, 2});
    step(discrete::token_batch{wide, 2});
    EXPECT_TRUE(std::equal(x.begin(), x.end(), wide.begin()));
  };
  const amused_scheduler amused{4, true, {2, 1, 0}};
  same(4, [&](auto x) { amused.step(rows, 0, x, source); });
  same(1, [&](auto x) { amused.add_noise(x, 1, source); });
  same(1, [&](auto x) { block_refinement_scheduler{3, 2}.step(rows, 0, x, source); });
  const discrete_ddim_scheduler ddim{.steps = 4};
  same(1, [&](auto x) {
    ddim.step(rows, 1, x, source, 0.7);
    ddim.correct(rows, 1, x, source);
  });
}

// Options and steps that the references take for granted.
TEST(DiscreteScheduler, RefusesWhatTheReferencesTakeForGranted) {
  const auto load = [](const json& config, std::optional<int> steps = {}) {
    return refusal([&] { discrete_scheduler(config, steps); });
  };
  EXPECT_EQ(load({{"_class_name", "AmusedScheduler"}, {"mask_token_id", -1}}),
            "huggingface::AmusedScheduler: mask_token_id = -1; valid: a token");
  EXPECT_EQ(load({{"_class_name", "EntropyBoundScheduler"}, {"t_min", -0.5}}),
            "huggingface::EntropyBoundScheduler: t_min = below 0; valid: at least 0");
  json vq = {
      {"_class_name", "VQDiffusionScheduler"}, {"num_vec_classes", 5}, {"num_train_timesteps", 20}};
  EXPECT_EQ(load(vq), "");
  EXPECT_EQ(load(vq, 20), "");
  EXPECT_EQ(load(vq, 21),
            "huggingface::VQDiffusionScheduler: num_inference_steps = 21; valid: at "
            "most num_train_timesteps, 20");
  vq["alpha_cum_end"] = -0.1;
  EXPECT_EQ(load(vq),
            "VQDiffusionScheduler: kept of all at timestep 18 = -0.04210578947; valid: 0 ... 1");
  vq["alpha_cum_end"] = 0.5;
  EXPECT_NE(load(vq).find("replaced"), std::string::npos);

  const discrete::counter_uniform source{1};
  std::vector<token> x = {2, 2};
  const std::vector<token> before = x;
  const std::vector<double> logits(4, 0.5);
  const amused_scheduler amused{2, true, {1, 0}};
  EXPECT_EQ(refusal([&] { amused.add_noise(discrete::token_batch{x}, 2, source); }),
            "AmusedScheduler.add_noise: step = 2; valid: below 2");
  EXPECT_EQ(refusal([&] {
              amused.step(discrete::logits_view<double>(logits, 2), 0, discrete::token_batch{x},
                          source, NAN);
            }),
            "AmusedScheduler.step: starting_mask_ratio = nan; valid: finite, at least 0");
  EXPECT_EQ(x, before);
  EXPECT_EQ(refusal([] {
              entropy_bound_scheduler{0.5, 4}.temperature(4);
            }),
            "EntropyBoundScheduler.temperature: step = 4; valid: below 4");
  const vq_diffusion_scheduler posteriors(3, 5);
  std::vector<double> out(3);
  const std::vector<double> log_clean(2, std::log(0.5));
  EXPECT_EQ(refusal([&] { posteriors.log_posterior(log_clean, 2, 0, out); }),
            "VQDiffusionScheduler.q_posterior: t = 0; valid: 1 ... 4");
}

TEST(DiscreteScheduler, CorrectorAfterTheLastStepIsRefused) {
  const discrete_ddim_scheduler ddim{2};
  std::vector<token> x = {0, 1};
  const std::vector<double> logits = {0, 1, 2, 0, 1, 2};
  EXPECT_EQ(refusal([&] {
              ddim.correct(discrete::logits_view<double>(logits, 3), 1, discrete::token_batch{x},
                           discrete::counter_uniform{});
            }),
            "DiscreteDDIMScheduler.step_correct: step = 1; valid: before the last, 1");
}

}  // namespace
}  // namespace tweedie::huggingface
