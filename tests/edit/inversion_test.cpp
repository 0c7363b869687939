#include "tweedie/edit/inversion.hpp"

#include <gtest/gtest.h>

#include "edit/smooth_network.hpp"
#include "tweedie/tweedie.hpp"

namespace tweedie {
namespace {

using tweedie_test::smooth_network;

template <class T, class Engine>
T replayed(const program& plan, const recorded_path<T>& path, const Engine& ask, double share = 1) {
  T x = path.start;
  sampling<T> s(plan, network_description{predicts_noise}, x, zero_noise{});
  for (auto now = s.advance(); now != sampling_event::finished; now = s.advance())
    if (now == sampling_event::evaluate)
      ask(s.input(), s.network_time(), s.output());
    else
      path.apply(s, share);
  std::copy_n(s.state().data(), x.size(), x.data());
  return x;
}

TEST(recorded_path, ends_in_the_picture_with_every_kind_of_program) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 12);
  const std::vector<double> picture{0.3, -1, 0.7, 0, 1};
  for (const program& plan :
       {ddpm(nodes), ddim(nodes, 1), ddim(nodes), dpm_solver_plus_plus(nodes, 3),
        euler_ancestral(nodes), sde_dpm_solver_plus_plus(nodes, 2)}) {
    for (const path_noise how : {path_noise::afresh, path_noise::chained}) {
      const auto path =
          record_path(plan, network_description{predicts_noise}, picture, smooth_network, 5, how);
      EXPECT_EQ(path.residuals.size(), plan.steps());
      const auto back = replayed(plan, path, smooth_network);
      for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(back[i], picture[i], 1e-12);
    }
  }
}

// Residuals of ancestral steps are sigma_k z_k (Huberman-Spiegelglas et al. 2024, eq. 5): what x_s lacks of the
// posterior mean with the predicted x0.
TEST(recorded_path, residuals_of_ddpm_are_its_noise) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 6);
  const std::vector<double> picture{0.3, -1, 0.7};
  const auto path =
      record_path(ddpm(nodes), network_description{predicts_noise}, picture, smooth_network, 5);
  std::vector<double> x = path.start;
  for (std::size_t k = 0; k + 1 < nodes.size(); ++k) {
    const signal_noise from = nodes[k].level, to = nodes[k + 1].level;
    std::vector<double> eps(3), target(3), z(3);
    smooth_network(std::span<const double>(x), nodes[k].time, std::span<double>(eps));
    if (to.sigma > 0) fill_standard_normal(z, 5, static_cast<std::uint32_t>(k + 1));
    const double ratio = from.alpha / to.alpha;
    const double mean_x = ratio * to.sigma * to.sigma / (from.sigma * from.sigma);
    const double mean_clean = to.alpha * (1 - std::pow(ratio * to.sigma / from.sigma, 2));
    for (std::size_t i = 0; i < 3; ++i) {
      target[i] = to.alpha * picture[i] + to.sigma * z[i];
      const double clean = (x[i] - from.sigma * eps[i]) / from.alpha;
      EXPECT_NEAR(path.residuals[k][i], target[i] - mean_x * x[i] - mean_clean * clean, 1e-12);
    }
    x = target;
  }
}

TEST(recorded_path, in_float_loses_no_more_than_its_last_step) {
  const program plan = ddpm(trailing(linear_beta_schedule(1000), 50));
  const std::vector<float> picture{0.3f, -1, 0.7f, 0, 1};
  const auto path =
      record_path(plan, network_description{predicts_noise}, picture, smooth_network, 5);
  const auto back = replayed(plan, path, smooth_network);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(back[i], picture[i], 1e-6);
}

// The states of the path are samples of q(x_t | x0): independent ones, or those of one chain, whose covariance is
// (alpha_t / alpha_s) sigma_s^2 for the cleaner s.
TEST(recorded_path, visits_the_forward_process) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 6);
  const std::size_t n = 40000;
  const std::vector<double> picture(n, 0.8);
  const program plan = ddpm(nodes);
  for (const path_noise how : {path_noise::afresh, path_noise::chained}) {
    const auto path =
        record_path(plan, network_description{predicts_noise}, picture, smooth_network, 5, how);
    sampling<std::vector<double>> s(plan, network_description{predicts_noise}, path.start,
                                    zero_noise{});
    std::vector<double> before(path.start);
    signal_noise above = nodes[0].level;
    for (double& x : before) x -= above.alpha * 0.8;
    for (auto now = s.advance(); now != sampling_event::finished; now = s.advance()) {
      if (now == sampling_event::evaluate) {
        smooth_network(s.input(), s.network_time(), s.output());
        continue;
      }
      path.apply(s);
      const auto [alpha, sigma] = s.reached().level;
      double variance = 0, product = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double z = s.state()[i] - alpha * 0.8;
        variance += z * z / static_cast<double>(n);
        product += z * before[i] / static_cast<double>(n);
        before[i] = z;
      }
      const double error = 5 * std::sqrt(2 / static_cast<double>(n));
      const double chain = how == path_noise::chained ? above.alpha / alpha * sigma * sigma : 0;
      EXPECT_NEAR(variance, sigma * sigma, error * sigma * sigma + 1e-20);
      EXPECT_NEAR(product, chain, error * sigma * above.sigma + 1e-12);
      above = {alpha, sigma};
    }
  }
}

// CycleDiffusion: with a network that knows the picture the residuals of ancestral steps are the normals of the chain.
TEST(recorded_path, chained_residuals_of_the_exact_estimate_are_the_chains_normals) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 6);
  const std::vector<double> picture{0.3, -1, 0.7};
  const network_description network{predicts_sample};
  const auto oracle = [&](auto, double, auto out) { std::ranges::copy(picture, out.begin()); };
  const program plan = ddim(nodes, 1);
  const auto path = record_path(plan, network, picture, oracle, 5, path_noise::chained);
  std::vector<double> z(3);
  for (std::size_t k = 0; k < 6; ++k) {
    const double deviation = ddim_step(nodes[k].level, nodes[k + 1].level, 1).noise;
    if (deviation > 0) fill_standard_normal(z, 5, static_cast<std::uint32_t>(k + 1));
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(path.residuals[k][i], deviation * z[i], 1e-13) << k;
  }
}

// Both laws of a path: from N(m, s^2) to N(m', s^2) the picture moves by what the chain makes of the difference of means, the
// residuals being the same.
TEST(recorded_path, of_two_gaussians_moves_the_picture_by_their_difference) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 30);
  const program plan = ddpm(nodes);
  const network_description network{predicts_sample};
  const std::vector<double> picture{0.3, -1, 0.7};
  const auto gaussian = [&](double mean) {
    return [&nodes, mean](auto in, double t, auto out) {
      for (const node& n : nodes) {
        if (n.time != t) continue;
        const affine_denoiser d = gaussian_denoiser(mean, 0.3)(n);
        for (std::size_t i = 0; i < 3; ++i) out[i] = d.gain * in[i] + d.offset;
      }
    };
  };
  const double moved = law(plan, gaussian_denoiser(0.8, 0.3), {0, 0}).result.mean;
  EXPECT_NEAR(moved, 0.8, 0.01);
  for (const path_noise how : {path_noise::afresh, path_noise::chained}) {
    const auto path = record_path(plan, network, picture, gaussian(0.1), 5, how);
    std::vector<double> x = path.start;
    sampling<std::vector<double>> s(plan, network, x, zero_noise{});
    for (auto now = s.advance(); now != sampling_event::finished; now = s.advance())
      if (now == sampling_event::evaluate)
        gaussian(0.9)(s.input(), s.network_time(), s.output());
      else
        path.apply(s);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(s.state()[i], picture[i] + moved, 1e-12);
  }
}

TEST(recorded_path, another_network_or_a_share_leads_elsewhere) {
  const program plan = ddpm(karras(scaled_linear_beta_schedule(1000), 12));
  const std::vector<double> picture{0.3, -1};
  const auto path =
      record_path(plan, network_description{predicts_noise}, picture, smooth_network, 5);
  const auto other = [](auto in, double, auto out) {
    for (std::size_t i = 0; i < 2; ++i) out[i] = 0.1 * in[i];
  };
  EXPECT_GT(std::abs(replayed(plan, path, other)[0] - 0.3), 0.01);
  std::vector<double> plain = path.start;
  run(plan, network_description{predicts_noise}, plain, smooth_network, zero_noise{});
  EXPECT_EQ(replayed(plan, path, smooth_network, 0), plain);
}

TEST(recorded_path, refuses_other_programs) {
  const grid nodes = karras(scaled_linear_beta_schedule(1000), 3);
  const std::vector<double> picture{0.3, -1};
  const auto path =
      record_path(ddim(nodes), network_description{predicts_noise}, picture, smooth_network, 5);
  EXPECT_THROW(replayed(ddim(karras(scaled_linear_beta_schedule(1000), 4)), path, smooth_network),
               std::invalid_argument);
  auto wide = path;
  wide.start.push_back(1);
  EXPECT_THROW(replayed(ddim(nodes), wide, smooth_network), std::invalid_argument);
  EXPECT_THROW(record_path(ddpm(nodes, learned_range{}), network_description{predicts_noise},
                           picture, smooth_network, 5),
               std::invalid_argument);
  const auto nan_engine = [](auto, double, auto out) { out[1] = std::nan(""); };
  EXPECT_THROW(
      record_path(ddim(nodes), network_description{predicts_noise}, picture, nan_engine, 5),
      std::invalid_argument);
  EXPECT_THROW(record_path(resampled(nodes, 1, 2), network_description{predicts_noise}, picture,
                           smooth_network, 5, path_noise::chained),
               std::invalid_argument);
}

// SDEdit (Meng et al. 2022) with the exact flow of N(m, s^2): noised to (alpha, sigma) and taken back,
// x becomes m + s/sqrt(c) (alpha (x - m) + sigma z) with c = alpha^2 s^2 + sigma^2.
TEST(image_to_image, contracts_towards_the_mean_as_the_exact_flow_says) {
  const double m = 0.4, s2 = 0.3, x = 1.5;
  const auto schedule = linear_beta_schedule(1000);
  for (const std::size_t first : {100u, 200u, 300u}) {
    const grid part = starting_at(exponential(schedule, 400), first);
    const auto [alpha, sigma] = part.front().level;
    const double c = alpha * alpha * s2 + sigma * sigma;
    const auto out =
        law(dpm_solver_plus_plus(part, 2), gaussian_denoiser(m, s2), {alpha * x, sigma * sigma})
            .result;
    EXPECT_NEAR(out.mean, m + std::sqrt(s2 / c) * alpha * (x - m), 2e-3);
    EXPECT_NEAR(out.variance, s2 / c * sigma * sigma, 2e-3);
  }
}

}  // namespace
}  // namespace tweedie
