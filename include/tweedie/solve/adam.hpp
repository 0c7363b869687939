// Gradient descent with Adam (Kingma and Ba 2015, algorithm 1), for embeddings, estimates and small networks.
//
//   m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,   x <- x - rate m^ / (sqrt(v^) + epsilon)
//
// with m^ = m / (1 - b1^k) and v^ = v / (1 - b2^k) after k steps. The first step is rate sign(g), whatever the scale of g.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <span>
#include <type_traits>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// One descent: its memory is made at the first step.
template <class S>
struct adam {
  double first_decay = 0.9;
  double second_decay = 0.999;
  double epsilon = 1e-8;
  long steps = 0;
  Eigen::Array<S, Eigen::Dynamic, 1> first{};
  Eigen::Array<S, Eigen::Dynamic, 1> second{};

  /// One step of the parameters.
  /// \throws std::invalid_argument unless there are as many slopes as parameters, and as many as before.
  void step(std::span<S> parameters, std::type_identity_t<std::span<const S>> gradient,
            double rate) {
    const auto size = static_cast<Eigen::Index>(parameters.size());
    detail::require_equal("adam::step", "gradient.size()", gradient.size(), parameters.size());
    if (steps == 0) {
      first.setZero(size);
      second.setZero(size);
    }
    detail::require_equal("adam::step", "parameters.size()", parameters.size(),
                          static_cast<std::size_t>(first.size()));
    ++steps;
    const double correction = std::sqrt(1.0 - std::pow(second_decay, steps));
    const auto length = static_cast<S>(rate * correction / (1.0 - std::pow(first_decay, steps)));
    const auto floor = static_cast<S>(epsilon * correction);
    const auto b1 = static_cast<S>(first_decay), b2 = static_cast<S>(second_decay);
    constexpr Eigen::Index block = 4096;  // small enough to stay in cache over the three passes
    for (Eigen::Index i = 0; i < size; i += block) {
      const Eigen::Index n = (std::min)(block, size - i);
      using array = Eigen::Array<S, Eigen::Dynamic, 1>;
      const Eigen::Map<const array> g(gradient.data() + i, n);
      Eigen::Map<array> x(parameters.data() + i, n);
      auto m = first.segment(i, n), v = second.segment(i, n);
      m = b1 * m + (S(1) - b1) * g;
      v = b2 * v + (S(1) - b2) * g.square();
      x -= length * m / (v.sqrt() + floor);
    }
  }
};

}  // namespace tweedie
