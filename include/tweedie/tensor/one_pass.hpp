// The pass over tensors that feeds a loss kernel.
//
// A kernel is a function of blocks: it returns a block of values, or nothing, and fills a block of
// slopes for every gradient. It holds its constants by value, so that they can stay in registers.
// The pass reads its inputs once, in any storage scalar, and writes each gradient once; the values
// are added in double, in an order that depends on the number of elements alone. Bytes moved: all
// inputs plus all gradients; nothing else touches memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tweedie/tensor/block.hpp"

namespace tweedie::detail {

/// Where factor * slope is written; nowhere if null. It may be one of the pass's inputs.
template <storage_scalar S>
struct scaled_gradient {
  S* to = nullptr;
  double factor = 1;
};

/// Double if one of the tensors is, else float.
template <class... S>
using common_arithmetic = std::conditional_t<(... || std::same_as<S, double>), double, float>;

/// What a loss makes its values of: double, where it says with a member `values_in_double` that they
/// cost little in double, as a few additions and multiplications do.
template <class Loss, class A>
EIGEN_ALWAYS_INLINE auto for_values(const block<A>& b) {
  if constexpr (requires { requires Loss::values_in_double; })
    return widened(b);
  else
    return b;
}

/// The sum of the kernel's values over `count` elements; the kernel's blocks are of A.
template <std::floating_point A, class Kernel, class... Gradients, class... Inputs>
[[gnu::flatten]] double one_pass_in(std::size_t count, const Kernel& given_kernel,
                                    std::tuple<scaled_gradient<Gradients>...> gradients,
                                    const Inputs*... inputs) {
  constexpr std::size_t size = block<A>::size;
  return [&]<std::size_t... K>(std::index_sequence<K...>) {
    // Copies that no store can change.
    const Kernel kernel = given_kernel;
    const std::tuple<Gradients*...> to(std::get<K>(gradients).to...);
    const std::array<block<A>, sizeof...(K)> factors = {block<A>(std::get<K>(gradients).factor)...};
    std::array<block<A>, sizeof...(K)> slopes;
    const auto add_values = [&](block<double>& sum, const auto&... of) {
      if constexpr (std::is_void_v<decltype(kernel(of..., slopes[K]...))>) {
        kernel(of..., slopes[K]...);
      } else {
        sum = sum + widened(kernel(of..., slopes[K]...));
      }
    };
    const auto step = [&](block<double>& sum, std::size_t at) {
      add_values(sum, block<A>::load(inputs + at)...);
      (..., (std::get<K>(to) == nullptr ? void()
                                        : (slopes[K] * factors[K]).store(std::get<K>(to) + at)));
    };
    // Two sums hide the latency of an addition.
    block<double> even = 0, odd = 0;
    std::size_t at = 0;
    for (; at + 2 * size <= count; at += 2 * size) {
      step(even, at);
      step(odd, at + size);
    }
    if (at + size <= count) {
      step(even, at);
      at += size;
    }
    std::array<double, size> elements;
    (even + odd).store(elements.data());
    double sum = 0;
    for (const double e : elements) sum += e;
    if (const std::size_t left = count - at; left > 0) {
      block<double> last = 0;
      add_values(last, block<A>::load_partial(inputs + at, left)...);
      last.store(elements.data());
      for (std::size_t i = 0; i < left; ++i) sum += elements[i];
      (..., (std::get<K>(to) == nullptr
                 ? void()
                 : (slopes[K] * factors[K]).store_partial(std::get<K>(to) + at, left)));
    }
    return sum;
  }
  (std::index_sequence_for<Gradients...>());
}

/// The same in the arithmetic of the tensors.
template <class Kernel, class... Gradients, class... Inputs>
double one_pass(std::size_t count, const Kernel& kernel,
                std::tuple<scaled_gradient<Gradients>...> gradients, const Inputs*... inputs) {
  return one_pass_in<common_arithmetic<Gradients..., Inputs...>>(count, kernel, gradients,
                                                                 inputs...);
}

}  // namespace tweedie::detail
