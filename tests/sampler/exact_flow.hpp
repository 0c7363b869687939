// Errors of plans on data whose flow is known, grids to measure orders on, and the orders.
//
// Gaussian data N(0, s^2): the exact end gain of the probability-flow ODE is sqrt(c_end / c_start),
// c = alpha^2 s^2 + sigma^2. A mixture of two Gaussians, where the denoiser is not linear, is
// compared with a fine solution.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "tweedie/grid/grid.hpp"
#include "tweedie/program/law.hpp"

namespace tweedie {

inline constexpr double variance_of_data = 0.25;

inline double total_variance(signal_noise s) {
  return s.alpha * s.alpha * variance_of_data + s.sigma * s.sigma;
}

/// |end gain / exact end gain - 1| of a plan from `nodes.front()` to `nodes.back()`.
inline double gain_error(const program& plan, const grid& nodes) {
  const program_law end =
      law(plan, gaussian_denoiser(0, variance_of_data), {0, total_variance(nodes.front().level)});
  return std::abs(std::sqrt(end.result.variance / total_variance(nodes.back().level)) - 1);
}

/// Relative error of the end variance, with sign.
inline double variance_error(const program& plan, const grid& nodes) {
  const program_law end =
      law(plan, gaussian_denoiser(0, variance_of_data), {0, total_variance(nodes.front().level)});
  return end.result.variance / total_variance(nodes.back().level) - 1;
}

/// E[x0 | x] for data 0.4 N(-1, 0.1) + 0.6 N(1.5, 0.3).
inline double mixture_denoiser(double x, signal_noise s) {
  constexpr double weight[] = {0.4, 0.6}, mean[] = {-1, 1.5}, variance[] = {0.1, 0.3};
  double total = 0;
  double sum = 0;
  for (int k = 0; k < 2; ++k) {
    const double c = s.alpha * s.alpha * variance[k] + s.sigma * s.sigma;
    const double away = x - s.alpha * mean[k];
    const double density = weight[k] * std::exp(-away * away / (2 * c)) / std::sqrt(c);
    total += density;
    sum += density * (mean[k] + s.alpha * variance[k] / c * away);
  }
  return sum / total;
}

/// Where a plan without draws takes x on the mixture.
inline double mixture_end(const program& plan, double x) {
  std::vector<double> registers(static_cast<std::size_t>(plan.registers));
  registers[0] = x;
  for (const stage& s : plan.stages) {
    double clean = 0;
    double noise = 0;
    if (s.evaluate) {
      const double state = registers[static_cast<std::size_t>(s.evaluate->state)];
      const auto [alpha, sigma] = s.evaluate->at.level;
      clean = mixture_denoiser(state, s.evaluate->at.level);
      noise = (state - alpha * clean) / sigma;
    }
    std::vector<double> out(s.pass.outputs.size());
    for (std::size_t j = 0; j < out.size(); ++j)
      for (std::size_t i = 0; i < s.pass.inputs.size(); ++i) {
        const operand& in = s.pass.inputs[i];
        const double value = in.from == operand_kind::clean ? clean
                             : in.from == operand_kind::noise
                                 ? noise
                                 : registers[static_cast<std::size_t>(in.index)];
        out[j] += s.pass.weight(j, i) * value;
      }
    for (std::size_t j = 0; j < out.size(); ++j)
      registers[static_cast<std::size_t>(s.pass.outputs[j])] = out[j];
  }
  return registers[static_cast<std::size_t>(plan.result)];
}

/// Root mean square over start points of the difference of two plans' ends on the mixture, each
/// plan starting in its own gauge.
inline double mixture_distance(const program& a, const program& b) {
  double sum = 0;
  constexpr int points = 9;
  for (int k = 0; k < points; ++k) {
    const double z = -1.6 + 0.4 * k;
    const double difference = mixture_end(a, a.start.level.sigma * z + a.start.level.alpha * 0.5) -
                              mixture_end(b, b.start.level.sigma * z + b.start.level.alpha * 0.5);
    sum += difference * difference;
  }
  return std::sqrt(sum / points);
}

/// The same mean and variance at the end of two plans on Gaussian data.
inline void expect_same_law(const program& a, const program& b, double tolerance) {
  const auto denoise = gaussian_denoiser(0.4, 0.7);
  const program_law p = law(a, denoise, {0.3, 2});
  const program_law q = law(b, denoise, {0.3, 2});
  EXPECT_NEAR(p.result.mean, q.result.mean, tolerance);
  EXPECT_NEAR(p.result.variance, q.result.variance, tolerance);
}

/// n steps of equal ratio between two noise levels, alpha = 1.
inline grid geometric_grid(int n, double high = 20, double low = 0.05) {
  grid nodes;
  for (int i = 0; i <= n; ++i) {
    const double level = high * std::pow(low / high, static_cast<double>(i) / n);
    nodes.push_back({level, variance_exploding(level)});
  }
  return nodes;
}

/// The same with every inner level moved by up to a fifth of a step, differently for each.
inline grid uneven_grid(int n, double high = 20, double low = 0.05) {
  grid nodes = geometric_grid(n, high, low);
  const double step = std::log(high / low) / n;
  for (int i = 1; i < n; ++i) {
    node& at = nodes[static_cast<std::size_t>(i)];
    const double level = noise_level(at.level) * std::exp(0.2 * step * std::sin(2.3 * i + i * i));
    at = {level, variance_exploding(level)};
  }
  return nodes;
}

/// n equal steps in rectified time between two times.
inline grid straight_grid(int n, double high = 0.98, double low = 0.02) {
  grid nodes;
  for (int i = 0; i <= n; ++i) {
    const double t = std::lerp(high, low, static_cast<double>(i) / n);
    nodes.push_back({t, {1 - t, t}});
  }
  return nodes;
}

/// log2 of the ratio of distances to `truth` at n and 2 n steps, on the mixture.
inline double mixture_order(int n, const program& truth, const std::function<grid(int)>& nodes,
                            const std::function<program(const grid&)>& plan) {
  return std::log2(mixture_distance(plan(nodes(n)), truth) /
                   mixture_distance(plan(nodes(2 * n)), truth));
}

/// log2 of the ratio of errors at n and 2 n steps, on Gaussian data.
inline double order_between(int n, const std::function<grid(int)>& nodes,
                            const std::function<program(const grid&)>& plan) {
  const grid coarse = nodes(n);
  const grid fine = nodes(2 * n);
  return std::log2(gain_error(plan(coarse), coarse) / gain_error(plan(fine), fine));
}

}  // namespace tweedie
