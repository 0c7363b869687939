// Whole tensors of standard normal or uniform numbers, keyed by (seed, item, draw, position).
//
// Item i of a batch of any size gets the same numbers, so that splitting a batch changes nothing.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

// The draw that initial states take by default: no program numbers its own draws that high, so
// that the start of a run and the noise inside it are independent under one seed.
inline constexpr std::uint32_t initial_draw = 0xffffffffu;

// Fills a tensor with standard normals.
template <writable_tensor T>
void fill_standard_normal(T&& tensor, std::uint64_t seed, std::uint32_t draw = initial_draw) {
  const std::size_t items = traits_of<T>::items(tensor);
  for (std::size_t i = 0; i < items; ++i) {
    fill_normal(noise_key{seed, static_cast<std::uint32_t>(i), draw}, 0, item_elements(tensor, i));
  }
}

// Fills a float or double tensor with uniforms in [0, 1).
template <writable_tensor T>
requires std::floating_point<scalar_t<T>>
void fill_standard_uniform(T&& tensor, std::uint64_t seed, std::uint32_t draw = initial_draw) {
  const std::size_t items = traits_of<T>::items(tensor);
  for (std::size_t i = 0; i < items; ++i) {
    fill_uniform(noise_key{seed, static_cast<std::uint32_t>(i), draw}, 0, item_elements(tensor, i));
  }
}

}  // namespace tweedie
