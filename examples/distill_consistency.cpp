// Can one step do what a sampler needs fifty for?
//
// Teacher: the exact denoiser of a ring of eight Gaussians, stepped through the probability-flow
// ODE. Student: a small perceptron trained by consistency distillation (Song et al. 2023, algorithm
// 2), which maps any noise level straight to data. Both are measured by their distance to data.

#include <Eigen/Core>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <random>
#include <vector>

#include "support/adam.hpp"
#include "support/gnuplot.hpp"
#include "support/perceptron.hpp"
#include "support/progress.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/metric/discrepancy.hpp"
#include "tweedie/objective/averaging.hpp"
#include "tweedie/objective/consistency.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/sampler/euler.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/precondition.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/random.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXf;
using network = support::perceptron<float>;

constexpr int training_steps = 4000, batch_size = 256, levels = 40, points = 1000;
constexpr double deviation = 0.75, least = 0.01, highest = 10;

oracle::mixture<double> ring() {
  std::vector<oracle::component<double>> parts;
  for (int k = 0; k < 8; ++k) {
    const double angle = std::numbers::pi / 4 * k;
    parts.push_back(
        {1, Eigen::Vector2d(std::cos(angle), std::sin(angle)), 0.01 * Eigen::Matrix2d::Identity()});
  }
  return oracle::mixture<double>(parts);
}

// f(x, level) = skip x + out F(in x): the identity at the least level, whatever F says.
MatrixXf student(const network& net, const MatrixXf& x, std::span<const double> at,
                 network::activations& a) {
  MatrixXf scaled = x;
  std::vector<double> times;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const preconditioning p = consistency_preconditioning(at[i], deviation, least);
    scaled.col(static_cast<Eigen::Index>(i)) *= static_cast<float>(p.in);
    times.push_back(500 + 100 * std::log(at[i]));
  }
  MatrixXf f = net.forward(scaled, times, {}, a);
  for (std::size_t i = 0; i < at.size(); ++i) {
    const preconditioning p = consistency_preconditioning(at[i], deviation, least);
    const auto column = static_cast<Eigen::Index>(i);
    f.col(column) =
        static_cast<float>(p.skip) * x.col(column) + static_cast<float>(p.out) * f.col(column);
  }
  return f;
}

}  // namespace

int main() {
  const oracle::mixture<double> data = ring();
  std::mt19937_64 engine(1);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::normal_distribution<double> normal;
  const auto normals = [&](Eigen::Index count) {
    return Eigen::MatrixXd::NullaryExpr(2, count, [&] { return normal(engine); }).eval();
  };
  const auto sample = [&](Eigen::Index count) {
    const Eigen::VectorXd u = Eigen::VectorXd::NullaryExpr(count, [&] { return uniform(engine); });
    return data.sample(u, normals(count));
  };

  network net(
      {.input = 2, .output = 2, .width = 64, .blocks = 3, .time_features = 32, .condition = 64}, 1);
  network target = net;
  Eigen::VectorXf average = net.parameters, sum(net.parameters.size());
  support::adam<float> optimiser;
  support::progress bar("distilling", training_steps);
  const std::vector<double> ladder = karras_levels(levels, highest, least);
  std::uniform_int_distribution<std::size_t> any(0, ladder.size() - 2);
  network::activations a, unused;
  MatrixXf gradient(2, batch_size);
  for (int step = 0; step < training_steps; ++step) {
    Eigen::MatrixXd x = sample(batch_size), next = x;
    const Eigen::MatrixXd z = normals(batch_size);
    std::vector<double> from, to, weights;
    for (Eigen::Index i = 0; i < batch_size; ++i) {
      const std::size_t k = any(engine);
      from.push_back(ladder[k]);
      to.push_back(ladder[k + 1]);
      weights.push_back(1 / (from.back() - to.back()));
      x.col(i) += from.back() * z.col(i);
      const solver_step s = first_order_step({1, from.back()}, {1, to.back()});
      next.col(i) = s.x * x.col(i) + s.clean * data.denoise({1, from.back()}, x.col(i));
    }
    const MatrixXf wanted = student(target, next.cast<float>(), to, unused);
    const MatrixXf f = student(net, x.cast<float>(), from, a);
    const double loss = mean_over_items(regression(f, wanted, weights, pseudo_huber_error(0.03),
                                                   reduction::sum_over_dimensions, gradient));
    for (Eigen::Index i = 0; i < batch_size; ++i)
      gradient.col(i) *= static_cast<float>(
          consistency_preconditioning(from[static_cast<std::size_t>(i)], deviation, least).out /
          batch_size);
    sum.setZero();
    net.backward(gradient, a, sum);
    const double done = (step + 1.0) / training_steps;
    optimiser.step(net.parameters, sum, 1e-3 * (1 + std::cos(std::numbers::pi * done)) / 2, average,
                   1 - std::max(2e-3, 9.0 / (10.0 + step)));
    update_average(elements(target.parameters), std::span<const float>(elements(net.parameters)),
                   0.9);
    if (step % 50 == 0 || step + 1 == training_steps) {
      char text[32];
      std::snprintf(text, sizeof text, "loss %.4f", loss);
      bar.show(step + 1, text);
    }
  }
  net.parameters = average;

  const Eigen::MatrixXd fresh = sample(points), other = sample(points), z = normals(points);
  Eigen::MatrixXd directions(2, 32);
  for (int k = 0; k < 32; ++k)
    directions.col(k) << std::cos(std::numbers::pi * k / 32), std::sin(std::numbers::pi * k / 32);
  const auto report = [&](const char* name, int evaluations, const Eigen::MatrixXd& x) {
    std::printf("%-28s %5d %12.4f %12.5f\n", name, evaluations,
                sliced_wasserstein(x, fresh, directions), energy_distance(x, fresh));
  };
  std::printf("%-28s %5s %12s %12s\n", "", "calls", "sliced W2", "energy");
  const edm_schedule schedule(highest);
  const network_description denoiser{predicts_sample};
  for (const int steps : {1, 2, 5, 50}) {
    const std::vector<double> times =
        steps == 1 ? std::vector<double>{highest} : karras_levels(steps, highest, least);
    Eigen::MatrixXd x = highest * z;
    run(euler(ending_clean(schedule, at_times(schedule, times))), x, denoiser,
        [&](const auto& input, double t, auto&& output) {
          output = data.denoise(schedule(t), input);
        });
    report("teacher, Euler", steps, x);
  }
  const std::vector<double> top(points, highest);
  const MatrixXf once = student(net, (highest * z).cast<float>(), top, a);
  report("student", 1, once.cast<double>());
  report("fresh data", 0, other);

  const auto cloud = [](const char* title, const Eigen::MatrixXd& x) {
    const Eigen::VectorXd first = x.row(0), second = x.row(1);
    return support::curve{title, {first.begin(), first.end()}, {second.begin(), second.end()}};
  };
  support::plot("distill_consistency.png", "set size ratio -1",
                {cloud("data", fresh), cloud("student, one step", once.cast<double>())},
                "points pt 7 ps 0.4");
}
