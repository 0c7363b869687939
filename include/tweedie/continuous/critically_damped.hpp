// Critically damped Langevin diffusion: noise that enters data through a velocity, x stays smooth (Dockhorn, Vahdat and
// Kreis 2022, eqs. 5 and 6).
//
//   dx = v/M du,   dv = -x du - G v/M du + sqrt(2 G) dW,   G^2 = 4 M (critical damping),   u = integral of beta
//
// in every coordinate by itself, with the stationary law x ~ N(0, 1), v ~ N(0, M). With tau = u/sqrt(M), y = 2 tau and
// p = v/sqrt(M) the transition is
//   E[(x, p)]   = e^-tau [1 + tau, tau; -tau, 1 - tau] (x, p)
//   Cov[(x, p)] = [P(3, y), y^2/2 e^-y; ., 1 - e^-y (1 - y + y^2/2)],   P(3, y) = 1 - e^-y (1 + y + y^2/2)
// The reverse equation needs the score in v only, where the noise enters (their eq. 7).
#pragma once

#include <Eigen/Core>
#include <cmath>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// (x, v) after some time: N(mean (x, v), covariance).
struct phase_law {
  Eigen::Matrix2d mean;
  Eigen::Matrix2d covariance;
};

/// The process with velocities of mass M.
class critically_damped {
 public:
  /// \throws std::invalid_argument unless 0 < mass < inf.
  explicit critically_damped(double mass = 0.25) : mass_(mass) {
    detail::require(mass > 0 && std::isfinite(mass), "critically_damped", "mass", mass,
                    "valid: 0 < mass < inf");
  }

  double mass() const { return mass_; }
  double friction() const { return 2 * std::sqrt(mass_); }

  /// (x, v) after u given (x, v); u = 0 is the identity. For small u the variance of x is 4/3 (u/sqrt(M))^3, to all
  /// digits.
  /// \throws std::invalid_argument unless 0 <= u < inf.
  phase_law transition(double u) const {
    detail::require(u >= 0 && std::isfinite(u), "critically_damped::transition", "u", u,
                    "valid: 0 <= u < inf");
    const double root = std::sqrt(mass_);
    const double tau = u / root;
    const double y = 2 * tau;
    const double kept = std::exp(-tau);
    phase_law out;
    out.mean << kept * (1 + tau), kept * tau / root, -kept * tau * root, kept * (1 - tau);
    const double cross = root * y * y / 2 * std::exp(-y);
    const double of_v = mass_ * (-std::expm1(-y) + std::exp(-y) * (y - y * y / 2));
    out.covariance << lower_gamma_of_three(y), cross, cross, of_v;
    return out;
  }

  /// Law of (x, v) given x0 alone, with velocities v0 ~ N(0, share M): mean x0 times the first column.
  /// \throws std::invalid_argument as `transition`, and unless 0 <= share < inf.
  phase_law marginal(double u, double share = 0.04) const {
    detail::require(share >= 0 && std::isfinite(share), "critically_damped::marginal", "share",
                    share, "valid: 0 <= share < inf");
    phase_law out = transition(u);
    out.covariance += share * mass_ * out.mean.col(1) * out.mean.col(1).transpose();
    out.mean.col(1).setZero();
    return out;
  }

 private:
  // 1 - e^-y (1 + y + y^2/2), by its series e^-y sum_(k >= 3) y^k/k! where that cancels.
  static double lower_gamma_of_three(double y) {
    if (y > 1) return 1 - std::exp(-y) * (1 + y + y * y / 2);
    double term = y * y * y / 6;
    double sum = 0;
    for (int k = 4; k < 24; ++k) {
      sum += term;
      term *= y / k;
    }
    return std::exp(-y) * sum;
  }

  double mass_;
};

}  // namespace tweedie
