#include "tweedie/sampler/ddpm.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/forward_chain.hpp"

namespace tweedie {
namespace {

double total(signal_noise s, double variance) {
  return s.alpha * s.alpha * variance + s.sigma * s.sigma;
}

analytic_variance exact_for(double variance) {
  return {[variance](const node& n) {
    return n.level.sigma * n.level.sigma * variance / total(n.level, variance);
  }};
}

TEST(ddpm, exact_variance_keeps_the_marginals_of_gaussian_data) {
  for (const auto& schedule : {linear_beta_schedule(1000), cosine_schedule(1000)})
    for (const int n : {1, 50, 1000}) {
      const grid nodes = trailing(schedule, n);
      constexpr double mean = 0.5, variance = 0.25;
      const node& start = nodes.front();
      const auto marks = law(ddpm(nodes, exact_for(variance)), gaussian_denoiser(mean, variance),
                             {start.level.alpha * mean, total(start.level, variance)})
                             .marks;
      for (std::size_t i = 0; i + 1 < marks.size(); ++i) {
        const auto& [at, state] = marks[i];
        EXPECT_NEAR(state.mean, at.level.alpha * mean, 1e-11);
        EXPECT_NEAR(state.variance, total(at.level, variance), 1e-11);
      }
    }
}

TEST(ddpm, takes_weights_and_noise_of_the_callers) {
  const grid nodes = trailing(linear_beta_schedule(1000), 3);
  const auto weights = [](const leg&) { return posterior_weights{0.5, 0.25, 4, 9}; };
  const program_law l = law(ddpm_by("own", nodes, weights,
                                    [](recorder& r, const posterior_weights& q, const leg& step) {
                                      return (step.to.level.sigma > 0 ? q.variance : 0) * r.draw();
                                    }),
                            perfect_denoiser(2), {1, 1});
  EXPECT_EQ(l.result.mean, 0.5 * 2 + 0.25 * (0.5 * 2 + 0.25 * (0.5 * 2 + 0.25)));
  EXPECT_EQ(l.result.variance, (((1 / 16. + 16) / 16) + 16) / 16);
}

TEST(ddpm, chain_from_the_prior_has_the_published_closed_form) {
  // V_0 = s^2 - alpha_bar_T^2 s^4 (s^2 - 1)/c_T^2, mean m (1 - alpha_bar_T s^2/c_T), if the last
  // step keeps its variance too; without it the conditional variance of that step is missing.
  const auto schedule = linear_beta_schedule(1000);
  constexpr double m = 0.5, s2 = 0.25;
  const grid nodes = trailing(schedule, 1000);
  const scalar_law end = law(ddpm(nodes, exact_for(s2)), gaussian_denoiser(m, s2), {0, 1}).result;
  const double last = schedule.alpha_bar(999);
  const double c = total(schedule(999), s2);
  const double missing = gaussian_variance(schedule(0), schedule(-1), s2);
  EXPECT_NEAR(end.mean, m * (1 - last * s2 / c), 1e-12);
  EXPECT_NEAR(end.variance + missing, s2 - last * last * s2 * s2 * (s2 - 1) / (c * c), 1e-12);
}

TEST(ddpm, mean_only_chain_collapses_to_the_published_gain) {
  const auto schedule = linear_beta_schedule(1000);
  constexpr double s2 = 0.25;
  const grid nodes = trailing(schedule, 1000);
  recorder r(nodes.front());
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const posterior_weights q = posterior(nodes[i].level, nodes[i + 1].level);
    const linear clean = r.evaluate(x, nodes[i]).clean;
    x = q.clean * clean + q.state * x;
  }
  const double deviation =
      std::sqrt(law(r.finish(x), gaussian_denoiser(0, s2), {0, 1}).result.variance);
  EXPECT_NEAR(deviation / (schedule.at(999).alpha * s2 / total(schedule.at(999), s2)), 1, 1e-11);
  EXPECT_NEAR(deviation, 0.00159, 1e-5);
}

TEST(ddpm, fixed_variances_are_exact_at_their_ends) {
  const auto schedule = linear_beta_schedule(1000);
  const grid nodes = trailing(schedule, 1000);
  // N(0, 1) data and variance beta: 1 - beta_1 without the last noise.
  EXPECT_NEAR(law(ddpm(nodes, fixed_large{}), gaussian_denoiser(0, 1), {0, 1}).result.variance,
              1 - schedule.beta(0), 1e-11);
  // A point and variance beta tilde.
  const scalar_law point = law(ddpm(nodes), gaussian_denoiser(0.7, 0), {0.3, 1}).result;
  EXPECT_NEAR(point.mean, 0.7, 1e-12);
  EXPECT_NEAR(point.variance, 0, 1e-20);
}

TEST(ddpm, published_divergences) {
  // Data N(0.5, 0.25): KL(sampler || data) per dimension of the chains with the last noise.
  const auto schedule = linear_beta_schedule(1000);
  const auto divergence = [&](const program& plan) {
    const scalar_law end = law(plan, gaussian_denoiser(0.5, 0.25), {0, 1}).result;
    const double ratio = end.variance / 0.25;
    return 0.5 * (ratio - 1 - std::log(ratio) + std::pow(end.mean - 0.5, 2) / 0.25);
  };
  EXPECT_NEAR(divergence(ddpm(trailing(schedule, 1000))) / 6.1e-5, 1, 0.05);
}

TEST(ddpm, is_ancestral_sampling_and_full_noise_ddim) {
  const grid nodes = trailing(linear_beta_schedule(1000), 20);
  const auto denoise = gaussian_denoiser(0.2, 0.4);
  const program_law a = law(ddpm(nodes), denoise, {0, 1});
  const program_law b = law(euler_ancestral(nodes), denoise, {0, 1});
  for (std::size_t i = 0; i < a.marks.size(); ++i) {
    EXPECT_NEAR(a.marks[i].second.mean, b.marks[i].second.mean, 1e-13);
    EXPECT_NEAR(a.marks[i].second.variance, b.marks[i].second.variance, 1e-13);
  }
}

TEST(ddpm, learned_range_names_the_two_variances) {
  const grid nodes = trailing(linear_beta_schedule(1000), 4);
  const program plan = ddpm(nodes, learned_range{});
  ASSERT_EQ(plan.draws.size(), 3u);
  const auto q = posterior(nodes[0].level, nodes[1].level);
  EXPECT_TRUE(plan.draws[0].learned);
  EXPECT_DOUBLE_EQ(plan.draws[0].log_lower, std::log(small_variance(q)));
  EXPECT_DOUBLE_EQ(plan.draws[0].log_upper, std::log(large_variance(q)));
  EXPECT_THROW(law(plan, perfect_denoiser(0), {0, 1}), std::invalid_argument);
}

// Every step of the chain is the exact conditional of Gaussian data, the last one, too, where it is drawn:
// what is left is the prior's mismatch, alpha_T.
TEST(ddpm, is_exact_to_the_end_where_the_last_step_draws) {
  const auto schedule = linear_beta_schedule(1000);
  const double rest = schedule.at(999).alpha;
  for (const int steps : {1, 3, 50, 1000}) {
    const grid nodes = trailing(schedule, steps);
    const program plan = ddpm(nodes, exact_for(0.25), last_noise::drawn);
    EXPECT_EQ(plan.draws.size(), static_cast<std::size_t>(steps));
    const auto [alpha, sigma] = nodes.front().level;
    const scalar_law from_law =
        law(plan, gaussian_denoiser(0.5, 0.25), {alpha * 0.5, total({alpha, sigma}, 0.25)}).result;
    EXPECT_NEAR(from_law.mean, 0.5, 1e-12);
    EXPECT_NEAR(from_law.variance, 0.25, 1e-12);
    const scalar_law from_noise = law(plan, gaussian_denoiser(0.5, 0.25), {0, 1}).result;
    EXPECT_NEAR(from_noise.variance, 0.25, rest * rest);
    EXPECT_LT(
        law(ddpm(nodes, exact_for(0.25)), gaussian_denoiser(0.5, 0.25), {0, 1}).result.variance,
        0.24991);
  }
}

TEST(ddpm, draws_nothing_last_where_the_variance_is_0) {
  const grid nodes = trailing(linear_beta_schedule(1000), 4);
  EXPECT_EQ(ddpm(nodes, fixed_small{}, last_noise::drawn).draws.size(), 3u);
  EXPECT_EQ(ddpm(nodes, learned_range{}, last_noise::drawn).draws.size(), 3u);
  EXPECT_EQ(ddpm(nodes, exact_for(0), last_noise::drawn).draws.size(), 3u);
  EXPECT_EQ(ddpm(nodes, fixed_large{}, last_noise::drawn).draws.size(), 4u);
  EXPECT_EQ(ddpm(nodes, fixed_large{}).draws.size(), 3u);
}

TEST(forward_chain, has_the_closed_form_at_every_mark) {
  for (const auto& schedule : {linear_beta_schedule(1000), cosine_schedule(1000)}) {
    const grid nodes = reversed(trailing(schedule, 1000));
    const program plan = forward_chain(nodes);
    EXPECT_EQ(plan.evaluations(), 0u);
    EXPECT_EQ(plan.draws.size(), 1000u);
    const auto marks = law(plan, perfect_denoiser(0), {0.6, 0.2}).marks;
    for (const auto& [at, state] : marks) {
      EXPECT_NEAR(state.mean, at.level.alpha * 0.6, 1e-11);
      EXPECT_NEAR(state.variance, total(at.level, 0.2), 1e-11);
    }
  }
  EXPECT_THROW(forward_chain(trailing(linear_beta_schedule(10), 3)), std::invalid_argument);
}

TEST(ancestral_split, ends_and_closed_form) {
  EXPECT_EQ(ancestral_split(2, 0).up, 0);
  EXPECT_EQ(ancestral_split(2, 0).down, 0);
  EXPECT_EQ(ancestral_split(2, 1, 0).up, 0);
  EXPECT_EQ(ancestral_split(2, 1, 0).down, 1);
  EXPECT_EQ(ancestral_split(2, 1).down, 0.5);
  for (const double eta : {0.0, 0.3, 1.0, 1.5}) {
    const auto [down, up] = ancestral_split(2, 1.5, eta);
    EXPECT_NEAR(std::hypot(down, up), 1.5, 1e-15);
  }
  // Close levels keep their digits: up^2 = u_s^2 (u^2 - u_s^2)/u^2.
  const auto close = ancestral_split(1 + 1e-12, 1);
  EXPECT_NEAR(close.up / std::sqrt(2e-12), 1, 1e-4);
  EXPECT_THROW(ancestral_split(1, 2), std::invalid_argument);
  EXPECT_THROW(ancestral_split(2, 1, -1), std::invalid_argument);
}

// On N(0, 0.25), by the mean of each step of the linear schedule alone: alpha_T s^2/(alpha_T^2 s^2 + sigma_T^2).
TEST(ddpm, means_without_noise_lose_the_spread) {
  const auto schedule = linear_beta_schedule(1000);
  double deviation = 1;
  for (int t = 1000; t > 0; --t) {
    const signal_noise from = schedule.at(t - 1);
    const signal_noise to = t > 1 ? schedule.at(t - 2) : signal_noise{1, 0};
    const posterior_weights step = posterior(from, to);
    const double c = from.alpha * from.alpha * 0.25 + from.sigma * from.sigma;
    deviation *= step.state + step.clean * from.alpha * 0.25 / c;
  }
  EXPECT_NEAR(deviation, 0.00159, 5e-6);  // of 0.5
}

}  // namespace
}  // namespace tweedie
