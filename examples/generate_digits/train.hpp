// Training: noise the pictures, ask the network what they were, follow the gradient.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "../support/dataset.hpp"
#include "../support/descend.hpp"
#include "../support/random.hpp"
#include "network.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/training/time_sampling.hpp"
#include "tweedie/training/training_batch.hpp"

namespace digits {

using support::dataset;

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
  support::random_draws random(options.seed);
  Eigen::MatrixXf x0(network.pixels(), options.batch), z(x0), output(x0), slope(x0);
  const auto loss = [&](int, Eigen::VectorXf& gradient) {
    std::vector<int> labels;
    const std::vector<Eigen::Index> picks = random.below(data.pictures.cols(), options.batch);
    const std::vector<double> hidden = random.uniform(options.batch);
    for (std::size_t i = 0; i < picks.size(); ++i) {
      x0.col(static_cast<Eigen::Index>(i)) = data.pictures.col(picks[i]);
      labels.push_back(hidden[i] < options.untold_share
                           ? network.no_class()
                           : data.labels[static_cast<std::size_t>(picks[i])]);
    }
    random.fill_normal(z);
    const std::vector<double> times = tweedie::draw_discrete_times(
        schedule.steps(), tweedie::low_discrepancy(random.uniform(1)[0], picks.size()));
    const auto batch = tweedie::make_training_batch(x0, z, schedule, network.description(), times,
                                                    tweedie::sample_weighting);
    network(batch.input, batch.network_times(), labels, output);
    const std::vector<double> losses =
        tweedie::regression(output, batch.target, batch.weights(), tweedie::squared_error{},
                            tweedie::reduction::mean_over_dimensions, slope);
    slope /= static_cast<float>(options.batch);
    gradient = network.backward(slope);
    return tweedie::mean_over_items(losses);
  };
  support::descend(network.parameters(),
                   {.steps = options.steps,
                    .learning_rate = options.learning_rate,
                    .rising_steps = 200,
                    .average_decay = options.average_decay,
                    .second_decay = 0.99},
                   loss);
}

}  // namespace digits
