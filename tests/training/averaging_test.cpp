#include "tweedie/training/averaging.hpp"

#include <gtest/gtest.h>

#include "tweedie/distribution/normal_distribution.hpp"
#include "tweedie/tensor/numeric.hpp"

namespace {

using namespace tweedie;

TEST(averaging, published_powers) {  // Karras et al. 2024
  EXPECT_NEAR(power_of_length(.05), 16.97219860, 5e-9);
  EXPECT_NEAR(power_of_length(.10), 6.93720394, 5e-9);
  EXPECT_NEAR(power_of_length(.15), 3.55786877, 5e-9);
  EXPECT_NEAR(power_of_length(.25), .71982396, 5e-9);
  EXPECT_NEAR(power_of_length(relative_length(0)), 0, 1e-7);
  EXPECT_THROW(power_of_length(.3), std::invalid_argument);
  EXPECT_THROW(power_of_length(0), std::invalid_argument);
  EXPECT_THROW(relative_length(-1), std::invalid_argument);
}

// min(decay, (1 + n)/(10 + n)): 0.9999 from step 89990 on.
TEST(averaging, warm_up_reaches_its_decay) {
  EXPECT_EQ(warm_decay(0.9999, 0), 0.1);
  EXPECT_EQ(warm_decay(0.9999, 90), 0.91);
  EXPECT_LT(warm_decay(0.9999, 89980), 0.9999);
  EXPECT_EQ(warm_decay(0.9999, 89991), 0.9999);
  EXPECT_EQ(warm_decay(0, 5), 0);
  EXPECT_EQ(warm_decay(1, 1e9), (1 + 1e9) / (10 + 1e9));
  for (const double decay : {-0.1, 1.1, std::nan("")})
    EXPECT_THROW(warm_decay(decay, 1), std::invalid_argument);
  EXPECT_THROW(warm_decay(0.5, -1), std::invalid_argument);
}

TEST(averaging, power_function_has_its_profile_and_relative_length) {
  // Averages of t^0, t, t^2 over the profile t^gamma on [0, n].
  const double gamma = 6.94;
  const int n = 20000;
  std::vector<double> average = {0, 0, 0};
  for (int step = 1; step <= n; ++step) {
    const double t = step;
    const std::vector<double> value = {1, t, t * t};
    update_average(std::span(average), std::span<const double>(value), power_decay(gamma, step));
  }
  EXPECT_NEAR(average[0], 1, 1e-12);
  EXPECT_NEAR(average[1] / n, (gamma + 1) / (gamma + 2), 1e-4);
  const double deviation = std::sqrt(average[2] - average[1] * average[1]) / n;
  EXPECT_NEAR(deviation, relative_length(gamma), 1e-4);
  EXPECT_EQ(power_decay(gamma, 1), 0);
}

TEST(averaging, post_hoc_weights_find_a_stored_profile_and_approach_a_new_one) {
  std::vector<average_profile> stored;
  for (const double t : {1000.0, 2000.0, 3000.0, 4000.0})
    for (const double length : {.05, .10}) stored.push_back({t, power_of_length(length)});
  const auto exact = post_hoc_weights(stored, stored[5]);
  for (std::size_t i = 0; i < stored.size(); ++i) EXPECT_NEAR(exact[i], i == 5 ? 1 : 0, 1e-8);
  const auto sum = [](const std::vector<double>& w) {
    double total = 0;
    for (const double v : w) total += v;
    return total;
  };
  EXPECT_NEAR(sum(post_hoc_weights(stored, {4000, power_of_length(.08)})), 1, 0.02);
  // Inner products against quadrature.
  const average_profile a{3, 2.5}, b{5, 1.2};
  double product = 0;
  const int n = 200000;
  for (int i = 0; i < n; ++i) {
    const double t = 3 * (i + 0.5) / n;
    product += 3.0 / n * (3.5 * std::pow(t, 2.5) / std::pow(3, 3.5)) *
               (2.2 * std::pow(t, 1.2) / std::pow(5, 2.2));
  }
  EXPECT_NEAR(profile_product(a, b), product, 1e-9);
  EXPECT_EQ(profile_product(a, b), profile_product(b, a));
}

TEST(averaging, magnitude_preserving_silu_constant) {  // Karras et al. 2024: 0.596
  double second_moment = 0;
  const double h = 1e-3;
  for (double z = -12; z <= 12; z += h) {
    const double silu = z * sigmoid(z);
    second_moment += h * silu * silu * std::exp(normal_log_density(z));
  }
  EXPECT_NEAR(second_moment, .3557755198, 5e-11);
  EXPECT_NEAR(std::sqrt(second_moment), .5964692111, 5e-11);
}

TEST(averaging, refuses_what_does_not_fit) {
  std::vector<double> average = {1, 2};
  const std::vector<double> other = {3, 4, 5}, same = {3, 4};
  EXPECT_THROW(update_average(std::span(average), std::span<const double>(other), 0.5),
               std::invalid_argument);
  EXPECT_THROW(update_average(std::span(average), std::span<const double>(same), 1.1),
               std::invalid_argument);
  EXPECT_EQ(average, (std::vector<double>{1, 2}));
  update_average(std::span(average), std::span<const double>(same), 1);
  EXPECT_EQ(average, (std::vector<double>{1, 2}));
  update_average(std::span(average), std::span<const double>(same), 0);
  EXPECT_EQ(average, same);
  EXPECT_THROW(power_decay(1, 0.5), std::invalid_argument);
  EXPECT_THROW(power_decay(-1, 1), std::invalid_argument);
  EXPECT_THROW(profile_product({0, 1}, {1, 1}), std::invalid_argument);
  EXPECT_THROW(post_hoc_weights({}, {1, 1}), std::invalid_argument);
}

TEST(averaging, float_averages_follow_double_ones) {
  std::vector<float> single = {1};
  std::vector<double> exact = {1};
  for (int step = 1; step <= 100; ++step) {
    const float value = std::sin(0.1f * static_cast<float>(step));
    const std::vector<float> narrow = {value};
    const std::vector<double> wide = {value};
    update_average(std::span(single), std::span<const float>(narrow), power_decay(6.94, step));
    update_average(std::span(exact), std::span<const double>(wide), power_decay(6.94, step));
  }
  EXPECT_NEAR(single[0], exact[0], 1e-6);
}

}  // namespace
