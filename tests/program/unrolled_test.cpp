#include "tweedie/program/unrolled.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "laws/planners.hpp"
#include "refusal.hpp"
#include "tweedie/program/law.hpp"

namespace tweedie {
namespace {

// With D(x) = gain x the triangle alone gives the result's gain; the law of the program gives its
// square.
TEST(unroll, has_the_law_of_the_program) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 6);
  int seen = 0;
  for (const laws::planner& p : laws::planners()) {
    if (p.draws) continue;
    const program plan = p.plan(nodes);
    const auto denoise = gaussian_denoiser(0, 0.4);
    const unrolled_program u = unroll(plan);
    ASSERT_EQ(u.at.size(), plan.evaluations()) << p.name;
    std::vector<double> gains;  // of the estimates
    double gain = 0;
    for (std::size_t i = 0; i < u.rows.size(); ++i) {
      ASSERT_EQ(u.rows[i].size(), i + 1) << p.name;
      gain = u.rows[i][0];
      for (std::size_t j = 0; j < i; ++j) gain += u.rows[i][1 + j] * gains[j];
      if (i < u.at.size()) gains.push_back(gain * denoise(u.at[i]).gain);
    }
    const double variance = law(plan, denoise, {0, 1}).result.variance;
    EXPECT_NEAR(gain * gain, variance, 1e-12 * (1 + variance)) << p.name;
    ++seen;
  }
  EXPECT_GT(seen, 10);
}

TEST(unroll, refuses_what_is_not_a_function_of_the_start) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 3);
  EXPECT_EQ(refusal([&] { unroll(ddim(nodes, 1)); }),
            "unroll: the program draws; valid: deterministic");
}

}  // namespace
}  // namespace tweedie
