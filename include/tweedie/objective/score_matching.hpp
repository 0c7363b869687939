// Objectives that fit the gradient s(x) of a log-density, per item, with gradients to the network's
// output where the output alone determines them.
//
//   explicit   1/2 |s - grad log p|^2 w          Hyvarinen 2005, eq. 2: half the Fisher divergence
//   denoising  1/2 |s(x_t) + z/sigma|^2 w        Vincent 2011, eq. 10  (regression on the score)
//   implicit   1/2 |s|^2 + div s                 Hyvarinen 2005, eq. 4
//   sliced     1/2 (v.s)^2 + v.(J v)             Song et al. 2019, eq. 8; with 1/2 |s|^2 in place of
//                                                1/2 (v.s)^2: the variance-reduced form, eq. 9
//
// The last three equal the first, which needs the true score, up to a constant: E|s|^2 of the true score,
// halved, and for the denoising form d/sigma^2 - E|grad log p_t|^2, halved. div s and J v come from the
// caller's network (a trace or a Jacobian-vector product).
#pragma once

#include <span>
#include <vector>

#include "tweedie/tensor/numeric.hpp"
#include "tweedie/tensor/per_item.hpp"

namespace tweedie {

namespace detail {

/// |x|^2; its slope is x, half the gradient.
inline constexpr auto squared_norm = [](const auto& x, auto& slope) {
  slope = x;
  return squared(widened(x));
};
inline constexpr auto inner_product = [](const auto& x, const auto& y) {
  return widened(x) * widened(y);
};

/// w/2 |score + c other|^2 per item, c = factor(item).
template <class Score, class O, class Factor, class G>
std::vector<double> score_errors(const char* name, const Score& score, const named_tensor<O>& other,
                                 const Factor& factor, std::span<const double> weights,
                                 reduction how, const named_tensor<G>& gradient) {
  const auto kernel = [&](std::size_t i) {
    return item_kernel{[c = factor(i)](const auto& s, const auto& o, auto& g) {
                         g = s + c * o;
                         return squared(widened(s) + c * widened(o));
                       },
                       weights[i] / 2, weights[i]};
  };
  return per_item(name, how, kernel, std::tuple(named("score", score), other),
                  std::tuple(gradient));
}

}  // namespace detail

/// w/2 |score - truth|^2 per item, w per item. Its mean over samples of p is half the Fisher divergence of the model from
/// p, where truth is the score of p.
template <tensor_like Score, tensor_like Truth, writable_tensor Gradient>
std::vector<double> explicit_score_matching(const Score& score, const Truth& truth,
                                            std::span<const double> weights, reduction how,
                                            Gradient&& gradient) {
  constexpr const char* name = "explicit_score_matching";
  detail::require_per_item(name, "weights", weights.size(), traits_of<Score>::items(score));
  return detail::score_errors(
      name, score, detail::named("truth", truth), [](std::size_t) { return -1.0; }, weights, how,
      detail::named("gradient", gradient));
}

/// w/2 |score + z/sigma|^2 per item; sigma > 0 and w per item (w = sigma^2 evens out the levels).
template <tensor_like Score, tensor_like Noise, writable_tensor Gradient>
std::vector<double> denoising_score_matching(const Score& score, const Noise& z,
                                             std::span<const double> sigmas,
                                             std::span<const double> weights, reduction how,
                                             Gradient&& gradient) {
  constexpr const char* name = "denoising_score_matching";
  detail::require_per_item(name, "sigmas", sigmas.size(), traits_of<Score>::items(score));
  detail::require_per_item(name, "weights", weights.size(), sigmas.size());
  for (const double sigma : sigmas)
    detail::require(sigma > 0, name, "sigma", sigma, "valid: sigma > 0");
  return detail::score_errors(
      name, score, detail::named("z", z), [&](std::size_t i) { return 1 / sigmas[i]; }, weights,
      how, detail::named("gradient", gradient));
}

/// 1/2 |score|^2 + divergence per item; `gradient` is that of the first part, the divergence has
/// slope 1.
template <tensor_like Score, writable_tensor Gradient>
std::vector<double> implicit_score_matching(const Score& score, std::span<const double> divergences,
                                            Gradient&& gradient) {
  constexpr const char* name = "implicit_score_matching";
  detail::require_per_item(name, "divergences", divergences.size(), traits_of<Score>::items(score));
  std::vector<double> values = detail::per_item(
      name, reduction::sum_over_dimensions, detail::item_kernel{detail::squared_norm, 0.5},
      std::tuple(detail::named("score", score)), std::tuple(detail::named("gradient", gradient)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += divergences[i];
  return values;
}

/// Which quadratic part a sliced objective has.
enum class sliced_form { projected, variance_reduced };

/// Quadratic part + v.(J v) per item for directions v with E v v^T = I (Rademacher or normal) and
/// the products J v of the network's Jacobian; gradients to the score and to J v.
template <tensor_like Score, tensor_like Direction, tensor_like Product, writable_tensor Gradient,
          writable_tensor ProductGradient>
std::vector<double> sliced_score_matching(const Score& score, const Direction& v,
                                          const Product& jacobian_times_v, sliced_form form,
                                          Gradient&& gradient, ProductGradient&& product_gradient) {
  using G = scalar_t<Gradient>;
  const auto copy = [](const auto& from, auto& to) { to = from; };
  const auto value = [&](std::size_t, std::size_t n, const auto* s, const auto* d, const auto* j,
                         G* g, scalar_t<ProductGradient>* h) {
    const double curvature = detail::one_pass(
        n,
        [](const auto& direction, const auto& product, auto& slope) {
          slope = direction;
          return detail::inner_product(direction, product);
        },
        std::tuple(detail::scaled_gradient<scalar_t<ProductGradient>>{h}), d, j);
    if (form == sliced_form::variance_reduced)
      return curvature + detail::one_pass(n, detail::squared_norm,
                                          std::tuple(detail::scaled_gradient<G>{g}), s) /
                             2;
    const double projection = detail::one_pass(n, detail::inner_product, std::tuple<>(), s, d);
    detail::one_pass(n, copy, std::tuple(detail::scaled_gradient<G>{g, projection}), d);
    return curvature + projection * projection / 2;
  };
  return detail::each_item(
      "sliced_score_matching", value, detail::named("score", score), detail::named("v", v),
      detail::named("jacobian_times_v", jacobian_times_v), detail::named("gradient", gradient),
      detail::named("product_gradient", product_gradient));
}

}  // namespace tweedie
