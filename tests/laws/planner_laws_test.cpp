// The laws of every planner, stated once and proved without tensors.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "laws/planners.hpp"
#include "refusal.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/program/lower.hpp"

namespace tweedie::laws {
namespace {

TEST(every_planner, keeps_the_marginals_with_a_perfect_denoiser) {
  constexpr double x0 = 1.7;
  for (const planner& p : planners())
    for (const named_grid& g : grids()) {
      const auto [alpha, sigma] = g.nodes.front().level;
      const program plan = p.plan(g.nodes);
      const program_law law_of = law(plan, perfect_denoiser(x0), {alpha * x0, sigma * sigma});
      ASSERT_EQ(law_of.marks.size(), g.nodes.size() - 1);
      for (std::size_t i = 0; i < law_of.marks.size(); ++i) {
        const auto& [at, state] = law_of.marks[i];
        EXPECT_EQ(at, g.nodes[i + 1]);
        const double scale = std::max(1.0, at.level.sigma * at.level.sigma);
        EXPECT_NEAR(state.mean, at.level.alpha * x0, 1e-12 * scale) << p.name << " on " << g.name;
        if (p.keeps_marginals) {
          EXPECT_NEAR(state.variance, at.level.sigma * at.level.sigma, 4e-12 * scale)
              << p.name << " on " << g.name;
        }
      }
    }
}

TEST(every_planner, gives_the_data_point_exactly_at_the_clean_end) {
  for (const planner& p : planners())
    for (const named_grid& g : grids()) {
      if (g.nodes.back().level.sigma != 0) continue;
      const program_law law_of = law(p.plan(g.nodes), perfect_denoiser(1.7), {0.3, 2.0});
      EXPECT_DOUBLE_EQ(law_of.result.mean, 1.7) << p.name << " on " << g.name;
      EXPECT_NEAR(law_of.result.variance, 0, 1e-28) << p.name << " on " << g.name;
    }
}

TEST(every_planner, evaluates_as_often_as_claimed_and_draws_only_if_it_says_so) {
  for (const planner& p : planners())
    for (const named_grid& g : grids()) {
      const program plan = p.plan(g.nodes);
      const std::size_t steps = g.nodes.size() - 1;
      const bool clean_end = g.nodes.back().level.sigma == 0;
      const auto per_step = static_cast<std::size_t>(p.evaluations_per_step);
      EXPECT_EQ(plan.steps(), steps);
      EXPECT_EQ(plan.evaluations(), per_step * steps - (clean_end ? per_step - 1 : 0));
      if (!p.draws) {
        EXPECT_TRUE(plan.draws.empty()) << p.name;
      }
    }
}

TEST(every_planner, weights_are_finite_also_at_both_ends) {
  auto starts = grids();
  starts.push_back({"rectified flow from pure noise", tweedie::uniform(rectified_flow{}, 5)});
  starts.push_back(
      {"trigonometric from pure noise", tweedie::uniform(trigonometric_schedule{}, 1)});
  for (const planner& p : planners())
    for (const named_grid& g : starts) {
      if (g.nodes.front().level.alpha == 0 && p.needs_signal) {
        // One step to clean data is x0 itself, with or without signal.
        if (g.nodes.size() > 2) {
          EXPECT_THROW(p.plan(g.nodes), std::invalid_argument) << p.name;
        }
        continue;
      }
      for (const stage& s : p.plan(g.nodes).stages)
        for (const double w : s.pass.weights) ASSERT_TRUE(std::isfinite(w)) << p.name << g.name;
    }
}

// The state in units of alpha does not depend on the gauge in which the grid is given.
TEST(every_planner, does_not_depend_on_the_gauge) {
  const grid vp = trailing(linear_beta_schedule(1000), 9);
  const grid ve = variance_exploding(vp);
  grid flow = vp;
  for (node& n : flow) n.level = rectified(noise_level(n.level));
  const auto denoise = gaussian_denoiser(0.7, 0.4);
  for (const planner& p : planners()) {
    const auto law_in = [&](const grid& g) {
      const auto [alpha, sigma] = g.front().level;
      return law(p.plan(g), denoise, {alpha * 0.2, alpha * alpha * 3});
    };
    const program_law a = law_in(vp);
    for (const grid& other : {ve, flow}) {
      const program_law b = law_in(other);
      for (std::size_t i = 0; i < a.marks.size(); ++i) {
        const double ratio = other[i + 1].level.alpha / vp[i + 1].level.alpha;
        const auto& [mean, variance] = a.marks[i].second;
        EXPECT_NEAR(b.marks[i].second.mean, ratio * mean, 1e-11 * std::abs(ratio)) << p.name;
        EXPECT_NEAR(b.marks[i].second.variance, ratio * ratio * variance,
                    1e-11 * ratio * ratio * std::max(1.0, variance))
            << p.name;
      }
    }
  }
}

// Relabelling time changes what the network is told and nothing else.
TEST(every_planner, does_not_depend_on_the_clock) {
  const grid nodes = trailing(linear_beta_schedule(1000), 6);
  grid relabelled = nodes;
  for (node& n : relabelled) n.time = std::exp(n.time / 500);
  for (const planner& p : planners()) {
    const program a = p.plan(nodes);
    const program b = p.plan(relabelled);
    ASSERT_EQ(a.stages.size(), b.stages.size());
    for (std::size_t s = 0; s < a.stages.size(); ++s)
      EXPECT_EQ(a.stages[s].pass.weights, b.stages[s].pass.weights) << p.name;
  }
}

TEST(every_planner, converges_at_its_order_on_gaussian_data) {
  // End gain of the probability-flow ODE on N(0, s^2): sqrt(c_end / c_start).
  constexpr double variance = 0.25;
  const auto total = [&](signal_noise s) {
    return s.alpha * s.alpha * variance + s.sigma * s.sigma;
  };
  const auto levels_of = [](int n) { return exponential_levels(n + 1, 20, 0.05); };
  for (const planner& p : planners()) {
    if (p.draws) continue;
    for (const bool exploding : {true, false}) {
      const auto error = [&](int n) {
        grid nodes;
        for (const double level : levels_of(n))
          nodes.push_back({level, exploding ? tweedie::variance_exploding(level)
                                            : tweedie::variance_preserving(level)});
        const program_law end =
            law(p.plan(nodes), gaussian_denoiser(0, variance), {0, total(nodes.front().level)});
        return std::abs(std::sqrt(end.result.variance / total(nodes.back().level)) - 1);
      };
      const double slope = std::log2(error(160) / error(320));
      EXPECT_NEAR(slope, p.order, 0.15) << p.name;
      EXPECT_GT(error(320), 1e3 * 2.2e-16) << p.name;
    }
  }
}

TEST(every_planner, refuses_grids_that_do_not_fall) {
  const grid rising = reversed(trailing(linear_beta_schedule(1000), 5));
  for (const planner& p : planners()) {
    const std::string message = refusal([&] { p.plan(rising); });
    EXPECT_NE(message.find("; valid: strictly below"), std::string::npos) << p.name;
    EXPECT_EQ(message.find("ramped_orders"), std::string::npos) << p.name;
    EXPECT_THROW(p.plan(grid{}), std::invalid_argument) << p.name;
  }
}

TEST(every_planner, stays_on_a_grid_of_one_node) {
  for (const planner& p : planners())
    for (const node& n : {node{3, {0.6, 0.8}}, clean_node(-1)}) {
      const program plan = p.plan(grid{n});
      EXPECT_EQ(plan.start, n) << p.name;
      EXPECT_EQ(plan.evaluations() + plan.steps(), 0u) << p.name;
      EXPECT_EQ(law(plan, perfect_denoiser(1.7), {0.3, 2}).result.mean, 0.3) << p.name;
    }
}

TEST(every_planner, refuses_what_is_not_a_level) {
  const double nan = std::nan("");
  const double infinity = std::numeric_limits<double>::infinity();
  const grid nodes = trailing(linear_beta_schedule(1000), 5);
  const auto with = [&](std::size_t index, signal_noise level) {
    grid out = nodes;
    out[index].level = level;
    return out;
  };
  for (const planner& p : planners()) {
    for (const signal_noise level :
         {signal_noise{nan, 1}, signal_noise{1, nan}, signal_noise{1, infinity},
          signal_noise{-1, 3}, signal_noise{-0.1, -2}, signal_noise{0, 0}})
      EXPECT_THROW(p.plan(with(0, level)), std::invalid_argument) << p.name << ' ' << level.sigma;
    for (const signal_noise level : {signal_noise{nan, 0}, signal_noise{1, nan},
                                     signal_noise{infinity, 0.1}, signal_noise{1, -0.1}})
      EXPECT_THROW(p.plan(with(5, level)), std::invalid_argument) << p.name << ' ' << level.alpha;
  }
}

TEST(every_planner, lowers_to_every_prediction_kind_defined_on_its_levels) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 5);
  for (const planner& p : planners()) {
    const program plan = p.plan(nodes);
    for (const network_description& network :
         {network_description{predicts_noise}, network_description{predicts_sample},
          network_description{predicts_v}, network_description{predicts_score},
          network_description{predicts_rectified_velocity}})
      for (const lowered_stage& s : lower(plan, network).stages)
        for (const linear_pass& pass : s.passes)
          for (const double w : pass.weights) EXPECT_TRUE(std::isfinite(w)) << p.name;
  }
  // A noise prediction says nothing about x0 where there is no signal.
  EXPECT_THROW(lower(ddim(tweedie::uniform(rectified_flow{}, 4)), {predicts_noise}),
               std::invalid_argument);
  EXPECT_NO_THROW(lower(ddim(tweedie::uniform(rectified_flow{}, 4)), {predicts_v}));
}

}  // namespace
}  // namespace tweedie::laws
