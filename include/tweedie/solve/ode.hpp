// Adaptive Dormand-Prince integration of an ordinary differential equation dy/dt = f(t, y), for
// quantities that are no samplers: likelihoods, latent codes, reference trajectories.
//
// Order 5 with an error estimate of order 4 (Dormand and Prince 1980; error weights of Shampine
// 1986), step control h <- h clamp(0.9 error^(-1/5), 0.2, 10) and first step of Hairer, Norsett and
// Wanner (Solving ODEs I, II.4), and a quartic through the last step for the end point, so that the
// step sizes do not depend on where the integration ends. torchdiffeq makes the same choices.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "tweedie/sampler/butcher_tableau.hpp"

namespace tweedie {

/// error <= 1 is accepted, error = norm(difference / (absolute + relative |y|)).
struct ode_tolerance {
  double absolute = 1e-9;
  double relative = 1e-7;
};

/// Root mean square over the whole state.
inline constexpr auto root_mean_square = [](const Eigen::VectorXd& v) {
  return v.size() == 0 ? 0.0 : std::sqrt(v.squaredNorm() / static_cast<double>(v.size()));
};

/// State at the end and what it cost.
struct ode_result {
  Eigen::VectorXd state;
  std::size_t evaluations = 0;
  std::size_t accepted = 0;
  std::size_t rejected = 0;
};

namespace detail {

inline constexpr std::array<double, 7> dormand_prince_error = {35. / 384 - 1951. / 21600,
                                                               0,
                                                               500. / 1113 - 22642. / 50085,
                                                               125. / 192 - 451. / 720,
                                                               -2187. / 6784 + 12231. / 42400,
                                                               11. / 84 - 649. / 6300,
                                                               -1. / 60};

inline constexpr std::array<double, 7> dormand_prince_middle = {
    6025192743. / 30085553152 / 2,     0,
    51252292925. / 65400821598 / 2,    -2691868925. / 45128329728 / 2,
    187940372067. / 1594534317056 / 2, -1776094331. / 19743644256 / 2,
    11237099. / 235043384 / 2};

}  // namespace detail

/// Integrates from `start` at time `from` to time `to`, in either direction. `f(t, y)` returns
/// dy/dt; `norm` measures scaled errors.
/// \throws std::invalid_argument for a tolerance that is not positive; std::domain_error if the
///   step size falls below the resolution of time, as where f or the start is not finite.
template <class Function, class Norm = decltype(root_mean_square)>
ode_result integrate(const Function& f, const Eigen::VectorXd& start, double from, double to,
                     const ode_tolerance& allowed = {}, const Norm& norm = root_mean_square) {
  constexpr const char* name = "integrate";
  detail::require(allowed.absolute > 0 && allowed.relative >= 0, name, "tolerance",
                  allowed.absolute, "valid: absolute > 0, relative >= 0");
  detail::require(std::isfinite(from) && std::isfinite(to), name, "to", to, "valid: finite times");
  ode_result out{start};
  if (from == to) return out;
  const double direction = to > from ? 1 : -1;
  const auto rate = [&](double t, const Eigen::VectorXd& y) {
    ++out.evaluations;
    return Eigen::VectorXd(direction * f(t, y));
  };
  const butcher_tableau& method = dormand_prince_tableau;

  Eigen::VectorXd y = start;
  Eigen::VectorXd first = rate(from, y);

  // First step: an explicit Euler step that changes y by a hundredth, then the curvature there.
  double h = 0;
  {
    const Eigen::VectorXd scale = (allowed.absolute + allowed.relative * y.array().abs()).matrix();
    const double size = norm(y.cwiseQuotient(scale));
    const double slope = norm(first.cwiseQuotient(scale));
    const double trial = size < 1e-5 || slope < 1e-5 ? 1e-6 : 0.01 * size / slope;
    const Eigen::VectorXd ahead = rate(from + direction * trial, y + trial * first);
    const double curvature = norm((ahead - first).cwiseQuotient(scale)) / trial;
    const double steepest = (std::max)(slope, curvature);
    const double guess =
        steepest <= 1e-15 ? (std::max)(1e-6, trial * 1e-3) : std::pow(0.01 / steepest, 0.2);
    h = (std::min)(100 * trial, guess);
  }

  const double length = std::abs(to - from);
  double passed = 0;
  for (;;) {
    if (!(passed + h > passed))
      detail::raise(std::domain_error(
          detail::describe(name, "step", h, "the equation is too stiff here, or not finite")));
    Eigen::VectorXd ahead;
    const std::vector<Eigen::VectorXd> k =
        runge_kutta_slopes(method, method.stages, y, h, [&](std::size_t i, Eigen::VectorXd& stage) {
          ahead = stage;
          return i == 0 ? first : rate(from + direction * (passed + method.c[i] * h), stage);
        });
    const Eigen::VectorXd error = runge_kutta_end(Eigen::VectorXd(Eigen::VectorXd::Zero(y.size())),
                                                  h, detail::dormand_prince_error, k);
    const Eigen::VectorXd scale =
        (allowed.absolute + allowed.relative * (y.array().abs().max)(ahead.array().abs())).matrix();
    const double measured = norm(error.cwiseQuotient(scale));
    // A step to where f is not finite is too long.
    const double ratio = std::isnan(measured) ? std::numeric_limits<double>::infinity() : measured;
    const bool accept = ratio <= 1;
    if (accept) {
      ++out.accepted;
      if (passed + h >= length) {
        const double s = (length - passed) / h;
        const Eigen::VectorXd middle = runge_kutta_end(y, h, detail::dormand_prince_middle, k);
        const Eigen::VectorXd a = 2 * h * (k[6] - k[0]) - 8 * (ahead + y) + 16 * middle;
        const Eigen::VectorXd b = h * (5 * k[0] - 3 * k[6]) + 18 * y + 14 * ahead - 32 * middle;
        const Eigen::VectorXd c = h * (k[6] - 4 * k[0]) - 11 * y - 5 * ahead + 16 * middle;
        out.state = y + s * (h * k[0] + s * (c + s * (b + s * a)));
        return out;
      }
      passed += h;
      y = ahead;
      first = k[6];
    } else {
      ++out.rejected;
    }
    const double least = accept ? 1.0 : 0.2;
    const double factor =
        ratio == 0 ? 10.0 : (std::min)(10.0, (std::max)(0.9 / std::pow(ratio, 0.2), least));
    h *= factor;
  }
}

}  // namespace tweedie
