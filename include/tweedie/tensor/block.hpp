// A block of numbers that loss kernels treat as one number: arithmetic on it is that of every element.
//
// A block holds the elements of one hardware vector of float, in float or in double, so that blocks
// of both kinds meet in one kernel: gradients are made in the arithmetic of the tensors, values
// where it costs little in double.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"

namespace tweedie::detail {

template <std::floating_point A>
struct block {
  using scalar = A;
  static constexpr std::size_t size = lanes<float>;
  static constexpr std::size_t parts = size / lanes<A>;

  packet<A> part[parts];

  block() = default;
  EIGEN_ALWAYS_INLINE block(double s) {
    for (packet<A>& p : part) p = pset1<packet<A>>(static_cast<A>(s));
  }

  /// f of the registers of its arguments.
  template <class To = block, class F, class... Blocks>
  static EIGEN_ALWAYS_INLINE To map(const F& f, const Blocks&... b) {
    To out;
    for (std::size_t p = 0; p < parts; ++p) out.part[p] = f(b.part[p]...);
    return out;
  }

  /// f, a function of doubles, of every element.
  template <class F>
  block each(const F& f) const {
    std::array<A, size> out;
    store(out.data());
    for (A& v : out) v = static_cast<A>(f(static_cast<double>(v)));
    return load(out.data());
  }

  template <storage_scalar S>
  static EIGEN_ALWAYS_INLINE block load(const S* from) {
    if constexpr (std::same_as<A, arithmetic_t<S>>) {
      block out;
      for (std::size_t p = 0; p < parts; ++p) out.part[p] = detail::load(from + p * lanes<A>);
      return out;
    } else {
      return widened(block<float>::load(from));
    }
  }

  template <storage_scalar S>
  EIGEN_ALWAYS_INLINE void store(S* to) const {
    if constexpr (std::same_as<A, arithmetic_t<S>>) {
      for (std::size_t p = 0; p < parts; ++p) detail::store(to + p * lanes<A>, part[p]);
    } else {
      detail::store(to, narrow(part));
    }
  }

  /// The first `count` elements, zeros behind them.
  template <storage_scalar S>
  static EIGEN_ALWAYS_INLINE block load_partial(const S* from, std::size_t count) {
    S padded[size] = {};
    std::copy_n(from, count, padded);
    return load(padded);
  }
  template <storage_scalar S>
  EIGEN_ALWAYS_INLINE void store_partial(S* to, std::size_t count) const {
    S padded[size];
    store(padded);
    std::copy_n(padded, count, to);
  }

  friend EIGEN_ALWAYS_INLINE block operator+(block a, block b) {
    return map([](auto x, auto y) { return Eigen::internal::padd(x, y); }, a, b);
  }
  friend EIGEN_ALWAYS_INLINE block operator-(block a, block b) {
    return map([](auto x, auto y) { return Eigen::internal::psub(x, y); }, a, b);
  }
  friend EIGEN_ALWAYS_INLINE block operator*(block a, block b) {
    return map([](auto x, auto y) { return Eigen::internal::pmul(x, y); }, a, b);
  }
  friend EIGEN_ALWAYS_INLINE block operator/(block a, block b) {
    return map([](auto x, auto y) { return Eigen::internal::pdiv(x, y); }, a, b);
  }
  friend EIGEN_ALWAYS_INLINE block operator-(block a) {
    return map([](auto x) { return Eigen::internal::pnegate(x); }, a);
  }
  /// a * b + c.
  friend EIGEN_ALWAYS_INLINE block multiply_add(block a, block b, block c) {
    return map([](auto x, auto y, auto z) { return pmadd(x, y, z); }, a, b, c);
  }

  /// All bits of an element where the comparison holds.
  struct mask {
    packet<A> part[parts];
  };
  friend EIGEN_ALWAYS_INLINE mask operator<(block a, block b) {
    return map<mask>([](auto x, auto y) { return Eigen::internal::pcmp_lt(x, y); }, a, b);
  }
  friend EIGEN_ALWAYS_INLINE mask operator<=(block a, block b) {
    return map<mask>([](auto x, auto y) { return Eigen::internal::pcmp_le(x, y); }, a, b);
  }
  friend EIGEN_ALWAYS_INLINE mask operator==(block a, block b) {
    return map<mask>([](auto x, auto y) { return Eigen::internal::pcmp_eq(x, y); }, a, b);
  }
  friend EIGEN_ALWAYS_INLINE mask operator>(block a, block b) { return b < a; }
  friend EIGEN_ALWAYS_INLINE mask operator>=(block a, block b) { return b <= a; }

  /// The first argument where one of them is not a number.
  friend EIGEN_ALWAYS_INLINE block smaller(block a, block b) {
    return map([](auto x, auto y) { return minimum(x, y); }, a, b);
  }
  friend EIGEN_ALWAYS_INLINE block larger(block a, block b) {
    return map([](auto x, auto y) { return maximum(x, y); }, a, b);
  }
  friend EIGEN_ALWAYS_INLINE block abs(block a) {
    return map([](auto x) { return Eigen::internal::pabs(x); }, a);
  }
  friend EIGEN_ALWAYS_INLINE block sqrt(block a) {
    return map([](auto x) { return square_root(x); }, a);
  }
};

/// The same elements in double.
EIGEN_ALWAYS_INLINE block<double> widened(const block<float>& b) {
  block<double> out;
  widen(b.part[0], out.part);
  return out;
}
EIGEN_ALWAYS_INLINE block<double> widened(const block<double>& b) { return b; }

template <std::floating_point A>
EIGEN_ALWAYS_INLINE block<A> choose(typename block<A>::mask condition, const block<A>& yes,
                                    const block<A>& no) {
  return block<A>::map([](auto c, auto x, auto y) { return Eigen::internal::pselect(c, x, y); },
                       condition, yes, no);
}

template <class S>
concept lanes_of_numbers = std::same_as<S, block<float>> || std::same_as<S, block<double>>;

}  // namespace tweedie::detail
