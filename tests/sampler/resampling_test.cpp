#include "tweedie/sampler/resampling.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"

namespace tweedie {
namespace {

// Ten levels, jumps of two, each part twice: the walk of the reference code of Lugmayr et al.
TEST(resampling_walk, is_the_published_one) {
  EXPECT_EQ(resampling_walk(10, 2, 2), (std::vector<int>{9, 8, 7, 6, 7, 8, 7, 6, 5, 4, 5, 6, 5,
                                                         4, 3, 2, 3, 4, 3, 2, 1, 0, 1, 2, 1, 0}));
}

// The paper's setting: T = 250, jump length 10, resampling 10 times, about 4570 forward and
// reverse moves (Lugmayr et al. 2022, appendix D).
TEST(resampling_walk, has_the_published_number_of_transitions) {
  EXPECT_EQ(resampling_walk(250, 10, 10).size(), 4570u);
}

TEST(resampling_walk, moves_by_one_level_and_ends_at_the_data) {
  for (const int steps : {1, 7, 30})
    for (const int jump : {1, 3, 10})
      for (const int times : {1, 2, 5}) {
        const std::vector<int> walk = resampling_walk(steps, jump, times);
        int here = steps;
        for (const int next : walk) {
          EXPECT_EQ(std::abs(next - here), 1);
          EXPECT_LT(next, steps);
          here = next;
        }
        EXPECT_EQ(here, 0);
        if (times == 1) {
          EXPECT_EQ(walk.size(), static_cast<std::size_t>(steps));
        }
      }
}

TEST(resampled, keeps_the_marginals_with_a_perfect_denoiser) {
  const grid nodes = trailing(linear_beta_schedule(1000), 10);
  const auto [alpha, sigma] = nodes.front().level;
  for (const double eta : {0.0, 0.4, 1.0}) {
    const program plan = resampled(nodes, 2, 3, eta);
    const program_law l = law(plan, perfect_denoiser(1.7), {alpha * 1.7, sigma * sigma});
    ASSERT_EQ(l.marks.size(), resampling_walk(10, 2, 3).size());
    for (const auto& [at, state] : l.marks) {
      EXPECT_NEAR(state.mean, at.level.alpha * 1.7, 1e-12);
      EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 1e-12);
    }
  }
}

TEST(resampled, evaluates_only_on_the_way_down) {
  const grid nodes = trailing(linear_beta_schedule(1000), 10);
  EXPECT_EQ(resampled(nodes, 2, 2).evaluations(), 18u);
  EXPECT_EQ(resampled(nodes, 2, 2, 0).draws.size(), 8u);
}

TEST(resampled, refuses_eta_outside_the_unit_interval) {
  const grid nodes = trailing(linear_beta_schedule(1000), 5);
  for (const double eta : {-0.1, 1.1, std::nan("")})
    EXPECT_THROW(resampled(nodes, 2, 2, eta), std::invalid_argument);
}

TEST(resampling_walk, refuses_what_is_not_positive) {
  EXPECT_THROW(resampling_walk(0, 1, 1), std::invalid_argument);
  EXPECT_THROW(resampling_walk(5, 0, 1), std::invalid_argument);
  EXPECT_THROW(resampling_walk(5, 1, 0), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
