// One exact step of the probability-flow ODE, or of its stochastic relatives, for a prediction that
// is known as a polynomial.
//
// With a constant row p = (p_x, p_z), the p-output P = p_x x0 + p_z z and l = alpha p_z - sigma p_x,
// the probability-flow ODE of x = alpha x0 + sigma z reads
//
//   d(x / l) = P du,   du = (alpha dsigma - sigma dalpha) / l^2,
//
// so that x_t = (l_t / l_s) x_s + l_t * integral of P du. Rows and what the literature calls them:
//   (1, 0)   u = -alpha / sigma         data prediction, DPM-Solver++ (Lu et al. 2022b, eq. 8)
//   (0, 1)   u = sigma / alpha          noise prediction, DPM-Solver (Lu et al. 2022a, eq. 3.4),
//                                       DEIS (Zhang and Chen 2023, eq. 13), Karras et al. 2022
//   (-1, 1)  u = sigma / (alpha + sigma)   velocity of the straight path, flow matching
//
// In lambda = log(alpha / sigma) the first two are exponential integrals, and a stochasticity tau
// turns them into exact steps of SDEs with the same marginals (Xue et al. 2023, eq. 11), h = lambda_t
// - lambda_s:
//
//   data    x_t = (sigma_t/sigma_s) e^(-tau^2 h) x_s + alpha_t (1 - e^(-(1+tau^2) h)) <P>
//                 + sigma_t sqrt(1 - e^(-2 tau^2 h)) w
//   noise   x_t = (alpha_t/alpha_s) x_s - (1 + tau^2) sigma_t (e^h - 1) <P>
//                 + tau sigma_t sqrt(e^(2h) - 1) w
//
// where <P> is the mean of P over the step, weighted by the exponential. tau = 0 is the ODE, tau = 1
// SDE-DPM-Solver(++). With P known, the data form keeps the variance sigma^2 of the noise at any step
// and tau; the noise form at tau > 0 exceeds it by tau^2 (1 + tau^2) (alpha_t sigma_s / alpha_s -
// sigma_t)^2, second order in the step. Both ends are finite: sigma_t = 0 and alpha_s = 0.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <vector>

#include "tweedie/schedule/prediction.hpp"

namespace tweedie {

/// Rows that multistep methods are written in: x0 estimates, z estimates, the velocity of straight paths.
inline constexpr plane_row clean_row{1, 0};
inline constexpr plane_row noise_row{0, 1};
inline constexpr plane_row straight_row{-1, 1};

/// x_to = state * x_from + gain * <P> + noise * w, where <P> is the weighted mean of the p-output
/// over the step with weight proportional to exp((1 - s) exponent), s in [0, 1] the fraction of the
/// step in half log-SNR. `length` is the step in half log-SNR.
struct exponential_step {
  double state = 1;
  double gain = 0;
  double noise = 0;
  double exponent = 0;
  double length = 0;
};

/// The step between two levels for the output `row`.
/// \throws std::invalid_argument for a negative or infinite stochasticity, a stochastic step that adds
///   noise, or one with a row other than data and noise.
inline exponential_step step_between(signal_noise from, signal_noise to, plane_row row,
                                     double stochasticity = 0) {
  constexpr const char* name = "step_between";
  const double l_from = determinant(from, row);
  detail::require(l_from != 0, name, "determinant", l_from,
                  "valid: not 0 at the start of a step: alpha > 0 for the noise row, sigma > 0 for "
                  "the data row");
  exponential_step step;
  // e^(-h) as a quotient: exact at both ends, and 1 for equal levels.
  step.length = -std::log((from.alpha * to.sigma) / (from.sigma * to.alpha));
  step.state = determinant(to, row) / l_from;
  step.gain = (from.alpha * to.sigma - from.sigma * to.alpha) / l_from;
  step.exponent = row == clean_row ? -step.length : row == noise_row ? step.length : 0;
  if (stochasticity == 0) return step;

  detail::require(stochasticity > 0 && std::isfinite(stochasticity), name, "stochasticity",
                  stochasticity, "valid: 0 <= stochasticity < inf");
  constexpr double rounding = 1e-14;
  detail::require(step.length >= -rounding, name, "length", step.length,
                  "a stochastic step must go towards less noise");
  step.length = std::fmax(step.length, 0.0);
  const double variance = stochasticity * stochasticity;
  if (row == clean_row) {
    step.exponent = -(1 + variance) * step.length;
    step.state *= std::exp(-variance * step.length);
    step.gain = -to.alpha * std::expm1(step.exponent);
    step.noise = to.sigma * std::sqrt(-std::expm1(-2 * variance * step.length));
  } else if (row == noise_row) {
    const double carried = to.alpha * from.sigma / from.alpha;
    step.gain *= 1 + variance;
    step.noise = stochasticity * std::sqrt(std::fdim(carried, to.sigma) * (carried + to.sigma));
  } else {
    detail::fail(name, "stochasticity", stochasticity, "valid: 0 for this prediction row");
  }
  return step;
}

/// phi_k(y) = integral over [0, 1] of e^((1-s) y) s^(k-1) / (k-1)! ds, phi_0 = e^y (Hochbruck and
/// Ostermann 2010, eq. 2.10). Full relative accuracy for every finite y: below |y| = 8 a series of
/// positive terms (after Kummer's transformation for y < 0), above it the recurrence
/// phi_(k+1) = (phi_k - 1/k!) / y.
inline double phi(int k, double y) {
  detail::require(k >= 0, "phi", "k", k, "valid: k >= 0");
  if (k == 0) return std::exp(y);
  if (k == 1) return y == 0 ? 1 : std::expm1(y) / y;
  double factorial = 1;
  for (int j = 2; j <= k; ++j) factorial *= j;
  const double size = std::abs(y);
  if (size <= 8) {
    double sum = 1;
    double term = 1;
    for (int n = 1; term > 1e-18 * sum && n < 200; ++n) {
      term *= y > 0 ? y / (k + n) : size / n;
      sum += y > 0 ? term : term * k / (k + n);
    }
    return (y > 0 ? sum : sum * std::exp(y)) / factorial;
  }
  double value = std::expm1(y) / y;
  double inverse_factorial = 1;
  for (int j = 1; j < k; ++j) {
    inverse_factorial /= j;
    value = (value - inverse_factorial) / y;
  }
  return value;
}

/// Mean of s^k over [0, 1] under the weight exp((1 - s) y): k! phi_(k+1)(y) / phi_1(y). Between 0
/// (y = +inf) and 1 (y = -inf); 1 / (k + 1) at y = 0.
inline double exponential_mean_power(int k, double y) {
  if (k == 0) return 1;
  if (std::isinf(y)) return y > 0 ? 0 : 1;
  double factorial = 1;
  for (int j = 2; j <= k; ++j) factorial *= j;
  return factorial * phi(k + 1, y) / phi(1, y);
}

/// Weights c_j with sum_j c_j f(s_j) = sum_k mean_powers[k] * (coefficient of s^k) for the polynomial
/// through the values f(s_j): interpolatory quadrature on the nodes. As many means as nodes.
/// \throws std::invalid_argument if two nodes coincide.
inline std::vector<double> interpolation_weights(std::span<const double> nodes,
                                                 std::span<const double> mean_powers) {
  std::vector<double> weights;
  for (std::size_t j = 0; j < nodes.size(); ++j) {
    std::vector<double> basis{1};  // coefficients of the Lagrange polynomial of node j
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (i == j) continue;
      const double gap = nodes[j] - nodes[i];
      detail::require(gap != 0 && std::isfinite(gap), "interpolation_weights", "node distance", gap,
                      "valid: distinct noise levels in a multistep method");
      basis.push_back(0);
      for (std::size_t k = basis.size(); k-- > 0;)
        basis[k] = ((k > 0 ? basis[k - 1] : 0) - nodes[i] * basis[k]) / gap;
    }
    double sum = 0;
    for (std::size_t k = 0; k < basis.size(); ++k) sum += basis[k] * mean_powers[k];
    weights.push_back(sum);
  }
  return weights;
}

namespace detail {

struct quadrature_node {
  double at;
  double weight;
};

// Gauss-Legendre rule on [0, 1].
template <int N>
const std::array<quadrature_node, N>& gauss_legendre() {
  static const auto rule = [] {
    std::array<quadrature_node, N> out{};
    for (int i = 0; i < N; ++i) {
      double x = std::cos(std::numbers::pi * (i + 0.75) / (N + 0.5));
      double slope = 1;
      for (int iteration = 0; iteration < 8; ++iteration) {
        double before = 1;
        double now = x;
        for (int n = 2; n <= N; ++n) {
          const double next = ((2 * n - 1) * x * now - (n - 1) * before) / n;
          before = now;
          now = next;
        }
        slope = N * (x * now - before) / (x * x - 1);
        x -= now / slope;
      }
      out[static_cast<std::size_t>(i)] = {(1 + x) / 2, 1 / ((1 - x * x) * slope * slope)};
    }
    return out;
  }();
  return rule;
}

}  // namespace detail

}  // namespace tweedie
