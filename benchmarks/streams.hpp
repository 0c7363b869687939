// Memory of a benchmark: some tensors of one size, filled with normals.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tweedie/tensor/normal.hpp"

template <class S>
struct streams {
  streams(std::size_t count, std::size_t n) : tensors(count, std::vector<S>(n)) {
    for (std::uint32_t i = 0; i < count; ++i) {
      tweedie::fill_normal<S>({1, 0, i}, 0, std::span<S>(tensors[i]));
    }
  }
  S* operator[](std::size_t i) { return tensors[i].data(); }

  std::vector<std::vector<S>> tensors;
};

template <class S>
std::shared_ptr<streams<S>> make_streams(std::size_t count, std::size_t n) {
  return std::make_shared<streams<S>>(count, n);
}
