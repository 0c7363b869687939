// Objectives that fit the gradient s(x) of a log-density, per item, with gradients to the network's
// output where the output alone determines them.
//
//   denoising  1/2 |s(x_t) + z/sigma|^2 w        Vincent 2011, eq. 10  (regression on the score)
//   implicit   1/2 |s|^2 + div s                 Hyvarinen 2005, eq. 4
//   sliced     1/2 (v.s)^2 + v.(J v)             Song et al. 2019, eq. 8; with 1/2 |s|^2 in place of
//                                                1/2 (v.s)^2: the variance-reduced form, eq. 9
//
// All three equal 1/2 E|s - grad log p|^2 up to a constant: E|s|^2 of the true score, halved, and for
// the denoising form d/sigma^2 - E|grad log p_t|^2, halved. div s and J v come from the caller's
// network (a trace or a Jacobian-vector product).
#pragma once

#include <span>
#include <vector>

#include "tweedie/objective/batch.hpp"
#include "tweedie/objective/numeric.hpp"
#include "tweedie/objective/one_pass.hpp"

namespace tweedie {

namespace detail {

/// |x|^2 of one item; x is copied to the gradient.
template <class S, class G>
double squared_norm(std::size_t n, const S* x, G* gradient) {
  return one_pass(
      n,
      [](const auto& s, auto& slope) {
        slope = s;
        return squared(widened(s));
      },
      std::tuple(scaled_gradient<G>{gradient}), x);
}

}  // namespace detail

/// w/2 |score + z/sigma|^2 per item; sigma > 0 and w per item (w = sigma^2 evens out the levels).
template <tensor_like Score, tensor_like Noise, writable_tensor Gradient>
std::vector<double> denoising_score_matching(const Score& score, const Noise& z,
                                             std::span<const double> sigmas,
                                             std::span<const double> weights, reduction how,
                                             Gradient&& gradient) {
  constexpr const char* name = "denoising_score_matching";
  const std::size_t items = detail::checked_items(name, score);
  detail::require_same_batch(name, "z", score, z);
  detail::require_same_batch(name, "gradient", score, gradient);
  detail::require_per_item(name, "sigmas", sigmas.size(), items);
  detail::require_per_item(name, "weights", weights.size(), items);
  for (const double sigma : sigmas)
    detail::require(sigma > 0, name, "sigma", sigma, "valid: sigma > 0");
  const std::size_t n = item_size(score);
  std::vector<double> values(items);
  for (std::size_t i = 0; i < items; ++i) {
    const double factor = weights[i] * reduction_factor(how, n);
    const double inverse = 1 / sigmas[i];
    values[i] = factor / 2 *
                detail::one_pass(
                    n,
                    [=](const auto& s, const auto& e, auto& g) {
                      g = s + inverse * e;
                      return detail::squared(detail::widened(s) + inverse * detail::widened(e));
                    },
                    std::tuple(detail::scaled_gradient<scalar_t<Gradient>>{
                        elements(gradient).data() + i * n, factor}),
                    elements(score).data() + i * n, elements(z).data() + i * n);
  }
  return values;
}

/// 1/2 |score|^2 + divergence per item; `gradient` is that of the first part, the divergence has
/// slope 1.
template <tensor_like Score, writable_tensor Gradient>
std::vector<double> implicit_score_matching(const Score& score, std::span<const double> divergences,
                                            Gradient&& gradient) {
  constexpr const char* name = "implicit_score_matching";
  const std::size_t items = detail::checked_items(name, score);
  detail::require_same_batch(name, "gradient", score, gradient);
  detail::require_per_item(name, "divergences", divergences.size(), items);
  const std::size_t n = item_size(score);
  std::vector<double> values(items);
  for (std::size_t i = 0; i < items; ++i)
    values[i] = divergences[i] + detail::squared_norm(n, elements(score).data() + i * n,
                                                      elements(gradient).data() + i * n) /
                                     2;
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
  constexpr const char* name = "sliced_score_matching";
  const std::size_t items = detail::checked_items(name, score);
  detail::require_same_batch(name, "v", score, v);
  detail::require_same_batch(name, "jacobian_times_v", score, jacobian_times_v);
  detail::require_same_batch(name, "gradient", score, gradient);
  detail::require_same_batch(name, "product_gradient", score, product_gradient);
  const std::size_t n = item_size(score);
  std::vector<double> values(items);
  for (std::size_t i = 0; i < items; ++i) {
    const auto* s = elements(score).data() + i * n;
    const auto* d = elements(v).data() + i * n;
    auto* g = elements(gradient).data() + i * n;
    const double curvature = detail::one_pass(
        n,
        [](const auto& direction, const auto& product, auto& slope) {
          slope = direction;
          return detail::widened(direction) * detail::widened(product);
        },
        std::tuple(detail::scaled_gradient<scalar_t<ProductGradient>>{
            elements(product_gradient).data() + i * n}),
        d, elements(jacobian_times_v).data() + i * n);
    if (form == sliced_form::variance_reduced) {
      values[i] = curvature + detail::squared_norm(n, s, g) / 2;
      continue;
    }
    const double projection = detail::one_pass(
        n,
        [](const auto& x, const auto& direction) {
          return detail::widened(x) * detail::widened(direction);
        },
        std::tuple<>(), s, d);
    detail::one_pass(
        n, [](const auto& direction, auto& slope) { slope = direction; },
        std::tuple(detail::scaled_gradient<scalar_t<Gradient>>{g, projection}), d);
    values[i] = curvature + projection * projection / 2;
  }
  return values;
}

}  // namespace tweedie
