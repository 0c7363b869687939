// Variational autoencoders: the bound, its gradients, tighter bounds.
//
//   log p(x) >= E_q log p(x | z) - KL(q(z | x) || N(0, I))               (Kingma and Welling 2014)
//   z = mu + e^(l/2) eps,   dz/dmu = 1,   dz/dl = e^(l/2) eps / 2
//   beta-VAE multiplies the KL (Higgins et al. 2017); free bits floor it per dimension (Kingma et
//   al. 2016, eq. 15); IWAE is log 1/K sum p(x, z_k)/q(z_k | x) (Burda et al. 2016, eq. 8).
//
// Reconstruction terms are `normal_negative_log_likelihoods` and objective/decoder.hpp. A sample of
// the model is drawn from p(x | z); the decoder's mean alone is less dispersed than the data.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/tensor/per_item.hpp"
#include "tweedie/tensor/random.hpp"

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

/// Divergence of diagonal normals from N(0, I) per item, with the gradients to mean and
/// log-variance. Reads two tensors, writes two. Like all below computed in double.
template <tensor_like Mean, tensor_like LogVariance, writable_tensor MeanGradient,
          writable_tensor LogVarianceGradient>
std::vector<double> standard_normal_divergences(const Mean& mean, const LogVariance& log_variance,
                                                reduction how, MeanGradient&& mean_gradient,
                                                LogVarianceGradient&& log_variance_gradient) {
  const auto kernel = [](const auto& m, const auto& l, auto& dm, auto& dl) {
    dm = m;
    dl = detail::exp_minus_one(l);
    return standard_normal_divergence(m, l);
  };
  return detail::per_item<double>(
      "standard_normal_divergences", how, detail::item_kernel{kernel},
      std::tuple(detail::named("mean", mean), detail::named("log_variance", log_variance)),
      std::tuple(detail::named("mean_gradient", mean_gradient),
                 detail::named("log_variance_gradient", log_variance_gradient, 0.5)));
}

/// Negative log-density of x under diagonal normals per item, with the gradients to mean and
/// log-variance. Reads three tensors, writes two.
template <tensor_like Data, tensor_like Mean, tensor_like LogVariance, writable_tensor MeanGradient,
          writable_tensor LogVarianceGradient>
std::vector<double> normal_negative_log_likelihoods(const Data& x, const Mean& mean,
                                                    const LogVariance& log_variance, reduction how,
                                                    MeanGradient&& mean_gradient,
                                                    LogVarianceGradient&& log_variance_gradient) {
  const auto kernel = [](const auto& y, const auto& m, const auto& l, auto& dm, auto& dl) {
    const auto r = m - y;
    dm = r * detail::exponential(-l);
    dl = 1 - r * dm;
    return 0.5 * (r * dm + l) + half_log_two_pi;
  };
  return detail::per_item<double>(
      "normal_negative_log_likelihoods", how, detail::item_kernel{kernel},
      std::tuple(detail::named("x", x), detail::named("mean", mean),
                 detail::named("log_variance", log_variance)),
      std::tuple(detail::named("mean_gradient", mean_gradient),
                 detail::named("log_variance_gradient", log_variance_gradient, 0.5)));
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
  const auto kernel = [&](std::size_t) {
    const double weight = beta * reduction_factor(how, item_size(mean));
    return detail::item_kernel{
        [=](const auto& m, const auto& l, const auto& e, const auto& g, auto& dm, auto& dl) {
          const auto kl = standard_normal_divergence(m, l);
          const auto active = detail::choose(kl >= free_nats, detail::constant_like(kl, weight),
                                             detail::constant_like(kl, 0));
          dm = g + active * m;
          dl = g * detail::exponential(0.5 * l) * e + active * detail::exp_minus_one(l);
          return detail::at_least(kl, free_nats);
        },
        weight};
  };
  return detail::per_item<double>(
      name, reduction::sum_over_dimensions, kernel,
      std::tuple(detail::named("mean", mean), detail::named("log_variance", log_variance),
                 detail::named("eps", eps), detail::named("latent_gradient", latent_gradient)),
      std::tuple(detail::named("mean_gradient", mean_gradient),
                 detail::named("log_variance_gradient", log_variance_gradient, 0.5)));
}

/// What is shown of a generated x: the decoder's mean, or a sample of p(x | z), which is one of the model.
enum class vae_output { decoder_mean, decoder_sample };

/// `count` columns x of z ~ N(0, I): decode(z) is the mean of p(x | z) = N(mean, deviation^2 I), for each
/// column. Keyed by (seed, column).
/// \throws std::invalid_argument unless latents >= 0, count >= 0 and 0 <= deviation < inf.
template <class Decoder>
requires std::is_invocable_r_v<Eigen::MatrixXd, const Decoder&, const Eigen::MatrixXd&>
    Eigen::MatrixXd vae_generate(const Decoder& decode, Eigen::Index latents, Eigen::Index count,
                                 double deviation, vae_output output, std::uint64_t seed) {
  constexpr const char* name = "vae_generate";
  detail::require(latents >= 0, name, "latents", static_cast<double>(latents), "valid: >= 0");
  detail::require(count >= 0, name, "count", static_cast<double>(count), "valid: >= 0");
  detail::require(deviation >= 0 && std::isfinite(deviation), name, "deviation", deviation,
                  "valid: 0 <= deviation < inf");
  Eigen::MatrixXd z(latents, count);
  fill_standard_normal(z, seed, 0);
  Eigen::MatrixXd x = decode(z);
  if (output == vae_output::decoder_mean) return x;
  Eigen::MatrixXd noise(x.rows(), x.cols());
  fill_standard_normal(noise, seed, 1);
  return x + deviation * noise;
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
