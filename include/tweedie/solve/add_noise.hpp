// The forward process on tensors, each item of a batch at its own time.
//
//   x = alpha x0 + sigma z        (Ho et al. 2020, eq. 4)
//
// Items are the slowest dimension (tensor/traits.hpp); one level is given per item, or one for
// all. What is moved: reads x0 and z, writes x.
#pragma once

#include <array>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "tweedie/process/forward.hpp"
#include "tweedie/schedule/prediction.hpp"
#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

namespace detail {

template <class T>
void require_levels_per_item(const char* function, const T& t, std::size_t levels) {
  const std::size_t items = traits_of<T>::items(t);
  if (levels != items && levels != 1)
    fail(function, "levels", static_cast<double>(levels),
         "valid: one, or one per item, " + std::to_string(items));
}

template <class A, class B>
void require_same_shape(const char* function, const A& a, const B& b) {
  require_equal(function, "size", traits_of<B>::size(b), traits_of<A>::size(a));
  require_equal(function, "items", traits_of<B>::items(b), traits_of<A>::items(a));
}

// out_i = first_i a_i + second_i b_i, weights(level) per item or for all.
template <class A, class B, class Out, class Weights>
void combine_items(const char* function, const A& a, const B& b, Out& out, std::size_t levels,
                   const Weights& weights) {
  require_same_shape(function, a, b);
  require_same_shape(function, a, out);
  require_levels_per_item(function, a, levels);
  using S = scalar_t<Out>;
  const std::size_t items = traits_of<Out>::items(out);
  const std::size_t each = items == 0 ? 0 : traits_of<Out>::size(out) / items;
  for (std::size_t i = 0; i < items; ++i) {
    S* const to = traits_of<Out>::data(out) + i * each;
    const std::array<const S*, 2> from{traits_of<A>::data(a) + i * each,
                                       traits_of<B>::data(b) + i * each};
    const std::array<double, 2> w = weights(levels == 1 ? 0 : i);
    combine<S>(std::span(&to, 1), from, w, each);
  }
}

}  // namespace detail

/// out = alpha x0 + sigma z with levels[i] for item i (or one level for all). out may be x0 or z.
/// \throws std::invalid_argument if shapes or the number of levels do not fit.
template <tensor_like X, tensor_like Z, writable_tensor Out>
void add_noise(const X& clean, const Z& noise, std::span<const signal_noise> levels, Out&& out) {
  detail::combine_items("add_noise", clean, noise, out, levels.size(), [&](std::size_t i) {
    return std::array<double, 2>{levels[i].alpha, levels[i].sigma};
  });
}

/// The same at times of a schedule.
template <noise_schedule Schedule, tensor_like X, tensor_like Z, writable_tensor Out>
void add_noise(const Schedule& schedule, const X& clean, const Z& noise,
               std::span<const double> times, Out&& out) {
  std::vector<signal_noise> levels;
  for (const double t : times) levels.push_back(schedule(t));
  add_noise(clean, noise, std::span<const signal_noise>(levels), out);
}

/// q(x_to | x_from) sampled with the given noise: out = a x + sqrt(b) z, one kernel per item or for
/// all. Single steps, renoising and time travel are all this.
template <tensor_like X, tensor_like Z, writable_tensor Out>
void apply_transition(const X& state, const Z& noise, std::span<const transition_kernel> kernels,
                      Out&& out) {
  detail::combine_items("apply_transition", state, noise, out, kernels.size(), [&](std::size_t i) {
    return std::array<double, 2>{kernels[i].mean, std::sqrt(kernels[i].variance)};
  });
}

/// What a network of the given kind should answer: out = p_x x0 + p_z z, row per item or for all.
template <tensor_like X, tensor_like Z, writable_tensor Out>
void prediction_target(const X& clean, const Z& noise, std::span<const plane_row> rows, Out&& out) {
  detail::combine_items("prediction_target", clean, noise, out, rows.size(), [&](std::size_t i) {
    return std::array<double, 2>{rows[i].x0, rows[i].z};
  });
}

/// log N(x; mean factor * from, variance I) in nats for every item.
/// \throws std::invalid_argument if shapes do not fit or a variance is 0.
template <tensor_like X, tensor_like Y>
std::vector<double> transition_log_density(const X& to, const Y& from,
                                           std::span<const transition_kernel> kernels) {
  detail::require_same_shape("transition_log_density", to, from);
  detail::require_levels_per_item("transition_log_density", to, kernels.size());
  const std::size_t items = traits_of<X>::items(to);
  const std::size_t each = items == 0 ? 0 : traits_of<X>::size(to) / items;
  std::vector<double> values;
  for (std::size_t i = 0; i < items; ++i) {
    const transition_kernel k = kernels[kernels.size() == 1 ? 0 : i];
    double distance = 0;
    for (std::size_t e = i * each; e < (i + 1) * each; ++e) {
      const double d = static_cast<double>(traits_of<X>::data(to)[e]) -
                       k.mean * static_cast<double>(traits_of<Y>::data(from)[e]);
      distance += d * d;
    }
    values.push_back(isotropic_log_density(distance, k.variance, static_cast<double>(each)));
  }
  return values;
}

}  // namespace tweedie
