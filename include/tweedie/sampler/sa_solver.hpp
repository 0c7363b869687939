// SA-Solver: stochastic Adams predictor-corrector with a variance control tau(t).
//
//   x_t = (sigma_t/sigma_s) e^(-tau^2 h) x_s + (1 + tau^2) sigma_t * integral of
//         e^(-tau^2 lambda_t + (1 + tau^2) lambda) P(lambda) dlambda + sigma_t sqrt(1 - e^(-2 tau^2 h)) w
//   (Xue et al. 2023, eq. 14), with P interpolated through the last outputs (predictor, eq. 15) or
//   through these and the new one (corrector, eq. 17).
//
// tau = 0 is the ODE (exponential Adams), tau = 1 the reverse SDE of SDE-DPM-Solver++. The same
// noise enters the prediction and the correction of a step. Every step draws, even where tau = 0, so
// that draw numbers do not depend on tau.
#pragma once

#include <functional>

#include "tweedie/sampler/corrector.hpp"

namespace tweedie {

/// The usual control: tau inside a time interval, 0 outside.
inline auto stochastic_between(double first_time, double last_time, double tau = 1) {
  return [=](const node& n) { return n.time >= first_time && n.time <= last_time ? tau : 0.0; };
}

/// SA-Solver with a predictor on `predictor` outputs and a corrector on `corrector` outputs, the new
/// one included (0: none). `leading` is the rule of the authors' code for two-point formulas, meant
/// for few steps; `exact` integrates them exactly.
inline program sa_solver(const legs& steps, std::function<double(const node& from)> tau,
                         int predictor = 2, int corrector = 2,
                         second_order_term second = second_order_term::exact) {
  constexpr const char* name = "sa_solver";
  detail::require(corrector >= 0, name, "corrector", corrector, "valid: corrector >= 0");
  std::vector<adams_step> orders;
  for (const int p : ramped_orders(steps, predictor, name)) {
    const int known = static_cast<int>(orders.size()) + 2;
    orders.push_back({p, corrector < known ? corrector : known});
  }
  return predictor_corrector(steps, orders,
                             {.second = second, .stochasticity = std::move(tau), .caller = name});
}

}  // namespace tweedie
