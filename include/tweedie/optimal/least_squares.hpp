// Nonlinear least squares with few parameters and many residuals: damped Gauss-Newton steps (Levenberg
// 1944; Marquardt 1963) with a secant estimate of what residuals that stay large add to the curvature
// (Dennis, Gay and Welsch 1981, NL2SOL, eq. 2.8).
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <utility>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// How long and how carefully to search.
struct search_options {
  int iterations = 12;
  /// Step of the difference quotients that stand for derivatives.
  double probe = 1e-4;
  /// Weight of the squared distance from the start in the parameters, against the mean square
  /// residual.
  double ridge = 1e-6;
  /// Stops when an iteration gains less than this fraction.
  double least_gain = 1e-3;
};

/// Where a search ended: mean square residual, and the parameters.
struct search_result {
  Eigen::VectorXd parameters;
  double mean_square = 0;
};

/// Minimises mean square(residuals(p)) + ridge |p - start|^2.
/// \param residuals p -> vector
/// \param jacobian (p, residuals at p) -> matrix, one column a parameter; p is where residuals were
///   asked last
/// \param admissible p -> the nearest parameters that are allowed
template <class Vector, class Residuals, class Jacobian, class Admissible>
search_result least_squares(const Vector& start, const Residuals& residuals,
                            const Jacobian& jacobian, const Admissible& admissible,
                            const search_options& options) {
  using Eigen::MatrixXd;
  using Eigen::VectorXd;
  constexpr const char* name = "least_squares";
  detail::require(options.iterations >= 0, name, "iterations", options.iterations, "valid: >= 0");
  detail::require(options.probe > 0, name, "probe", options.probe, "valid: > 0");
  detail::require(options.ridge >= 0, name, "ridge", options.ridge, "valid: >= 0");
  VectorXd p = start;
  VectorXd r = residuals(p);
  const auto count = static_cast<double>(std::max<Eigen::Index>(r.size(), 1));
  double best = r.squaredNorm() / count;
  double damping = 1e-3;
  MatrixXd bend = MatrixXd::Zero(p.size(), p.size());  // sum_k r_k Hessian(r_k) / count
  MatrixXd last_J;
  VectorXd last_p;
  VectorXd last_slope;
  for (int iteration = 0; p.size() > 0 && iteration < options.iterations; ++iteration) {
    MatrixXd J = jacobian(p, r);
    const VectorXd slope = J.transpose() * r / count;
    if (iteration > 0) {
      const VectorXd s = p - last_p;
      const VectorXd wanted = (J - last_J).transpose() * r / count;
      const VectorXd y = slope - last_slope;
      const double known = s.dot(bend * s);
      if (known != 0) bend *= (std::min)(1.0, std::abs(s.dot(wanted) / known));
      const VectorXd miss = wanted - bend * s;
      const double length = y.dot(s);
      if (length > 0)
        bend += (miss * y.transpose() + y * miss.transpose()) / length -
                s.dot(miss) / (length * length) * y * y.transpose();
    }
    MatrixXd curvature = J.transpose() * J / count;
    curvature.diagonal().array() += options.ridge;
    const MatrixXd whole = curvature + bend;
    const bool convex = whole.ldlt().isPositive();
    const VectorXd downhill = slope + options.ridge * (p - start);
    last_J = std::move(J);
    last_p = p;
    last_slope = slope;
    const double before = best;
    bool improved = false;
    for (int attempt = 0; attempt < 9 && !improved; ++attempt) {
      // The secant estimate is tried first; steps without it always descend once damped enough.
      MatrixXd damped = attempt < 2 && convex ? whole : curvature;
      damped.diagonal() += damping * curvature.diagonal();
      damped.diagonal().array() += 1e-14;
      const VectorXd tried = admissible(p - damped.ldlt().solve(downhill));
      const VectorXd there = residuals(tried);
      const double reached =
          there.squaredNorm() / count + options.ridge * (tried - start).squaredNorm();
      improved = reached < best;
      if (improved) {
        p = tried;
        r = there;
        best = reached;
      }
      damping = improved ? (std::max)(damping * 0.2, 1e-9) : damping * 5;
    }
    if (!improved || best > before * (1 - options.least_gain)) break;
  }
  return {p, r.squaredNorm() / count};
}

}  // namespace tweedie
