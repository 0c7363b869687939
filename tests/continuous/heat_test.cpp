#include "tweedie/continuous/heat.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <numeric>

#include "tweedie/schedule/continuous.hpp"

namespace tweedie {
namespace {

// Two Gaussians of variance v + u on [0, 20), far from the ends.
double mixture(double x, double u) {
  const auto bell = [](double d, double v) {
    return std::exp(-d * d / (2 * v)) / std::sqrt(2 * std::numbers::pi * v);
  };
  return 0.3 * bell(x - 9, 0.1 + u) + 0.7 * bell(x - 11, 0.2 + u);
}
std::vector<double> sampled(std::size_t n, double u) {
  std::vector<double> p;
  for (std::size_t i = 0; i < n; ++i)
    p.push_back(mixture(20.0 * static_cast<double>(i) / static_cast<double>(n), u));
  return p;
}
double largest(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

TEST(heat_flow, is_the_convolution_with_the_noise) {
  for (const std::size_t n : {256u, 255u, 200u})
    EXPECT_LT(largest(heat_flow(sampled(n, 0), 20, 0.7), sampled(n, 0.7)), 1e-13);
  EXPECT_LT(largest(heat_flow(sampled(256, 0), 20, 0), sampled(256, 0)), 1e-15);
  const auto twice = heat_flow(heat_flow(sampled(64, 0.3), 20, 0.2), 20, 0.5);
  EXPECT_LT(largest(twice, heat_flow(sampled(64, 0.3), 20, 0.7)), 1e-15);
  EXPECT_EQ(heat_flow(std::vector<double>{3}, 1, 5), std::vector<double>{3});
}

TEST(heat_flow, reversed_lets_the_last_digit_take_over) {
  const auto noisy = heat_flow(sampled(256, 0), 20, 0.7);
  const auto back = heat_flow(noisy, 20, -0.7);
  EXPECT_GT(largest(back, sampled(256, 0)), 1e6);
}

TEST(heat_step, is_of_second_order_and_keeps_the_mass) {
  const auto error = [](std::size_t n) {
    const double h = 20.0 / static_cast<double>(n);
    const auto steps = static_cast<int>(0.5 / (h * h) + 0.5);
    auto p = sampled(n, 0.1);
    const double mass = std::accumulate(p.begin(), p.end(), 0.0);
    for (int k = 0; k < steps; ++k) p = heat_step(p, h, 0.5 / steps);
    EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), mass, 1e-12 * mass);
    return largest(p, sampled(n, 0.6));
  };
  EXPECT_NEAR(std::log2(error(256) / error(512)), 2, 0.05);
}

// Fokker-Planck for the schedules of Song et al. 2021: with g^2/2 and the drift the residual of the exact
// density vanishes, without the 1/2 or without the drift it does not.
template <class Schedule>
void fokker_planck_holds(const Schedule& schedule, bool has_drift) {
  const double t = 0.4, h = 1e-3;
  const auto p = [&](double x, double time) {  // data N(1, 0.25)
    const auto [alpha, sigma] = schedule(time);
    const double v = alpha * alpha * 0.25 + sigma * sigma;
    return std::exp(-(x - alpha) * (x - alpha) / (2 * v)) / std::sqrt(2 * std::numbers::pi * v);
  };
  const diffusion_coefficients c = forward_sde(schedule, t);
  double right = 0, without_half = 0, without_drift = 0, size = 0;
  for (double x = -2; x <= 3; x += 0.25) {
    const double in_time = (p(x, t + h) - p(x, t - h)) / (2 * h);
    const double drift = -c.drift * ((x + h) * p(x + h, t) - (x - h) * p(x - h, t)) / (2 * h);
    const double bend = (p(x + h, t) - 2 * p(x, t) + p(x - h, t)) / (h * h) * c.squared_diffusion;
    right = std::max(right, std::abs(in_time - drift - bend / 2));
    without_half = std::max(without_half, std::abs(in_time - drift - bend));
    without_drift = std::max(without_drift, std::abs(in_time - bend / 2));
    size = std::max(size, std::abs(in_time));
  }
  EXPECT_LT(right, 1e-3 * size);
  EXPECT_GT(without_half, 0.1 * size);
  if (has_drift) {
    EXPECT_GT(without_drift, 0.1 * size);
  }
}

TEST(fokker_planck, has_a_half_and_a_drift) {
  fokker_planck_holds(variance_preserving_schedule{}, true);
  fokker_planck_holds(sub_vp_schedule{}, true);
  fokker_planck_holds(variance_exploding_schedule{}, false);
}

TEST(blurred, fades_cosines_by_their_frequency_and_keeps_the_mean) {
  const Eigen::MatrixXd modes = cosine_modes(6);
  EXPECT_LT((modes * modes.transpose() - Eigen::MatrixXd::Identity(6, 6)).cwiseAbs().maxCoeff(),
            1e-15);
  const Eigen::MatrixXd picture = Eigen::MatrixXd::Random(6, 9), wide = cosine_modes(9);
  const double u = 1.7;
  const Eigen::MatrixXd before = modes * picture * wide.transpose();
  const Eigen::MatrixXd after = modes * blurred(picture, u) * wide.transpose();
  for (Eigen::Index k = 0; k < 6; ++k)
    for (Eigen::Index l = 0; l < 9; ++l) {
      const double a = std::numbers::pi * static_cast<double>(k) / 6,
                   b = std::numbers::pi * static_cast<double>(l) / 9;
      EXPECT_NEAR(after(k, l), before(k, l) * std::exp(-u / 2 * (a * a + b * b)), 1e-14);
    }
  EXPECT_NEAR(blurred(picture, u).mean(), picture.mean(), 1e-15);
  EXPECT_LT((blurred(picture, 0) - picture).cwiseAbs().maxCoeff(), 1e-14);
  EXPECT_LT((blurred(picture, 1e4).array() - picture.mean()).abs().maxCoeff(), 1e-14);
}

TEST(heat, refuses_what_is_none) {
  const std::vector<double> p{1, 2};
  EXPECT_THROW(heat_flow(std::vector<double>{}, 1, 1), std::invalid_argument);
  EXPECT_THROW(heat_flow(p, 0, 1), std::invalid_argument);
  EXPECT_THROW(heat_flow(p, 1, std::nan("")), std::invalid_argument);
  EXPECT_THROW(heat_step(p, 1, 1.1), std::invalid_argument);
  EXPECT_THROW(heat_step(p, 0, 0), std::invalid_argument);
  EXPECT_THROW(blurred(Eigen::MatrixXd::Ones(2, 2), -1), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
