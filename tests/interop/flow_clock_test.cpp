// Shifted grids against the loader: the levels and the times that flow networks are told.
#include <gtest/gtest.h>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/interop/huggingface.hpp"
#include "tweedie/schedule/clock.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/derived.hpp"

namespace tweedie::huggingface {
namespace {

// Pipelines pass sigmas = linspace(1, 1/N, N): the even grid, shifted.
TEST(flow_clock, shifted_grids_are_those_of_the_pipelines) {
  for (const double shift : {1.0, 3.0, 7.0})
    for (const int steps : {1, 4, 28}) {
      const nlohmann::json file{{"_class_name", "FlowMatchEulerDiscreteScheduler"},
                                {"shift", shift}};
      const loaded_sampler loaded = scheduler(file, flow_pipeline(file, steps, 4096));
      const grid nodes = uniform(tweedie::time_shifted(rectified_flow{}, shift), steps);
      ASSERT_EQ(loaded.sigmas.size(), nodes.size());
      for (std::size_t i = 0; i < nodes.size(); ++i)
        EXPECT_NEAR(nodes[i].level.sigma, loaded.sigmas[i], 1e-12);
      std::size_t n = 0;
      for (const stage& s : loaded.plan.stages) {
        if (!s.evaluate) continue;
        const double told = loaded.network.time(s.evaluate->at);
        EXPECT_NEAR(told, loaded.timesteps[n], 1e-9);
        EXPECT_NEAR(told, flow_time_in_thousands(nodes[n]), 1e-9);
        EXPECT_NEAR(told, 1000 * nodes[n].time, 1e-9);
        ++n;
      }
      EXPECT_EQ(n, static_cast<std::size_t>(steps));
    }
}

// Dynamic shifting: mu of 4096 tokens, as docs/families.md has it for Flux.
TEST(flow_clock, shifts_of_the_images_size_too) {
  const nlohmann::json file{{"_class_name", "FlowMatchEulerDiscreteScheduler"},
                            {"use_dynamic_shifting", true},
                            {"base_shift", 0.5},
                            {"max_shift", 1.15}};
  const loaded_sampler loaded = scheduler(file, flow_pipeline(file, 28, 4096));
  const grid nodes =
      uniform(tweedie::time_shifted(rectified_flow{}, std::exp(resolution_log_shift(4096))), 28);
  ASSERT_EQ(loaded.sigmas.size(), nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i)
    EXPECT_NEAR(nodes[i].time, loaded.sigmas[i], 1e-12);
}

}  // namespace
}  // namespace tweedie::huggingface
