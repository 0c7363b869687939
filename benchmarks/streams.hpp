// Memory of a benchmark: some tensors of one size, filled with normals, aligned as a run's are.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <Eigen/Core>

#include "tweedie/tensor/normal.hpp"

template <class S>
struct streams {
  streams(std::size_t count, std::size_t n) : tensors(count, tensor(n)) {
    for (std::uint32_t i = 0; i < count; ++i) {
      tweedie::fill_normal<S>({1, 0, i}, 0, std::span<S>(tensors[i]));
    }
  }
  S* operator[](std::size_t i) { return tensors[i].data(); }

  using tensor = std::vector<S, Eigen::aligned_allocator<S>>;
  std::vector<tensor> tensors;
};

template <class S>
std::shared_ptr<streams<S>> make_streams(std::size_t count, std::size_t n) {
  return std::make_shared<streams<S>>(count, n);
}
