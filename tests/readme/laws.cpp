#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "readme/names.hpp"

namespace readme {
namespace {

using namespace tweedie;

// A perfect denoiser leaves N(alpha x0, sigma^2) at every mark.
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

// The file that the README's block on configurations reads.
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
