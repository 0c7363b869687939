#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "restore/measuring.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/restore.hpp"
#include "tweedie/sampler/chart.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using tweedie_test::measuring;

// Data N(0, 0.7 I), whose denoiser is a multiple of x.
constexpr double variance_of_data = 0.7;
double gain(signal_noise l) {
  return l.alpha * variance_of_data / (l.alpha * l.alpha * variance_of_data + l.sigma * l.sigma);
}
double left_over(signal_noise l) {
  return variance_of_data * l.sigma * l.sigma /
         (l.alpha * l.alpha * variance_of_data + l.sigma * l.sigma);
}

// Three steps over the whole schedule, and still the posterior's mean and covariance.
TEST(decoupled, one_step_of_the_flow_is_exact_for_isotropic_data) {
  const auto table = linear_beta_schedule(1000);
  const grid nodes = karras(table, 3);
  const std::size_t items = 20000;
  const double s = 0.4;
  const std::vector<double> y{1.5, -0.2};
  std::vector<double> all;
  for (std::size_t i = 0; i < items; ++i) all.insert(all.end(), y.begin(), y.end());
  const std::vector<double> x = [&] {
    MatrixXd start(3, items);
    fill_standard_normal(start, 1);
    return std::vector<double>(start.data(), start.data() + start.size());
  }();
  const program plan = decoupled_annealing(nodes, 1, nodes_of(table));
  decoupled draw(dense_operator{measuring()}, all, s, 5, left_over);
  sampling run(plan, network_description{predicts_sample}, x, gaussian_noise{7});
  for (auto now = run.advance(); now != sampling_event::finished; now = run.advance()) {
    if (now == sampling_event::step) {
      draw.apply(run);
      continue;
    }
    const double g = gain(run.at().level);
    for (std::size_t i = 0; i < x.size(); ++i) run.output()[i] = g * run.input()[i];
  }
  const Eigen::Map<const MatrixXd> out(run.state().data(), 3, static_cast<Index>(items));
  const VectorXd mean = out.rowwise().mean();
  const MatrixXd centred = out.colwise() - mean;
  const MatrixXd covariance = centred * centred.transpose() / static_cast<double>(items);
  const MatrixXd& a = measuring();
  const MatrixXd k =
      variance_of_data * a.transpose() *
      (variance_of_data * a * a.transpose() + s * s * MatrixXd::Identity(2, 2)).inverse();
  const MatrixXd exact = variance_of_data * (MatrixXd::Identity(3, 3) - k * a);
  const double error = 4 / std::sqrt(static_cast<double>(items));
  EXPECT_LT((mean - k * Eigen::Map<const VectorXd>(y.data(), 2)).cwiseAbs().maxCoeff(), error);
  EXPECT_LT((covariance - exact).cwiseAbs().maxCoeff(), 1.5 * error * variance_of_data);
}

TEST(decoupled, walks_down_and_up) {
  const auto table = linear_beta_schedule(1000);
  const grid nodes = karras(table, 4);
  const program plan = decoupled_annealing(nodes, 3, nodes_of(table));
  EXPECT_EQ(plan.evaluations(), 3u * 3 + 1);  // the lowest level is one step from clean data
  EXPECT_EQ(plan.draws.size(), 3u);
  std::size_t clean = 0;
  for (const stage& s : plan.stages) clean += s.mark && s.mark->at.level.sigma == 0;
  EXPECT_EQ(clean, 4u);
  // Conditional on x0 the state has the right law at every mark.
  const auto [alpha, sigma] = nodes.front().level;
  for (const auto& [at, law] :
       law(plan, perfect_denoiser(0.3), {alpha * 0.3, sigma * sigma}).marks) {
    EXPECT_NEAR(law.mean, at.level.alpha * 0.3, 1e-12);
    EXPECT_NEAR(law.variance, at.level.sigma * at.level.sigma, 1e-12);
  }
  EXPECT_THROW(decoupled_annealing(nodes, 0, nodes_of(table)), std::invalid_argument);
  EXPECT_THROW(decoupled_annealing(reversed(nodes), 1, nodes_of(table)), std::invalid_argument);
  EXPECT_THROW(decoupled(dense_operator{measuring()}, {1.0, 2.0}, 0, 1), std::invalid_argument);
  EXPECT_THROW(decoupled(dense_operator{measuring()}, {1.0}, 1, 1), std::invalid_argument);
}

// A second run from the same sample asks for the same variances and ends alike; a grid of one node leaves
// the picture as it is.
TEST(decoupled, starts_afresh_with_the_run) {
  const auto table = linear_beta_schedule(1000);
  const program plan = decoupled_annealing(karras(table, 4), 3, nodes_of(table));
  std::vector<double> asked;
  decoupled draw(dense_operator{measuring()}, {1.5, -0.2}, 0.4, 5, [&](signal_noise l) {
    asked.push_back(noise_level(l));
    return left_over(l);
  });
  const std::vector<double> x{0.3, -1, 2};
  sampling run(plan, network_description{predicts_sample}, x, gaussian_noise{7});
  std::vector<std::vector<double>> ends, levels;
  for (int repeat = 0; repeat < 2; ++repeat) {
    run.restart(x);
    asked.clear();
    for (auto now = run.advance(); now != sampling_event::finished; now = run.advance())
      if (now == sampling_event::step)
        draw.apply(run);
      else
        for (std::size_t i = 0; i < 3; ++i) run.output()[i] = gain(run.at().level) * run.input()[i];
    ends.emplace_back(run.state().begin(), run.state().end());
    levels.push_back(asked);
  }
  EXPECT_EQ(ends[0], ends[1]);
  EXPECT_EQ(levels[0], levels[1]);
  const grid nodes = karras(table, 4);
  ASSERT_EQ(levels[0].size(), 4u);
  for (std::size_t k = 0; k < 4; ++k)
    EXPECT_NEAR(levels[0][k] / noise_level(nodes[k].level), 1, 1e-12);
  EXPECT_TRUE(decoupled_annealing({nodes.back()}, 3, nodes_of(table)).stages.empty() ||
              decoupled_annealing({nodes.back()}, 3, nodes_of(table)).evaluations() == 0);
}

TEST(flow_dps, keeps_the_noise_level_and_draws_the_less_the_noisier) {
  for (const bool preserving : {false, true}) {
    grid nodes = uniform(rectified_flow(), 6);
    if (preserving) nodes = variance_preserving(nodes);
    const program plan = flow_dps(nodes);
    EXPECT_EQ(plan.evaluations(), 6u);
    EXPECT_EQ(plan.draws.size(), 5u);
    const auto [alpha, sigma] = nodes.front().level;
    for (const auto& [at, law] :
         law(plan, perfect_denoiser(0.3), {alpha * 0.3, sigma * sigma}).marks) {
      EXPECT_NEAR(law.mean, at.level.alpha * 0.3, 1e-12);
      EXPECT_NEAR(law.variance, at.level.sigma * at.level.sigma, 1e-12);
    }
  }
}

TEST(flow_posterior, goes_a_share_of_the_way_to_the_penalised_minimum) {
  const VectorXd x = (VectorXd(3) << 0.3, -1, 0.7).finished();
  const VectorXd y = (VectorXd(2) << 1.5, -0.2).finished();
  const double s = 0.3, v = 2;
  const MatrixXd& a = measuring();
  const VectorXd minimum = (a.transpose() * a / (s * s) + MatrixXd::Identity(3, 3) / v)
                               .llt()
                               .solve(a.transpose() * y / (s * s) + x / v);
  for (const double t : {1.0, 0.4, 0.0}) {
    VectorXd moved = x;
    restored(flow_posterior(v), dense_operator{a}, {y[0], y[1]}, s)(
        std::span<double>(moved.data(), 3), 1, node{t, {1 - t, t}});
    EXPECT_LT((moved - (t * minimum + (1 - t) * x)).norm(), 1e-11);
  }
  EXPECT_THROW(flow_posterior(0), std::invalid_argument);
}

// The paper's update in the coordinates of a diagonal measurement, where U and V change nothing.
TEST(ddrm, is_its_formula_coordinate_by_coordinate) {
  const VectorXd d = (VectorXd(2) << 2, 0.5).finished();
  MatrixXd a = MatrixXd::Zero(2, 3);
  a(0, 2) = d[0];
  a(1, 0) = d[1];
  const std::vector<double> y{1.2, -0.6};
  const double s = 0.1, eta = 0.6, eta_b = 0.9;
  const auto table = linear_beta_schedule(1000);
  const grid nodes{node_at(table, 300), node_at(table, 100), clean_node(-1)};
  ddrm method(singular_system_of(a), y, s, 5, eta, eta_b);
  std::vector<double> x{0.3, -1, 0.7};
  sampling run(ddim(nodes), network_description{predicts_sample}, x, no_noise{},
               [&](std::span<double> clean, std::size_t items, const node& at) {
                 method.see(clean, items, at);
               });
  std::vector<double> expected = x;
  for (std::uint32_t step = 1; run.next(); ++step) {
    const std::vector<double> clean{0.1 * step, 0.4, -0.2 * step};
    std::copy(clean.begin(), clean.end(), run.output().begin());
    const signal_noise from = run.at().level, to = nodes[step].level;
    ASSERT_EQ(run.advance(), sampling_event::step);
    method.apply(run);
    std::vector<double> z(3);
    fill_normal(noise_key{5, 0, step}, 0, std::span<double>(z));
    const double t = noise_level(to), kept = std::sqrt(1 - eta * eta);
    for (std::size_t i = 0; i < 3; ++i) {
      const double noise = (expected[i] - from.alpha * clean[i]) / from.sigma;
      const double scale = i == 2 ? d[0] : d[1], seen = (i == 2 ? y[0] : y[1]) / scale;
      double next = 0;
      if (i == 1)
        next = clean[i] + kept * t * noise + eta * t * z[i];
      else if (t < s / scale)
        next = clean[i] + kept * t * (seen - clean[i]) / (s / scale) + eta * t * z[i];
      else
        next = (1 - eta_b) * clean[i] + eta_b * seen +
               std::sqrt(t * t - std::pow(eta_b * s / scale, 2)) * z[i];
      expected[i] = to.alpha * next;
      EXPECT_NEAR(run.state()[i], expected[i], 1e-12) << step << ' ' << i;
    }
  }
}

TEST(ddrm, of_noise_free_measurements_fits_them_and_turns_with_the_space) {
  const auto table = linear_beta_schedule(1000);
  const grid nodes = karras(table, 10);
  const std::vector<double> y{1.5, -0.2};
  ddrm method(singular_system_of(measuring()), y, 0, 5);
  std::vector<float> x(3);
  fill_standard_normal(x, 1);
  for (float& v : x) v *= static_cast<float>(nodes.front().level.sigma);
  method.start(x, nodes.front().level);
  const auto fits = [&](auto state, double alpha, double tolerance) {
    const VectorXd v = Eigen::Map<const Eigen::VectorXf>(state.data(), 3).cast<double>() / alpha;
    const VectorXd error = measuring() * v - Eigen::Map<const VectorXd>(y.data(), 2);
    EXPECT_LT(error.norm(), tolerance);
  };
  sampling run(ddim(nodes), network_description{predicts_sample}, x, no_noise{},
               [&](std::span<float> clean, std::size_t items, const node& at) {
                 method.see(clean, items, at);
               });
  for (auto now = run.advance(); now != sampling_event::finished; now = run.advance())
    if (now == sampling_event::step)
      method.apply(run);
    else
      for (std::size_t i = 0; i < 3; ++i)
        run.output()[i] = static_cast<float>(gain(run.at().level)) * run.input()[i];
  fits(run.state(), 1, 1e-6);
}

TEST(ddrm, refuses_what_it_cannot_use) {
  const singular_system a = singular_system_of(measuring());
  EXPECT_EQ(a.values.size(), 2);
  EXPECT_LT((a.left * a.values.asDiagonal() * a.right.transpose() - measuring()).norm(), 1e-12);
  EXPECT_EQ(singular_system_of(MatrixXd::Ones(3, 4)).values.size(), 1);
  EXPECT_THROW(singular_system_of(MatrixXd::Zero(3, 4)), std::invalid_argument);
  EXPECT_THROW(ddrm(a, {1.0}, 1, 1), std::invalid_argument);
  EXPECT_THROW(ddrm(a, {1.0, std::nan("")}, 1, 1), std::invalid_argument);
  EXPECT_THROW(ddrm(a, {1.0, 2.0}, -1, 1), std::invalid_argument);
  EXPECT_THROW(ddrm(a, {1.0, 2.0}, 1, 1, 1.1), std::invalid_argument);
  ddrm method(a, {1.0, 2.0}, 1, 1);
  std::vector<double> four(4);
  EXPECT_THROW(method.start(four, {1, 1}), std::invalid_argument);
  EXPECT_THROW(method.see(std::span<double>(four), 1, node{}), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
