#include "tweedie/training/least_variance.hpp"

#include <gtest/gtest.h>

#include "refusal.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

constexpr double clean_end = 8, noisy_end = -8;
constexpr double data_variance = 0.3;

// Exact denoiser of N(0, s^2): z - z_hat is normal with this variance.
double loss(double log_snr) {
  const double snr_s = std::exp(log_snr) * data_variance;
  return snr_s / (1 + snr_s);
}

template <class F>
double integral(double low, double high, const F& f) {
  double sum = 0;
  constexpr int n = 4000;
  for (int i = 0; i < n; ++i) sum += f(low + (i + 0.5) * (high - low) / n);
  return sum * (high - low) / n;
}

struct moments {
  double mean = 0, second = 0;
};
// Of -l'/2 |z - z_hat|^2 at uniform t between the two log SNRs. `knots` are times where l' may jump.
template <class Schedule>
moments of_bound(const Schedule& schedule, std::span<const double> knots) {
  const double first = knots.front(), last = knots.back();
  const auto weight = [&](double t) {
    const signal_noise level = schedule(t);
    const signal_noise_rate rate = schedule.rate(t);
    return -(rate.alpha / level.alpha - rate.sigma / level.sigma) * (last - first);
  };
  moments out;
  for (std::size_t k = 0; k + 1 < knots.size(); ++k) {
    out.mean += integral(knots[k], knots[k + 1],
                         [&](double t) { return weight(t) * loss(log_snr(schedule(t))); });
    out.second += integral(knots[k], knots[k + 1], [&](double t) {
      const double e = loss(log_snr(schedule(t)));
      return weight(t) * weight(t) * 3 * e * e;
    });
  }
  out.mean /= last - first;
  out.second /= last - first;
  return out;
}

template <class Schedule>
moments of_bound(const Schedule& schedule) {
  return of_bound(schedule, std::vector<double>{schedule.time_of(clean_end / 2),
                                                schedule.time_of(noisy_end / 2)});
}

std::vector<double> even_knots(int pieces) {
  std::vector<double> out;
  for (int k = 0; k <= pieces; ++k)
    out.push_back(std::lerp(clean_end, noisy_end, k / double(pieces)));
  return out;
}
std::vector<double> squared_losses(const std::vector<double>& knots) {
  std::vector<double> out;
  for (std::size_t k = 0; k + 1 < knots.size(); ++k)
    out.push_back(integral(knots[k + 1], knots[k], [](double l) { return 3 * loss(l) * loss(l); }) /
                  (knots[k] - knots[k + 1]));
  return out;
}

TEST(least_variance_schedule, varies_less_than_others_with_the_same_bound) {
  const auto knots = even_knots(40);
  const piecewise_log_snr best = least_variance_schedule(knots, squared_losses(knots));
  const moments found = of_bound(best, best.times());
  const double bound = integral(noisy_end, clean_end, [](double l) { return loss(l) / 2; });
  EXPECT_NEAR(found.mean, bound, 1e-5);
  // Fine pieces: (1/2 int sqrt(E|z - z_hat|^4) dl)^2, here 3 bound^2; no schedule has less.
  EXPECT_NEAR(found.second, 3 * bound * bound, 0.01 * bound * bound);
  EXPECT_GE(found.second, 3 * bound * bound * (1 - 1e-4));
  for (const moments& other : {of_bound(cosine_path{}), of_bound(variance_preserving_schedule{}),
                               of_bound(trigonometric_schedule{})}) {
    EXPECT_NEAR(other.mean, bound, 2e-4);
    EXPECT_GT(other.second, 1.1 * found.second);
  }
}

TEST(least_variance_schedule, is_a_minimum_over_its_times) {
  const std::vector<double> knots = {8, 3, 1, -2, -8};
  const std::vector<double> losses = squared_losses(knots);
  const piecewise_log_snr best = least_variance_schedule(knots, losses);
  const auto second = [&](std::span<const double> times) {
    double sum = 0;
    for (std::size_t k = 0; k < losses.size(); ++k) {
      const double fall = knots[k] - knots[k + 1];
      sum += fall * fall * losses[k] / (times[k + 1] - times[k]) / 4;
    }
    return sum;
  };
  const double least = second(best.times());
  EXPECT_NEAR(least, of_bound(best, best.times()).second, 2e-3 * least);
  for (std::size_t k = 1; k + 1 < knots.size(); ++k)
    for (const double move : {-0.1, 0.1}) {
      std::vector<double> times(best.times().begin(), best.times().end());
      times[k] += move * std::min(times[k] - times[k - 1], times[k + 1] - times[k]);
      EXPECT_GT(second(times), least);
    }
  // Equal losses: log SNR is linear in time.
  const piecewise_log_snr even = least_variance_schedule({4, 1, -2}, std::vector<double>{7, 7});
  EXPECT_DOUBLE_EQ(even.times()[1], 0.5);
}

TEST(piecewise_log_snr, is_a_schedule) {
  const piecewise_log_snr s({0, 0.2, 0.7, 1}, {10, 2, -1, -12});
  EXPECT_DOUBLE_EQ(log_snr(s(0)), 10);
  EXPECT_DOUBLE_EQ(log_snr(s(0.7)), -1);
  EXPECT_DOUBLE_EQ(log_snr(s(1)), -12);
  EXPECT_NEAR(log_snr(s(0.45)), 0.5, 1e-12);
  for (const double t : {0.1, 0.3, 0.69, 0.95}) {
    constexpr double h = 1e-6;
    const auto [alpha, sigma] = s(t);
    EXPECT_NEAR(alpha * alpha + sigma * sigma, 1, 1e-15);
    EXPECT_NEAR(s.rate(t).alpha, (s(t + h).alpha - s(t - h).alpha) / (2 * h), 1e-8);
    EXPECT_NEAR(s.rate(t).sigma, (s(t + h).sigma - s(t - h).sigma) / (2 * h), 1e-8);
    EXPECT_NEAR(s.time_of(half_log_snr(s(t))), t, 1e-14);
  }
  EXPECT_EQ(s.time_of(5), 0);
  EXPECT_EQ(s.time_of(-6), 1);
}

TEST(piecewise_log_snr, refuses_what_is_no_schedule) {
  EXPECT_THROW(piecewise_log_snr({0, 1}, {1, 2}), std::invalid_argument);
  EXPECT_THROW(piecewise_log_snr({0, 0.5, 0.5, 1}, {3, 2, 1, 0}), std::invalid_argument);
  EXPECT_THROW(piecewise_log_snr({0.1, 1}, {2, 1}), std::invalid_argument);
  EXPECT_THROW(piecewise_log_snr({0, 1}, {2, 1, 0}), std::invalid_argument);
  EXPECT_THROW(piecewise_log_snr({0}, {2}), std::invalid_argument);
  const piecewise_log_snr s({0, 1}, {2, -2});
  EXPECT_THROW(s(1.1), std::invalid_argument);
  EXPECT_THROW(s.time_of(2), std::invalid_argument);
  EXPECT_EQ(refusal([] {
              least_variance_schedule({2, -2}, std::vector<double>{0});
            }).find("least_variance_schedule: squared loss = 0"),
            0U);
  EXPECT_THROW(least_variance_schedule({2, -2}, std::vector<double>{1, 1}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
