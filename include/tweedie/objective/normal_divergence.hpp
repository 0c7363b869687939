// One-dimensional normal distributions given by mean and log-variance: density, entropy, divergence
// and transport distance, as functions of any scalar, and their sums over the dimensions of a batch
// of diagonal normals with gradients.
//
//   KL(N(m, e^l) || N(m', e^l')) = 1/2 (e^(l - l') - 1 - (l - l') + (m - m')^2 e^-l')
//
// In nats. The first three terms are one function (exp_minus_linear), so that nothing cancels where
// the variances are close, and no variance is ever formed: log-variances of +-700 are fine in double,
// of +-80 in float. Batches of any scalar are computed in double.
#pragma once

#include <vector>

#include "tweedie/objective/batch.hpp"
#include "tweedie/objective/numeric.hpp"
#include "tweedie/objective/one_pass.hpp"

namespace tweedie {

/// log N(x; mean, e^log_variance).
template <class S>
S normal_log_density(const S& x, const S& mean, const S& log_variance) {
  const S r = x - mean;
  return (r * r * detail::exponential(S(-log_variance)) + log_variance) * -0.5 - half_log_two_pi;
}

/// Differential entropy 1/2 log(2 pi e) + log_variance / 2.
template <class S>
S normal_entropy(const S& log_variance) {
  return log_variance / 2 + (half_log_two_pi + 0.5);
}

/// KL(N(mean, e^log_variance) || N(other_mean, e^other_log_variance)).
template <class S>
S normal_divergence(const S& mean, const S& log_variance, const S& other_mean,
                    const S& other_log_variance) {
  const S r = mean - other_mean;
  return (exp_minus_linear(S(log_variance - other_log_variance)) +
          r * r * detail::exponential(S(-other_log_variance))) /
         2;
}

/// KL(N(mean, e^log_variance) || N(0, 1)).
template <class S>
S standard_normal_divergence(const S& mean, const S& log_variance) {
  return (exp_minus_linear(log_variance) + mean * mean) / 2;
}

/// Squared 2-Wasserstein distance (m - m')^2 + (s - s')^2.
template <class S>
S normal_transport(const S& mean, const S& log_variance, const S& other_mean,
                   const S& other_log_variance) {
  const S r = mean - other_mean;
  const S s =
      detail::exponential(S(log_variance / 2)) - detail::exponential(S(other_log_variance / 2));
  return r * r + s * s;
}

/// Divergence of diagonal normals from N(0, I) per item, with the gradients to mean and
/// log-variance: the regulariser of a VAE. Reads two tensors, writes two.
template <tensor_like Mean, tensor_like LogVariance, writable_tensor MeanGradient,
          writable_tensor LogVarianceGradient>
std::vector<double> standard_normal_divergences(const Mean& mean, const LogVariance& log_variance,
                                                reduction how, MeanGradient&& mean_gradient,
                                                LogVarianceGradient&& log_variance_gradient) {
  constexpr const char* name = "standard_normal_divergences";
  const std::size_t items = detail::checked_items(name, mean);
  detail::require_same_batch(name, "log_variance", mean, log_variance);
  detail::require_same_batch(name, "mean_gradient", mean, mean_gradient);
  detail::require_same_batch(name, "log_variance_gradient", mean, log_variance_gradient);
  const std::size_t n = item_size(mean);
  const double factor = items == 0 ? 0 : reduction_factor(how, n);
  std::vector<double> values(items);
  for (std::size_t i = 0; i < items; ++i)
    values[i] = factor * detail::one_pass_in<double>(
                             n,
                             [](const auto& m, const auto& l, auto& dm, auto& dl) {
                               dm = m;
                               dl = detail::exp_minus_one(l);
                               return standard_normal_divergence(m, l);
                             },
                             std::tuple(
                                 detail::scaled_gradient<scalar_t<MeanGradient>>{
                                     elements(mean_gradient).data() + i * n, factor},
                                 detail::scaled_gradient<scalar_t<LogVarianceGradient>>{
                                     elements(log_variance_gradient).data() + i * n, factor / 2}),
                             elements(mean).data() + i * n, elements(log_variance).data() + i * n);
  return values;
}

/// Negative log-density of x under diagonal normals per item, with the gradients to mean and
/// log-variance. Reads three tensors, writes two.
template <tensor_like Data, tensor_like Mean, tensor_like LogVariance, writable_tensor MeanGradient,
          writable_tensor LogVarianceGradient>
std::vector<double> normal_negative_log_likelihoods(const Data& x, const Mean& mean,
                                                    const LogVariance& log_variance, reduction how,
                                                    MeanGradient&& mean_gradient,
                                                    LogVarianceGradient&& log_variance_gradient) {
  constexpr const char* name = "normal_negative_log_likelihoods";
  const std::size_t items = detail::checked_items(name, x);
  detail::require_same_batch(name, "mean", x, mean);
  detail::require_same_batch(name, "log_variance", x, log_variance);
  detail::require_same_batch(name, "mean_gradient", x, mean_gradient);
  detail::require_same_batch(name, "log_variance_gradient", x, log_variance_gradient);
  const std::size_t n = item_size(x);
  const double factor = items == 0 ? 0 : reduction_factor(how, n);
  std::vector<double> values(items);
  for (std::size_t i = 0; i < items; ++i)
    values[i] = factor * detail::one_pass_in<double>(
                             n,
                             [](const auto& y, const auto& m, const auto& l, auto& dm, auto& dl) {
                               const auto r = m - y;
                               dm = r * detail::exponential(-l);
                               dl = 1 - r * dm;
                               return 0.5 * (r * dm + l) + half_log_two_pi;
                             },
                             std::tuple(
                                 detail::scaled_gradient<scalar_t<MeanGradient>>{
                                     elements(mean_gradient).data() + i * n, factor},
                                 detail::scaled_gradient<scalar_t<LogVarianceGradient>>{
                                     elements(log_variance_gradient).data() + i * n, factor / 2}),
                             elements(x).data() + i * n, elements(mean).data() + i * n,
                             elements(log_variance).data() + i * n);
  return values;
}

}  // namespace tweedie
