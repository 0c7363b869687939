// One traversal of memory for all that a sampling step does to it.
//
//   h   = clamp(sum_k a_k r_k, low, high)          optional head, e.g. a clipped x0
//   z_d ~ N(0, I), times a scale tensor if given   optional draws, made in the cache
//   y_j = sum_k C(j, k) (r, h, z)_k                outputs, which may be the memory of any input
//
// Reads each used input once and writes each output once: (inputs + outputs) * n scalars. Head and
// draws never reach main memory. A NaN under the clamp stays NaN. Any cut of the elements into
// ranges gives the same bits, as long as an input that is also an output is cut the same way.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/clamp.hpp"
#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

// Weights of a clamped combination of a pass's inputs, one each; no weights, no head.
struct clamped_head {
  std::span<const double> weights;
  double low = -1;
  double high = 1;
};

// One standard normal tensor; `scale`, if given, multiplies it elementwise.
template <storage_scalar S>
struct pass_draw {
  std::uint32_t number = 0;
  const S* scale = nullptr;
};

// Weights are row-major: outputs x (inputs, the head if any, draws).
template <storage_scalar S>
struct fused_pass : summed_pass<S> {
  clamped_head head;
  std::span<const pass_draw<S>> draws;
  std::span<const noise_key> item_keys;  // one per item if there are draws; their draw is ignored

  static constexpr std::size_t most_draws = 2;
};

template <storage_scalar S>
void apply(const fused_pass<S>& pass, element_range range);

template <storage_scalar S>
void apply(const fused_pass<S>& pass) {
  apply(pass, {0, pass.size()});
}

namespace detail {

// to[i] *= scale[i]
template <storage_scalar S>
void scale_block(arithmetic_t<S>* to, const S* scale, std::size_t n) {
  using A = arithmetic_t<S>;
  std::size_t i = 0;
  for (; i + lanes<A> <= n; i += lanes<A>) {
    store(to + i, Eigen::internal::pmul(load(to + i), load(scale + i)));
  }
  for (; i < n; ++i) to[i] *= static_cast<A>(scale[i]);
}

// Has the elements of a pass that a tile of normals is for brought to the cache while the normals are
// made, since memory is idle then.
template <storage_scalar S>
struct fetch_tile {
  std::span<const S* const> inputs;
  std::span<S* const> outputs;
  std::size_t begin = 0;

  // Inlined by force: GCC takes functions that only prefetch for such as do nothing and drops calls.
  EIGEN_ALWAYS_INLINE void operator()(std::size_t i) const {
    for (const S* stream : inputs) fetch(stream, begin + i);
    for (const S* stream : outputs) fetch(stream, begin + i);
  }

 private:
  static EIGEN_ALWAYS_INLINE void fetch(const S* stream, std::size_t at) {
    constexpr std::size_t line = 64 / sizeof(S);
    if (stream == nullptr) return;  // an input that no output reads
    for (std::size_t i = 0; i < tile_size<arithmetic_t<S>>; i += line) prefetch(stream + at + i);
  }
};

template <storage_scalar S>
void check_pass(const fused_pass<S>& pass, element_range range) {
  const std::size_t head = pass.head.weights.empty() ? 0 : 1;
  check_weights("fused_pass", pass.outputs.size(), pass.inputs.size() + head + pass.draws.size(),
                pass.weights.size());
  if (head != 0 && pass.head.weights.size() != pass.inputs.size()) {
    fail("fused_pass", "head.weights.size()", static_cast<double>(pass.head.weights.size()),
         "must be the number of inputs, " + std::to_string(pass.inputs.size()));
  }
  if (head != 0 && !(pass.head.low <= pass.head.high)) {
    fail("fused_pass", "head.low", pass.head.low,
         "must not exceed head.high = " + number(pass.head.high));
  }
  if (!pass.draws.empty() && pass.item_keys.size() != pass.items) {
    fail("fused_pass", "item_keys.size()", static_cast<double>(pass.item_keys.size()),
         "must be the number of items, " + std::to_string(pass.items));
  }
  if (pass.draws.size() > fused_pass<S>::most_draws) {
    fail("fused_pass", "draws.size()", static_cast<double>(pass.draws.size()),
         "valid: at most " + std::to_string(fused_pass<S>::most_draws));
  }
  check_range("fused_pass", range, pass.size());
}

// A pass that was checked.
template <storage_scalar S>
void own_apply(const fused_pass<S>& pass, element_range range) {
  using A = arithmetic_t<S>;
  const bool has_head = !pass.head.weights.empty();
  const std::size_t block_columns = (has_head ? 1 : 0) + pass.draws.size();
  const std::size_t inputs = pass.inputs.size();
  // What a sum with these weights, of one output or the head, reads from element `at` on.
  const auto columns_at = [&](std::size_t at, const double* weights) {
    read_columns<S> read(1, inputs);
    for (std::size_t k = 0; k < inputs; ++k) read.add(pass.inputs[k], at, weights + k);
    return read;
  };
  if (block_columns == 0)
    return combine_block<S>(pass.outputs, pass.inputs, {}, pass.weights, range.begin,
                            range.end - range.begin);
  if (has_head && pass.draws.empty() && pass.outputs.size() == 1 && pass.weights[inputs] != 0)
    return weigh_clamped(pass.outputs[0] + range.begin,
                         columns_at(range.begin, pass.weights.data()).columns(),
                         columns_at(range.begin, pass.head.weights.data()).columns(),
                         clamped_sum<S>(pass.weights[inputs], pass.head.low, pass.head.high),
                         range.end - range.begin);

  // 4 kB each: a frame of less than 16 kB fits the small stacks of WebAssembly and threads.
  constexpr std::size_t block_elements = 4096 / sizeof(A);
  A scratch[(1 + fused_pass<S>::most_draws) * block_elements];
  const A* columns[1 + fused_pass<S>::most_draws];
  for (std::size_t c = 0; c < block_columns; ++c) columns[c] = scratch + c * block_elements;

  for (std::size_t at = range.begin, n = 0; at < range.end; at += n) {
    n = (std::min)(range.end - at, block_elements);
    A* block = scratch + (has_head ? block_elements : 0);
    if (!pass.draws.empty()) {
      const std::size_t item = at / pass.item_size;
      const std::size_t position = at % pass.item_size;
      n = (std::min)(n, pass.item_size - position);
      fetch_tile<S> fetch{pass.inputs, pass.outputs, at};
      for (const pass_draw<S>& draw : pass.draws) {
        noise_key key = pass.item_keys[item];
        key.draw = draw.number;
        fill_normal(key, position, std::span<A>(block, n), fetch);
        fetch = {};  // once is enough
        if (draw.scale != nullptr) scale_block<S>(block, draw.scale + at, n);
        block += block_elements;
      }
    }
    if (has_head) {
      A* const clean = scratch;
      columns_at(at, pass.head.weights.data()).write(&clean, n);
      clamp_block(scratch, pass.head.low, pass.head.high, 1, n);
    }
    combine_block<S>(pass.outputs, pass.inputs, std::span<const A* const>(columns, block_columns),
                     pass.weights, at, n);
  }
}

}  // namespace detail

template <storage_scalar S>
void apply(const fused_pass<S>& pass, element_range range) {
  detail::check_pass(pass, range);
  if constexpr (detail::kernels_elsewhere)
    detail::kernels<S>().apply(&pass, range.begin, range.end);
  else
    detail::own_apply(pass, range);
}

}  // namespace tweedie
