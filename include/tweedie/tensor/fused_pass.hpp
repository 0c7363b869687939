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

// to = sum_k own_k r_k + weight clamp(sum_k head_k r_k) in one sweep.
template <std::size_t Head, std::size_t Own, storage_scalar S>
EIGEN_DONT_INLINE void weigh_clamped_terms(S* to, const term<S>* head, const term<S>* own,
                                           arithmetic_t<S> weight, double low, double high,
                                           std::size_t n) {
  using A = arithmetic_t<S>;
  const packet<A> lower = pset1<packet<A>>(static_cast<A>(low));
  const packet<A> upper = pset1<packet<A>>(static_cast<A>(high));
  const packet<A> clamped_weight = pset1<packet<A>>(weight);
  [&]<std::size_t... h, std::size_t... k>(std::index_sequence<h...>, std::index_sequence<k...>) {
    const S* const head_stream[Head] = {head[h].stream...};
    const S* const own_stream[Own + 1] = {own[k].stream...};
    const packet<A> head_weight[Head] = {pset1<packet<A>>(head[h].weight)...};
    const packet<A> own_weight[Own + 1] = {pset1<packet<A>>(own[k].weight)...};
    const auto at = [&](auto loaded) {
      packet<A> clean = Eigen::internal::pmul(head_weight[0], loaded(head_stream[0]));
      ((h == 0 ? void() : void(clean = pmadd(head_weight[h], loaded(head_stream[h]), clean))), ...);
      packet<A> sum = Eigen::internal::pmul(clamped_weight, clamp(clean, lower, upper));
      ((sum = pmadd(own_weight[k], loaded(own_stream[k]), sum)), ...);
      return sum;
    };
    constexpr std::size_t step = lanes<A>;
    std::size_t i = 0;
    for (; i + 2 * step <= n; i += 2 * step) {
      const packet<A> a = at([i](const S* s) { return load(s + i); });
      const packet<A> b = at([i](const S* s) { return load(s + i + lanes<A>); });
      store(to + i, a);
      store(to + i + step, b);
    }
    for (; i < n; i += step) {
      const std::size_t count = n - i;
      if (count >= step) {
        store(to + i, at([i](const S* s) { return load(s + i); }));
      } else {
        store_partial(to + i, at([=](const S* s) { return load_partial(s + i, count); }), count);
      }
    }
  }
  (std::make_index_sequence<Head>(), std::make_index_sequence<Own>());
}

// Does a pass with a head, one output, no draws and up to three terms each in one sweep; tells
// whether it did.
template <storage_scalar S>
bool apply_clamped(const fused_pass<S>& pass, element_range range) {
  constexpr std::size_t most = 3;
  const std::size_t inputs = pass.inputs.size();
  if (pass.outputs.size() != 1 || !pass.draws.empty() || pass.weights[inputs] == 0) return false;
  const auto used = [&](std::span<const double> weights) {
    return static_cast<std::size_t>(
        std::count_if(weights.begin(), weights.end(), [](double w) { return w != 0; }));
  };
  const std::size_t heads = used(pass.head.weights), owns = used(pass.weights.first(inputs));
  if (heads == 0 || heads > most || owns > most) return false;
  const auto collect = [&](term<S>* to, std::span<const double> weights) {
    for (std::size_t k = 0; k < inputs; ++k) {
      if (weights[k] == 0) continue;
      *to++ = {pass.inputs[k] + range.begin, static_cast<arithmetic_t<S>>(weights[k])};
    }
  };
  term<S> head[most], own[most];
  collect(head, pass.head.weights);
  collect(own, pass.weights);
  const auto weight = static_cast<arithmetic_t<S>>(pass.weights[inputs]);
  const auto call = [&]<std::size_t... c>(std::index_sequence<c...>) {
    ((heads == c / (most + 1) + 1 && owns == c % (most + 1)
          ? weigh_clamped_terms<c / (most + 1) + 1, c % (most + 1)>(
                pass.outputs[0] + range.begin, head, own, weight, pass.head.low, pass.head.high,
                range.end - range.begin)
          : void()),
     ...);
  };
  call(std::make_index_sequence<most*(most + 1)>());
  return true;
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
  if (block_columns == 0 && pass.outputs.size() == 1 &&
      pass.inputs.size() <= detail::terms_at_once) {
    detail::row_sum<S> sum(range.end - range.begin);
    for (std::size_t k = 0; k < pass.inputs.size(); ++k) {
      if (pass.weights[k] != 0) sum.add(pass.inputs[k] + range.begin, pass.weights[k]);
    }
    return sum.write(pass.outputs[0] + range.begin);
  }

  if (has_head && detail::apply_clamped(pass, range)) return;

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
      detail::row_sum<S> sum(n);
      for (std::size_t k = 0; k < pass.inputs.size(); ++k) {
        if (pass.head.weights[k] != 0) sum.add(pass.inputs[k] + at, pass.head.weights[k]);
      }
      sum.write(scratch);
      detail::clamp_block(scratch, pass.head.low, pass.head.high, 1, n);
    }
    detail::combine_block<S>(pass.outputs, pass.inputs,
                             std::span<const A* const>(columns, block_columns), pass.weights, at, n,
                             held.data());
  }
}

}  // namespace tweedie
