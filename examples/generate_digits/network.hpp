// The network of this example: told a time and a digit, it guesses the clean picture.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../support/halves.hpp"
#include "../support/perceptron.hpp"
#include "tweedie/program/network.hpp"

namespace digits {

// Pictures, a time and a class in, pictures out.
inline support::perceptron_shape digit_shape(Eigen::Index pixels, Eigen::Index classes,
                                             Eigen::Index width = 384, Eigen::Index blocks = 3) {
  return {.input = pixels,
          .output = pixels,
          .width = width,
          .blocks = blocks,
          .classes = classes,
          .time_features = 64};
}

class digit_network {
 public:
  using perceptron = support::perceptron<float>;

  digit_network(const support::perceptron_shape& shape, std::uint64_t seed)
      : perceptron_(shape, seed) {}

  // What a sampler must know of it. A sample predictor suits a small network: its answer lies
  // among the pictures, where noise fills the whole space (Li and He 2025).
  tweedie::network_description description() const {
    return {.prediction = tweedie::predicts_sample};
  }

  Eigen::Index pixels() const { return perceptron_.shape().input; }
  int no_class() const { return perceptron_.shape().no_class(); }
  Eigen::VectorXf& parameters() { return perceptron_.parameters; }

  // Answers for a batch, one time and label per item.
  template <class Output>
  void operator()(const Eigen::Ref<const Eigen::MatrixXf>& x, const std::vector<double>& times,
                  const std::vector<int>& labels, Output&& output) {
    support::in_halves(x.cols(), [&](const support::half& half) {
      output.middleCols(half.first, half.count) =
          perceptron_.forward(x.middleCols(half.first, half.count), part(times, half),
                              part(labels, half), activations_[at(half)]);
    });
  }

  // d loss / d parameters for the last batch, given d loss / d output. The two halves are added in
  // a fixed order.
  const Eigen::VectorXf& backward(const Eigen::MatrixXf& output_gradient) {
    support::in_halves(output_gradient.cols(), [&](const support::half& half) {
      gradients_[at(half)].setZero(perceptron_.parameters.size());
      perceptron_.backward(output_gradient.middleCols(half.first, half.count),
                           activations_[at(half)], gradients_[at(half)]);
    });
    gradients_[0] += gradients_[1];
    return gradients_[0];
  }

 private:
  static std::size_t at(const support::half& half) { return static_cast<std::size_t>(half.index); }
  template <class T>
  static std::span<const T> part(const std::vector<T>& values, const support::half& half) {
    return std::span(values).subspan(static_cast<std::size_t>(half.first),
                                     static_cast<std::size_t>(half.count));
  }

  perceptron perceptron_;
  std::array<perceptron::activations, 2> activations_;
  std::array<Eigen::VectorXf, 2> gradients_;
};

}  // namespace digits
