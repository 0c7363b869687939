// Adam (Kingma and Ba 2015, algorithm 1) and the exponential moving average of its iterates.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

namespace support {

template <typename Scalar>
struct adam {
  using vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
  double first_decay = 0.9;
  double second_decay = 0.999;
  double epsilon = 1e-8;
  long steps = 0;
  vector first = {};
  vector second = {};

  // One update of `parameters`; `average` follows them with weight 1 − average_decay.
  void step(vector& parameters, const vector& gradient, double learning_rate, vector& average,
            double average_decay) {
    if (steps == 0) {
      first.setZero(parameters.size());
      second.setZero(parameters.size());
    }
    ++steps;
    const double correction = std::sqrt(1.0 - std::pow(second_decay, steps));
    const auto rate =
        static_cast<Scalar>(learning_rate * correction / (1.0 - std::pow(first_decay, steps)));
    const auto floor = static_cast<Scalar>(epsilon * correction);
    const auto b1 = static_cast<Scalar>(first_decay), b2 = static_cast<Scalar>(second_decay);
    const auto follow = static_cast<Scalar>(1.0 - average_decay);
    constexpr Eigen::Index block = 4096;  // small enough to stay in cache over the four passes
    for (Eigen::Index i = 0; i < parameters.size(); i += block) {
      const Eigen::Index n = std::min(block, parameters.size() - i);
      const auto g = gradient.segment(i, n).array();
      auto m = first.segment(i, n).array(), v = second.segment(i, n).array();
      m = b1 * m + (Scalar(1) - b1) * g;
      v = b2 * v + (Scalar(1) - b2) * g.square();
      auto p = parameters.segment(i, n).array(), mean = average.segment(i, n).array();
      p -= rate * m / (v.sqrt() + floor);
      mean += follow * (p - mean);
    }
  }

  void step(vector& parameters, const vector& gradient, double learning_rate) {
    vector ignored = parameters;
    step(parameters, gradient, learning_rate, ignored, 0.0);
  }
};

}  // namespace support
