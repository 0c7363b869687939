#include "tweedie/grid/spacing.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/derived.hpp"

namespace tweedie {
namespace {

std::vector<double> times_of(const grid& nodes) {
  std::vector<double> times;
  for (const node& n : nodes) times.push_back(n.time);
  return times;
}

void expect_whole_grid(const grid& nodes, int steps, const char* name) {
  ASSERT_EQ(nodes.size(), static_cast<std::size_t>(steps) + 1) << name;
  EXPECT_EQ(nodes.back(), clean_node(-1)) << name;
  EXPECT_NO_THROW(check_descending(name, nodes)) << name << " with " << steps << " steps";
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    ASSERT_GT(nodes[i].time, nodes[i + 1].time) << name << " with " << steps << " steps";
    ASSERT_GE(nodes[i].time, 0) << name << " with " << steps << " steps";
    ASSERT_LE(nodes[i].time, 999) << name << " with " << steps << " steps";
  }
}

TEST(rounded, rounds_times_half_to_even_and_keeps_levels) {
  const grid nodes{{893.8, {0.1, 0.9}}, {2.5, {0.5, 0.5}}, {1.5, {0.6, 0.5}}, {-1, {1, 0}}};
  const grid told = rounded(nodes);
  const double expected[] = {894, 2, 2, -1};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(told[i].time, expected[i]);
    EXPECT_EQ(told[i].level, nodes[i].level);
  }
}

TEST(spacing, every_step_count_gives_exactly_that_many_descending_steps) {
  const auto schedule = scaled_linear_beta_schedule(1000);
  for (int n = 1; n <= 1000; ++n) {
    expect_whole_grid(leading(schedule, n), n, "leading");
    expect_whole_grid(trailing(schedule, n), n, "trailing");
    expect_whole_grid(linspace(schedule, n), n, "linspace");
    expect_whole_grid(quadratic(schedule, n), n, "quadratic");
    expect_whole_grid(karras(schedule, n), n, "karras");
    expect_whole_grid(exponential(schedule, n), n, "exponential");
    expect_whole_grid(kl_optimal(schedule, n), n, "kl_optimal");
    expect_whole_grid(over_levels(schedule, beta_levels, n, 0.6, 0.6), n, "beta");
    EXPECT_EQ(trailing(schedule, n).front().time, 999);
    EXPECT_EQ(linspace(schedule, n).front().time, 999);
    EXPECT_EQ(quadratic(schedule, n).front().time, 999);
    EXPECT_EQ(karras(schedule, n).front().time, 999);
    EXPECT_EQ(leading(schedule, n)[static_cast<std::size_t>(n) - 1].time, 0);
    if (n > 1) {
      EXPECT_EQ(linspace(schedule, n)[static_cast<std::size_t>(n) - 1].time, 0);
    }
    for (const double t : times_of(trailing(schedule, n))) EXPECT_EQ(t, std::floor(t));
  }
}

TEST(spacing, published_timesteps) {
  const auto schedule = scaled_linear_beta_schedule(1000);
  EXPECT_EQ(times_of(trailing(schedule, 4)), (std::vector<double>{999, 749, 499, 249, -1}));
  const auto trailing_50 = times_of(trailing(schedule, 50));
  EXPECT_EQ(trailing_50[1], 979);
  EXPECT_EQ(trailing_50[49], 19);
  const auto leading_50 = times_of(leading(schedule, 50, 1));
  EXPECT_EQ(leading_50[0], 981);
  EXPECT_EQ(leading_50[48], 21);
  EXPECT_EQ(leading_50[49], 1);
  const auto linspace_50 = times_of(linspace(schedule, 50));
  EXPECT_EQ(std::vector(linspace_50.begin(), linspace_50.begin() + 4),
            (std::vector<double>{999, 979, 958, 938}));
  const auto leading_30 = times_of(leading(schedule, 30, 1));
  EXPECT_EQ(std::vector(leading_30.begin(), leading_30.begin() + 3),
            (std::vector<double>{958, 925, 892}));
  EXPECT_NEAR(noise_level(leading(schedule, 30, 1).front().level), 11.4768, 1e-4);
}

TEST(spacing, image_to_image_starts_at_the_published_level) {
  const auto schedule = scaled_linear_beta_schedule(1000);
  const int run = steps_of_strength(50, 0.6);
  EXPECT_EQ(run, 30);
  const grid rest = starting_at(leading(schedule, 50, 1), static_cast<std::size_t>(50 - run));
  EXPECT_EQ(rest.size(), 31u);
  EXPECT_EQ(rest.front().time, 581);
  EXPECT_NEAR(std::pow(rest.front().level.alpha, 2), 0.179863607, 1e-9);
  EXPECT_NEAR(noise_level(rest.front().level), 2.135361426, 1e-9);
}

TEST(spacing, strength_to_steps_is_the_exact_integer_rule) {
  for (int n = 1; n <= 1000; ++n)
    for (int hundredths = 0; hundredths <= 100; ++hundredths)
      ASSERT_EQ(steps_of_strength(n, hundredths / 100.0), n * hundredths / 100)
          << n << " steps, strength " << hundredths / 100.0;
  EXPECT_THROW(steps_of_strength(10, 1.01), std::invalid_argument);
  EXPECT_THROW(steps_of_strength(10, std::nan("")), std::invalid_argument);
  EXPECT_THROW(steps_of_strength(0, 0.5), std::invalid_argument);
}

TEST(spacing, karras_levels_of_edm) {
  const std::vector<double> published{
      80,         57.5859847, 40.7855738,  28.3745846,  19.352453,    12.9100824,
      8.40093531, 5.31519452, 3.25682152,  1.92333984,  1.08817064,   .585348123,
      .296442284, .139516469, .0599473112, .0229345184, .00752801996, .002};
  const auto levels = karras_levels(18, 80, 0.002);
  ASSERT_EQ(levels.size(), published.size());
  for (std::size_t i = 0; i < levels.size(); ++i) EXPECT_NEAR(levels[i] / published[i], 1, 5e-9);
}

TEST(spacing, karras_level_takes_its_ends_in_either_order) {
  for (const double u : {0.0, 0.3, 1.0})
    EXPECT_NEAR(karras_level(u, 80, 0.002) / karras_level(1 - u, 0.002, 80), 1, 1e-13);
  EXPECT_NEAR(karras_level(0.5, 9, 1, 2), 4, 1e-15);  // ((3 + 1)/2)^2
}

TEST(spacing, karras_levels_of_stable_diffusion) {
  const std::vector<double> published{14.614642, 9.10293381, 5.478399, 3.16860955, 1.7494222,
                                      .91407594, .44692059,  .2013997, .08191098,  .0291675};
  const auto levels = karras_levels(10, 14.614642, .0291675);
  for (std::size_t i = 0; i < levels.size(); ++i) EXPECT_NEAR(levels[i] / published[i], 1, 3e-7);
}

TEST(spacing, limits_of_the_level_families) {
  EXPECT_EQ(karras_levels(1, 80, 0.002), std::vector{80.0});
  EXPECT_EQ(exponential_levels(1, 80, 0.002), std::vector{80.0});
  EXPECT_EQ(karras_levels(2, 80, 0.002), (std::vector{80.0, 0.002}));
  // rho -> infinity is the exponential grid.
  const auto karras = karras_levels(20, 80, 0.002, 1e5);
  const auto exponential = exponential_levels(20, 80, 0.002);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_NEAR(karras[i] / exponential[i], 1, 2e-4 + 1e-4);
  // Exponential: equal ratios.
  for (std::size_t i = 2; i < 20; ++i)
    EXPECT_NEAR(exponential[i] / exponential[i - 1], exponential[1] / exponential[0], 1e-13);
  // Beta(1, 1) is uniform.
  const auto uniform = beta_levels(11, 10, 0, 1, 1);
  for (int i = 0; i <= 10; ++i) EXPECT_NEAR(uniform[static_cast<std::size_t>(i)], 10 - i, 1e-12);
  // Tangent law: equal angles.
  const auto tangent = tangent_levels(11, 10, 0, 2);
  for (std::size_t i = 1; i < 11; ++i)
    EXPECT_NEAR(std::atan(tangent[i - 1] / 2) - std::atan(tangent[i] / 2), std::atan(5.0) / 10,
                1e-14);
}

TEST(spacing, tangent_law_minimises_the_error_of_ddim) {
  // DDIM on N(m, s^2) multiplies the deviation by prod cos(dtheta); any perturbation of the equal
  // angles lowers the product, which is cos(Theta/N)^N.
  constexpr double deviation = 0.5;
  const auto product = [&](const std::vector<double>& levels) {
    double log_product = 0;
    for (std::size_t i = 1; i < levels.size(); ++i)
      log_product += std::log(
          std::cos(std::atan(levels[i - 1] / deviation) - std::atan(levels[i] / deviation)));
    return log_product;
  };
  const auto best = tangent_levels(11, 10, 0.01, deviation);
  const double angle = std::atan(10 / deviation) - std::atan(0.01 / deviation);
  EXPECT_NEAR(product(best), 10 * std::log(std::cos(angle / 10)), 1e-13);
  for (std::size_t i = 1; i + 1 < best.size(); ++i)
    for (const double factor : {0.9, 0.99, 1.01, 1.1}) {
      auto other = best;
      other[i] *= factor;
      EXPECT_LT(product(other), product(best));
    }
  EXPECT_LT(product(karras_levels(11, 10, 0.01)), product(best));
  EXPECT_LT(product(exponential_levels(11, 10, 0.01)), product(best));
}

TEST(spacing, levels_are_taken_exactly_and_times_lie_on_the_schedule) {
  const auto schedule = scaled_linear_beta_schedule(1000);
  const auto wanted = karras_levels(10, 14.6, 0.03);
  const grid nodes = at_levels(schedule, wanted);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_NEAR(noise_level(nodes[i].level) / wanted[i], 1, 1e-15);
    EXPECT_NEAR(noise_level(schedule(nodes[i].time)) / wanted[i], 1, 1e-12);
  }
  EXPECT_THROW(at_levels(schedule, std::vector{15.0}), std::invalid_argument);
}

TEST(spacing, pure_noise_is_a_level_of_schedules_that_reach_it) {
  const double infinity = std::numeric_limits<double>::infinity();
  const grid flow = at_levels(rectified_flow{}, std::vector{infinity, 1.0, 0.0});
  EXPECT_EQ(flow, at_times(rectified_flow{}, std::vector{1.0, 0.5, 0.0}));
  const auto table = zero_terminal_snr(linear_beta_schedule(1000));
  EXPECT_EQ(at_levels(table, std::vector{infinity}), at_times(table, std::vector{999.0}));
  EXPECT_THROW(at_levels(edm_schedule{}, std::vector{infinity}), std::invalid_argument);
  EXPECT_THROW(at_levels(linear_beta_schedule(1000), std::vector{infinity}), std::invalid_argument);
  for (const double level : {-1.0, std::nan("")})
    EXPECT_THROW(at_levels(rectified_flow{}, std::vector{level}), std::invalid_argument);
}

TEST(spacing, continuous_schedules) {
  const grid nodes = uniform(rectified_flow{}, 4);
  EXPECT_EQ(times_of(nodes), (std::vector<double>{1, 0.75, 0.5, 0.25, 0}));
  EXPECT_EQ(uniform(rectified_flow{}, 1).size(), 2u);
  EXPECT_THROW(uniform(rectified_flow{}, 0), std::invalid_argument);
  EXPECT_THROW(karras(rectified_flow{}, 10), std::invalid_argument);  // its noisy end has no signal
  EXPECT_NO_THROW(karras(variance_exploding_schedule{}, 10));
}

TEST(spacing, rounding_is_half_to_even) {
  EXPECT_EQ(round_half_even(0.5), 0);
  EXPECT_EQ(round_half_even(1.5), 2);
  EXPECT_EQ(round_half_even(2.5), 2);
  EXPECT_EQ(round_half_even(-0.5), 0);
  EXPECT_EQ(round_half_even(-1.5), -2);
  EXPECT_EQ(round_half_even(2.4999999), 2);
}

TEST(spacing, refuses_bad_input) {
  const auto schedule = linear_beta_schedule(10);
  EXPECT_THROW(leading(schedule, 0), std::invalid_argument);
  EXPECT_THROW(leading(schedule, 11), std::invalid_argument);
  EXPECT_THROW(leading(schedule, 5, 2), std::invalid_argument);
  EXPECT_THROW(leading(schedule, 5, -1), std::invalid_argument);
  EXPECT_THROW(trailing(schedule, 11), std::invalid_argument);
  EXPECT_THROW(linspace(schedule, -3), std::invalid_argument);
  EXPECT_THROW(karras_levels(10, 1, 2), std::invalid_argument);
  EXPECT_THROW(karras_levels(10, 80, 0.002, 0), std::invalid_argument);
  EXPECT_THROW(exponential_levels(10, 80, 0), std::invalid_argument);
  EXPECT_THROW(tangent_levels(10, 80, 0, -1), std::invalid_argument);
  EXPECT_THROW(beta_levels(10, 80, 0.1, 0, 1), std::invalid_argument);
  EXPECT_THROW(check_descending("x", grid{}), std::invalid_argument);
  EXPECT_NO_THROW(check_descending("x", grid{clean_node(-1)}));
  const grid rising = reversed(trailing(schedule, 5));
  EXPECT_THROW(check_descending("x", rising), std::invalid_argument);
  EXPECT_NO_THROW(check_walk("x", rising));
  EXPECT_THROW(check_walk("x", grid{rising[0], rising[0]}), std::invalid_argument);
  EXPECT_THROW(check_walk("x", grid{rising[0], {0, {std::nan(""), 1}}}), std::invalid_argument);
  EXPECT_THROW(starting_at(rising, 6), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
