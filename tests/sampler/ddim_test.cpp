#include "tweedie/sampler/ddim.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "refusal.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/process/reverse.hpp"
#include "tweedie/program/law.hpp"

namespace tweedie {
namespace {

double angle(signal_noise s, double deviation) { return std::atan2(s.sigma, s.alpha * deviation); }

TEST(ddim, gain_on_gaussian_data_is_the_exact_flow_times_cosines) {
  const auto schedule = linear_beta_schedule(1000);
  for (const double deviation : {0.1, 0.5477225575, 1.0, 2.0})
    for (const int n : {1, 10, 50, 1000}) {
      const grid nodes = linspace(schedule, n);
      const program_law end = law(ddim(nodes), gaussian_denoiser(0, deviation * deviation), {0, 1});
      double gain = 1;
      for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
        const auto norm = [&](signal_noise s) { return std::hypot(s.alpha * deviation, s.sigma); };
        gain *= norm(nodes[i + 1].level) / norm(nodes[i].level) *
                std::cos(angle(nodes[i].level, deviation) - angle(nodes[i + 1].level, deviation));
      }
      EXPECT_NEAR(std::sqrt(end.result.variance), gain, 1e-11);
    }
}

TEST(ddim, full_noise_is_the_posterior_of_ddpm) {
  const auto schedule = linear_beta_schedule(1000);
  for (const int k : {0, 1, 20, 999})
    for (const int to : {-1, k - 1}) {
      const auto w = ddim_step(schedule(k), schedule(to), 1);
      const auto q = posterior(schedule(k), schedule(to));
      EXPECT_NEAR(w.noise * w.noise, q.variance, 1e-15);
      EXPECT_NEAR(w.state, q.state, 1e-13);
      EXPECT_NEAR(w.clean, q.clean, 1e-13);
    }
}

TEST(ddim, step_in_terms_of_the_noise_loses_no_digits) {
  // x_s = (alpha_s/alpha) x - sigma_s expm1(h) eps, h = lambda_s - lambda (Lu et al. 2022, eq. 3.7).
  const auto schedule = linear_beta_schedule(1000);
  for (const int k : {1, 500, 999}) {
    const signal_noise from = schedule(k), to = schedule(k - 1);
    const auto w = ddim_step(from, to);
    const double h = half_log_snr(to) - half_log_snr(from);
    EXPECT_NEAR(w.state + w.clean / from.alpha, to.alpha / from.alpha, 1e-12);
    EXPECT_NEAR(-w.clean * from.sigma / from.alpha, -to.sigma * std::expm1(h),
                1e-12 * to.sigma * std::expm1(h) + 1e-15);
  }
}

TEST(ddim, noise_of_the_output_makes_the_same_steps_where_nothing_is_clipped) {
  const grid nodes = trailing(linear_beta_schedule(1000), 8);
  for (const double eta : {0.0, 0.5, 1.0}) {
    const program a = ddim(nodes, eta);
    const program b = walk_anywhere("b", nodes, [&](recorder& r, const linear& x, const leg& l) {
      return ddim_step(r, x, l, eta, noise_estimate::from_output);
    });
    const auto denoise = gaussian_denoiser(0.3, 0.5);
    const program_law first = law(a, denoise, {0.1, 1});
    const program_law second = law(b, denoise, {0.1, 1});
    ASSERT_EQ(a.draws.size(), b.draws.size());
    for (std::size_t i = 0; i < first.marks.size(); ++i) {
      EXPECT_NEAR(first.marks[i].second.mean, second.marks[i].second.mean, 1e-13);
      EXPECT_NEAR(first.marks[i].second.variance, second.marks[i].second.variance, 1e-13);
    }
  }
}

TEST(ddim, step_from_clean_data_takes_the_noise_of_the_output) {
  const leg up{clean_node(-1), {0, {0.8, 0.6}}};
  const auto step = [&](noise_estimate z) {
    return walk_anywhere("step", {up}, [&](recorder& r, const linear& x, const leg& l) {
      return ddim_step(r, x, l, 0, z);
    });
  };
  EXPECT_EQ(step(noise_estimate::from_output).stages.front().pass.weights, (std::vector{0.8, 0.6}));
  EXPECT_THROW(step(noise_estimate::from_clean), std::invalid_argument);
}

TEST(ddim, ends) {
  EXPECT_EQ(ddim_step({0.6, 0.8}, {1, 0}).state, 0);
  EXPECT_EQ(ddim_step({0.6, 0.8}, {1, 0}).clean, 1);
  EXPECT_EQ(ddim_step({0.6, 0.8}, {1, 0}, 1).noise, 0);
  EXPECT_EQ(ddim_step({0, 1}, {0.6, 0.8}).state, 0.8);
  EXPECT_EQ(ddim_step({0, 1}, {0.6, 0.8}).clean, 0.6);
  const grid nodes = trailing(linear_beta_schedule(1000), 3);
  EXPECT_THROW(ddim(nodes, -0.1), std::invalid_argument);
  EXPECT_THROW(ddim(nodes, 1.1), std::invalid_argument);
  EXPECT_THROW(ddim(nodes, std::nan("")), std::invalid_argument);
}

TEST(ddim, step_refuses_what_is_undefined) {
  EXPECT_EQ(refusal([] {
              ddim_step({1, 0}, {0.6, 0.8});
            }),
            "ddim_step: sigma = 0; valid: sigma > 0");
  EXPECT_EQ(refusal([] {
              ddim_step({0.8, 0.6}, {0.6, 0.8}, 1);
            }),
            "ddim_step: eta = 1; valid: 0 in a step to a higher noise level");
  for (const double eta : {-0.1, 1.1, std::nan("")})
    EXPECT_THROW(ddim_step({0.6, 0.8}, {0.8, 0.6}, eta), std::invalid_argument);
  EXPECT_NEAR(ddim_step({0.8, 0.6}, {0.6, 0.8}).state, 0.8 / 0.6, 1e-15);
}

// From pure noise all of the noise is fresh, and between equal levels none, in any gauge.
TEST(ddim, full_noise_is_exact_at_both_ends_of_its_range) {
  for (int k = 1; k < 100; ++k) {
    const double scale = 0.37 * k;
    const ddim_weights w = ddim_step({0, scale}, {0.6, 0.8}, 1);
    EXPECT_NEAR(w.state, 0, 1e-7 / scale);
    EXPECT_NEAR(w.noise, 0.8, 1e-15);
    const ddim_weights same = ddim_step({0.6, 0.8}, {scale * 0.6, scale * 0.8}, 0);
    EXPECT_NEAR(same.state, scale, 1e-14 * scale);
    const signal_noise level = variance_preserving(scale);
    EXPECT_EQ(ddim_step(level, level, 1).noise, 0);
  }
}

TEST(ddim, inversion_and_back_shrinks_by_squared_cosines) {
  const auto schedule = linear_beta_schedule(1000);
  const double deviation = std::sqrt(0.3);
  grid down = trailing(schedule, 50);
  down.pop_back();  // z is undefined in clean data: invert from the lowest noisy level
  const grid up = reversed(down);
  const auto denoise = gaussian_denoiser(0, 0.3);
  const double inverted = law(ddim_inversion(up), denoise, {0, 1}).result.variance;
  const double back = law(ddim(down), denoise, {0, inverted}).result.variance;
  double cosines = 1;
  for (std::size_t i = 0; i + 1 < down.size(); ++i)
    cosines *= std::cos(angle(down[i].level, deviation) - angle(down[i + 1].level, deviation));
  EXPECT_NEAR(std::sqrt(back), cosines * cosines, 1e-12);
  // Published example of the shrinkage, with the clean end as an ideal last step.
  const double last = std::cos(angle(down.back().level, deviation));
  EXPECT_NEAR(cosines * cosines * last * last, 0.8962698, 1e-7);
  EXPECT_THROW(ddim_inversion(reversed(linspace(schedule, 5))), std::invalid_argument);
}

TEST(ddim, sampling_error_in_divergence_matches_published_example) {
  // Data N(0.5, 0.25): KL(sampler || data) per dimension.
  const auto schedule = linear_beta_schedule(1000);
  const auto divergence = [&](const program& plan) {
    const scalar_law end = law(plan, gaussian_denoiser(0.5, 0.25), {0, 1}).result;
    const double ratio = end.variance / 0.25;
    return 0.5 * (ratio - 1 - std::log(ratio) + std::pow(end.mean - 0.5, 2) / 0.25);
  };
  EXPECT_NEAR(divergence(ddim(trailing(schedule, 1000))) / 1.4e-5, 1, 0.05);
}

}  // namespace
}  // namespace tweedie
