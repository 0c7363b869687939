// Training: noise the pictures, ask the network what they were, follow the gradient.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "../support/adam.hpp"
#include "../support/progress.hpp"
#include "dataset.hpp"
#include "network.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/objective/time_sampling.hpp"
#include "tweedie/objective/training_batch.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/noise.hpp"

namespace digits {

struct training_options {
  int steps = 5000;
  int batch = 256;
  double learning_rate = 2e-3;   // rises over the first steps, then falls along a cosine
  double average_decay = 0.999;  // of the parameters that are kept
  double untold_share = 0.1;     // of labels hidden, for classifier-free guidance
  std::uint64_t seed = 1;
};

// Leaves the averaged parameters in the network.
inline void train(digit_network& network, const tweedie::discrete_schedule& schedule,
                  const dataset& data, const training_options& options) {
  std::mt19937_64 engine(options.seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::uniform_int_distribution<std::size_t> any(0, data.labels.size() - 1);
  const auto count = static_cast<std::size_t>(options.batch);
  Eigen::MatrixXf x0(network.pixels(), options.batch), z(x0), output(x0), gradient(x0);
  std::vector<int> labels(count);
  Eigen::VectorXf average = network.parameters();
  support::adam<float> optimiser{.second_decay = 0.99};
  support::progress bar("training", options.steps);
  double shown_loss = 0;

  for (int step = 0; step < options.steps; ++step) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t pick = any(engine);
      x0.col(static_cast<Eigen::Index>(i)) = data.pictures.col(static_cast<Eigen::Index>(pick));
      labels[i] = uniform(engine) < options.untold_share ? network.no_class() : data.labels[pick];
    }
    tweedie::gaussian_noise{options.seed}.fill({.draw = step, .kind = {}, .items = count},
                                               tweedie::elements(z));
    const std::vector<double> times = tweedie::draw_discrete_times(
        schedule.steps(), tweedie::low_discrepancy(uniform(engine), count));
    const auto batch = tweedie::make_training_batch(x0, z, schedule, network.description(), times,
                                                    tweedie::sample_weighting);

    network(batch.input, batch.network_times(), labels, output);
    const std::vector<double> losses =
        tweedie::regression(output, batch.target, batch.weights(), tweedie::squared_error{},
                            tweedie::reduction::mean_over_dimensions, gradient);
    const double loss = tweedie::mean_over_items(losses);
    gradient /= static_cast<float>(options.batch);

    const double done = (step + 1.0) / options.steps;
    const double rate = options.learning_rate * std::min(1.0, (step + 1) / 200.0) *
                        (1 + std::cos(std::numbers::pi * done)) / 2;
    // Early on the average is that of the steps so far.
    optimiser.step(network.parameters(), network.backward(gradient), rate, average,
                   1 - std::max(1 - options.average_decay, 9.0 / (10.0 + step)));

    shown_loss += (step == 0 ? 1 : 0.02) * (loss - shown_loss);
    char text[32];
    std::snprintf(text, sizeof text, "loss %.4f", shown_loss);
    bar.show(step + 1, text);
  }
  network.parameters() = average;
}

}  // namespace digits
