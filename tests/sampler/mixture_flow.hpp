// End errors on the mixture of exact_flow.hpp against the exact flow, which carries quantiles to
// quantiles (oracle/quantile.hpp), and grids for multistep methods.
#pragma once

#include <Eigen/Dense>
#include <cmath>
#include <functional>
#include <vector>

#include "sampler/exact_flow.hpp"
#include "tweedie/oracle/quantile.hpp"

namespace tweedie {

/// Root mean square end error over starting points at the deciles of the first marginal, in units of
/// alpha.
inline double mixture_error(const program& plan, const grid& nodes) {
  const auto part = [](double weight, double mean, double variance) {
    return oracle::component<double>{weight, Eigen::VectorXd::Constant(1, mean),
                                     Eigen::MatrixXd::Constant(1, 1, variance)};
  };
  static const oracle::mixture<double> data({part(0.4, -1, 0.1), part(0.6, 1.5, 0.3)});
  const signal_noise first = nodes.front().level;
  const signal_noise last = nodes.back().level;
  double sum = 0;
  for (int i = 1; i <= 9; ++i) {
    const double x = oracle::quantile(data, first, 0.1 * i);
    const double error = mixture_end(plan, x) - oracle::flow(data, first, last, x);
    sum += error * error;
  }
  return std::sqrt(sum / 9) / last.alpha;
}

/// n equal steps in half log-SNR between -3 and 3 on a path given by the level, for example
/// variance_preserving.
inline grid even_grid(int n, signal_noise (*path)(double level) = variance_preserving) {
  grid nodes;
  for (int i = 0; i <= n; ++i) {
    const double level = std::exp(3 - 6.0 * i / n);
    nodes.push_back({level, path(level)});
  }
  return nodes;
}

/// Fractions of a step that is cut into pieces of 2^-20, 2^-20, 2^-19, ..., 1/4, 1/2 of it: starting
/// at order 1 then leaves no error that counts, in effect an exact start.
inline std::vector<double> gentle_fractions() {
  std::vector<double> fractions;
  for (int k = 20; k >= 1; --k) fractions.push_back(std::ldexp(1.0, -k));
  return fractions;
}

/// The grid with its first step cut like that in half log-SNR. alpha = 1 or alpha^2 + sigma^2 = 1.
inline grid gently_started(const grid& nodes) {
  const double from = std::log(noise_level(nodes[0].level));
  const double to = std::log(noise_level(nodes[1].level));
  grid out{nodes[0]};
  for (const double fraction : gentle_fractions()) {
    const double level = std::exp(std::lerp(from, to, fraction));
    out.push_back({level, nodes[0].level.alpha == 1 ? variance_exploding(level)
                                                    : variance_preserving(level)});
  }
  out.insert(out.end(), nodes.begin() + 1, nodes.end());
  return out;
}

/// log2 of the ratio of errors at n and 2 n steps.
inline double mixture_order(int n, const std::function<grid(int)>& nodes,
                            const std::function<program(const grid&)>& plan) {
  const grid coarse = nodes(n);
  const grid fine = nodes(2 * n);
  return std::log2(mixture_error(plan(coarse), coarse) / mixture_error(plan(fine), fine));
}

}  // namespace tweedie
