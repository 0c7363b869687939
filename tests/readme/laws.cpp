#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "readme/names.hpp"
#include "refusal.hpp"

namespace readme {
namespace {

using namespace tweedie;

// A perfect denoiser leaves N(alpha x0, sigma^2) at every mark.
// The names of the page with another grid for `g`, whose levels flows have.
struct on_grid {
  explicit on_grid(tweedie::grid nodes) {
    given::g = std::move(nodes);
    given::at = nodes_of(rectified_flow{});
  }
  ~on_grid() {
    given::g = karras(given::schedule, 12);
    given::at = nodes_of(given::schedule);
  }
};

bool takes_g(const std::string& call) {
  const std::size_t open = call.find("(");
  return call.compare(open, 2, "(g") == 0 && call.compare(0, 8, "adaptive") != 0 &&
         call.compare(open, 3, "(g[") != 0;
}

const grid shifted_flow = uniform(time_shifted(rectified_flow{}, 3), 12);

TEST(readme, samplers_that_refuse_pure_noise_are_listed_and_say_so) {
  const on_grid start(shifted_flow);
  std::vector<std::string> refusing;
  for (const auto& [call, make] : samplers()) {
    SCOPED_TRACE(call);
    if (!takes_g(call)) continue;
    const std::string said = refusal(make);
    if (said.empty()) continue;
    refusing.push_back(call);
    EXPECT_EQ(said, call.substr(0, call.find("(")) +
                        ": alpha of node 0 = 0; valid: alpha > 0; below_pure_noise(grid) starts "
                        "where there is signal");
  }
  EXPECT_EQ(refusing, need_signal());
}

TEST(readme, every_sampler_runs_just_below_pure_noise) {
  const on_grid start(below_pure_noise(shifted_flow));
  for (const auto& [call, make] : samplers()) {
    SCOPED_TRACE(call);
    if (!takes_g(call)) continue;
    program plan;
    ASSERT_NO_THROW(plan = make());
    const auto [alpha, sigma] = plan.start.level;
    const auto end = law(plan, perfect_denoiser(1.7), {alpha * 1.7, sigma * sigma}).result;
    EXPECT_NEAR(end.mean, 1.7, 1e-9);
    EXPECT_NEAR(end.variance, 0, 1e-9);
  }
}

// Strength 0: nothing to do.
TEST(readme, every_sampler_leaves_the_picture_on_the_last_node_alone) {
  const on_grid end(starting_at(shifted_flow, 12));
  for (const auto& [call, make] : samplers()) {
    SCOPED_TRACE(call);
    if (!takes_g(call)) continue;
    program plan;
    ASSERT_NO_THROW(plan = make());
    EXPECT_EQ(plan.steps(), 0u);
    EXPECT_EQ(plan.evaluations(), 0u);
    std::vector<float> x{1, -2, 3};
    run(
        plan, {}, x, [](auto, double, auto) { FAIL(); }, gaussian_noise{1});
    EXPECT_EQ(x, (std::vector<float>{1, -2, 3}));
  }
}

TEST(readme, a_refusal_names_the_sampler_that_was_called) {
  grid broken = shifted_flow;
  broken[3].level.sigma = std::nan("");
  for (const grid& bad : {broken, reversed(shifted_flow), grid{}}) {
    const on_grid start(bad);
    for (const auto& [call, make] : samplers()) {
      if (!takes_g(call)) continue;
      const std::string said = refusal(make);
      const std::string name = call.substr(0, call.find("(")) + ": ";
      if (bad.empty() || bad[0] == broken[0]) {
        EXPECT_NE(said, "") << call;
      }
      if (!said.empty()) {
        EXPECT_EQ(said.substr(0, name.size()), name) << call << " said " << said;
      }
    }
  }
}

TEST(readme, samplers_keep_the_law_of_a_perfect_denoiser) {
  const auto all = samplers();
  EXPECT_GE(all.size(), 50u);
  for (const auto& [call, make] : all) {
    SCOPED_TRACE(call);
    program plan;
    ASSERT_NO_THROW(plan = make());
    constexpr double x0 = 1.7;
    const auto [alpha, sigma] = plan.start.level;
    const program_law exact = law(plan, perfect_denoiser(x0), {alpha * x0, sigma * sigma});
    ASSERT_FALSE(exact.marks.empty());
    for (const auto& [at, state] : exact.marks) {
      EXPECT_NEAR(state.mean, at.level.alpha * x0, 1e-11);
      const bool adds_too_much = call.find("fixed_large") != std::string::npos;
      if (!adds_too_much) {
        EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 1e-11);
      }
    }
  }
}

TEST(readme, grids_fall_to_clean_data) {
  const auto all = grids();
  EXPECT_GE(all.size(), 20u);
  for (const auto& [call, make] : all) {
    SCOPED_TRACE(call);
    grid nodes;
    ASSERT_NO_THROW(nodes = make());
    EXPECT_NO_THROW(check_descending("readme", nodes));
    EXPECT_EQ(nodes.back().level, (signal_noise{1, 0}));
    EXPECT_LE(nodes.size(), 21u);
    EXPECT_GE(nodes.size(), 11u);
  }
}

// The file that docs/huggingface.md reads.
class configuration_file : public testing::Environment {
  void SetUp() override {
    std::ofstream("scheduler_config.json")
        << R"({"_class_name": "EulerAncestralDiscreteScheduler", "beta_start": 0.00085,
               "beta_end": 0.012, "beta_schedule": "scaled_linear"})";
  }
  void TearDown() override { std::filesystem::remove("scheduler_config.json"); }
};
const testing::Environment* const environment =
    testing::AddGlobalTestEnvironment(new configuration_file);

}  // namespace
}  // namespace readme
