// Rectified flow with the example perceptron: training on pairs, walking, and how straight the walk
// is.
#pragma once

#include <Eigen/Core>
#include <span>
#include <utility>
#include <vector>

#include "../support/descend.hpp"
#include "../support/perceptron.hpp"
#include "../support/random.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/metric/trajectory.hpp"
#include "tweedie/objective/flow_matching.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/sampler/euler.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/solve/run.hpp"
#include "tweedie/training/time_sampling.hpp"
#include "tweedie/training/training_batch.hpp"

namespace flows {

using Eigen::MatrixXf;
using network = support::perceptron<float>;

inline const tweedie::rectified_flow path;
inline const tweedie::network_description velocity_network{
    tweedie::predicts_rectified_velocity, [](const tweedie::node&) { return 1.0; },
    [](const tweedie::node& n) { return 1000 * n.time; }};

// Data and the noise that each item is joined with by a straight line.
struct pairs {
  MatrixXf data, noise;

  pairs some(const std::vector<Eigen::Index>& picks) const {
    return {data(Eigen::all, picks), noise(Eigen::all, picks)};
  }
};

// `draw()` gives the pairs of a batch.
template <class Draw>
void train(network& net, const support::descent& options, support::random_draws& random,
           const Draw& draw) {
  network::activations a;
  support::descend(net.parameters, options, [&](int, Eigen::VectorXf& gradient) {
    const pairs batch = draw();
    const auto count = static_cast<std::size_t>(batch.data.cols());
    const std::vector<double> times = tweedie::low_discrepancy(random.uniform(1)[0], count);
    const auto shown = tweedie::make_training_batch(batch.data, batch.noise, path, velocity_network,
                                                    times, tweedie::velocity_weighting);
    MatrixXf slope = batch.data;
    const double loss = tweedie::mean_over_items(tweedie::regression(
        net.forward(shown.input, shown.network_times(), {}, a), shown.target, shown.weights(),
        tweedie::squared_error{}, tweedie::reduction::mean_over_dimensions, slope));
    net.backward(slope / static_cast<float>(count), a, gradient);
    return loss;
  });
}

// Data from noise in `steps` Euler steps. `watch(state, velocity)` sees every evaluation.
template <class Watch>
MatrixXf flow(const network& net, MatrixXf x, int steps, const Watch& watch) {
  network::activations a;
  const auto items = static_cast<std::size_t>(x.cols());
  tweedie::run(tweedie::euler(tweedie::uniform(path, steps)), velocity_network, x,
               [&](const auto& input, double time, auto&& output) {
                 output = net.forward(input, std::vector<double>(items, time), {}, a);
                 watch(input, a.output);
               });
  return x;
}

inline MatrixXf flow(const network& net, const MatrixXf& noise, int steps) {
  return flow(net, noise, steps, [](const auto&, const auto&) {});
}

// int |(x_1 - x_0) - v|^2 dt of the walk, divided by the mean of |x_1 - x_0|^2: 0 if all paths are
// straight lines walked at constant speed.
inline double bend(const network& net, const MatrixXf& noise, int steps) {
  std::vector<MatrixXf> velocities;
  const MatrixXf data = flow(net, noise, steps, [&](const auto&, const MatrixXf& velocity) {
    velocities.push_back(velocity);
  });
  network::activations a;
  velocities.push_back(
      net.forward(data, std::vector<double>(static_cast<std::size_t>(noise.cols()), 0.0), {}, a));
  std::vector<double> times;
  for (int k = 0; k <= steps; ++k) times.push_back(static_cast<double>(k) / steps);
  const std::vector<MatrixXf> rising(velocities.rbegin(), velocities.rend());
  return tweedie::mean_over_items(tweedie::straightness<MatrixXf>(data, noise, times, rising)) /
         static_cast<double>((noise - data).colwise().squaredNorm().mean());
}

}  // namespace flows
