// Can one step do what a sampler needs fifty for?
//
// Teacher: the exact denoiser of a ring of eight Gaussians, stepped through the probability-flow
// ODE. Student: a small perceptron trained by consistency distillation (Song et al. 2023, algorithm
// 2; its target is the student itself, without averaging), which maps any noise level straight to
// data.
//
// What one step costs: where noise that belongs to one cluster borders on that of the next, the
// exact map is nearly a jump. A small network makes it a slope, and noise on the slope ends between
// two clusters. Longer training makes the slope steeper; noise of a cluster's width and a second
// step bring some of the strays back.

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <span>
#include <vector>

#include "support/descend.hpp"
#include "support/gnuplot.hpp"
#include "support/perceptron.hpp"
#include "support/random.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/metric/discrepancy.hpp"
#include "tweedie/metric/wasserstein.hpp"
#include "tweedie/objective/consistency.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/sampler/consistency.hpp"
#include "tweedie/sampler/euler.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/precondition.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/training/time_sampling.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXf;
using network = support::perceptron<float>;

constexpr int training_steps = 5000, levels = 18, per_level = 16, points = 1000;
constexpr int batch_size = per_level * (levels - 1);
constexpr double deviation = 0.75, least = 0.01, highest = 10;

std::vector<oracle::component<double>> ring_parts() {
  std::vector<oracle::component<double>> parts;
  for (int k = 0; k < 8; ++k) {
    const double angle = std::numbers::pi / 4 * k;
    parts.push_back(
        {1, Eigen::Vector2d(std::cos(angle), std::sin(angle)), 0.01 * Eigen::Matrix2d::Identity()});
  }
  return parts;
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

// Heun's second-order step of the probability-flow ODE from one noise level to a lower one.
Eigen::MatrixXd heun_step(const oracle::mixture<double>& data, const Eigen::MatrixXd& x,
                          double from, double to) {
  const Eigen::MatrixXd slope = (x - data.denoise({1, from}, x)) / from;
  const Eigen::MatrixXd end = x + (to - from) * slope;
  return x + (to - from) / 2 * (slope + (end - data.denoise({1, to}, end)) / to);
}

// Share of the points that are 3 deviations or more from every mode: 1.1 % of the data.
double share_astray(const Eigen::MatrixXd& x) {
  const std::vector<oracle::component<double>> parts = ring_parts();
  Eigen::Index astray = 0;
  for (Eigen::Index i = 0; i < x.cols(); ++i)
    astray += std::ranges::none_of(
        parts, [&](const auto& part) { return (x.col(i) - part.mean).norm() < 0.3; });
  return static_cast<double>(astray) / static_cast<double>(x.cols());
}

}  // namespace

int main() {
  const oracle::mixture<double> data(ring_parts());
  support::random_draws random(1);
  const auto normals = [&](Eigen::Index count) {
    Eigen::MatrixXd z(2, count);
    random.fill_normal(z);
    return z;
  };
  // `uniforms` choose the clusters.
  const auto sample = [&](const std::vector<double>& uniforms) {
    const auto count = static_cast<Eigen::Index>(uniforms.size());
    return data.sample(Eigen::Map<const Eigen::VectorXd>(uniforms.data(), count), normals(count));
  };

  network net(
      {.input = 2, .output = 2, .width = 64, .blocks = 3, .time_features = 32, .condition = 64}, 2);
  const std::vector<double> ladder = karras_levels(levels, highest, least);
  const auto rung = [&](int k) { return ladder[static_cast<std::size_t>(k)]; };
  network::activations a, unused;
  // Every batch has the same number of items on each rung of the ladder.
  std::vector<double> from, to, weights;
  for (int i = 0; i < batch_size; ++i) {
    from.push_back(rung(i / per_level));
    to.push_back(rung(i / per_level + 1));
    weights.push_back(1 / (from.back() - to.back()));
  }
  MatrixXf slope(2, batch_size);
  support::descend(
      net.parameters,
      {.title = "distilling",
       .steps = training_steps,
       .learning_rate = 3e-3,
       .average_decay = 0.998},
      [&](int, Eigen::VectorXf& gradient) {
        Eigen::MatrixXd x = sample(random.uniform(batch_size)), next = x;
        const Eigen::MatrixXd z = normals(batch_size);
        for (int k = 0; k + 1 < levels; ++k) {
          auto noisy = x.middleCols(k * per_level, per_level);
          noisy += rung(k) * z.middleCols(k * per_level, per_level);
          next.middleCols(k * per_level, per_level) = heun_step(data, noisy, rung(k), rung(k + 1));
        }
        const MatrixXf wanted = student(net, next.cast<float>(), to, unused);
        const MatrixXf f = student(net, x.cast<float>(), from, a);
        const double loss = mean_over_items(regression(f, wanted, weights, pseudo_huber_error(0.03),
                                                       reduction::sum_over_dimensions, slope));
        for (Eigen::Index i = 0; i < batch_size; ++i)
          slope.col(i) *= static_cast<float>(
              consistency_preconditioning(from[static_cast<std::size_t>(i)], deviation, least).out /
              batch_size);
        net.backward(slope, a, gradient);
        return loss;
      });

  // Every cluster equally often, so that distances do not measure the luck of the draw.
  const std::vector<double> evenly = low_discrepancy(0, points);
  const Eigen::MatrixXd fresh = sample(evenly), other = sample(evenly), z = normals(points);
  Eigen::MatrixXd directions(2, 32);
  for (int k = 0; k < 32; ++k)
    directions.col(k) << std::cos(std::numbers::pi * k / 32), std::sin(std::numbers::pi * k / 32);
  std::printf("%-28s %5s %12s %12s %10s\n", "", "calls", "sliced W2", "energy", "astray");
  struct distance {
    double energy, astray;
  };
  const auto report = [&](const char* name, std::size_t calls, const Eigen::MatrixXd& x) {
    const distance d{energy_distance(x, fresh), share_astray(x)};
    std::printf("%-28s %5zu %12.4f %12.5f %8.1f %%\n", name, calls,
                sliced_wasserstein(x, fresh, directions), d.energy, 100 * d.astray);
    return d;
  };
  const edm_schedule schedule(highest);
  const network_description denoiser{predicts_sample};
  std::vector<distance> teacher, students;
  for (const int steps : {1, 2, 5, 50}) {
    const std::vector<double> times =
        steps == 1 ? std::vector<double>{highest} : karras_levels(steps, highest, least);
    Eigen::MatrixXd x = highest * z;
    run(euler(ending_clean(schedule, at_times(schedule, times))), denoiser, x,
        [&](const auto& input, double t, auto&& output) {
          output = data.denoise(schedule(t), input);
        });
    teacher.push_back(report("teacher, Euler", times.size(), x));
  }
  std::vector<Eigen::MatrixXd> answers;
  // The network knows the rungs of its ladder: rung 13 is 0.10, the width of a cluster.
  const std::vector<std::vector<double>> ways = {{highest}, {highest, rung(13)}};
  for (const std::vector<double>& times : ways) {
    MatrixXf x = (highest * z).cast<float>();
    run(
        consistency(ending_clean(schedule, at_times(schedule, times))), denoiser, x,
        [&](const auto& input, double t, auto&& output) {
          output = student(net, input, std::vector<double>(points, t), a);
        },
        gaussian_noise{3});
    answers.push_back(x.cast<double>());
    students.push_back(report("student", times.size(), answers.back()));
  }
  report("fresh data", 0, other);
  const auto verdict = [](const char* text, bool holds) {
    std::printf("%s: %s\n", text, holds ? "yes" : "no");
  };
  verdict("one step of the student is nearer to the data than five of the teacher",
          students[0].energy < teacher[2].energy);
  verdict("it leaves over twice as many points between the clusters as the data has",
          students[0].astray > 2 * 0.011);
  verdict("noise 0.10 and a second step bring some of them back",
          students[1].astray < students[0].astray);

  const auto cloud = [](const char* title, const Eigen::MatrixXd& x, double right) {
    const Eigen::VectorXd first = x.row(0).array() + right, second = x.row(1);
    return support::curve{title, {first.begin(), first.end()}, {second.begin(), second.end()}};
  };
  support::plot("distill_consistency.png",
                "set size ratio -1\nunset xtics\nset xrange [-1.5:7.1]\nset yrange [-1.5:2.2]",
                {cloud("data", fresh, 0), cloud("student, one step", answers[0], 2.8),
                 cloud("two steps", answers[1], 5.6)},
                "points pt 7 ps 0.3");
}
