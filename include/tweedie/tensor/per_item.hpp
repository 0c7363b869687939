// The loop of every loss: its tensors are checked, then each item is taken in one pass.
//
//   value_i = v_i reduce_j kernel_i(inputs_ij),   gradient_ij = s_i reduce scale slope_ij
//
// Inputs are read once, gradients written once; nothing is written before all is checked.
#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <vector>

#include "tweedie/tensor/batch.hpp"
#include "tweedie/tensor/one_pass.hpp"

namespace tweedie::detail {

/// A tensor of the caller's by its name in the function that was called; absent without a name. A
/// gradient is written times `scale`.
template <class S>
struct named_tensor {
  const char* name = nullptr;
  S* data = nullptr;
  std::size_t size = 0;
  std::size_t items = 0;
  double scale = 1;

  S* item(std::size_t i, std::size_t n) const { return data == nullptr ? nullptr : data + i * n; }
};

template <tensor_like T>
auto named(const char* name, T&& tensor, double scale = 1) {
  return named_tensor<std::remove_pointer_t<decltype(traits_of<T>::data(tensor))>>{
      name, traits_of<T>::data(tensor), traits_of<T>::size(tensor), traits_of<T>::items(tensor),
      scale};
}

/// values[i] = value(i, n, item i of each tensor as a pointer ...), n elements an item. All tensors
/// have the size and the items of the first; pointers to absent ones are null.
template <class Value, class First, class... Rest>
std::vector<double> each_item(const char* function, const Value& value,
                              const named_tensor<First>& first, const named_tensor<Rest>&... rest) {
  require_even(function, first.size, first.items);
  (..., (rest.name == nullptr ? void()
                              : require_same_batch(function, rest.name, first.size, first.items,
                                                   rest.size, rest.items)));
  std::vector<double> values(first.items);
  const std::size_t n = first.items == 0 ? 0 : first.size / first.items;
  for (std::size_t i = 0; i < first.items; ++i)
    values[i] = value(i, n, first.item(i, n), rest.item(i, n)...);
  return values;
}

/// A kernel of tensor/one_pass.hpp with the factors v on its values and s on its slopes.
template <class Kernel>
struct item_kernel {
  Kernel kernel;
  double value = 1;
  double slope = 1;
};
template <class Kernel>
item_kernel(Kernel, double = 1, double = 1) -> item_kernel<Kernel>;

/// One pass per item. `kernels` is the item_kernel of all items or a function of the item's index
/// that returns one. Blocks are of A; without A, of the arithmetic of the tensors.
template <class A = void, class Kernels, class... Inputs, class... Gradients>
std::vector<double> per_item(const char* function, reduction how, const Kernels& kernels,
                             const std::tuple<named_tensor<Inputs>...>& inputs,
                             const std::tuple<named_tensor<Gradients>...>& gradients = {}) {
  constexpr bool in_double = (... || std::same_as<std::remove_const_t<Inputs>, double>) ||
                             (... || std::same_as<Gradients, double>);
  using arithmetic =
      std::conditional_t<std::is_void_v<A>, std::conditional_t<in_double, double, float>, A>;
  return std::apply(
      [&](const auto&... in) {
        return std::apply(
            [&](const auto&... out) {
              const auto value = [&](std::size_t i, std::size_t n, auto...) {
                const double reduced = reduction_factor(how, n);
                const auto evaluate = [&](const auto& k) {
                  return k.value * reduced *
                         one_pass_in<arithmetic>(
                             n, k.kernel,
                             std::tuple(scaled_gradient<Gradients>{
                                 out.item(i, n), k.slope * reduced * out.scale}...),
                             static_cast<const Inputs*>(in.item(i, n))...);
                };
                if constexpr (requires { kernels(i); })
                  return evaluate(kernels(i));
                else
                  return evaluate(kernels);
              };
              return each_item(function, value, in..., out...);
            },
            gradients);
      },
      inputs);
}

}  // namespace tweedie::detail
