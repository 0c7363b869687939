// The loops over memory: sums of weighted streams, one output or several.
//
//   to_j[i] = sum_k C(j, k) stream_k[i]
//
// Every stream is read once and every output written once, at the speed of memory. `to` may be any
// of the streams. Sums of the usual few streams have loops of their own, whose weights stay in
// registers; one loop with the number of streams as a variable does all others and what is left
// over at the end. All give the same bits: products are added in the order of the streams.
#pragma once

#include <concepts>
#include <cstddef>
#include <utility>

#include "tweedie/tensor/kernel_table.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie::detail {

// What a loop reads: streams, then blocks that are of the arithmetic type already. The weight of
// column k for output j of J is weights[k J + j].
template <storage_scalar S>
struct weighed_columns {
  const S* const* streams;
  const arithmetic_t<S>* const* blocks;
  const arithmetic_t<S>* weights;
  std::size_t stream_count;
  std::size_t block_count;
};

template <storage_scalar D, storage_scalar S>
using weigh_loop = void (*)(D* const* to, const weighed_columns<S>& columns, std::size_t begin,
                            std::size_t end);

// A sum before anything is added: -0, which changes no number by being added to it, not even 0.
template <class A>
EIGEN_ALWAYS_INLINE packet<A> nothing() {
  return pset1<packet<A>>(A(-0.0));
}

template <storage_scalar S, storage_scalar From>
EIGEN_ALWAYS_INLINE void add_weighed(packet_pair<S>& sum, packet<arithmetic_t<S>> weight,
                                     const packet_pair<From>& from) {
  sum = {pmadd(weight, from.first, sum.first), pmadd(weight, from.second, sum.second)};
}

// Any number of columns, at least one, for 1 to 3 outputs.
template <std::size_t J, storage_scalar D, storage_scalar S>
EIGEN_DONT_INLINE void weigh_any(D* const* to, const weighed_columns<S>& columns, std::size_t begin,
                                 std::size_t end) {
  using A = arithmetic_t<S>;
  constexpr std::size_t step = lanes<A>;
  std::size_t i = begin;
  const auto for_each_column = [&](const auto& add) {
    const A* weights = columns.weights;
    for (std::size_t k = 0; k < columns.stream_count; ++k, weights += J)
      add(columns.streams[k] + i, weights);
    if constexpr (!std::same_as<S, A>)
      for (std::size_t k = 0; k < columns.block_count; ++k, weights += J)
        add(columns.blocks[k] + i, weights);
  };
  // Four packets share the search for the next stream's address and weight. A pair may hold its
  // elements in another order than memory does (bfloat16: even places, then odd ones), so that columns
  // and outputs are all read and written as pairs.
  if constexpr (std::same_as<D, S>) {
    struct packet_quad {
      packet_pair<S> low{nothing<A>(), nothing<A>()}, high = low;
    };
    for (; columns.block_count == 0 && i + 4 * step <= end; i += 4 * step) {
      packet_quad first, second, third;
      for_each_column([&](const auto* from, const A* weight) {
        const auto low = load_pair(from), high = load_pair(from + 2 * step);
        const auto add = [&](packet_quad& sum, A w) {
          add_weighed(sum.low, pset1<packet<A>>(w), low);
          add_weighed(sum.high, pset1<packet<A>>(w), high);
        };
        add(first, weight[0]);
        if constexpr (J > 1) add(second, weight[1]);
        if constexpr (J > 2) add(third, weight[2]);
      });
      const auto write = [i](D* output, const packet_quad& sum) {
        store_pair(output + i, sum.low);
        store_pair(output + i + 2 * step, sum.high);
      };
      write(to[0], first);
      if constexpr (J > 1) write(to[1], second);
      if constexpr (J > 2) write(to[2], third);
    }
  }
  for (; i < end; i += step) {
    const std::size_t count = end - i;
    packet<A> sum[J];
    for (std::size_t j = 0; j < J; ++j) sum[j] = nothing<A>();
    for_each_column([&](const auto* from, const A* weight) {
      const packet<A> value = load_up_to(from, count);
      for (std::size_t j = 0; j < J; ++j)
        sum[j] = pmadd(pset1<packet<A>>(weight[j]), value, sum[j]);
    });
    for (std::size_t j = 0; j < J; ++j) store_up_to(to[j] + i, sum[j], count);
  }
}

// K streams and no blocks.
template <std::size_t J, std::size_t K, storage_scalar S>
EIGEN_DONT_INLINE void weigh_few(S* const* outputs, const weighed_columns<S>& columns,
                                 std::size_t begin, std::size_t end) {
  using A = arithmetic_t<S>;
  constexpr std::size_t step = lanes<A>;
  struct row {
    packet<A> at[K];
  };
  std::size_t i = begin;
  [&]<std::size_t... j, std::size_t... k>(std::index_sequence<j...>, std::index_sequence<k...>) {
    S* const to[J] = {outputs[j]...};
    const S* const from[K] = {columns.streams[k]...};
    const auto row_of = [](const A* w) { return row{{pset1<packet<A>>(w[k * J])...}}; };
    const row weight[J] = {row_of(columns.weights + j)...};
    struct values {
      packet_pair<S> at[K];
    };
    const auto sum = [](const row& w, const values& v) {
      packet_pair<S> total{Eigen::internal::pmul(w.at[0], v.at[0].first),
                           Eigen::internal::pmul(w.at[0], v.at[0].second)};
      ((k == 0 ? void() : add_weighed(total, w.at[k], v.at[k])), ...);
      return total;
    };
    const auto sweep = [&](std::size_t at) {
      const values v = {{load_pair(from[k] + at)...}};
      (store_pair<S>(to[j] + at, sum(weight[j], v)), ...);
    };
    for (; i + 4 * step <= end; i += 4 * step) {
      sweep(i);
      sweep(i + 2 * step);
    }
  }
  (std::make_index_sequence<J>(), std::make_index_sequence<K>());
  if (i < end) weigh_any<J>(outputs, columns, i, end);
}

inline constexpr std::size_t outputs_at_once = 3;

template <storage_scalar D, storage_scalar S>
weigh_loop<D, S> own_weigh_loop(std::size_t outputs, std::size_t streams, std::size_t blocks) {
  if constexpr (std::same_as<D, S>) {
    constexpr std::size_t most = 5;
    static constexpr weigh_loop<S, S> few[outputs_at_once][most] = {
        {weigh_few<1, 1, S>, weigh_few<1, 2, S>, weigh_few<1, 3, S>, weigh_few<1, 4, S>,
         weigh_few<1, 5, S>},
        {weigh_any<2, S, S>, weigh_few<2, 2, S>, weigh_few<2, 3, S>, weigh_few<2, 4, S>,
         weigh_few<2, 5, S>},
        {weigh_any<3, S, S>, weigh_any<3, S, S>, weigh_few<3, 3, S>, weigh_few<3, 4, S>,
         weigh_any<3, S, S>}};
    if (blocks == 0 && streams <= most) return few[outputs - 1][streams - 1];
  }
  return outputs == 1 ? weigh_any<1, D, S> : outputs == 2 ? weigh_any<2, D, S> : weigh_any<3, D, S>;
}

// The loop for 1 to outputs_at_once outputs of so many columns, at least one.
template <storage_scalar D, storage_scalar S>
weigh_loop<D, S> weigh_loop_for(std::size_t outputs, std::size_t streams, std::size_t blocks) {
  if constexpr (kernels_elsewhere && std::same_as<D, S>)
    return reinterpret_cast<weigh_loop<D, S>>(kernels<S>().weigh_loop(outputs, streams, blocks));
  else
    return own_weigh_loop<D, S>(outputs, streams, blocks);
}

}  // namespace tweedie::detail
