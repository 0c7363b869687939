// The loops over memory: sums of a few weighted streams, one output or several.
//
//   to_j[i] = sum_k C(j, k) stream_k[i]
//
// Every stream is read once and every output written once, at the speed of memory. `to` may be any
// of the streams. The number of terms is fixed at compile time, so that weights stay in registers.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <utility>

#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie::detail {

template <storage_scalar S>
struct term {
  const S* stream;
  arithmetic_t<S> weight;
};

enum class into { assign, accumulate };

// to[i] = sum_k weight_k stream_k[i], or += that, for K terms. `to` may be any of the streams.
template <into Mode, std::size_t K, storage_scalar D, storage_scalar S>
EIGEN_DONT_INLINE void weigh_terms(D* to, const term<S>* terms, std::size_t n) {
  using A = arithmetic_t<S>;
  constexpr std::size_t step = lanes<A>;
  [&]<std::size_t... k>(std::index_sequence<k...>) {
    const S* const stream[K] = {terms[k].stream...};
    const packet<A> weight[K] = {pset1<packet<A>>(terms[k].weight)...};
    const auto sum = [&](auto loaded) {
      packet<A> total;
      if constexpr (Mode == into::accumulate) {
        total = pmadd(weight[0], loaded(stream[0]), loaded(to));
      } else {
        total = Eigen::internal::pmul(weight[0], loaded(stream[0]));
      }
      ((k == 0 ? void() : void(total = pmadd(weight[k], loaded(stream[k]), total))), ...);
      return total;
    };
    std::size_t i = 0;
    if constexpr (Mode == into::assign && std::same_as<D, S>) {
      for (; i + 2 * step <= n; i += 2 * step) {
        packet_pair<S> total = load_pair(stream[0] + i);
        total = {Eigen::internal::pmul(weight[0], total.first),
                 Eigen::internal::pmul(weight[0], total.second)};
        const auto add = [&](packet<A> w, const packet_pair<S>& from) {
          total = {pmadd(w, from.first, total.first), pmadd(w, from.second, total.second)};
        };
        ((k == 0 ? void() : add(weight[k], load_pair(stream[k] + i))), ...);
        store_pair(to + i, total);
      }
    }
    for (; i < n; i += step) {
      const std::size_t count = n - i;
      if (count >= step) {
        store(to + i, sum([i](const auto* s) { return load(s + i); }));
      } else {
        store_partial(to + i, sum([=](const auto* s) { return load_partial(s + i, count); }),
                      count);
      }
    }
  }
  (std::make_index_sequence<K>());
}

inline constexpr std::size_t terms_at_once = 8;

// Any number of terms up to terms_at_once. Partial sums of more, which are rare, stay in the cache:
// what is left of them is added stream by stream.
template <into Mode = into::assign, storage_scalar D, storage_scalar S>
void weigh(D* to, std::span<const term<S>> terms, std::size_t n) {
  if constexpr (Mode == into::accumulate) {
    if (terms.size() == terms_at_once) return weigh_terms<Mode, terms_at_once>(to, terms.data(), n);
    for (const term<S>& t : terms) weigh_terms<Mode, 1>(to, &t, n);
  } else {
    switch (terms.size()) {
      case 0: std::fill_n(to, n, D(0)); return;
      case 1: return weigh_terms<Mode, 1>(to, terms.data(), n);
      case 2: return weigh_terms<Mode, 2>(to, terms.data(), n);
      case 3: return weigh_terms<Mode, 3>(to, terms.data(), n);
      case 4: return weigh_terms<Mode, 4>(to, terms.data(), n);
      case 5: return weigh_terms<Mode, 5>(to, terms.data(), n);
      case 6: return weigh_terms<Mode, 6>(to, terms.data(), n);
      case 7: return weigh_terms<Mode, 7>(to, terms.data(), n);
      default: return weigh_terms<Mode, terms_at_once>(to, terms.data(), n);
    }
  }
}

// So few that their weights stay in registers, or nearly.
inline constexpr std::size_t outputs_at_once = 3;
inline constexpr std::size_t shared_terms_at_once = 6;

// Several outputs of the same streams in one sweep: to_j[i] = sum_k weights[k J + j] stream_k[i].
template <std::size_t J, std::size_t K, storage_scalar S>
EIGEN_DONT_INLINE void weigh_rows(S* const* outputs, const S* const* streams,
                                  const arithmetic_t<S>* weights, std::size_t n) {
  using A = arithmetic_t<S>;
  struct row {
    packet<A> at[K];
  };
  [&]<std::size_t... j, std::size_t... k>(std::index_sequence<j...>, std::index_sequence<k...>) {
    S* const to[J] = {outputs[j]...};
    const S* const from[K] = {streams[k]...};
    const auto row_of = [](const A* w) { return row{{pset1<packet<A>>(w[k * J])...}}; };
    const row weight[J] = {row_of(weights + j)...};
    const auto sum = [](const row& w, const row& values) {
      packet<A> total = Eigen::internal::pmul(w.at[0], values.at[0]);
      ((k == 0 ? void() : void(total = pmadd(w.at[k], values.at[k], total))), ...);
      return total;
    };
    const auto sweep = [&](std::size_t i) {
      const row values = {{load(from[k] + i)...}};
      (store(to[j] + i, sum(weight[j], values)), ...);
    };
    constexpr std::size_t step = lanes<A>;
    std::size_t i = 0;
    for (; i + 4 * step <= n; i += 4 * step) {
      sweep(i);
      sweep(i + step);
      sweep(i + 2 * step);
      sweep(i + 3 * step);
    }
    for (; i + step <= n; i += step) sweep(i);
    if (i < n) {
      const row values = {{load_partial(from[k] + i, n - i)...}};
      (store_partial(to[j] + i, sum(weight[j], values), n - i), ...);
    }
  }
  (std::make_index_sequence<J>(), std::make_index_sequence<K>());
}

// The loop for 1 to outputs_at_once outputs of 1 to shared_terms_at_once streams.
template <storage_scalar S>
auto weigh_rows_for(std::size_t outputs, std::size_t streams) {
  using loop = void (*)(S* const*, const S* const*, const arithmetic_t<S>*, std::size_t);
  static constexpr auto loops = []<std::size_t... k>(std::index_sequence<k...>) {
    return std::array{std::array<loop, sizeof...(k)>{weigh_rows<1, k + 1, S>...},
                      std::array<loop, sizeof...(k)>{weigh_rows<2, k + 1, S>...},
                      std::array<loop, sizeof...(k)>{weigh_rows<3, k + 1, S>...}};
  }
  (std::make_index_sequence<shared_terms_at_once>());
  return loops[outputs - 1][streams - 1];
}

}  // namespace tweedie::detail
