// Identities that tie densities, scores and denoising errors together.
#include <gtest/gtest.h>

#include "tweedie/objective/diffusion_bound.hpp"
#include "tweedie/objective/normal_divergence.hpp"

namespace {

using namespace tweedie;

template <class F>
double integral(double low, double high, const F& f) {
  double sum = 0;
  const int n = 20000;
  const double h = (high - low) / n;
  for (int i = 0; i <= n; ++i) sum += (i == 0 || i == n ? 0.5 : 1) * h * f(low + i * h);
  return sum;
}

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

}  // namespace
