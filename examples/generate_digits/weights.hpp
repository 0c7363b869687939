// Weights are kept between runs, in a file named after everything they depend on.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>

#include "../support/dataset.hpp"
#include "../support/fingerprint.hpp"
#include "../support/npy.hpp"
#include "../support/perceptron.hpp"
#include "train.hpp"

namespace digits {

inline std::filesystem::path weights_file(const std::filesystem::path& folder, const dataset& data,
                                          const support::perceptron_shape& shape,
                                          const training_options& training) {
  support::fingerprint print;
  print.add(
      std::span<const float>(data.pictures.data(), static_cast<std::size_t>(data.pictures.size())));
  print.add(std::span<const int>(data.labels));
  print.add(std::span(&shape, 1));
  const std::uint64_t numbers[] = {static_cast<std::uint64_t>(training.steps), training.seed};
  print.add(std::span<const std::uint64_t>(numbers));
  return folder / ("weights-" + print.text() + ".npy");
}

// Loads the file if it is there and may be used, otherwise trains and writes it.
inline void train_or_load(digit_network& network, const tweedie::discrete_schedule& schedule,
                          const dataset& data, const training_options& training,
                          const std::filesystem::path& file, bool retrain) {
  if (std::filesystem::exists(file) && !retrain) {
    const Eigen::VectorXf weights = support::load_npy(file);
    if (weights.size() != network.parameters().size())
      throw std::runtime_error(file.string() + " holds " + std::to_string(weights.size()) +
                               " weights, the network has " +
                               std::to_string(network.parameters().size()) + "; pass --retrain");
    network.parameters() = weights;
    std::printf("weights of an earlier run: %s\n", file.c_str());
    return;
  }
  train(network, schedule, data, training);
  support::save_npy(file, network.parameters());
}

}  // namespace digits
