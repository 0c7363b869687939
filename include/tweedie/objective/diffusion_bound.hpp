// The diffusion part of the ELBO of a variational diffusion model, in nats, from its mean squared
// errors alone (Kingma et al. 2021, eqs. 13 and 17):
//
//   discrete    L_T   = 1/2 sum (SNR(s) - SNR(t)) E|x0 - x0_hat(x_t)|^2
//   continuous  L_inf = 1/2 int SNR E|x0 - x0_hat|^2 d(log SNR)
//
//   likelihood  -log p(x) = d/2 log(2 pi e) - 1/2 int (d/(1 + SNR) - e(x, SNR)) dSNR,
//               e(x, .) the error of the exact denoiser on noised versions of one x
//               (Kong et al. 2023, eq. 9; the point-wise form of dI/dSNR = mmse/2)
//
// L_inf depends on the ends of the schedule only; L_T is an upper Riemann sum of it. A noise
// network trained on `elbo_noise_weight` minimises an unbiased estimate of L_inf.
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>

#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie {

/// L_T over levels from noisy to clean, all with sigma > 0; error(level) = E|x0 - x0_hat|^2 there.
template <class SampleError>
double discrete_diffusion_bound(std::span<const signal_noise> levels, const SampleError& error) {
  detail::require(levels.size() >= 2, "discrete_diffusion_bound", "levels",
                  static_cast<double>(levels.size()), "valid: at least two");
  double sum = 0;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    const double drop = signal_to_noise_ratio(levels[i + 1]) *
                        -std::expm1(2 * (half_log_snr(levels[i]) - half_log_snr(levels[i + 1])));
    detail::require(std::isfinite(drop) && drop >= 0, "discrete_diffusion_bound", "SNR difference",
                    drop, "valid: sigma > 0 and levels of decreasing noise");
    sum += drop * error(levels[i]) / 2;
  }
  return sum;
}

/// L_inf between two log-SNRs by Gauss-Legendre quadrature of 5 points on `panels` equal parts of
/// the log-SNR axis; error(log_snr) = E|x0 - x0_hat|^2 there.
template <class SampleError>
double continuous_diffusion_bound(double log_snr_low, double log_snr_high, const SampleError& error,
                                  int panels = 200) {
  detail::require(log_snr_low <= log_snr_high && std::isfinite(log_snr_high - log_snr_low),
                  "continuous_diffusion_bound", "log_snr_low", log_snr_low,
                  "valid: finite, log_snr_low <= log_snr_high");
  detail::require(panels >= 1, "continuous_diffusion_bound", "panels", panels,
                  "valid: panels >= 1");
  constexpr double nodes[] = {0, 0.53846931010568309104, 0.90617984593866399280};
  constexpr double weights[] = {0.56888888888888888889, 0.47862867049936646804,
                                0.23692688505618908751};
  const double radius = (log_snr_high - log_snr_low) / panels / 2;
  const auto integrand = [&](double l) { return std::exp(l) * error(l) / 2; };
  double sum = 0;
  for (int k = 0; k < panels; ++k) {
    const double centre = log_snr_low + (2 * k + 1) * radius;
    sum += weights[0] * integrand(centre);
    for (int j = 1; j < 3; ++j)
      sum += weights[j] *
             (integrand(centre - radius * nodes[j]) + integrand(centre + radius * nodes[j]));
  }
  return sum * radius;
}

/// -log p(x) of one x with d dimensions, in nats, from error(log_snr) = E|x - x_hat(x_t)|^2 of the
/// exact denoiser at that x. The integral is cut at the given log-SNRs; what is cut off falls like
/// e^-|log SNR|.
template <class SampleError>
double negative_log_likelihood_of_errors(std::size_t dimensions, double log_snr_low,
                                         double log_snr_high, const SampleError& error,
                                         int panels = 400) {
  const auto d = static_cast<double>(dimensions);
  const auto excess = [&](double l) { return d / (1 + std::exp(l)) - error(l); };
  return d / 2 * std::log(2 * std::numbers::pi * std::numbers::e) -
         continuous_diffusion_bound(log_snr_low, log_snr_high, excess, panels);
}

}  // namespace tweedie
