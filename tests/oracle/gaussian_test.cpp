#include "tweedie/oracle/gaussian.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tweedie/grid/spacing.hpp"
#include "tweedie/oracle/point.hpp"
#include "tweedie/process/reverse.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/solve/run.hpp"

namespace tweedie {
namespace {

Eigen::MatrixXd covariance(int d) {
  Eigen::MatrixXd a(d, d);
  for (int i = 0; i < d; ++i)
    for (int j = 0; j < d; ++j) a(i, j) = std::sin(1.0 + 2.3 * i + 0.7 * j);
  return a * a.transpose() / d + 0.05 * Eigen::MatrixXd::Identity(d, d);
}

oracle::gaussian<double> target(int d = 5) {
  Eigen::VectorXd mean(d);
  for (int i = 0; i < d; ++i) mean[i] = std::cos(1.7 * i);
  return {mean, covariance(d)};
}

Eigen::MatrixXd points(int d, int n) {
  Eigen::MatrixXd x(d, n);
  for (int i = 0; i < x.size(); ++i) x.data()[i] = 1.5 * std::sin(0.9 + 1.1 * i);
  return x;
}

const signal_noise levels[] = {{1, 0}, {0.999, 0.01}, {0.8, 0.6}, {0.1, 0.99}, {1, 5}, {0.3, 0.7}};

TEST(gaussian_oracle, density_equals_the_direct_formula) {
  const auto g = target();
  const auto x = points(5, 3);
  for (const signal_noise& level : levels) {
    const Eigen::MatrixXd c = level.alpha * level.alpha * covariance(5) +
                              level.sigma * level.sigma * Eigen::MatrixXd::Identity(5, 5);
    const Eigen::VectorXd value = g.log_density(level, x);
    for (int i = 0; i < 3; ++i) {
      const Eigen::VectorXd d = x.col(i) - level.alpha * g.mean();
      const double direct = -0.5 * (d.dot(c.inverse() * d) + std::log(c.determinant()) +
                                    5 * std::log(2 * std::numbers::pi));
      EXPECT_NEAR(value[i], direct, 1e-11 * (1 + std::abs(direct)));
    }
  }
}

TEST(gaussian_oracle, score_is_the_gradient_of_the_density) {
  const auto g = target();
  const auto x = points(5, 2);
  for (const signal_noise& level : levels) {
    const Eigen::MatrixXd score = g.score(level, x);
    for (int i = 0; i < x.size(); ++i) {
      Eigen::MatrixXd above = x, below = x;
      const double h = 1e-5;
      above.data()[i] += h;
      below.data()[i] -= h;
      const double slope =
          (g.log_density(level, above).sum() - g.log_density(level, below).sum()) / (2 * h);
      EXPECT_NEAR(score.data()[i], slope, 1e-7 * (1 + std::abs(slope)));
    }
  }
}

TEST(gaussian_oracle, tweedies_formulas) {
  const auto g = target();
  const auto x = points(5, 4);
  for (const signal_noise& level : levels) {
    const auto [alpha, sigma] = level;
    // E[x0 | x] = (x + sigma^2 score)/alpha and E[z | x] = -sigma score.
    const Eigen::MatrixXd score = g.score(level, x);
    EXPECT_NEAR((g.denoise(level, x) - (x + sigma * sigma * score) / alpha).norm(), 0, 1e-11);
    EXPECT_NEAR((g.predict(level, {0, 1}, x) + sigma * score).norm(), 0,
                1e-12 * (1 + score.norm()));
    // Cov[x0 | x] = sigma^2 (I + sigma^2 grad score)/alpha^2.
    const Eigen::MatrixXd hessian = -g.marginal_covariance(level).inverse();
    const Eigen::MatrixXd second = sigma * sigma *
                                   (Eigen::MatrixXd::Identity(5, 5) + sigma * sigma * hessian) /
                                   (alpha * alpha);
    EXPECT_NEAR((g.posterior_covariance(level) - second).norm(), 0, 1e-10);
  }
}

TEST(gaussian_oracle, exact_network_answers_are_consistent_in_every_kind) {
  const auto g = target();
  const auto x = points(5, 2);
  const node n{0, {0.6, 0.8}};
  const Eigen::MatrixXd clean = g.denoise(n.level, x);
  for (const plane_row row : {predicts_noise(n), predicts_v(n), predicts_rectified_velocity(n)}) {
    const state_output k = sample_from(n.level, row);
    EXPECT_NEAR((k.x * x + k.y * g.predict(n.level, row, x) - clean).norm(), 0, 1e-13);
  }
}

TEST(gaussian_oracle, reverse_kernel_carries_marginals_to_marginals) {
  const auto g = target();
  const auto schedule = linear_beta_schedule(1000);
  for (const int k : {0, 1, 500, 999}) {
    const signal_noise from = schedule(k), to = schedule(k - 1);
    const Eigen::MatrixXd origin = Eigen::MatrixXd::Zero(5, 1);
    const Eigen::MatrixXd unit = Eigen::MatrixXd::Identity(5, 5);
    const Eigen::VectorXd offset = g.reverse_mean(from, to, origin);
    const Eigen::MatrixXd gain = g.reverse_mean(from, to, unit).colwise() - offset;
    EXPECT_NEAR((gain * from.alpha * g.mean() + offset - to.alpha * g.mean()).norm(), 0, 1e-12);
    const Eigen::MatrixXd carried =
        gain * g.marginal_covariance(from) * gain.transpose() + g.reverse_covariance(from, to);
    EXPECT_NEAR((carried - g.marginal_covariance(to)).norm(), 0, 1e-12);
    // The mean of DDPM with the exact denoiser is the exact reverse mean.
    const auto q = posterior(from, to);
    const auto x = points(5, 3);
    EXPECT_NEAR((q.clean * g.denoise(from, x) + q.state * x - g.reverse_mean(from, to, x)).norm(),
                0, 1e-12);
  }
}

TEST(gaussian_oracle, flow_maps_compose_and_preserve_density) {
  const auto g = target();
  const auto x = points(5, 3);
  const signal_noise a{1, 0}, b{0.8, 0.6}, c{0.1, 0.99};
  EXPECT_NEAR((g.flow_map(b, c, g.flow_map(a, b, x)) - g.flow_map(a, c, x)).norm(), 0, 1e-12);
  EXPECT_NEAR((g.flow_map(c, a, g.flow_map(a, c, x)) - x).norm(), 0, 1e-12);
  EXPECT_NEAR((g.log_density(a, x) - g.log_density_by_flow(a, c, x)).norm(), 0, 1e-11);
  // From pure noise it is the optimal transport map m + S^1/2 z.
  EXPECT_NEAR(
      (g.flow_map({0, 1}, {1, 0}, x) -
       ((g.axes() * g.variances().cwiseSqrt().asDiagonal() * g.axes().transpose() * x).colwise() +
        g.mean()))
          .norm(),
      0, 1e-12);
}

TEST(gaussian_oracle, flow_maps_of_vp_ve_and_rectified_paths_are_one_curve) {
  const auto g = target();
  const auto x = points(5, 2);
  const double high = 9, low = 0.2;
  const Eigen::MatrixXd ve = g.flow_map(variance_exploding(high), variance_exploding(low), x);
  for (const auto path : {variance_preserving, rectified}) {
    const signal_noise from = path(high), to = path(low);
    const Eigen::MatrixXd other = g.flow_map(from, to, from.alpha * x) / to.alpha;
    EXPECT_NEAR((other - ve).norm(), 0, 1e-12);
  }
}

// Chain law with full covariance equals the laws of the eigendirections.
TEST(gaussian_oracle, ddpm_on_a_full_covariance_is_one_scalar_chain_per_axis) {
  const auto g = target(3);
  const grid nodes = trailing(linear_beta_schedule(1000), 20);
  // The sampler is affine: map zero and unit columns through the deterministic part.
  const program plan = ddim(nodes);
  Eigen::MatrixXd x = Eigen::MatrixXd::Identity(3, 3), zero = Eigen::MatrixXd::Zero(3, 3);
  const auto schedule = linear_beta_schedule(1000);
  const auto network = [&](const auto& in, double t, auto out) {
    out = g.predict(schedule(t), {0, 1}, in);
  };
  run(plan, {}, x, network);
  run(plan, {}, zero, network);
  const Eigen::MatrixXd gain = x - zero;
  const Eigen::VectorXd in_axes = (g.axes().transpose() * gain * g.axes()).diagonal();
  for (int i = 0; i < 3; ++i) {
    const double expected =
        std::sqrt(law(plan, gaussian_denoiser(0, g.variances()[i]), {0, 1}).result.variance);
    EXPECT_NEAR(in_axes[i], expected, 1e-12);
  }
  EXPECT_NEAR((gain - gain.transpose()).norm(), 0, 1e-12);
}

TEST(gaussian_oracle, bound_of_the_exact_chain_is_tight_on_every_path) {
  // With exact reverse kernels and prior p_T: log p(x_0:T) - log q(x_1:T | x_0) = log p(x_0) for
  // every path, here for an arbitrary one.
  const auto schedule = linear_beta_schedule(1000);
  const auto g = target(2);
  std::vector<Eigen::MatrixXd> path{points(2, 1)};
  double bound = 0;
  for (int k = 0; k < 1000; ++k) {
    const auto step = transition(schedule(k - 1), schedule(k));
    Eigen::MatrixXd noise(2, 1);
    noise << std::sin(12.9 * k), std::cos(78.2 * k);
    path.push_back(step.mean * path.back() + std::sqrt(step.variance) * noise);
    bound -= isotropic_log_density(step.variance * noise.squaredNorm(), step.variance, 2);
  }
  bound += g.log_density(schedule(999), path.back())[0];
  for (int k = 0; k < 1000; ++k) {
    const auto from = schedule(k), to = schedule(k - 1);
    const Eigen::MatrixXd mean = g.reverse_mean(from, to, path[static_cast<std::size_t>(k) + 1]);
    const oracle::gaussian<double> kernel(mean.col(0), g.reverse_covariance(from, to));
    bound += kernel.log_density({1, 0}, path[static_cast<std::size_t>(k)])[0];
  }
  EXPECT_NEAR(bound, g.log_density({1, 0}, path.front())[0], 1e-8);
}

TEST(gaussian_oracle, gap_of_other_variances) {
  // 1-D, s^2 = 0.3, linear schedule, variances beta over steps T ... 2: the published gap in nats.
  const oracle::gaussian<double> g(Eigen::VectorXd::Zero(1), 0.3 * Eigen::MatrixXd::Identity(1, 1));
  const auto schedule = linear_beta_schedule(1000);
  std::vector<signal_noise> chain;
  for (int k = 999; k >= -1; --k) chain.push_back(schedule(k));
  const double gap = g.bound_gap(chain, [](signal_noise from, signal_noise to) {
    return large_variance(posterior(from, to));
  });
  EXPECT_NEAR(gap / 8.1e-4, 1, 0.01);
  EXPECT_NEAR(g.bound_gap(chain, [](signal_noise from,
                                    signal_noise to) { return gaussian_variance(from, to, 0.3); }) -
                  g.prior_divergence(chain.front()),
              0, 1e-13);
}

TEST(gaussian_oracle, prior_divergence_keeps_its_digits) {
  // E x^2 = 0.25, alpha_bar_T of the linear schedule: 5.045e-6 nats (Ho et al. 2020 quote 1e-5 bits).
  const auto schedule = linear_beta_schedule(1000);
  const oracle::gaussian<double> g(Eigen::VectorXd::Constant(1, 0.5), Eigen::MatrixXd::Zero(1, 1));
  const double sigma2 = 1 - schedule.alpha_bar(999);
  // With a unit-variance prior: (alpha_bar m^2 - alpha_bar - log(1 - alpha_bar))/2.
  const double unit = 0.5 * (schedule.alpha_bar(999) * (0.25 - 1) - std::log(sigma2));
  EXPECT_NEAR(unit / 5.045e-6, 1, 1e-3);
  EXPECT_NEAR(g.prior_divergence(schedule(999)), 0.5 * schedule.alpha_bar(999) * 0.25 / sigma2,
              1e-16);
}

TEST(gaussian_oracle, singular_and_single_point_data) {
  Eigen::MatrixXd flat = Eigen::MatrixXd::Zero(2, 2);
  flat(0, 0) = 2;
  const oracle::gaussian<double> g(Eigen::Vector2d(1, -1), flat);
  const Eigen::MatrixXd x = points(2, 1);
  EXPECT_NEAR(g.denoise({0.6, 0.8}, x)(1, 0), -1, 1e-15);
  EXPECT_THROW(g.log_density({1, 0}, x), std::invalid_argument);
  EXPECT_THROW(g.score({1, 0}, x), std::invalid_argument);
  const oracle::gaussian<double> dot(Eigen::Vector2d(1, -1), Eigen::MatrixXd::Zero(2, 2));
  const oracle::point same(Eigen::Vector2d(1, -1));
  const signal_noise level{0.6, 0.8};
  EXPECT_LT((dot.denoise(level, x) - same.denoise(level, x)).norm(), 1e-15);
  EXPECT_LT((dot.score(level, x) - same.score(level, x)).norm(), 1e-14);
  EXPECT_NEAR(dot.log_density(level, x)[0], same.log_density(level, x)[0], 1e-14);
  EXPECT_EQ(same.denoise({0, 1}, x), Eigen::MatrixXd(Eigen::Vector2d(1, -1)));
  EXPECT_THROW(same.score({1, 0}, x), std::invalid_argument);
  EXPECT_THROW(same.denoise({1, 0}, Eigen::MatrixXd::Zero(3, 1)), std::invalid_argument);
  EXPECT_THROW(oracle::point(Eigen::VectorXd::Constant(1, NAN)), std::invalid_argument);
}

TEST(gaussian_oracle, samples_are_mean_plus_root_times_noise) {
  const auto g = target(3);
  const Eigen::MatrixXd unit = Eigen::MatrixXd::Identity(3, 3);
  const Eigen::MatrixXd root = g.sample(unit).colwise() - g.mean();
  EXPECT_NEAR((root * root.transpose() - covariance(3)).norm(), 0, 1e-13);
}

TEST(gaussian_oracle, single_precision_and_dimension_zero) {
  const oracle::gaussian<float> g(Eigen::Vector2f(1, 2), Eigen::Matrix2f::Identity());
  Eigen::MatrixXf x(2, 1);
  x << 0.5f, -1;
  EXPECT_NEAR((g.denoise({0.6, 0.8}, x) - (x + 0.64f * g.score({0.6, 0.8}, x)) / 0.6f).norm(), 0,
              2e-6);
  const oracle::gaussian<double> none(Eigen::VectorXd(0), Eigen::MatrixXd(0, 0));
  EXPECT_EQ(none.log_density({0.6, 0.8}, Eigen::MatrixXd(0, 2)), Eigen::VectorXd::Zero(2));
}

TEST(gaussian_oracle, refuses_what_is_no_covariance) {
  EXPECT_THROW(oracle::gaussian<double>(Eigen::Vector2d(0, 0), -Eigen::Matrix2d::Identity()),
               std::invalid_argument);
  EXPECT_THROW(oracle::gaussian<double>(Eigen::VectorXd::Zero(3), Eigen::Matrix2d::Identity()),
               std::invalid_argument);
  Eigen::Matrix2d skew;
  skew << 1, 0.5, -0.5, 1;
  EXPECT_THROW(oracle::gaussian<double>(Eigen::Vector2d(0, 0), skew), std::invalid_argument);
  EXPECT_THROW(target().denoise({0.6, 0.8}, points(4, 1)), std::invalid_argument);
}

TEST(gaussian_oracle, divergences_of_little_signal_keep_their_digits) {
  // (r - log(1 + r))/2 = r^2/4 - r^3/6 + ...
  const double alpha_bar = 2.4287669e-9, r = alpha_bar / (1 - alpha_bar);
  const signal_noise level{std::sqrt(alpha_bar), std::sqrt(1 - alpha_bar)};
  const double exact = r * r / 4 - r * r * r / 6;
  const oracle::gaussian<double> g(Eigen::VectorXd::Zero(1), Eigen::MatrixXd::Identity(1, 1));
  const oracle::gaussian<float> single(Eigen::VectorXf::Zero(1), Eigen::MatrixXf::Identity(1, 1));
  EXPECT_NEAR(g.prior_divergence(level) / exact, 1, 1e-12);
  EXPECT_NEAR(single.prior_divergence(level) / exact, 1, 1e-6);
  EXPECT_THROW(g.prior_divergence({1, 0}), std::invalid_argument);
  // Both sides of where the formula changes: 1e-3.
  for (const double snr : {1e-3 * (1 - 1e-9), 1e-3 * (1 + 1e-9)})
    EXPECT_NEAR(g.prior_divergence({std::sqrt(snr), 1}) /
                    (snr * snr * (1 / 4. - snr / 6 + snr * snr / 8 - snr * snr * snr / 10)),
                1, 2e-12);
  // Reverse variances too large by the factor 1 + d: d^2/4 for each step and axis.
  const double d = 1e-7;
  const std::vector<signal_noise> chain = {level, {0.6, 0.8}};
  const auto used = [&](signal_noise from, signal_noise to) {
    const double b = transition(to, from).variance;
    return b / (from.alpha * from.alpha + from.sigma * from.sigma) *
           (to.alpha * to.alpha + to.sigma * to.sigma) / (1 + d);
  };
  EXPECT_NEAR((g.bound_gap(chain, used) - exact) / (d * d / 4), 1, 1e-6);
  EXPECT_NEAR((single.bound_gap(chain, used) - exact) / (d * d / 4), 1, 1e-6);
}

TEST(gaussian_oracle, refuses_points_of_another_dimension_at_every_level) {
  const oracle::gaussian<double> g(Eigen::VectorXd::Zero(2), Eigen::MatrixXd::Identity(2, 2));
  for (const signal_noise level : {signal_noise{1, 0}, {0.6, 0.8}})
    EXPECT_THROW(g.denoise(level, Eigen::MatrixXd::Ones(3, 1)), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
