// Controllers of adaptive step sizes: each reads the error of an attempted step, in units of the
// tolerance, and says whether to accept it and how long the next one is (solve/adaptive.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// Chooses steps: attempt(remaining) > 0 is the next one, accepts(error) judges it and changes `step`;
/// check(function) throws if its parameters are not valid.
template <class C>
concept step_controller = std::copyable<C> &&
    requires(C& c, const C& fixed, const char* function, double value) {
  fixed.check(function);
  { c.attempt(value) } -> std::convertible_to<double>;
  { c.accepts(value) } -> std::same_as<bool>;
  { c.step } -> std::convertible_to<double>;
};

/// Proportional-integral-derivative control as k-diffusion's dpm_adaptive does it: with
/// e = 1/error, the step is multiplied by 1 + atan(e^b1 e_1^b2 e_2^b3 - 1), where e_1 and e_2
/// belong to the last two accepted steps, and accepted if that factor is at least `safety`.
struct pid_controller {
  double step = 0.05;  ///< first attempt, in half log-SNR
  double proportional = 0;
  double integral = 1;
  double derivative = 0;
  double order = 3;
  double safety = 0.81;
  std::vector<double> inverse_errors{};

  double attempt(double remaining) const { return (std::min)(step, remaining); }

  void check(const char* function) const {
    detail::require(order > 0 && std::isfinite(order), function, "order", order,
                    "valid: 0 < order < inf");
    detail::require(std::isfinite(proportional + integral + derivative), function, "integral",
                    integral, "valid: finite gains");
    detail::require(std::isfinite(safety), function, "safety", safety, "valid: finite");
  }

  bool accepts(double error) {
    const double inverse = 1 / (error + 1e-8);
    if (inverse_errors.empty()) inverse_errors.assign(3, inverse);
    inverse_errors[0] = inverse;
    const double b1 = (proportional + integral + derivative) / order;
    const double b2 = -(proportional + 2 * derivative) / order;
    const double b3 = derivative / order;
    const double raw = std::pow(inverse_errors[0], b1) * std::pow(inverse_errors[1], b2) *
                       std::pow(inverse_errors[2], b3);
    const double factor = 1 + std::atan(raw - 1);
    const bool accept = factor >= safety;
    if (accept) {
      inverse_errors[2] = inverse_errors[1];
      inverse_errors[1] = inverse_errors[0];
    }
    step *= factor;
    return accept;
  }
};

/// Accept if error <= 1; next step = theta * step * error^(-1/order) (Lu et al. 2022a, algorithm
/// 3).
struct elementary_controller {
  double step = 0.05;
  double theta = 0.9;
  double order = 3;

  double attempt(double remaining) { return step = (std::min)(step, remaining); }

  void check(const char* function) const {
    detail::require(order > 0 && std::isfinite(order), function, "order", order,
                    "valid: 0 < order < inf");
    detail::require(theta > 0 && std::isfinite(theta), function, "theta", theta,
                    "valid: 0 < theta < inf");
  }

  bool accepts(double error) {
    // An infinite error says how wrong the step was, not how long it should be.
    step *= std::isinf(error) ? 0.1 : theta * std::pow(error, -1 / order);
    return error <= 1;
  }
};

}  // namespace tweedie
