// What a sampler makes of Gaussian data, and how far that is from the data: exactly, with no sample
// drawn.
//
//   data N(m, S), S = sum_k s_k^2 e_k e_k^T, perfect denoiser: along each axis e_k the result is
//   N(mean_k, variance_k) by the recursion of program/law.hpp, and
//
//   W2^2  = sum_k (mean_k - m_k)^2 + (sqrt(variance_k) - s_k)^2     also the Frechet distance
//   KL    = sum_k (r_k - 1 - log r_k + (mean_k - m_k)^2 / s_k^2) / 2,  r_k = variance_k / s_k^2
//
// since data and result share their axes. It holds for every program, multistep and stochastic ones
// included; what it leaves out is what a network does not know and what is not Gaussian about data.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "tweedie/process/log1p_minus.hpp"
#include "tweedie/program/law.hpp"

namespace tweedie {

/// From which law a run starts at plan.start.
enum class start_law {
  marginal,  ///< alpha x0 + sigma z: the sampler's own error alone
  prior      ///< N(0, sigma^2): as it is done, with the signal that is left at the start ignored
};

/// Law of one axis of the data where `plan` starts.
inline scalar_law law_of_start(const program& plan, scalar_law axis, start_law start) {
  const auto [alpha, sigma] = plan.start.level;
  if (start == start_law::prior) return {0, sigma * sigma};
  return {alpha * axis.mean, alpha * alpha * axis.variance + sigma * sigma};
}

/// Law of what `plan` makes with the perfect denoiser, along each axis of the data.
/// \throws std::invalid_argument for no axes, a variance that is negative or a number that is not
///   finite, and as `law`.
inline std::vector<scalar_law> generated(const program& plan, std::span<const scalar_law> data,
                                         start_law start = start_law::marginal) {
  constexpr const char* name = "generated";
  detail::require(!data.empty(), name, "axes", 0, "valid: at least one");
  std::vector<scalar_law> out;
  for (const scalar_law& axis : data) {
    detail::require(axis.variance >= 0 && std::isfinite(axis.variance), name, "variance",
                    axis.variance, "valid: 0 <= variance < inf");
    detail::require(std::isfinite(axis.mean), name, "mean", axis.mean, "valid: finite");
    out.push_back(
        law(plan, gaussian_denoiser(axis.mean, axis.variance), law_of_start(plan, axis, start))
            .result);
  }
  return out;
}

namespace detail {

inline void require_same_axes(const char* function, std::span<const scalar_law> a,
                              std::span<const scalar_law> b) {
  require(a.size() == b.size(), function, "axes", static_cast<double>(a.size()),
          "valid: as many as the data has");
}

}  // namespace detail

/// Squared Wasserstein-2 distance between two Gaussians with the same axes, which is their Frechet
/// distance too.
inline double squared_wasserstein(std::span<const scalar_law> a, std::span<const scalar_law> b) {
  detail::require_same_axes("squared_wasserstein", a, b);
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double means = a[k].mean - b[k].mean;
    // Variances at the level of rounding may come out below zero.
    const double deviations =
        std::sqrt(std::fmax(a[k].variance, 0)) - std::sqrt(std::fmax(b[k].variance, 0));
    sum += means * means + deviations * deviations;
  }
  return sum;
}

/// KL(a || b) in nats between two Gaussians with the same axes; +inf where one of two variances is 0
/// or where a point (both are 0) is missed.
inline double kl_divergence(std::span<const scalar_law> a, std::span<const scalar_law> b) {
  detail::require_same_axes("kl_divergence", a, b);
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double means = a[k].mean - b[k].mean;
    if (b[k].variance == 0 && a[k].variance == 0 && means == 0) continue;
    if (!(b[k].variance > 0 && a[k].variance > 0)) return std::numeric_limits<double>::infinity();
    const double excess = (a[k].variance - b[k].variance) / b[k].variance;
    sum += (means * means / b[k].variance - log1p_minus(excess)) / 2;
  }
  return sum;
}

}  // namespace tweedie
