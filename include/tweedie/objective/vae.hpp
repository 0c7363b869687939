// Variational autoencoders: the bound, its gradients, tighter bounds, and the scaling of latents.
//
//   log p(x) >= E_q log p(x | z) - KL(q(z | x) || N(0, I))               (Kingma and Welling 2014)
//   z = mu + e^(l/2) eps,   dz/dmu = 1,   dz/dl = e^(l/2) eps / 2
//   beta-VAE multiplies the KL (Higgins et al. 2017); free bits floor it per dimension (Kingma et
//   al. 2016, eq. 15); IWAE is log 1/K sum p(x, z_k)/q(z_k | x) (Burda et al. 2016, eq. 8).
//
// Reconstruction terms are `normal_negative_log_likelihoods` and objective/decoder.hpp. A sample of
// the model is drawn from p(x | z); the decoder's mean alone is less dispersed than the data.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tweedie/objective/normal_divergence.hpp"

namespace tweedie {

/// z = mean + e^(log_variance/2) eps. Reads three tensors, writes one.
template <tensor_like Mean, tensor_like LogVariance, tensor_like Noise, writable_tensor Latent>
void reparameterise(const Mean& mean, const LogVariance& log_variance, const Noise& eps,
                    Latent&& z) {
  constexpr const char* name = "reparameterise";
  detail::require_same_batch(name, "log_variance", mean, log_variance);
  detail::require_same_batch(name, "eps", mean, eps);
  detail::require_same_batch(name, "z", mean, z);
  detail::one_pass(
      elements(mean).size(),
      [](const auto& m, const auto& l, const auto& e, auto& out) {
        out = m + detail::exponential(0.5 * l) * e;
      },
      std::tuple(detail::scaled_gradient<scalar_t<Latent>>{elements(z).data()}),
      elements(mean).data(), elements(log_variance).data(), elements(eps).data());
}

/// The divergence part of the bound per item, with the whole gradient: what comes back through z
/// from the reconstruction plus beta times the divergence's own,
///   d/dmu = g + beta mu,   d/dl = g e^(l/2) eps / 2 + beta (e^l - 1)/2,   g = dReconstruction/dz.
/// With free_nats > 0, dimensions whose divergence is below it count free_nats and get no gradient.
/// The gradient g must already contain the reduction; `how` applies to the divergence. Returns
/// beta * divergence.
template <tensor_like Mean, tensor_like LogVariance, tensor_like Noise, tensor_like LatentGradient,
          writable_tensor MeanGradient, writable_tensor LogVarianceGradient>
std::vector<double> latent_divergences(const Mean& mean, const LogVariance& log_variance,
                                       const Noise& eps, const LatentGradient& latent_gradient,
                                       double beta, double free_nats, reduction how,
                                       MeanGradient&& mean_gradient,
                                       LogVarianceGradient&& log_variance_gradient) {
  constexpr const char* name = "latent_divergences";
  detail::require(beta >= 0, name, "beta", beta, "valid: beta >= 0");
  detail::require(free_nats >= 0, name, "free_nats", free_nats, "valid: free_nats >= 0");
  const std::size_t items = detail::checked_items(name, mean);
  detail::require_same_batch(name, "log_variance", mean, log_variance);
  detail::require_same_batch(name, "eps", mean, eps);
  detail::require_same_batch(name, "latent_gradient", mean, latent_gradient);
  detail::require_same_batch(name, "mean_gradient", mean, mean_gradient);
  detail::require_same_batch(name, "log_variance_gradient", mean, log_variance_gradient);
  const std::size_t n = item_size(mean);
  std::vector<double> values(items);
  for (std::size_t i = 0; i < items; ++i) {
    const double weight = beta * reduction_factor(how, n);
    values[i] =
        weight *
        detail::one_pass_in<double>(
            n,
            [=](const auto& m, const auto& l, const auto& e, const auto& g, auto& dm, auto& dl) {
              const auto kl = standard_normal_divergence(m, l);
              const auto active = detail::choose(kl >= free_nats, detail::constant_like(kl, weight),
                                                 detail::constant_like(kl, 0));
              dm = g + active * m;
              dl = g * detail::exponential(0.5 * l) * e + active * detail::exp_minus_one(l);
              return detail::at_least(kl, free_nats);
            },
            std::tuple(
                detail::scaled_gradient<scalar_t<MeanGradient>>{elements(mean_gradient).data() +
                                                                i * n},
                detail::scaled_gradient<scalar_t<LogVarianceGradient>>{
                    elements(log_variance_gradient).data() + i * n, 0.5}),
            elements(mean).data() + i * n, elements(log_variance).data() + i * n,
            elements(eps).data() + i * n, elements(latent_gradient).data() + i * n);
  }
  return values;
}

/// log 1/K sum_k e^w_k of log importance weights w_k = log p(x, z_k) - log q(z_k | x), a lower bound
/// of log p(x) that rises with K and is the ELBO at K = 1.
inline double importance_bound(std::span<const double> log_weights) {
  detail::require(!log_weights.empty(), "importance_bound", "log_weights", 0,
                  "valid: at least one");
  for (const double w : log_weights)
    detail::require(std::isfinite(w) || w < 0, "importance_bound", "log weight", w,
                    "valid: -inf <= log weight < inf");
  const double high = *std::max_element(log_weights.begin(), log_weights.end());
  if (!std::isfinite(high)) return high;
  double sum = 0;
  for (const double w : log_weights) sum += std::exp(w - high);
  return high + std::log(sum / static_cast<double>(log_weights.size()));
}

/// Slopes of the importance bound in each log weight: e^w_k / sum e^w_j.
inline std::vector<double> importance_slopes(std::span<const double> log_weights) {
  const double bound = importance_bound(log_weights);
  detail::require(std::isfinite(bound), "importance_slopes", "importance bound", bound,
                  "valid: at least one finite log weight");
  std::vector<double> slopes;
  for (const double w : log_weights)
    slopes.push_back(std::exp(w - bound) / static_cast<double>(log_weights.size()));
  return slopes;
}

}  // namespace tweedie
