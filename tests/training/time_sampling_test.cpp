#include "tweedie/training/time_sampling.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"

#include <numeric>

namespace {

using namespace tweedie;
using tweedie_test::nth;

// Midpoint rule on the quantile axis: int density(x) dx over [quantile(a), quantile(b)].
template <class Density>
double integral_of_density(const Density& d, double low, double high) {
  constexpr int n = 200000;
  double sum = 0;
  const double h = (high - low) / n;
  for (int i = 0; i < n; ++i) sum += d.density(low + (i + 0.5) * h);
  return sum * h;
}

template <class Density>
void check(const Density& d, double tolerance) {
  for (double p = 0.001; p < 1; p += 0.0373) {
    const double x = d.quantile(p);
    EXPECT_NEAR(d.cdf(x), p, 1e-12);
    const double h = 1e-5 * x;
    EXPECT_NEAR((d.cdf(x + h) - d.cdf(x - h)) / (2 * h) / d.density(x), 1, 1e-6);
  }
  const double low = d.quantile(0.01), high = d.quantile(0.99);
  EXPECT_NEAR(integral_of_density(d, low, high), 0.98, tolerance);
  EXPECT_LT(d.quantile(0.2), d.quantile(0.3));
  EXPECT_THROW(d.quantile(1.5), std::invalid_argument);
  EXPECT_THROW(d.quantile(std::nan("")), std::invalid_argument);
}

TEST(time_density, density_cdf_and_quantile_belong_together) {
  check(uniform_density(0.1, 3), 1e-9);
  check(log_normal_density(-1.2, 1.2), 1e-7);
  check(log_logistic_density(-0.5, 0.8, 0.01, 80), 1e-6);
  check(log_logistic_density(), 1e-4);
  check(log_laplace_density(-0.5, 0.8, 0.01, 80), 1e-6);
  check(log_laplace_density(), 1e-4);
  check(log_cauchy_density(0.3, 0.25, 1e-3, 80), 1e-4);
  check(log_uniform_density(0.02, 80), 1e-5);
  check(v_diffusion_density(0.5, 1e-3, 1e3), 1e-6);
  check(logit_normal_density(0.2, 1.3), 1e-7);
  check(mode_density(1.29), 1e-4);
  check(mode_density(-0.7), 1e-4);
  check(cosmap_density(), 1e-9);
}

TEST(time_density, published_mode_times) {  // Esser et al. 2024, scale 1.29, u = 0, 0.1, ..., 0.5
  const mode_density d(1.29);
  const double expected[] = {1, .80256855, .66518404, .57887851, .52968404, .5};
  for (int i = 0; i <= 5; ++i) {
    EXPECT_NEAR(d.quantile(1 - i / 10.0), expected[i], 5e-9);
    EXPECT_NEAR(d.quantile(i / 10.0), 1 - expected[i], 5e-9);
  }
}

TEST(time_density, published_cosmap_times) {  // Esser et al. 2024, u = 0, 0.1, ..., 0.9
  const double expected[] = {0,  .13672874, .24523728, .33754015, .42080778,
                             .5, .57919222, .66245985, .75476272, .86327126};
  for (int i = 0; i <= 9; ++i) EXPECT_NEAR(cosmap_density().quantile(i / 10.0), expected[i], 5e-9);
  EXPECT_NEAR(cosmap_density().quantile(1), 1, 1e-15);
}

TEST(time_density, mode_scale_stays_monotone) {
  EXPECT_THROW(mode_density(1.76), std::invalid_argument);
  EXPECT_THROW(mode_density(-1.01), std::invalid_argument);
  EXPECT_NEAR(mode_density(-1).quantile(0.5), 0.5, 1e-15);
}

// Hang et al. 2024, table 1, in log SNR l(t): Laplace mu - b sign(1/2 - t) log(1 - 2|t - 1/2|), Cauchy
// mu + gamma tan(pi/2 (1 - 2t)); t = 1 is noise.
TEST(time_density, laplace_and_cauchy_levels_are_the_published_log_snr) {
  const double mu = 0.6, width = 0.5;
  const log_laplace_density laplace(-mu / 2, width / 2);
  const log_cauchy_density cauchy(-mu / 2, width / 2);
  for (const double t : {1e-6, 0.1, 0.5, 0.8, 1 - 1e-6}) {
    const double side = t < 0.5 ? 1 : t > 0.5 ? -1 : 0;
    const double published = mu - width * side * std::log(1 - 2 * std::abs(t - 0.5));
    EXPECT_NEAR(-2 * std::log(laplace.quantile(t)), published, 1e-9 * std::abs(published));
    if (t < 1e-3 || t > 0.999) continue;  // levels beyond double
    EXPECT_NEAR(-2 * std::log(cauchy.quantile(t)),
                mu + width * std::tan(std::numbers::pi / 2 * (1 - 2 * t)), 1e-12);
  }
  EXPECT_EQ(cauchy.quantile(0), 0);
  EXPECT_EQ(laplace.quantile(0), 0);
  EXPECT_EQ(cauchy.quantile(1), std::numeric_limits<double>::infinity());
  EXPECT_EQ(cauchy.cdf(0), 0);
  EXPECT_EQ(cauchy.cdf(std::numeric_limits<double>::infinity()), 1);
}

TEST(time_density, refuses_what_is_no_density) {
  EXPECT_THROW(uniform_density(1, 1), std::invalid_argument);
  EXPECT_THROW(log_normal_density(0, 0), std::invalid_argument);
  EXPECT_THROW(log_logistic_density(0, -1), std::invalid_argument);
  EXPECT_THROW(log_logistic_density(0, 1, 2, 1), std::invalid_argument);
  EXPECT_THROW(log_uniform_density(0, 1), std::invalid_argument);
  EXPECT_THROW(v_diffusion_density(0), std::invalid_argument);
  EXPECT_THROW(v_diffusion_density(1, -1), std::invalid_argument);
  EXPECT_THROW(logit_normal_density(0, NAN), std::invalid_argument);
  EXPECT_THROW(importance_times(0), std::invalid_argument);
  EXPECT_THROW(importance_times(3, 0), std::invalid_argument);
  EXPECT_THROW(importance_times(3, 2, 0), std::invalid_argument);
  std::vector<double> beyond = {0.5, 1.5};
  EXPECT_THROW(stratify(beyond), std::invalid_argument);
  EXPECT_EQ(beyond, (std::vector<double>{0.5, 1.5}));
}

TEST(time_sampling, arrangements_keep_uniform_marginals) {
  std::vector<double> u = {0.2, 0.9, 0.0, 0.5};
  stratify(u);
  EXPECT_EQ(u, (std::vector<double>{0.05, 0.475, 0.5, 0.875}));
  const std::vector<double> l = low_discrepancy(0.3, 4);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(l[nth(i)], 0.3 + i / 4.0, 1e-15);
  EXPECT_NEAR(l[3], 0.05, 1e-15);
  EXPECT_THROW(low_discrepancy(1, 4), std::invalid_argument);
}

TEST(time_sampling, even_arrangements_lower_the_variance_of_a_mean) {
  // f(u) = u^2; the error of a batch mean over a grid of offsets.
  const auto mean_square_error = [](auto arrange) {
    double sum = 0;
    const int trials = 400;
    for (int k = 0; k < trials; ++k) {
      const std::vector<double> u = arrange(k, trials);
      double mean = 0;
      for (const double x : u) mean += x * x / static_cast<double>(u.size());
      sum += (mean - 1.0 / 3) * (mean - 1.0 / 3) / trials;
    }
    return sum;
  };
  const double low =
      mean_square_error([](int k, int n) { return low_discrepancy((k + 0.5) / n, 8); });
  // Exactly (4/45 + (n-1)^2/12 + (n-1)/6) / n^4; independent draws have 4/45 / n.
  EXPECT_NEAR(low, (4.0 / 45 + 49.0 / 12 + 7.0 / 6) / 4096, 1e-6);
  EXPECT_LT(low, 4.0 / 45 / 8 / 8);
}

TEST(time_sampling, discrete_times_are_equally_probable) {
  std::vector<int> counts(10);
  for (int k = 0; k < 1000; ++k)
    ++counts[static_cast<std::size_t>(discrete_time((k + .5) / 1000, 10))];
  for (const int c : counts) EXPECT_EQ(c, 100);
  EXPECT_EQ(discrete_time(1, 10), 9);
  EXPECT_THROW(discrete_time(0.5, 0), std::invalid_argument);
}

TEST(time_sampling, draws_are_quantiles_of_the_uniform_numbers) {
  const std::vector<double> u = {0.1, 0.5, 0.9};
  const logit_normal_density density(0.3, 0.8);
  const std::vector<double> t = draw_times(density, u);
  ASSERT_EQ(t.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(density.cdf(t[i]), u[i], 1e-15);
  EXPECT_EQ(draw_discrete_times(4, std::vector<double>{0, 0.24, 0.25, 0.999, 1}),
            (std::vector<double>{0, 0, 1, 3, 3}));
  EXPECT_THROW(draw_times(density, std::vector<double>{0.5, 1.5}), std::invalid_argument);
  EXPECT_THROW(draw_discrete_times(4, std::vector<double>{-0.1}), std::invalid_argument);
  EXPECT_THROW(draw_discrete_times(0, u), std::invalid_argument);
}

TEST(importance_times, do_not_depend_on_the_unit_of_the_losses) {
  const std::vector<int> t = {0, 1, 2};
  importance_times plain(3, 1);
  plain.record(t, std::vector<double>{4, 1, 2});
  for (const double unit : {1e-300, 1e200, 0x1p1021}) {
    importance_times times(3, 1);
    times.record(t, std::vector<double>{4 * unit, 1 * unit, 2 * unit});
    for (const int k : t) EXPECT_NEAR(times.probability(k), plain.probability(k), 1e-15) << unit;
  }
  importance_times none(3, 1);
  none.record(t, std::vector<double>{0, 0, 0});
  for (const int k : t) EXPECT_EQ(none.probability(k), 1.0 / 3);
}

TEST(importance_times, follow_the_root_of_the_second_moment) {
  importance_times times(3, 2, 0.01);
  EXPECT_DOUBLE_EQ(times.probability(0), 1.0 / 3);
  const std::vector<int> t = {0, 1, 2, 0, 1, 2, 0};
  const std::vector<double> losses = {9, 2, 4, 1, 2, 4, 1};
  times.record(t, losses);  // the 9 has left the history of time 0
  EXPECT_NEAR(times.probability(0), 0.99 * 1 / 7 + 0.01 / 3, 1e-15);
  EXPECT_NEAR(times.probability(1), 0.99 * 2 / 7 + 0.01 / 3, 1e-15);
  EXPECT_NEAR(times.probability(2), 0.99 * 4 / 7 + 0.01 / 3, 1e-15);
  double expected_weight = 0;
  for (int k = 0; k < 3; ++k) expected_weight += times.probability(k) * times.loss_weight(k);
  EXPECT_NEAR(expected_weight, 1, 1e-15);
  EXPECT_EQ(times.draw(0), 0);
  EXPECT_EQ(times.draw(times.probability(0)), 1);
  EXPECT_EQ(times.draw(0.999999), 2);
  EXPECT_THROW(times.record(std::vector<int>{3}, std::vector<double>{1}), std::out_of_range);
  EXPECT_THROW(times.record(std::vector<int>{0}, std::vector<double>{NAN}), std::invalid_argument);
  EXPECT_NEAR(times.probability(0), 0.99 * 1 / 7 + 0.01 / 3, 1e-15);
}

}  // namespace
