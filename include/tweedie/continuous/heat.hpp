// The heat equation behind adding noise, on a grid.
//
//   dx = dW              dp/du = 1/2 d^2 p/dx^2          u = sigma^2: variance-exploding noise
//   dx = f x dt + g dW   dp/dt = -d(f x p)/dx + g^2/2 d^2 p/dx^2          Fokker-Planck
//
// The popular dp/dt = d^2 p/dx^2 belongs to dx = sqrt(2) dW: it has lost the 1/2, and the drift of
// variance-preserving noise. "Reversing the heat flow" is no inverse of it: the mode of wave number k
// grows back by exp(k^2 u / 2), so the last digit of what is reversed takes over at once; the reverse SDE
// and the probability flow are well-posed because the score of the known p supplies their drift.
//
// Pictures dissipate in the same way, with edges that reflect: the modes are cosines (blurring diffusion,
// Rissanen et al. 2023, eq. 4; Hoogeboom and Salimans 2023, eq. 13).
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <complex>
#include <cstddef>
#include <numbers>
#include <span>
#include <unsupported/Eigen/FFT>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// The density after noise of variance u was added to it: exact for what the grid holds, a period
/// [0, length) cut into p.size() equal cells. A negative u is the ill-posed reversal.
/// \throws std::invalid_argument for an empty grid, a length that is not positive, or u not finite.
inline std::vector<double> heat_flow(std::span<const double> p, double length, double u) {
  detail::require(!p.empty(), "heat_flow", "p.size()", 0, "valid: at least one cell");
  detail::require(length > 0 && std::isfinite(length), "heat_flow", "length", length,
                  "valid: 0 < length < inf");
  detail::require(std::isfinite(u), "heat_flow", "u", u, "valid: finite");
  const std::size_t n = p.size();
  if (n == 1) return {p.front()};
  Eigen::FFT<double> transform;
  std::vector<std::complex<double>> from(p.begin(), p.end()), modes, to;
  transform.fwd(modes, from);
  for (std::size_t k = 0; k < n; ++k) {
    const auto wave = static_cast<double>(k <= n / 2 ? k : n - k);
    const double number = 2 * std::numbers::pi * wave / length;
    modes[k] *= std::exp(-number * number * u / 2);
  }
  transform.inv(to, modes);
  std::vector<double> out;
  for (const std::complex<double>& v : to) out.push_back(v.real());
  return out;
}

/// One explicit step of the same equation by second differences, cells h wide, the ends joined:
/// p_i + u/(2 h^2) (p_(i-1) - 2 p_i + p_(i+1)). Of second order in h for u ~ h^2; keeps the mass.
/// \throws std::invalid_argument unless 0 <= u <= h^2, where it is stable, and h is finite.
inline std::vector<double> heat_step(std::span<const double> p, double h, double u) {
  detail::require(h > 0 && std::isfinite(h), "heat_step", "h", h, "valid: 0 < h < inf");
  detail::require(u >= 0 && u <= h * h, "heat_step", "u", u, "valid: 0 <= u <= h^2");
  const std::size_t n = p.size();
  const double weight = u / (2 * h * h);
  std::vector<double> out(n);
  for (std::size_t i = 0; i < n; ++i)
    out[i] = p[i] + weight * (p[(i + n - 1) % n] - 2 * p[i] + p[(i + 1) % n]);
  return out;
}

/// The orthonormal cosines of n pixels, one a row (DCT-II): mode k has k half waves.
inline Eigen::MatrixXd cosine_modes(Eigen::Index n) {
  Eigen::MatrixXd modes(n, n);
  for (Eigen::Index k = 0; k < n; ++k)
    for (Eigen::Index i = 0; i < n; ++i)
      modes(k, i) = std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(n)) *
                    std::cos(std::numbers::pi * static_cast<double>(k) *
                             (static_cast<double>(i) + 0.5) / static_cast<double>(n));
  return modes;
}

/// A picture after heat of variance u, in pixels squared, has flown in it: mode (k, l) fades by
/// exp(-u/2 ((pi k/height)^2 + (pi l/width)^2)). Keeps the mean; u = 0 is the identity to rounding.
/// Costs two matrix products a side.
/// \throws std::invalid_argument unless u is finite and not negative.
inline Eigen::MatrixXd blurred(const Eigen::MatrixXd& picture, double u) {
  detail::require(u >= 0 && std::isfinite(u), "blurred", "u", u, "valid: 0 <= u < inf");
  const auto along = [u](Eigen::Index n) -> Eigen::MatrixXd {
    const Eigen::MatrixXd modes = cosine_modes(n);
    Eigen::VectorXd fading(n);
    for (Eigen::Index k = 0; k < n; ++k) {
      const double number = std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
      fading[k] = std::exp(-u / 2 * number * number);
    }
    return modes.transpose() * fading.asDiagonal() * modes;
  };
  return along(picture.rows()) * picture * along(picture.cols());
}

}  // namespace tweedie
