// The loop around every training: Adam, a rate that rises over the first steps and falls along a
// cosine, and an average of the parameters, which is what remains at the end.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>

#include "progress.hpp"
#include "tweedie/solve/adam.hpp"
#include "tweedie/tensor/traits.hpp"

namespace support {

struct descent {
  const char* title = "training";
  int steps = 1000;
  double learning_rate = 2e-3;
  int rising_steps = 0;
  double average_decay = 0.999;
  double second_decay = 0.999;  // of Adam
};

// `loss(step, gradient)` returns the loss and adds its derivative to `gradient`, which is zero.
template <typename Scalar, class Loss>
void descend(Eigen::Matrix<Scalar, Eigen::Dynamic, 1>& parameters, const descent& options,
             const Loss& loss) {
  Eigen::Matrix<Scalar, Eigen::Dynamic, 1> average = parameters, gradient = parameters;
  tweedie::adam<Scalar> optimiser{.second_decay = options.second_decay};
  progress bar(options.title, options.steps);
  double shown = 0;
  for (int step = 0; step < options.steps; ++step) {
    gradient.setZero();
    const double value = loss(step, gradient);
    const double done = (step + 1.0) / options.steps;
    const double rate = options.learning_rate *
                        std::min(1.0, (step + 1.0) / std::max(1, options.rising_steps)) *
                        (1 + std::cos(std::numbers::pi * done)) / 2;
    optimiser.step(tweedie::elements(parameters), tweedie::elements(gradient), rate);
    // Early on the average is that of the steps so far.
    const double follow = std::max(1 - options.average_decay, 9.0 / (10.0 + step));
    average += static_cast<Scalar>(follow) * (parameters - average);
    shown += (step == 0 ? 1 : 0.02) * (value - shown);
    char text[32];
    std::snprintf(text, sizeof text, "loss %.4f", shown);
    bar.show(step + 1, text);
  }
  parameters = average;
}

}  // namespace support
