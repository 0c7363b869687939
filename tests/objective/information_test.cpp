// Identities that tie densities, scores and denoising errors together.
#include <gtest/gtest.h>

#include "objective/integral.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/objective/decoder.hpp"
#include "tweedie/objective/diffusion_bound.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/tensor/batch.hpp"
#include "tweedie/training/weighting.hpp"

namespace {

using namespace tweedie;
using tweedie_test::integral;

// 0.3 N(-1, 0.2) + 0.7 N(0.8, 0.4), with variance u added.
double density(double x, double u) {
  return 0.3 * std::exp(normal_log_density(x, -1.0, std::log(0.2 + u))) +
         0.7 * std::exp(normal_log_density(x, 0.8, std::log(0.4 + u)));
}

TEST(information, entropy_grows_by_half_the_fisher_information) {  // de Bruijn
  const auto entropy = [](double u) {
    return -integral(-12, 12, [&](double x) {
      const double p = density(x, u);
      return p > 0 ? p * std::log(p) : 0;
    });
  };
  const double u = 0.3, h = 1e-4;
  const double fisher = integral(-12, 12, [&](double x) {
    const double p = density(x, u), slope = (density(x + h, u) - density(x - h, u)) / (2 * h);
    return p > 1e-300 ? slope * slope / p : 0;
  });
  EXPECT_NEAR((entropy(u + h) - entropy(u - h)) / (2 * h), fisher / 2, 1e-7);
}

TEST(information, divergence_is_the_integral_of_score_differences) {
  // KL(p || q) = KL at U + 1/2 int_0^U E_p|s_p - s_q|^2 du for p = N(0, 0.5 + u), q = N(1, 1.2 + u).
  const auto divergence_at = [](double u) {
    return normal_divergence(0.0, std::log(0.5 + u), 1.0, std::log(1.2 + u));
  };
  const double end = 2;
  const double paid = integral(0, end, [](double u) {
    const double a = 1 / (1.2 + u) - 1 / (0.5 + u);  // s_p - s_q = a x - 1/(1.2 + u)
    return (a * a * (0.5 + u) + 1 / ((1.2 + u) * (1.2 + u))) / 2;
  });
  EXPECT_NEAR(divergence_at(0), divergence_at(end) + paid, 1e-8);
}

TEST(information, denoising_errors_give_the_likelihood_of_every_point) {
  const double m = 0.4, s2 = 0.3;
  for (const double x : {-2.0, 0.4, 1.7}) {
    const auto error = [&](double log_snr) {  // the exact denoiser of N(m, s^2), at this x
      const double gamma = std::exp(log_snr), c = 1 + gamma * s2;
      return ((m - x) * (m - x) + gamma * s2 * s2) / (c * c);
    };
    EXPECT_NEAR(negative_log_likelihood_of_errors(1, -35, 35, error),
                -normal_log_density(x, m, std::log(s2)), 1e-10);
  }
}

TEST(information, mutual_information_of_a_channel_is_half_the_integral_of_its_error) {
  const double s2 = 0.3;  // I = 1/2 log(1 + SNR s^2)
  const auto error = [&](double log_snr) { return s2 / (1 + std::exp(log_snr) * s2); };
  EXPECT_NEAR(continuous_diffusion_bound(-40, std::log(7.0), error), 0.5 * std::log1p(7 * s2),
              1e-12);
}

// The continuous bound of N(0, s^2) as the expected loss of a noise network over uniform times with the
// ELBO's weight: the same for every schedule with these ends (Kingma et al. 2021, section 5.1).
TEST(diffusion_bound, does_not_depend_on_the_schedule_between_its_ends) {
  const double s2 = 0.3, low = -8, high = 8;
  const auto error = [&](double log_snr) { return s2 / (1 + std::exp(log_snr) * s2); };
  const double exact = continuous_diffusion_bound(low, high, error);
  EXPECT_NEAR(exact, 0.5 * std::log((1 + std::exp(high) * s2) / (1 + std::exp(low) * s2)), 1e-12);
  const auto expected_loss = [&](const auto& schedule) {
    const double first = schedule.time_of(high / 2), last = schedule.time_of(low / 2);
    return integral(std::log(first), std::log(last), [&](double log_t) {
      const double t = std::exp(log_t);
      const signal_noise level = schedule(t);
      const double l = log_snr(level), noise_error = std::exp(l) * error(l);
      return elbo_noise_weight(log_snr_rate(level, schedule.rate(t)), 1 / (last - first)) *
             noise_error / (last - first) * t;
    });
  };
  EXPECT_NEAR(expected_loss(variance_preserving_schedule{}), exact, 1e-7);
  EXPECT_NEAR(expected_loss(cosine_path{}), exact, 1e-7);
  EXPECT_NEAR(expected_loss(rectified_flow{}), exact, 1e-7);
  EXPECT_NEAR(expected_loss(trigonometric_schedule{}), exact, 1e-7);
}

// Data of 256 levels, scaled to [-1, 1] and spread uniformly over their bins: a density in bits per
// dimension of the levels is that of the scaled data plus log2 127.5, and bounds the probability
// of the bin from above (Theis et al. 2016, section 3.1).
TEST(bits_per_dimension, of_spread_levels_are_those_of_scaled_data_plus_a_constant) {
  EXPECT_NEAR(bits_per_dimension(std::log(127.5), 1), 6.994353436858858, 1e-14);
  const double x = 2 * 100 / 255.0 - 1, mean = 0.1;
  for (const double log_scale : {-3.0, -1.0, 2.0}) {
    const double width = 2 / 255.0;
    const double spread = integral(x - width / 2, x + width / 2, [&](double u) {
      return -normal_log_density(u, mean, 2 * log_scale) / width;
    });
    const double bits = bits_per_dimension(spread, 1) + std::log2(127.5);
    const double exact =
        bits_per_dimension(-discretised_gaussian()(x, mean, log_scale).log_probability, 1);
    EXPECT_GT(bits, exact);
    EXPECT_NEAR(bits, exact, 0.02 * std::exp(-2 * log_scale - 4));
  }
}

}  // namespace
