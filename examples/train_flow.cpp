// Are the paths of flow matching straight, and what does reflow change?
//
// Rectified flow from noise to two moons, learned by a small perceptron. The paths it is trained on
// are straight, those it learns are not, so few steps do badly. Trained again on the pairs that its
// own flow makes, the paths are nearly straight and one step is nearly enough (Liu et al. 2023).

#include <Eigen/Core>
#include <cmath>
#include <cstdio>
#include <functional>
#include <numbers>
#include <random>
#include <vector>

#include "support/adam.hpp"
#include "support/gnuplot.hpp"
#include "support/perceptron.hpp"
#include "support/progress.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/metric/discrepancy.hpp"
#include "tweedie/objective/flow_matching.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/objective/time_sampling.hpp"
#include "tweedie/objective/training_batch.hpp"
#include "tweedie/sampler/euler.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/tensor/random.hpp"

namespace {

using Eigen::MatrixXf;
using network = support::perceptron<float>;

constexpr int points = 1000, training_steps = 2000, batch_size = 256, fine_steps = 50;
const tweedie::rectified_flow path;
const tweedie::network_description velocity_network{
    tweedie::predicts_rectified_velocity, [](const tweedie::node&) { return 1.0; },
    [](const tweedie::node& n) { return 1000 * n.time; }};

MatrixXf two_moons(int count, std::mt19937_64& engine) {
  std::uniform_real_distribution<float> uniform(0, 1);
  std::normal_distribution<float> normal(0, 0.08F);
  MatrixXf x(2, count);
  for (int i = 0; i < count; ++i) {
    const float angle = std::numbers::pi_v<float> * uniform(engine);
    const float side = uniform(engine) < 0.5F ? 1.0F : -1.0F;
    x(0, i) = side * (std::cos(angle) - 0.5F) + normal(engine);
    x(1, i) = side * (std::sin(angle) - 0.25F) + normal(engine);
  }
  return 1.5F * x;
}

void answer(const network& net, const MatrixXf& x, std::span<const double> times, MatrixXf& v) {
  network::activations a;
  v = net.forward(x, times, {}, a);
}

// Fills data and the noise that belongs to it.
using pair_maker = std::function<void(MatrixXf& x0, MatrixXf& z)>;

void train(network& net, const pair_maker& make_pairs, const char* title, std::mt19937_64& engine) {
  std::uniform_real_distribution<double> uniform(0, 1);
  MatrixXf x0(2, batch_size), z(2, batch_size), gradient(2, batch_size);
  network::activations a;
  Eigen::VectorXf average = net.parameters, sum(net.parameters.size());
  support::adam<float> optimiser;
  support::progress bar(title, training_steps);
  for (int step = 0; step < training_steps; ++step) {
    make_pairs(x0, z);
    const std::vector<double> times = tweedie::low_discrepancy(uniform(engine), batch_size);
    const auto batch = tweedie::make_training_batch(x0, z, path, velocity_network, times,
                                                    tweedie::velocity_weighting);
    const MatrixXf& output = net.forward(batch.input, batch.network_times(), {}, a);
    const double loss = tweedie::mean_over_items(
        tweedie::regression(output, batch.target, batch.weights(), tweedie::squared_error{},
                            tweedie::reduction::sum_over_dimensions, gradient));
    gradient /= batch_size;
    sum.setZero();
    net.backward(gradient, a, sum);
    const double done = (step + 1.0) / training_steps;
    optimiser.step(net.parameters, sum, 2e-3 * (1 + std::cos(std::numbers::pi * done)) / 2, average,
                   1 - std::max(1e-3, 9.0 / (10.0 + step)));
    if (step % 50 == 0 || step + 1 == training_steps) {
      char text[32];
      std::snprintf(text, sizeof text, "loss %.3f", loss);
      bar.show(step + 1, text);
    }
  }
  net.parameters = average;
}

// Data from noise in `steps` Euler steps; velocities on the way, from noise to data, if wanted.
MatrixXf flow(const network& net, MatrixXf x, int steps,
              std::vector<MatrixXf>* velocities = nullptr,
              std::vector<MatrixXf>* states = nullptr) {
  const tweedie::program plan = tweedie::euler(tweedie::uniform(path, steps));
  const auto items = static_cast<std::size_t>(x.cols());
  tweedie::run(plan, x, velocity_network, [&](const auto& input, double time, auto&& output) {
    MatrixXf v;
    answer(net, input, std::vector<double>(items, time), v);
    output = v;
    if (velocities != nullptr) velocities->push_back(v);
    if (states != nullptr) states->push_back(input);
  });
  return x;
}

double mean_straightness(const network& net, const MatrixXf& noise) {
  std::vector<MatrixXf> velocities;
  const MatrixXf data = flow(net, noise, fine_steps, &velocities);
  velocities.emplace_back();
  answer(net, data, std::vector<double>(static_cast<std::size_t>(noise.cols()), 0.0),
         velocities.back());
  std::vector<double> times;
  for (int k = 0; k <= fine_steps; ++k) times.push_back(static_cast<double>(k) / fine_steps);
  const std::vector<MatrixXf> rising(velocities.rbegin(), velocities.rend());
  return tweedie::mean_over_items(tweedie::straightness<MatrixXf>(data, noise, times, rising));
}

void plot_paths(const network& net, const MatrixXf& noise, const char* file) {
  std::vector<MatrixXf> states;
  states.push_back(flow(net, noise, fine_steps, nullptr, &states));
  std::vector<support::curve> curves;
  for (Eigen::Index i = 0; i < 40; ++i) {
    support::curve c{"", {}, {}};
    for (const MatrixXf& x : states) {
      c.x.push_back(x(0, i));
      c.y.push_back(x(1, i));
    }
    curves.push_back(std::move(c));
  }
  support::plot(file, "set size ratio -1\nunset key", curves, "lines lw 1");
}

}  // namespace

int main() {
  std::mt19937_64 engine(1);
  std::normal_distribution<float> normal;
  const support::perceptron_shape shape{
      .input = 2, .output = 2, .width = 64, .blocks = 3, .time_features = 32, .condition = 64};

  network first(shape, 1);
  train(
      first,
      [&](MatrixXf& x0, MatrixXf& z) {
        x0 = two_moons(batch_size, engine);
        z = z.unaryExpr([&](float) { return normal(engine); });
      },
      "flow", engine);

  MatrixXf noise(2, points);
  tweedie::fill_standard_normal(noise, 5);
  MatrixXf pair_noise(2, 8000);
  tweedie::fill_standard_normal(pair_noise, 6);
  const MatrixXf pair_data = flow(first, pair_noise, fine_steps);

  network second = first;
  std::uniform_int_distribution<Eigen::Index> any(0, pair_noise.cols() - 1);
  train(
      second,
      [&](MatrixXf& x0, MatrixXf& z) {
        for (Eigen::Index i = 0; i < batch_size; ++i) {
          const Eigen::Index pick = any(engine);
          x0.col(i) = pair_data.col(pick);
          z.col(i) = pair_noise.col(pick);
        }
      },
      "reflow", engine);

  const MatrixXf target = two_moons(points, engine), other = two_moons(points, engine);
  MatrixXf directions(2, 32);
  for (int k = 0; k < 32; ++k)
    directions.col(k) << std::cos(0.098F * static_cast<float>(k)),
        std::sin(0.098F * static_cast<float>(k));
  std::printf("%-10s %14s   sliced W2 to the moons after 1, 2, 4, 16, 50 steps\n", "",
              "straightness");
  for (const auto& [name, net] : {std::pair("flow", &first), std::pair("reflow", &second)}) {
    std::printf("%-10s %14.4f  ", name, mean_straightness(*net, noise));
    for (const int steps : {1, 2, 4, 16, 50})
      std::printf(" %8.4f",
                  tweedie::sliced_wasserstein(flow(*net, noise, steps), target, directions));
    std::printf("\n");
  }
  std::printf("%-10s %14s   %8.4f\n", "fresh data", "",
              tweedie::sliced_wasserstein(other, target, directions));
  plot_paths(first, noise, "train_flow_paths.png");
  plot_paths(second, noise, "train_flow_reflowed_paths.png");
}
