// The exact probability-flow map in one dimension: the monotone map between marginals.
//
// On a line the flow of the probability-flow ODE keeps the order of points and carries p_from to
// p_to, so it preserves the distribution function: F_to(x_to) = F_from(x_from). For a Gaussian
// mixture F is a sum of error functions and the map needs no ODE solver, which makes it the
// reference that solvers are measured against.
//
// Everything works in the nearer tail, so that far points keep their relative accuracy.
#pragma once

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "tweedie/oracle/mixture.hpp"

namespace tweedie::oracle {

/// Distribution function F(x) of a one-dimensional mixture at a level.
template <class Scalar>
Scalar cumulative(const mixture<Scalar>& data, signal_noise level, Scalar x);

/// Its inverse, for a probability in (0, 1).
template <class Scalar>
Scalar quantile(const mixture<Scalar>& data, signal_noise level, Scalar probability);

/// The exact flow of the probability-flow ODE from one level to another.
template <class Scalar>
Scalar flow(const mixture<Scalar>& data, signal_noise from, signal_noise to, Scalar x);

}  // namespace tweedie::oracle

namespace tweedie::detail {

// Marginal of a one-dimensional mixture at a level.
template <class Scalar>
class marginal_line {
 public:
  struct mass_and_density {
    Scalar mass;
    Scalar density;
  };

  marginal_line(const char* function, const oracle::mixture<Scalar>& data, signal_noise level) {
    require(data.dimension() == 1, function, "dimension", static_cast<double>(data.dimension()),
            "valid: 1");
    const auto alpha = static_cast<Scalar>(level.alpha);
    const auto sigma = static_cast<Scalar>(level.sigma);
    for (std::size_t k = 0; k < data.components(); ++k) {
      const Scalar deviation = std::sqrt(alpha * alpha * data.covariance(k)(0, 0) + sigma * sigma);
      require(deviation > 0, function, "deviation", static_cast<double>(deviation),
              "valid: > 0; a point mass has no density at sigma = 0");
      parts_.push_back({data.weight(k), alpha * data.mean(k)[0], deviation});
    }
  }

  // Mass below x (side = 1) or above it (side = -1), accurate relative to itself.
  mass_and_density tail(Scalar x, Scalar side) const {
    mass_and_density out{0, 0};
    for (const part& p : parts_) {
      const Scalar u = side * (x - p.mean) / p.deviation;
      out.mass += p.weight * std::erfc(-u / std::numbers::sqrt2_v<Scalar>) / 2;
      out.density += p.weight * std::exp(-u * u / 2) /
                     (p.deviation * std::sqrt(2 * std::numbers::pi_v<Scalar>));
    }
    return out;
  }

  // The point whose tail has the given mass <= 1/2: Newton's method on the logarithm of the mass,
  // bisection whenever that leaves the bracket.
  Scalar tail_inverse(Scalar mass, Scalar side) const {
    Scalar high = 1;
    while (tail(side * high, side).mass < mass) high *= 2;
    Scalar low = -1;
    while (tail(side * low, side).mass > mass) low *= 2;
    Scalar u = (low + high) / 2;
    for (int iteration = 0; iteration < 200; ++iteration) {
      const mass_and_density now = tail(side * u, side);
      (now.mass < mass ? low : high) = u;
      Scalar next = u - std::log(now.mass / mass) * now.mass / now.density;
      if (!(next > low && next < high)) next = (low + high) / 2;
      const bool converged =
          std::abs(next - u) <= 2 * std::numeric_limits<Scalar>::epsilon() * (1 + std::abs(next));
      u = next;
      if (converged) break;
    }
    return side * u;
  }

 private:
  struct part {
    Scalar weight;
    Scalar mean;
    Scalar deviation;
  };
  std::vector<part> parts_;
};

}  // namespace tweedie::detail

namespace tweedie::oracle {

template <class Scalar>
Scalar cumulative(const mixture<Scalar>& data, signal_noise level, Scalar x) {
  return detail::marginal_line<Scalar>("cumulative", data, level).tail(x, 1).mass;
}

template <class Scalar>
Scalar quantile(const mixture<Scalar>& data, signal_noise level, Scalar probability) {
  detail::require(probability > 0 && probability < 1, "quantile", "probability",
                  static_cast<double>(probability), "valid: 0 < probability < 1");
  const detail::marginal_line<Scalar> line("quantile", data, level);
  return probability <= Scalar(0.5) ? line.tail_inverse(probability, 1)
                                    : line.tail_inverse(1 - probability, -1);
}

template <class Scalar>
Scalar flow(const mixture<Scalar>& data, signal_noise from, signal_noise to, Scalar x) {
  const detail::marginal_line<Scalar> start("flow", data, from);
  const detail::marginal_line<Scalar> end("flow", data, to);
  const Scalar side = start.tail(x, 1).mass <= Scalar(0.5) ? 1 : -1;
  const Scalar mass = start.tail(x, side).mass;
  detail::require(mass > 0, "flow", "x", static_cast<double>(x),
                  "valid: where the distribution function is not below the smallest number");
  return end.tail_inverse(mass, side);
}

}  // namespace tweedie::oracle
