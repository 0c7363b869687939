// Two moons in the plane: paths that can be looked at.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <vector>

#include "../support/gnuplot.hpp"
#include "flow.hpp"
#include "tweedie/metric/wasserstein.hpp"

namespace flows {

inline MatrixXf two_moons(Eigen::Index count, support::random_draws& random) {
  MatrixXf x(2, count);
  random.fill_normal(x);
  const std::vector<double> u = random.uniform(2 * count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const double angle = std::numbers::pi * u[static_cast<std::size_t>(2 * i)];
    const double side = u[static_cast<std::size_t>(2 * i + 1)] < 0.5 ? 1 : -1;
    const Eigen::Vector2d arc(side * (std::cos(angle) - 0.5), side * (std::sin(angle) - 0.25));
    x.col(i) = 1.5F * (arc.cast<float>() + 0.08F * x.col(i));
  }
  return x;
}

inline void plot_paths(const network& net, const MatrixXf& noise, int steps, const char* file) {
  std::vector<support::curve> curves(static_cast<std::size_t>(noise.cols()));
  const auto add = [&](const MatrixXf& x) {
    for (Eigen::Index i = 0; i < x.cols(); ++i) {
      curves[static_cast<std::size_t>(i)].x.push_back(x(0, i));
      curves[static_cast<std::size_t>(i)].y.push_back(x(1, i));
    }
  };
  add(flow(net, noise, steps, [&](const auto& x, const auto&) { add(x); }));
  support::plot(file, "set size ratio -1\nunset key", curves, "lines lw 1");
}

// Prints the table and the two verdicts.
inline void flow_to_moons() {
  constexpr Eigen::Index points = 1000, batch = 256, couples = 8000;
  constexpr int fine_steps = 50;
  support::random_draws random(1);
  const support::descent training{.title = "moons", .steps = 1500};

  network first(
      {.input = 2, .output = 2, .width = 64, .blocks = 3, .time_features = 32, .condition = 64}, 2);
  train(first, training, random, [&] {
    pairs drawn{two_moons(batch, random), MatrixXf(2, batch)};
    random.fill_normal(drawn.noise);
    return drawn;
  });

  pairs coupled{{}, MatrixXf(2, couples)};
  random.fill_normal(coupled.noise);
  coupled.data = flow(first, coupled.noise, fine_steps);
  network second = first;
  train(second, {.title = "moons, reflow", .steps = 1500}, random,
        [&] { return coupled.some(random.below(couples, batch)); });

  const MatrixXf target = two_moons(points, random), other = two_moons(points, random);
  MatrixXf noise(2, points), directions(2, 32);
  random.fill_normal(noise);
  for (int k = 0; k < 32; ++k) {
    const double angle = std::numbers::pi * k / 32;
    directions.col(k) = Eigen::Vector2d(std::cos(angle), std::sin(angle)).cast<float>();
  }
  const auto distance = [&](const MatrixXf& x) {
    return tweedie::sliced_wasserstein(x, target, directions);
  };
  std::printf("%-12s %8s   sliced W2 to the data after 1, 2, 4, 16, 50 steps\n", "two moons",
              "bend");
  std::vector<double> bends, one_step;
  for (const network* net : {&first, &second}) {
    bends.push_back(bend(*net, noise, fine_steps));
    one_step.push_back(distance(flow(*net, noise, 1)));
    std::printf("%-12s %8.4f  ", net == &first ? "flow" : "reflow", bends.back());
    for (const int steps : {1, 2, 4, 16, 50})
      std::printf(" %8.4f", distance(flow(*net, noise, steps)));
    std::printf("\n");
  }
  const double fifty_steps = distance(flow(first, noise, fine_steps));
  std::printf("%-12s %8s   %8.4f\n", "fresh data", "", distance(other));
  std::printf("reflow takes 99 %% of the bend away: %s\n",
              bends[1] < 0.01 * bends[0] ? "yes" : "no");
  std::printf("one step after reflow is within 0.05 of 50 steps before: %s\n",
              one_step[1] < fifty_steps + 0.05 ? "yes" : "no");
  const MatrixXf shown = noise.leftCols(40);
  plot_paths(first, shown, fine_steps, "train_flow_paths.png");
  plot_paths(second, shown, fine_steps, "train_flow_reflowed_paths.png");
}

}  // namespace flows
