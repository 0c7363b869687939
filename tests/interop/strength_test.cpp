// The strength rule of image-to-image for every scheduler class: what is left after floor(N strength) of N steps starts at the
// level where the whole run stands then.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/interop/huggingface.hpp"

namespace tweedie {
namespace {

std::vector<node> marks(const program& plan) {
  std::vector<node> out;
  for (const stage& s : plan.stages)
    if (s.mark) out.push_back(s.mark->at);
  return out;
}

TEST(strength, starts_where_the_whole_run_stands_in_every_class) {
  constexpr int steps = 20;
  // The decoder and SCM have two steps, Helios begins at its first: they refuse in a sentence.
  const std::set<std::string> whole_only{"ConsistencyDecoderScheduler", "SCMScheduler",
                                         "HeliosScheduler", "HeliosDMDScheduler"};
  // Steps of Euler-Maruyama end near the level at which the next one starts.
  const std::set<std::string> in_steps_of_time{"ScoreSdeVeScheduler", "ScoreSdeVpScheduler"};
  for (const auto& known : huggingface::scheduler_classes) {
    const nlohmann::json file{{"_class_name", known.name}};
    for (const double strength : {0.3, 0.58}) {  // 0.58 * 50 is 28.999... in doubles
      const int first = steps - steps_of_strength(steps, strength);
      if (whole_only.contains(known.name)) {
        EXPECT_THROW(huggingface::scheduler(file, {steps, {}, {}, first}), std::invalid_argument);
        continue;
      }
      const auto all = marks(huggingface::scheduler(file, {steps}).plan);
      const program plan = huggingface::scheduler(file, {steps, {}, {}, first}).plan;
      const std::size_t left = marks(plan).size();
      ASSERT_LT(left, all.size()) << known.name;
      const signal_noise at = all[all.size() - left - 1].level, start = plan.start.level;
      const double tolerance = in_steps_of_time.contains(known.name) ? 0.02 : 1e-9;
      EXPECT_NEAR(start.alpha, at.alpha, tolerance * at.alpha) << known.name;
      EXPECT_NEAR(start.sigma, at.sigma, tolerance * at.sigma) << known.name;
    }
  }
}

}  // namespace
}  // namespace tweedie
