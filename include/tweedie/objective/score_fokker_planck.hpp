// How far a network's scores at different times are from belonging to one diffusion: the residual of the Fokker-Planck
// equation of scores, as a regulariser (Lai et al. 2023, FP-Diffusion, eqs. 9 and 12).
//
//   dx = f x dt + g dW:   d/dt log p = g^2/2 (div s + |s|^2) - f (x.s + d)
//   its gradient:         d/dt s     = g^2/2 grad div s + J^T (g^2 s - f x) - f s,   J the Jacobian of s
//   residual              r = d/dt s - g^2/2 grad div s - J^T (g^2 s - f x) + f s;   loss w/2 |r|^2
//
// 0 for the scores of any data. Derivatives come from the caller's network: d/dt s and J^T v are one pass each, grad div
// s by random directions or differences.
#pragma once

#include <span>
#include <vector>

#include "tweedie/schedule/schedule.hpp"
#include "tweedie/tensor/numeric.hpp"
#include "tweedie/tensor/per_item.hpp"

namespace tweedie {

/// w/2 |r|^2 per item. `gradient` is that in time_derivative; in divergence_gradient it is -g^2/2 times that, in
/// product -1 times, in score f times.
/// \param product J^T (g^2 s - f x)
/// \param equation f and g^2 at the time of each item (`forward_sde`)
/// \throws std::invalid_argument for sizes that differ, or g^2 < 0.
template <tensor_like TimeDerivative, tensor_like DivergenceGradient, tensor_like Product,
          tensor_like Score, writable_tensor Gradient>
std::vector<double> score_fokker_planck(const TimeDerivative& time_derivative,
                                        const DivergenceGradient& divergence_gradient,
                                        const Product& product, const Score& score,
                                        std::span<const diffusion_coefficients> equation,
                                        std::span<const double> weights, reduction how,
                                        Gradient&& gradient) {
  constexpr const char* name = "score_fokker_planck";
  detail::require_per_item(name, "equation", equation.size(),
                           traits_of<TimeDerivative>::items(time_derivative));
  detail::require_per_item(name, "weights", weights.size(), equation.size());
  for (const diffusion_coefficients& c : equation)
    detail::require(c.squared_diffusion >= 0, name, "squared diffusion", c.squared_diffusion,
                    "valid: >= 0");
  const auto kernel = [&](std::size_t i) {
    return detail::item_kernel{
        [half = equation[i].squared_diffusion / 2, f = equation[i].drift](
            const auto& t, const auto& d, const auto& p, const auto& s, auto& g) {
          g = t - half * d - p + f * s;
          return detail::squared(detail::widened(t) - half * detail::widened(d) -
                                 detail::widened(p) + f * detail::widened(s));
        },
        weights[i] / 2, weights[i]};
  };
  return detail::per_item(
      name, how, kernel,
      std::tuple(detail::named("time_derivative", time_derivative),
                 detail::named("divergence_gradient", divergence_gradient),
                 detail::named("product", product), detail::named("score", score)),
      std::tuple(detail::named("gradient", gradient)));
}

}  // namespace tweedie
