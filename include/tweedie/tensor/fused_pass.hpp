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

#include "tweedie/schedule/error.hpp"
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

template <storage_scalar S>
struct fused_pass {
  std::size_t items = 1;
  std::size_t item_size = 0;
  std::span<S* const> outputs;
  std::span<const S* const> inputs;
  std::span<const double> weights;  // row-major, outputs x (inputs, the head if any, draws)
  clamped_head head;
  std::span<const pass_draw<S>> draws;   // at most most_draws
  std::span<const noise_key> item_keys;  // one per item if there are draws; their draw is ignored

  static constexpr std::size_t most_draws = 4;
};

// Elements [begin, end) of the items, one after the other.
struct element_range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

template <storage_scalar S>
void apply(const fused_pass<S>& pass, element_range range);

template <storage_scalar S>
void apply(const fused_pass<S>& pass) {
  apply(pass, {0, pass.items * pass.item_size});
}

namespace detail {

// NaN stays: pmax and pmin give their first argument if they cannot tell, as std::max and std::min.
template <class Packet>
EIGEN_ALWAYS_INLINE Packet clamp(Packet value, Packet low, Packet high) {
#if defined(EIGEN_VECTORIZE_AVX512)
  // GCC warns of an undefined register inside them.
  const Packet raised = value < low ? low : value;
  return raised > high ? high : raised;
#else
  return Eigen::internal::pmin(Eigen::internal::pmax(value, low), high);
#endif
}

// to[i] = scale min(max(to[i], low), high), NaN unchanged.
template <storage_scalar S>
void clamp_block(S* to, double low, double high, double scale, std::size_t n) {
  using A = arithmetic_t<S>;
  constexpr std::size_t step = lanes<A>;
  const packet<A> lower = pset1<packet<A>>(static_cast<A>(low));
  const packet<A> upper = pset1<packet<A>>(static_cast<A>(high));
  const packet<A> factor = pset1<packet<A>>(static_cast<A>(scale));
  const auto clamped = [&](packet<A> value) {
    return Eigen::internal::pmul(clamp(value, lower, upper), factor);
  };
  std::size_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    const packet<A> a = clamped(load(to + i)), b = clamped(load(to + i + step));
    store(to + i, a);
    store(to + i + step, b);
  }
  for (std::size_t count; i < n; i += count) {
    count = std::min(n - i, step);
    store_partial(to + i, clamped(load_partial(to + i, count)), count);
  }
}

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

// to = sum_k own_k r_k + weight clamp(sum_k head_k r_k) in one sweep over streams; no blocks.
template <storage_scalar S>
EIGEN_DONT_INLINE void weigh_clamped(S* to, const weighed_columns<S>& own,
                                     const weighed_columns<S>& head, double weight, double low,
                                     double high, std::size_t n) {
  using A = arithmetic_t<S>;
  constexpr std::size_t step = lanes<A>;
  const packet<A> lower = pset1<packet<A>>(static_cast<A>(low));
  const packet<A> upper = pset1<packet<A>>(static_cast<A>(high));
  const packet<A> factor = pset1<packet<A>>(static_cast<A>(weight));
  const auto clamped = [&](packet<A> clean, packet<A> sum) {
    return pmadd(factor, clamp(clean, lower, upper), sum);
  };
  const auto quad_at = [](const weighed_columns<S>& columns, std::size_t i) {
    auto sum = packet_quad<A>::nothing();
    for (std::size_t k = 0; k < columns.stream_count; ++k) {
      const S* const from = columns.streams[k] + i;
      sum.add(pset1<packet<A>>(columns.weights[k]), load_pair(from), load_pair(from + 2 * step));
    }
    return sum;
  };
  const auto packet_at = [](const weighed_columns<S>& columns, std::size_t i, std::size_t count) {
    packet<A> sum = pset1<packet<A>>(A(-0.0));
    for (std::size_t k = 0; k < columns.stream_count; ++k)
      sum = pmadd(pset1<packet<A>>(columns.weights[k]), load_partial(columns.streams[k] + i, count),
                  sum);
    return sum;
  };
  std::size_t i = 0;
  for (; i + 4 * step <= n; i += 4 * step) {
    const auto clean = quad_at(head, i), sum = quad_at(own, i);
    store_pair<S>(to + i, {clamped(clean.a, sum.a), clamped(clean.b, sum.b)});
    store_pair<S>(to + i + 2 * step, {clamped(clean.c, sum.c), clamped(clean.d, sum.d)});
  }
  for (std::size_t count; i < n; i += count) {
    count = std::min(n - i, step);
    store_partial(to + i, clamped(packet_at(head, i, count), packet_at(own, i, count)), count);
  }
}

// Has the elements of a pass that a tile of normals is for brought to the cache while the normals are
// made, since memory is idle then.
template <storage_scalar S>
struct fetch_tile {
  std::span<const S* const> inputs;
  std::span<S* const> outputs;
  std::size_t begin;

  // Inlined by force: GCC takes functions that only prefetch for such as do nothing and drops calls.
  EIGEN_ALWAYS_INLINE void operator()(std::size_t i) const {
    for (const S* stream : inputs) fetch(stream + begin + i);
    for (const S* stream : outputs) fetch(stream + begin + i);
  }

 private:
  static EIGEN_ALWAYS_INLINE void fetch(const S* from) {
    constexpr std::size_t line = 64 / sizeof(S);
    for (std::size_t i = 0; i < tile_size<arithmetic_t<S>>; i += line) __builtin_prefetch(from + i);
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
  if (pass.draws.size() > fused_pass<S>::most_draws) {
    fail("fused_pass", "draws.size()", static_cast<double>(pass.draws.size()),
         "at most " + std::to_string(fused_pass<S>::most_draws) + " in one pass");
  }
  if (!pass.draws.empty() && pass.item_keys.size() != pass.items) {
    fail("fused_pass", "item_keys.size()", static_cast<double>(pass.item_keys.size()),
         "must be the number of items, " + std::to_string(pass.items));
  }
  if (range.begin > range.end || range.end > pass.items * pass.item_size) {
    fail("fused_pass", "range.end", static_cast<double>(range.end),
         "valid is begin to items x item_size = " + std::to_string(pass.items * pass.item_size));
  }
}

}  // namespace detail

template <storage_scalar S>
void apply(const fused_pass<S>& pass, element_range range) {
  using A = arithmetic_t<S>;
  detail::check_pass(pass, range);
  const bool has_head = !pass.head.weights.empty();
  const std::size_t block_columns = (has_head ? 1 : 0) + pass.draws.size();
  const std::size_t inputs = pass.inputs.size();
  // What a sum with these weights, of one output or the head, reads from element `at` on.
  const auto columns_at = [&](std::size_t at, const double* weights) {
    detail::read_columns<S> read(inputs);
    for (std::size_t k = 0; k < inputs; ++k) read.add(pass.inputs[k] + at, weights + k, 1, 1);
    return read;
  };
  if (block_columns == 0)
    return detail::combine_range<S>(pass.outputs, pass.inputs, pass.weights, range.begin,
                                    range.end);
  if (has_head && pass.draws.empty() && pass.outputs.size() == 1 && pass.weights[inputs] != 0)
    return detail::weigh_clamped(
        pass.outputs[0] + range.begin, columns_at(range.begin, pass.weights.data()).columns(),
        columns_at(range.begin, pass.head.weights.data()).columns(), pass.weights[inputs],
        pass.head.low, pass.head.high, range.end - range.begin);

  A scratch[(1 + fused_pass<S>::most_draws) * detail::block_size];
  const A* columns[1 + fused_pass<S>::most_draws];
  for (std::size_t c = 0; c < block_columns; ++c) columns[c] = scratch + c * detail::block_size;
  detail::held_blocks<S> held(pass.outputs.size());

  for (std::size_t at = range.begin, n = 0; at < range.end; at += n) {
    n = std::min(range.end - at, detail::block_size);
    A* block = scratch + (has_head ? detail::block_size : 0);
    if (!pass.draws.empty()) {
      const std::size_t item = at / pass.item_size;
      const std::size_t position = at % pass.item_size;
      n = std::min(n, pass.item_size - position);
      for (const pass_draw<S>& draw : pass.draws) {
        noise_key key = pass.item_keys[item];
        key.draw = draw.number;
        detail::fill_normal(key, position, std::span<A>(block, n),
                            detail::fetch_tile<S>{pass.inputs, pass.outputs, at});
        if (draw.scale != nullptr) detail::scale_block<S>(block, draw.scale + at, n);
        block += detail::block_size;
      }
    }
    if (has_head) {
      A* const clean = scratch;
      columns_at(at, pass.head.weights.data()).write(&clean, 1, n);
      detail::clamp_block(scratch, pass.head.low, pass.head.high, 1, n);
    }
    detail::combine_block<S>(pass.outputs, pass.inputs,
                             std::span<const A* const>(columns, block_columns), pass.weights, at, n,
                             held);
  }
}

}  // namespace tweedie
