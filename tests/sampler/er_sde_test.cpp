#include "tweedie/sampler/er_sde.hpp"

#include <gtest/gtest.h>

#include "sampler/mixture_flow.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie {
namespace {

using plan_of_grid = std::function<program(const grid&)>;

TEST(er_sde, orders_on_the_flow) {
  const auto nodes = [](int n) { return gently_started(even_grid(n)); };
  for (const int order : {1, 2, 3}) {
    const auto plan = [&](const grid& g) { return er_sde(g, order, ode_noise_scale); };
    EXPECT_NEAR(mixture_order(160, nodes, plan), order, 0.15) << order;
  }
  const auto published = [](const grid& g) {
    return er_sde(g, 3, ode_noise_scale, er_sde_derivative::published);
  };
  EXPECT_NEAR(mixture_order(320, nodes, published), 2, 0.15);
}

TEST(er_sde, weak_orders) {
  const auto slope = [](const plan_of_grid& plan) {
    const grid coarse = geometric_grid(320), fine = geometric_grid(640);
    return std::log2(
        std::abs(variance_error(plan(coarse), coarse) / variance_error(plan(fine), fine)));
  };
  EXPECT_NEAR(slope([](const grid& g) { return er_sde(g, 1, sde_noise_scale); }), 1, 0.15);
  EXPECT_NEAR(slope([](const grid& g) { return er_sde(g, 2, sde_noise_scale); }), 2, 0.15);
  EXPECT_NEAR(slope([](const grid& g) { return er_sde(g, 3, sde_noise_scale); }), 2, 0.15);
}

TEST(er_sde, of_order_one_is_ddim_in_its_two_limits) {
  const grid nodes = even_grid(5);
  for (const double eta : {0.0, 1.0}) {
    const program_law a = law(er_sde(nodes, 1,
                                     eta == 0 ? std::function<double(double)>(ode_noise_scale)
                                              : std::function<double(double)>(sde_noise_scale)),
                              gaussian_denoiser(0.4, 0.3), {1, 2});
    const program_law b = law(ddim(nodes, eta), gaussian_denoiser(0.4, 0.3), {1, 2});
    EXPECT_NEAR(a.result.mean, b.result.mean, 1e-14);
    EXPECT_NEAR(a.result.variance, b.result.variance, 1e-14);
  }
}

TEST(er_sde, moments_of_the_scale_in_closed_form) {
  // phi = u^2: the mean of s under d(1/u^2), s = (u - a)/(b - a).
  const double a = 20, b = 0.5;
  const std::vector<double> means = detail::scaled_means(a, b, 3, sde_noise_scale);
  const double total = 1 / (b * b) - 1 / (a * a);
  const double first = (2 * (1 / b - 1 / a) - a * total) / total / (b - a);
  const double second =
      (2 * std::log(a / b) - 4 * a * (1 / b - 1 / a) + a * a * total) / total / ((b - a) * (b - a));
  EXPECT_NEAR(means[1], first, 1e-13);
  EXPECT_NEAR(means[2], second, 1e-13);
  // phi = u is the noise-level ODE in 1/u: its measure du/u^2.
  const std::vector<double> ode = detail::scaled_means(3, 2, 2, ode_noise_scale);
  EXPECT_NEAR(ode[1], (std::log(1.5) - 3 * (0.5 - 1.0 / 3)) / (0.5 - 1.0 / 3) / -1, 1e-13);
}

TEST(er_sde, draws_only_under_a_stochastic_scale) {
  grid nodes = even_grid(4);
  nodes.push_back(clean_node(0));
  EXPECT_TRUE(er_sde(nodes, 3, ode_noise_scale).draws.empty());
  EXPECT_EQ(er_sde(nodes).draws.size(), 4u);
  EXPECT_EQ(er_sde(nodes).evaluations(), 5u);
}

TEST(er_sde, refuses_bad_input) {
  const grid nodes = even_grid(3);
  EXPECT_THROW(er_sde(nodes, 4), std::invalid_argument);
  EXPECT_THROW(er_sde(nodes, 0), std::invalid_argument);
  EXPECT_THROW(er_sde(reversed(nodes)), std::invalid_argument);
  EXPECT_THROW(er_sde(nodes, 1, [](double u) { return std::sqrt(u); }), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
