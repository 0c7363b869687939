#include "tweedie/sampler/consistency.hpp"

#include <gtest/gtest.h>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

// The consistency function of data N(0, s^2): x at `from` moved to `to` along the probability flow.
auto exact_consistency(double variance_of_data, signal_noise to) {
  const auto total = [variance_of_data](signal_noise s) {
    return s.alpha * s.alpha * variance_of_data + s.sigma * s.sigma;
  };
  return [=](const node& n) { return affine_denoiser{std::sqrt(total(to) / total(n.level)), 0}; };
}

TEST(consistency, samples_the_data_exactly_with_the_exact_consistency_function) {
  constexpr double variance_of_data = 0.49;
  const grid nodes = trailing(linear_beta_schedule(1000), 4);
  const auto [alpha, sigma] = nodes.front().level;
  const program plan = consistency(nodes);
  const program_law l = law(plan, exact_consistency(variance_of_data, {1, 0}),
                            {0, alpha * alpha * variance_of_data + sigma * sigma});
  for (const auto& [at, state] : l.marks)
    EXPECT_NEAR(state.variance,
                at.level.alpha * at.level.alpha * variance_of_data + at.level.sigma * at.level.sigma,
                1e-12);
  EXPECT_EQ(plan.evaluations(), 4u);
  EXPECT_EQ(plan.draws.size(), 3u);
}

TEST(consistency, noises_from_the_level_its_data_lives_at) {
  constexpr double variance_of_data = 0.25;
  const grid nodes = at_times(edm_schedule{}, std::vector{80.0, 20.0, 1.0, 0.002});
  const program_law l =
      law(consistency(nodes), exact_consistency(variance_of_data, nodes.back().level),
          {0, variance_of_data + 6400});
  for (const auto& [at, state] : l.marks)
    EXPECT_NEAR(state.variance / (variance_of_data + at.level.sigma * at.level.sigma), 1, 1e-12);
}

TEST(consistency, applies_the_boundary_scaling) {
  const grid nodes = trailing(linear_beta_schedule(1000), 1);
  const auto scaling = [](const node&) { return consistency_scaling{0.25, 0.5}; };
  const program_law l = law(consistency(nodes, scaling), perfect_denoiser(2), {3, 1});
  EXPECT_NEAR(l.result.mean, 0.25 * 3 + 0.5 * 2, 1e-15);
  EXPECT_NEAR(l.result.variance, 0.0625, 1e-15);
}

TEST(renoised_estimates, follows_any_walk_and_may_draw_in_every_step) {
  const legs steps{{{2, {0.6, 0.8}}, {3, {0.28, 0.96}}}, {{1, {0.8, 0.6}}, clean_node(-1)}};
  const program_law l = law(renoised_estimates("walk", steps), perfect_denoiser(2), {0, 1});
  EXPECT_NEAR(l.marks[0].second.mean, 0.28 * 2, 1e-15);
  EXPECT_NEAR(l.marks[0].second.variance, 0.96 * 0.96, 1e-15);
  EXPECT_EQ(l.result.mean, 2);
  EXPECT_EQ(l.result.variance, 0);
  EXPECT_EQ(renoised_estimates("walk", steps).draws.size(), 1u);
  EXPECT_EQ(renoised_estimates("walk", steps, {.always_draws = true}).draws.size(), 2u);
  EXPECT_THROW(renoised_estimates("walk", steps, {.home = {1, 0.1}}), std::invalid_argument);
}

TEST(trajectory_consistency, follows_the_flow_to_any_level_below) {
  const grid nodes = trailing(linear_beta_schedule(1000), 4);
  const signal_noise start = nodes.front().level;
  const auto below = [](const leg& l) { return variance_preserving(noise_level(l.to.level) / 2); };
  const program plan = trajectory_consistency_by("by", nodes, below);
  const program_law l = law(plan, perfect_denoiser(1), {start.alpha, start.sigma * start.sigma});
  for (const auto& [at, state] : l.marks) {
    EXPECT_NEAR(state.mean, at.level.alpha, 1e-14);
    EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 1e-14);
  }
  EXPECT_EQ(plan.draws.size(), 3u);
}

TEST(latent_consistency_scaling, is_the_identity_at_time_zero) {
  EXPECT_EQ(latent_consistency_scaling(0).skip, 1);
  EXPECT_EQ(latent_consistency_scaling(0).out, 0);
  EXPECT_NEAR(latent_consistency_scaling(999).skip, 2.505e-9, 1e-12);  // 0.25/(9990^2 + 0.25)
}

TEST(trajectory_consistency, is_ddim_without_gamma) {
  const auto schedule = linear_beta_schedule(1000);
  const grid nodes = trailing(schedule, 5);
  const program plan = trajectory_consistency(schedule, nodes, 0);
  EXPECT_TRUE(plan.draws.empty());
  const auto denoise = gaussian_denoiser(0.3, 0.5);
  const program_law a = law(plan, denoise, {0.1, 1});
  const program_law b = law(ddim(nodes), denoise, {0.1, 1});
  EXPECT_NEAR(a.result.mean, b.result.mean, 1e-12);
  EXPECT_NEAR(a.result.variance, b.result.variance, 1e-12);
}

TEST(trajectory_consistency, is_consistency_sampling_with_gamma_one) {
  const auto schedule = linear_beta_schedule(1000);
  const grid nodes = trailing(schedule, 5);
  const auto denoise = gaussian_denoiser(0.3, 0.5);
  const program_law a = law(trajectory_consistency(schedule, nodes, 1), denoise, {0.1, 1});
  const program_law b = law(consistency(nodes), denoise, {0.1, 1});
  EXPECT_NEAR(a.result.mean, b.result.mean, 1e-12);
  EXPECT_NEAR(a.result.variance, b.result.variance, 1e-12);
}

TEST(trajectory_consistency, keeps_the_marginals_with_a_perfect_denoiser) {
  const auto schedule = linear_beta_schedule(1000);
  const grid nodes = trailing(schedule, 5);
  const auto [alpha, sigma] = nodes.front().level;
  for (const double gamma : {0.0, 0.3, 1.0}) {
    const program_law l = law(trajectory_consistency(schedule, nodes, gamma), perfect_denoiser(1.7),
                              {alpha * 1.7, sigma * sigma});
    for (const auto& [at, state] : l.marks) {
      EXPECT_NEAR(state.mean, at.level.alpha * 1.7, 1e-12);
      EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 1e-12);
    }
  }
}

TEST(trajectory_consistency, stays_on_the_table_near_clean_data) {
  const auto schedule = linear_beta_schedule(1000);
  for (const grid& nodes : {leading(schedule, 4), linspace(schedule, 4), trailing(schedule, 1000)})
    for (const double gamma : {0.3, 0.9, 1.0}) {
      const auto [alpha, sigma] = nodes.front().level;
      const program plan = trajectory_consistency(schedule, nodes, gamma);
      const program_law l = law(plan, perfect_denoiser(1.7), {alpha * 1.7, sigma * sigma});
      for (const auto& [at, state] : l.marks) {
        EXPECT_NEAR(state.mean, at.level.alpha * 1.7, 1e-12);
        EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 1e-12);
      }
      // A step to time 0 goes straight there, but for gamma = 1.
      EXPECT_EQ(plan.draws.size(), nodes.size() - (gamma < 1 ? 3 : 2));
    }
}

TEST(trajectory_consistency, refuses_gamma_outside_the_unit_interval) {
  const auto schedule = linear_beta_schedule(1000);
  const grid nodes = trailing(schedule, 5);
  EXPECT_THROW(trajectory_consistency(schedule, nodes, -0.1), std::invalid_argument);
  EXPECT_THROW(trajectory_consistency(schedule, nodes, 1.1), std::invalid_argument);
  EXPECT_THROW(trajectory_consistency(schedule, nodes, std::nan("")), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
