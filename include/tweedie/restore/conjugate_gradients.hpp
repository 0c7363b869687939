// Solving a symmetric positive system whose matrix is only applied (Hestenes and Stiefel 1952).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie::detail {

// solution = M^-1 residual, where system(v) writes M v to `image`; residual and direction are overwritten. Where M
// is singular this is the least-squares solution, as long as the residual is in its range.
// Throws, in the name of `function`, std::invalid_argument for a residual that is not finite, and std::domain_error where M
// is not positive semidefinite.
template <class System>
void conjugate_gradients(const char* function, const System& system, std::vector<double>& residual,
                         std::vector<double>& solution, std::vector<double>& direction,
                         const std::vector<double>& image) {
  const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  std::fill(solution.begin(), solution.end(), 0.0);
  direction = residual;
  const double start = dot(residual, residual);
  require(std::isfinite(start), function, "|y - A x0|^2", start,
          "valid: finite; the network answered NaN or infinity");
  double square = start;
  // 1e-24 of the squared residual is 1e-12 of its length. In exact arithmetic as many iterations as
  // unknowns suffice; twice as many leave room for rounding.
  for (std::size_t k = 0; k < 2 * residual.size() && square > 1e-24 * start; ++k) {
    system(std::span<const double>(direction));
    const double curvature = dot(direction, image);
    const double length = dot(direction, direction);
    if (!(curvature > 0)) {
      if (curvature >= -1e-12 * length) return;  // the rest is in the null space
      detail::raise(std::domain_error(describe(function, "curvature", curvature,
                                               "the Jacobian is not that of a denoiser: it must be "
                                               "finite, symmetric and not negative")));
    }
    const double step = square / curvature;
    for (std::size_t i = 0; i < residual.size(); ++i) {
      solution[i] += step * direction[i];
      residual[i] -= step * image[i];
    }
    const double next = dot(residual, residual);
    for (std::size_t i = 0; i < residual.size(); ++i)
      direction[i] = residual[i] + next / square * direction[i];
    square = next;
  }
}

}  // namespace tweedie::detail
