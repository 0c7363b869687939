// What loss kernels compute on: one hardware vector of doubles, and the pass over tensors that feeds
// it.
//
// A kernel is a function of blocks. one_pass reads its inputs once, in any storage scalar, writes
// each gradient once and adds the values in double, in an order that depends on the number of
// elements alone. Bytes moved: all inputs plus all gradients; nothing else touches memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <tuple>
#include <utility>

#include "tweedie/tensor/packet.hpp"

namespace tweedie::detail {

/// As many doubles as the machine holds in a register, with the arithmetic of one.
struct block {
  using register_type = packet<double>;
  static constexpr std::size_t size = lanes<double>;

  register_type value;

  block() = default;
  EIGEN_ALWAYS_INLINE block(double s) : value(pset1<register_type>(s)) {}
  static EIGEN_ALWAYS_INLINE block of(register_type v) {
    block out;
    out.value = v;
    return out;
  }

  friend EIGEN_ALWAYS_INLINE block operator+(block a, block b) {
    return of(Eigen::internal::padd(a.value, b.value));
  }
  friend EIGEN_ALWAYS_INLINE block operator-(block a, block b) {
    return of(Eigen::internal::psub(a.value, b.value));
  }
  friend EIGEN_ALWAYS_INLINE block operator*(block a, block b) {
    return of(Eigen::internal::pmul(a.value, b.value));
  }
  friend EIGEN_ALWAYS_INLINE block operator/(block a, block b) {
    return of(Eigen::internal::pdiv(a.value, b.value));
  }
  friend EIGEN_ALWAYS_INLINE block operator-(block a) {
    return of(Eigen::internal::pnegate(a.value));
  }

  /// All bits of a lane where the comparison holds.
  struct mask {
    register_type value;
  };
  friend EIGEN_ALWAYS_INLINE mask operator<(block a, block b) {
    return {Eigen::internal::pcmp_lt(a.value, b.value)};
  }
  friend EIGEN_ALWAYS_INLINE mask operator<=(block a, block b) {
    return {Eigen::internal::pcmp_le(a.value, b.value)};
  }
  friend EIGEN_ALWAYS_INLINE mask operator>(block a, block b) { return b < a; }
  friend EIGEN_ALWAYS_INLINE mask operator>=(block a, block b) { return b <= a; }
  friend EIGEN_ALWAYS_INLINE mask operator==(block a, block b) {
    return {Eigen::internal::pcmp_eq(a.value, b.value)};
  }

  block square() const { return *this * *this; }

  /// f of every lane.
  template <class F>
  block each(const F& f) const {
    std::array<double, size> out;
    Eigen::internal::pstoreu(out.data(), value);
    for (double& v : out) v = f(v);
    return of(Eigen::internal::ploadu<register_type>(out.data()));
  }
};

EIGEN_ALWAYS_INLINE block choose(block::mask condition, block yes, block no) {
  return block::of(Eigen::internal::pselect(condition.value, yes.value, no.value));
}
EIGEN_ALWAYS_INLINE block smaller(block a, block b) {
  return block::of(Eigen::internal::pmin(a.value, b.value));
}
EIGEN_ALWAYS_INLINE block larger(block a, block b) {
  return block::of(Eigen::internal::pmax(a.value, b.value));
}
EIGEN_ALWAYS_INLINE block abs(block a) { return block::of(Eigen::internal::pabs(a.value)); }
EIGEN_ALWAYS_INLINE block sqrt(block a) { return block::of(Eigen::internal::psqrt(a.value)); }
/// Arguments below -709 give 1e-308 rather than 0.
EIGEN_ALWAYS_INLINE block exp(block a) { return block::of(Eigen::internal::pexp(a.value)); }
EIGEN_ALWAYS_INLINE block log(block a) { return block::of(Eigen::internal::plog(a.value)); }
/// x log(1 + x)/((1 + x) - 1), in which the error of the rounded 1 + x cancels.
EIGEN_ALWAYS_INLINE block log1p(block x) {
  const block u = 1.0 + x;
  return choose(u == 1.0, x, log(u) * (x / (u - 1.0)));
}
/// (e^x - 1) x/log(e^x), in which the error of the rounded e^x cancels.
EIGEN_ALWAYS_INLINE block expm1(block x) {
  const block u = exp(x);
  const block cancelled = (u - 1.0) * (x / log(u));
  return choose(u == 1.0, x, choose(abs(x) < 1.0, cancelled, u - 1.0));
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE block load_block(const S* from) {
  if constexpr (std::same_as<S, double>) {
    return block::of(Eigen::internal::ploadu<block::register_type>(from));
  } else if constexpr (std::same_as<S, float> && block::size > 1) {
    words<float, block::size> narrow;
    std::memcpy(&narrow, from, sizeof narrow);
    return block::of(convert_lanes<words<double, block::size>>(narrow));
  } else {
    std::array<double, block::size> doubles;
    for (std::size_t i = 0; i < block::size; ++i)
      doubles[i] = static_cast<double>(static_cast<arithmetic_t<S>>(from[i]));
    return block::of(Eigen::internal::ploadu<block::register_type>(doubles.data()));
  }
}

template <storage_scalar S>
EIGEN_ALWAYS_INLINE void store_block(S* to, block b) {
  if constexpr (std::same_as<S, double>) {
    Eigen::internal::pstoreu(to, b.value);
  } else if constexpr (std::same_as<S, float> && block::size > 1) {
    const words<double, block::size> doubles = b.value;
    const auto narrow = convert_lanes<words<float, block::size>>(doubles);
    std::memcpy(to, &narrow, sizeof narrow);
  } else {
    std::array<double, block::size> doubles;
    Eigen::internal::pstoreu(doubles.data(), b.value);
    for (std::size_t i = 0; i < block::size; ++i)
      to[i] = static_cast<S>(static_cast<arithmetic_t<S>>(doubles[i]));
  }
}

template <storage_scalar S>
block load_partial_block(const S* from, std::size_t count) {
  S padded[block::size] = {};
  std::memcpy(static_cast<void*>(padded), from, count * sizeof(S));
  return load_block(padded);
}

template <storage_scalar S>
void store_partial_block(S* to, block b, std::size_t count) {
  S padded[block::size];
  store_block(padded, b);
  std::memcpy(static_cast<void*>(to), padded, count * sizeof(S));
}

/// Adds kernel(inputs..., slopes...) over `count` elements, where the kernel returns values and fills
/// one block of slopes per gradient; gradients, where not null, become factor * slope. A gradient may
/// overwrite an input. Returns factor * sum of the values.
template <class Kernel, class... Gradients, class... Inputs>
[[gnu::flatten]] double one_pass(std::size_t count, double factor, const Kernel& kernel,
                                 std::tuple<Gradients*...> gradients, const Inputs*... inputs) {
  constexpr auto each_gradient = std::index_sequence_for<Gradients...>{};
  const block scale = factor;
  const auto step = [&]<std::size_t... K>(std::size_t at, std::index_sequence<K...>) {
    std::array<block, sizeof...(Gradients)> slopes;
    const block values = kernel(load_block(inputs + at)..., slopes[K]...);
    (..., (std::get<K>(gradients) != nullptr
               ? store_block(std::get<K>(gradients) + at, slopes[K] * scale)
               : void()));
    return values;
  };
  // Two sums hide the latency of an addition.
  block even = 0.0, odd = 0.0;
  std::size_t at = 0;
  for (; at + 2 * block::size <= count; at += 2 * block::size) {
    even = even + step(at, each_gradient);
    odd = odd + step(at + block::size, each_gradient);
  }
  if (at + block::size <= count) {
    even = even + step(at, each_gradient);
    at += block::size;
  }
  std::array<double, block::size> lanes_of_sum;
  Eigen::internal::pstoreu(lanes_of_sum.data(), (even + odd).value);
  double sum = 0;
  for (const double lane : lanes_of_sum) sum += lane;
  if (at < count) {
    const std::size_t left = count - at;
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      std::array<block, sizeof...(Gradients)> slopes;
      std::array<double, block::size> values;
      Eigen::internal::pstoreu(
          values.data(), kernel(load_partial_block(inputs + at, left)..., slopes[K]...).value);
      for (std::size_t i = 0; i < left; ++i) sum += values[i];
      (..., (std::get<K>(gradients) != nullptr
                 ? store_partial_block(std::get<K>(gradients) + at, slopes[K] * scale, left)
                 : void()));
    }
    (each_gradient);
  }
  return factor * sum;
}

}  // namespace tweedie::detail
