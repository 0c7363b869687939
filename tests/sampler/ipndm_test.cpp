#include "tweedie/sampler/ipndm.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "sampler/exact_flow.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/linear_multistep.hpp"
#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

grid equal_levels(int n, double high = 10, double low = 1) {
  grid nodes;
  for (int i = 0; i <= n; ++i) {
    const double level = std::lerp(high, low, static_cast<double>(i) / n);
    nodes.push_back({level, variance_exploding(level)});
  }
  return nodes;
}

TEST(adams_weights, are_those_of_adams_and_bashforth_on_equal_steps) {
  const std::vector<std::vector<double>> table{{1},
                                               {3. / 2, -1. / 2},
                                               {23. / 12, -16. / 12, 5. / 12},
                                               {55. / 24, -59. / 24, 37. / 24, -9. / 24}};
  for (const std::vector<double>& row : table) {
    std::vector<double> positions;
    for (std::size_t j = 0; j < row.size(); ++j) positions.push_back(-static_cast<double>(j));
    const std::vector<double> w = adams_weights(positions, 1);
    for (std::size_t j = 0; j < row.size(); ++j) EXPECT_NEAR(w[j], row[j], 1e-15);
  }
}

TEST(ipndm, is_the_linear_multistep_method_on_equal_levels) {
  const grid nodes = equal_levels(9);
  for (const int order : {1, 2, 3, 4}) {
    expect_same_law(ipndm(nodes, order), linear_multistep(nodes, order, noise_row), 1e-13);
    expect_same_law(ipndm_v(nodes, order), linear_multistep(nodes, order, noise_row), 1e-13);
    if (order < 4)
      expect_same_law(ipndm_v(nodes, order, ipndm_v_weights::published),
                      linear_multistep(nodes, order, noise_row), 1e-13);
  }
}

TEST(ipndm_v, is_the_linear_multistep_method_on_any_levels) {
  const grid nodes = uneven_grid(9);
  for (const int order : {1, 2, 3, 4})
    expect_same_law(ipndm_v(nodes, order), linear_multistep(nodes, order, noise_row), 1e-13);
}

TEST(ipndm, of_order_one_is_ddim) {
  const grid nodes = ending_clean(edm_schedule{}, geometric_grid(5));
  expect_same_law(ipndm(nodes, 1), ddim(nodes), 1e-14);
  expect_same_law(ipndm_v(nodes, 1), ddim(nodes), 1e-14);
}

// Neighbouring steps of a smooth grid differ by O(h), and so do the weights: one order is left
// over.
TEST(ipndm, is_of_second_order_on_smooth_grids_and_of_first_on_others) {
  for (const int order : {2, 3, 4}) {
    const auto plan = [order](const grid& g) { return ipndm(g, order); };
    EXPECT_NEAR(order_between(
                    320, [](int n) { return geometric_grid(n); }, plan),
                2, 0.15);
    EXPECT_NEAR(order_between(
                    640, [](int n) { return uneven_grid(n); }, plan),
                1, 0.5);
  }
}

TEST(ipndm_v, keeps_its_order_on_unequal_levels) {
  const auto plan = [](const grid& g) { return ipndm_v(g, 2); };
  EXPECT_NEAR(order_between(
                  160, [](int n) { return geometric_grid(n); }, plan),
              2, 0.15);
}

// Moments of the published weights for steps h1 (ahead), h2, h3, h4 against the exact 1, 1/2, 1/3.
TEST(ipndm_v, published_weights_lose_their_order_on_unequal_steps) {
  const std::vector<double> steps{1, 2, 1.5, 0.7};
  const auto moments = [&](std::size_t order) {
    const std::vector<double> w = detail::published_ipndm_v(
        {steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(order)});
    double zeroth = 0, first = 0, second = 0, position = 0;
    for (std::size_t j = 0; j < w.size(); ++j) {
      zeroth += w[j];
      first += w[j] * position;
      second += w[j] * position * position;
      if (j + 1 < w.size()) position -= steps[j + 1];
    }
    return std::vector{zeroth - 1, first - 0.5, second - 1. / 3};
  };
  EXPECT_NEAR(moments(2)[0], 0, 1e-15);
  EXPECT_NEAR(moments(2)[1], 0, 1e-15);
  EXPECT_NEAR(moments(3)[0], 0, 1e-15);
  EXPECT_NEAR(moments(3)[1], 0, 1e-14);
  EXPECT_GT(std::abs(moments(3)[2]), 0.1);
  EXPECT_GT(std::abs(moments(4)[0]), 0.01);
}

TEST(ipndm_v, published_fourth_order_weights_do_not_converge_on_uneven_steps) {
  const auto error = [](int n, ipndm_v_weights how) {
    return gain_error(ipndm_v(uneven_grid(n), 4, how), uneven_grid(n));
  };
  EXPECT_GT(error(640, ipndm_v_weights::published), 1e-2);
  EXPECT_LT(error(640, ipndm_v_weights::exact), 1e-6);
  const std::vector<double> w = detail::published_ipndm_v({1, 1, 1, 1});
  EXPECT_NEAR(w[3], -11. / 24, 1e-15);  // Adams-Bashforth: -9/24
}

TEST(ipndm, starts_from_pure_noise) {
  grid nodes = straight_grid(6, 1, 0.1);
  const program_law with = law(ipndm(nodes), perfect_denoiser(1.5), {0, 1});
  EXPECT_NEAR(with.result.mean, 0.9 * 1.5, 1e-13);
  const program_law without = law(ipndm(nodes, 4, {.first = pure_noise_start::drops_estimate}),
                                  perfect_denoiser(1.5), {0, 1});
  EXPECT_LT(without.marks.front().second.mean, 1e-15);
}

TEST(ipndm, ends_as_asked) {
  const grid nodes = ending_clean(edm_schedule{}, equal_levels(5, 4, 0.5));
  const auto denoise = gaussian_denoiser(0, variance_of_data);
  const scalar_law start{0, 16 + variance_of_data};
  const double kept = law(ipndm(nodes, 4, {}), denoise, start).result.variance;
  const double denoised = law(ipndm(nodes, 4), denoise, start).result.variance;
  EXPECT_LT(std::abs(kept - variance_of_data), std::abs(denoised - variance_of_data));
}

TEST(ipndm, refuses_orders_below_one) {
  const grid nodes = geometric_grid(3);
  EXPECT_THROW(ipndm(nodes, 0), std::invalid_argument);
  EXPECT_THROW(ipndm_v(nodes, 5), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
