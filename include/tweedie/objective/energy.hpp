// Models of the log-density itself, which need not be normalised, and how they are fitted.
//
//   noise-contrastive   G = log p_model - log p_noise - log ratio                  Gutmann and Hyvarinen 2010, eq. 3
//                       softplus(-G) at data, softplus(G) at `ratio` times as many points of the noise
//   energy              E(x) = |x - f(x)|^2/(2 sigma^2),  score = -grad E = -(r - J^T r)/sigma^2,  r = x - f
//                                                       Salimans and Ho 2021, eq. 9; Du et al. 2023, section 4
//
// Contrasting is logistic regression: least where G is the true log-ratio, the normaliser included, which is then a
// parameter as any other; for ratio 1 its least value is log 4 - 2 JS, the game of adversarial.hpp. The energy makes of
// a network that answers pictures one whose score is a gradient: energies can be compared, as Metropolis tests
// and products of models need, at the price of one product J^T r (a backward pass).
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "tweedie/tensor/numeric.hpp"
#include "tweedie/tensor/per_item.hpp"

namespace tweedie {

/// Where points to be told apart come from.
enum class contrastive_part { data, noise };

/// Loss per point, with its derivative in log_model in `gradient`. The whole loss is the mean over data plus `ratio`
/// times the mean over noise.
/// \param log_model of the points under the model, up to what it has to learn as its normaliser
/// \param log_noise of the same points under the noise
/// \throws std::invalid_argument for sizes that differ, or unless 0 < ratio < inf.
inline std::vector<double> noise_contrastive_losses(std::span<const double> log_model,
                                                    std::span<const double> log_noise,
                                                    contrastive_part part, double ratio,
                                                    std::span<double> gradient) {
  constexpr const char* name = "noise_contrastive_losses";
  detail::require_per_item(name, "log_noise", log_noise.size(), log_model.size());
  detail::require_per_item(name, "gradient", gradient.size(), log_model.size());
  detail::require(ratio > 0 && std::isfinite(ratio), name, "ratio", ratio,
                  "valid: 0 < ratio < inf");
  const double side = part == contrastive_part::data ? -1 : 1;
  std::vector<double> values;
  for (std::size_t i = 0; i < log_model.size(); ++i) {
    const double wrong = side * (log_model[i] - log_noise[i] - std::log(ratio));
    values.push_back(softplus(wrong));
    gradient[i] = side * std::exp(wrong - softplus(wrong));
  }
  return values;
}

/// Energies |residual|^2/(2 sigma^2) per item; writes the score -(residual - product)/sigma^2.
/// \param residual x - f(x)
/// \param product J^T residual, J the Jacobian of f at x
/// \throws std::invalid_argument unless 0 < sigma, one per item.
template <tensor_like Residual, tensor_like Product, writable_tensor Score>
std::vector<double> energies_and_scores(const Residual& residual, const Product& product,
                                        std::span<const double> sigmas, Score&& score) {
  constexpr const char* name = "energies_and_scores";
  detail::require_per_item(name, "sigmas", sigmas.size(), traits_of<Residual>::items(residual));
  for (const double sigma : sigmas)
    detail::require(sigma > 0, name, "sigma", sigma, "valid: sigma > 0");
  const auto kernel = [&](std::size_t i) {
    const double precision = 1 / (sigmas[i] * sigmas[i]);
    return detail::item_kernel{[](const auto& r, const auto& p, auto& s) {
                                 s = p - r;
                                 return detail::squared(detail::widened(r));
                               },
                               precision / 2, precision};
  };
  return detail::per_item(
      name, reduction::sum_over_dimensions, kernel,
      std::tuple(detail::named("residual", residual), detail::named("product", product)),
      std::tuple(detail::named("score", score)));
}

}  // namespace tweedie
