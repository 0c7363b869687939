// Loops over memory that clamp: a block of an x0 estimate, and the whole of a step whose estimate
// is clipped on the way,
//
//   to[i] = sum_k own_k stream_k[i] + weight min(max(sum_k head_k stream_k[i], low), high)
//
// in one sweep, as in tensor/weigh.hpp. NaNs stay.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"
#include "tweedie/tensor/weigh.hpp"

namespace tweedie::detail {

// NaN stays.
template <class Packet>
EIGEN_ALWAYS_INLINE Packet clamp(Packet value, Packet low, Packet high) {
  return minimum(maximum(value, low), high);
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
    count = (std::min)(n - i, step);
    store_partial(to + i, clamped(load_partial(to + i, count)), count);
  }
}

// What becomes of the two sums.
template <storage_scalar S>
struct clamped_sum {
  using A = arithmetic_t<S>;

  clamped_sum(double given_weight, double given_low, double given_high)
      : weight(pset1<packet<A>>(static_cast<A>(given_weight))),
        low(pset1<packet<A>>(static_cast<A>(given_low))),
        high(pset1<packet<A>>(static_cast<A>(given_high))) {}

  EIGEN_ALWAYS_INLINE packet<A> operator()(packet<A> sum, packet<A> clean) const {
    return pmadd(weight, clamp(clean, low, high), sum);
  }

  packet<A> weight, low, high;
};

// Any number of streams.
template <storage_scalar S>
EIGEN_DONT_INLINE void weigh_clamped_any(S* to, const weighed_columns<S>& own,
                                         const weighed_columns<S>& head,
                                         const clamped_sum<S>& result, std::size_t begin,
                                         std::size_t end) {
  using A = arithmetic_t<S>;
  const auto sum_at = [](const weighed_columns<S>& columns, std::size_t i, std::size_t count) {
    packet<A> sum = nothing<A>();
    for (std::size_t k = 0; k < columns.stream_count; ++k)
      sum = pmadd(pset1<packet<A>>(columns.weights[k]), load_up_to(columns.streams[k] + i, count),
                  sum);
    return sum;
  };
  for (std::size_t i = begin; i < end; i += lanes<A>) {
    const std::size_t count = end - i;
    store_up_to(to + i, result(sum_at(own, i, count), sum_at(head, i, count)), count);
  }
}

// So many streams, a pair of packets at a time.
template <std::size_t Own, std::size_t Head, storage_scalar S>
EIGEN_DONT_INLINE void weigh_clamped_few(S* to, const weighed_columns<S>& own,
                                         const weighed_columns<S>& head,
                                         const clamped_sum<S>& given, std::size_t begin,
                                         std::size_t end) {
  using A = arithmetic_t<S>;
  const clamped_sum<S> result = given;
  std::size_t i = begin;
  [&]<std::size_t... k, std::size_t... h>(std::index_sequence<k...>, std::index_sequence<h...>) {
    const S* const own_stream[Own] = {own.streams[k]...};
    const S* const head_stream[Head] = {head.streams[h]...};
    const packet<A> own_weight[Own] = {pset1<packet<A>>(own.weights[k])...};
    const packet<A> head_weight[Head] = {pset1<packet<A>>(head.weights[h])...};
    for (; i + 2 * lanes<A> <= end; i += 2 * lanes<A>) {
      packet_pair<S> sum{nothing<A>(), nothing<A>()}, clean = sum;
      (add_weighed(sum, own_weight[k], load_pair(own_stream[k] + i)), ...);
      (add_weighed(clean, head_weight[h], load_pair(head_stream[h] + i)), ...);
      store_pair<S>(to + i, {result(sum.first, clean.first), result(sum.second, clean.second)});
    }
  }
  (std::make_index_sequence<Own>(), std::make_index_sequence<Head>());
  weigh_clamped_any(to, own, head, given, i, end);
}

// The x0 estimate from the state and one or two outputs; besides it the state, or all of them.
template <storage_scalar S>
void weigh_clamped(S* to, const weighed_columns<S>& own, const weighed_columns<S>& head,
                   const clamped_sum<S>& result, std::size_t n) {
  const std::size_t owns = own.stream_count, heads = head.stream_count;
  const auto loop = owns == 1 && heads == 2   ? weigh_clamped_few<1, 2, S>
                    : owns == 2 && heads == 2 ? weigh_clamped_few<2, 2, S>
                    : owns == 1 && heads == 3 ? weigh_clamped_few<1, 3, S>
                    : owns == 3 && heads == 3 ? weigh_clamped_few<3, 3, S>
                                              : weigh_clamped_any<S>;
  loop(to, own, head, result, 0, n);
}

}  // namespace tweedie::detail
