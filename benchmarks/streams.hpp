// Memory of a benchmark: some tensors of one size, filled with normals, aligned as a run's are. And
// the one pass over it that takes more than a call to describe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <Eigen/Core>

#include "tweedie/tensor/fused_pass.hpp"
#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/parallel.hpp"

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

// out <- sum_k weight_k in_k + weight_last z, z made in the pass.
inline void noisy_step(float* out, std::span<const float* const> in,
                       std::span<const double> weights, std::size_t n,
                       tweedie::workers* threads = nullptr) {
  static const tweedie::pass_draw<float> draws[] = {{1, nullptr}};
  static const tweedie::noise_key keys[] = {{7, 0, 0}};
  tweedie::fused_pass<float> pass;
  pass.item_size = n;
  pass.outputs = std::span<float* const>(&out, 1);
  pass.inputs = in;
  pass.weights = weights;
  pass.draws = draws;
  pass.item_keys = keys;
  if (threads != nullptr) {
    tweedie::apply(pass, *threads);
  } else {
    tweedie::apply(pass);
  }
}
