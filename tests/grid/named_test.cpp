#include "tweedie/grid/named.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include "tweedie/grid/published.hpp"
#include "tweedie/grid/subset.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

TEST(sway_times, falls_from_noise_to_data_and_is_a_cosine_at_minus_one) {
  for (const int n : {1, 2, 7, 32})
    for (const double sway : {-1.0, -0.5, 0.0, 1.0, 2 / (std::numbers::pi - 2)}) {
      const auto times = sway_times(n, sway);
      ASSERT_EQ(times.size(), static_cast<std::size_t>(n) + 1);
      EXPECT_EQ(times.front(), 1);
      EXPECT_EQ(times.back(), 0);
      for (std::size_t i = 0; i + 1 < times.size(); ++i) {
        EXPECT_GT(times[i], times[i + 1]);
        const double u = static_cast<double>(i) / n;
        if (sway == -1) {
          EXPECT_NEAR(times[i], std::cos(std::numbers::pi / 2 * u), 1e-15);
        }
        if (sway == 0) {
          EXPECT_NEAR(times[i], 1 - u, 1e-15);
        }
      }
    }
  EXPECT_THROW(sway_times(4, -1.1), std::invalid_argument);
  EXPECT_THROW(sway_times(4, 1.8), std::invalid_argument);
  EXPECT_THROW(sway_times(0), std::invalid_argument);
}

std::vector<double> times(const grid& nodes) {
  std::vector<double> t;
  for (const node& n : nodes) t.push_back(n.time);
  return t;
}

TEST(named_grids, fall_from_the_noisy_end_to_clean_data_for_every_number_of_steps) {
  const discrete_schedule schedule = scaled_linear_beta_schedule(1000);
  for (int n = 1; n <= 1000; n += n < 60 ? 1 : 47) {
    for (const grid& g : {strided(schedule, n), sgm_uniform(schedule, n), even_times(schedule, n),
                          beta_quantiles(schedule, n), smooth_step(schedule, n)}) {
      check_descending("test", g);
      EXPECT_EQ(g.front().time, 999);
      EXPECT_EQ(g.back().level, (signal_noise{1, 0}));
      EXPECT_LE(g.size(), static_cast<std::size_t>(n) + 1);
    }
    EXPECT_EQ(strided(schedule, n).size(), static_cast<std::size_t>(n) + 1);
    EXPECT_EQ(sgm_uniform(schedule, n).size(), static_cast<std::size_t>(n) + 1);
    EXPECT_EQ(even_times(schedule, n).size(), static_cast<std::size_t>(n) + 1);
    check_descending("test", ddim_uniform(schedule, n));
  }
}

TEST(named_grids, have_their_published_times) {
  const discrete_schedule schedule = scaled_linear_beta_schedule(1000);
  EXPECT_EQ(times(strided(schedule, 4)), (std::vector<double>{999, 749, 499, 249, -1}));
  EXPECT_EQ(times(sgm_uniform(schedule, 3)), (std::vector<double>{999, 666, 333, -1}));
  EXPECT_EQ(times(even_times(schedule, 4)), (std::vector<double>{999, 666, 333, 0, -1}));
  EXPECT_EQ(times(ddim_uniform(schedule, 4)), (std::vector<double>{751, 501, 251, 1, -1}));
  EXPECT_EQ(times(smooth_step(schedule, 2)), (std::vector<double>{999, 500, -1}));
}

TEST(linear_quadratic, starts_with_equal_steps_and_joins_smoothly) {
  for (const int n : {2, 3, 10, 40}) {
    const std::vector<double> v = linear_quadratic_levels(n);
    ASSERT_EQ(v.size(), static_cast<std::size_t>(n) + 1);
    EXPECT_EQ(v.front(), 1);
    EXPECT_EQ(v.back(), 0);
    for (std::size_t i = 0; i + 1 < v.size(); ++i) EXPECT_GT(v[i], v[i + 1]);
    EXPECT_NEAR(v[static_cast<std::size_t>(n / 2)], 1 - 0.025, 1e-14);
  }
  const std::vector<double> v = linear_quadratic_levels(40);
  // The curvature is constant over the second half.
  for (std::size_t i = 21; i + 3 < v.size(); ++i)
    EXPECT_NEAR(v[i] - 2 * v[i + 1] + v[i + 2], v[i + 1] - 2 * v[i + 2] + v[i + 3], 1e-14);
  EXPECT_THROW(linear_quadratic_levels(4, 0.9), std::invalid_argument);
}

TEST(bong_tangent, has_exact_ends_and_its_middle) {
  for (int n = 4; n <= 200; ++n) {
    const std::vector<double> v = bong_tangent_levels(n);
    ASSERT_EQ(v.size(), static_cast<std::size_t>(n) + 1);
    EXPECT_EQ(v.front(), 1);
    EXPECT_EQ(v.back(), 0);
    for (std::size_t i = 0; i + 1 < v.size(); ++i) EXPECT_GT(v[i], v[i + 1]);
    EXPECT_NE(std::find_if(v.begin(), v.end(), [](double x) { return std::abs(x - 0.5) < 1e-12; }),
              v.end());
  }
}

TEST(published_grids, align_your_steps_times_are_its_noise_levels) {
  const discrete_schedule schedule = scaled_linear_beta_schedule(1000);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(noise_level(schedule(align_your_steps_sd15[i])), align_your_steps_sd15_levels[i],
                0.0036);
    EXPECT_NEAR(noise_level(schedule(align_your_steps_sdxl[i])), align_your_steps_sdxl_levels[i],
                0.0036);
  }
}

TEST(published_grids, interpolate_in_the_logarithm) {
  const std::vector<double> table{8, 2, 1};
  EXPECT_EQ(log_linear_levels(table, 3), table);
  const std::vector<double> five = log_linear_levels(table, 5);
  EXPECT_NEAR(five[1], 4, 1e-14);
  EXPECT_NEAR(five[3], std::sqrt(2), 1e-14);
  const discrete_schedule schedule = scaled_linear_beta_schedule(1000);
  for (int n = 1; n <= 60; ++n) {
    const grid g = published_levels(schedule, align_your_steps_sd15_levels, n);
    EXPECT_EQ(g.size(), static_cast<std::size_t>(n) + 1);
    check_descending("test", g);
  }
  check_descending("test", published_times(schedule, align_your_steps_sdxl));
  EXPECT_THROW(log_linear_levels(std::vector<double>{1, 0}, 3), std::invalid_argument);
}

TEST(published_grids, gits_has_every_number_of_steps_from_two_to_twenty) {
  const discrete_schedule schedule = scaled_linear_beta_schedule(1000);
  for (int n = 2; n <= 30; ++n) {
    const grid g = gits(schedule, n);
    EXPECT_EQ(g.size(), static_cast<std::size_t>(n) + 1);
    check_descending("test", g);
  }
}

TEST(published_grids, optimal_steps_are_times_of_straight_paths) {
  const auto check = [](std::span<const double> table) {
    const int own = static_cast<int>(table.size()) - 1;
    const grid g = published_times(rectified_flow{}, table, own);
    ASSERT_EQ(g.size(), table.size());
    for (std::size_t i = 0; i + 1 < g.size(); ++i)
      EXPECT_EQ(g[i].level, (signal_noise{1 - table[i], table[i]}));
    EXPECT_EQ(g.back(), clean_node(0));
    for (int n = 1; n <= 60; ++n) {
      const grid other = published_times(rectified_flow{}, table, n);
      EXPECT_EQ(other.size(), static_cast<std::size_t>(n) + 1);
      EXPECT_EQ(other.front(), g.front());
      check_descending("test", other);
    }
  };
  check(optimal_steps_flux);
  check(optimal_steps_wan);
  check(optimal_steps_chroma);
  // What ComfyUI's node makes of Flux's table for 16 steps, to five digits.
  const double sixteen[] = {0.9968, 0.99167, 0.98692, 0.98274, 0.97844, 0.97387, 0.96824};
  const grid flux = published_times(rectified_flow{}, optimal_steps_flux, 16);
  for (std::size_t i = 0; i < std::size(sixteen); ++i)
    EXPECT_NEAR(flux[i].time, sixteen[i], 5.1e-6) << i;
  // Half of its steps: every second time.
  const grid half = published_times(rectified_flow{}, optimal_steps_chroma, 20);
  EXPECT_NEAR(half[7].time, optimal_steps_chroma[14], 1e-15);
  EXPECT_THROW(published_times(rectified_flow{}, std::vector<double>{2, 1}, 1),
               std::invalid_argument);
}

TEST(respaced, keeps_alpha_bar_at_the_kept_times) {
  const discrete_schedule schedule = linear_beta_schedule(1000);
  const std::vector<int> kept = sectioned_times(1000, std::vector<int>{90, 60, 60, 20, 20});
  EXPECT_EQ(kept.size(), 250U);
  const discrete_schedule shorter = respaced(schedule, kept);
  double product = 1;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    product *= 1 - shorter.beta(static_cast<int>(i));
    EXPECT_NEAR(product, schedule.alpha_bar(kept[i]), 1e-13);
  }
  check_descending("test", at_kept_times(schedule, kept));
}

TEST(respaced, spacings_are_those_of_improved_diffusion) {
  EXPECT_EQ(sectioned_times(10, std::vector<int>{2, 3}), (std::vector<int>{0, 4, 5, 7, 9}));
  EXPECT_EQ(strided_times(1000, 4), (std::vector<int>{0, 250, 500, 750}));
  EXPECT_THROW(strided_times(1000, 300), std::invalid_argument);
  EXPECT_THROW(sectioned_times(10, std::vector<int>{20}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
