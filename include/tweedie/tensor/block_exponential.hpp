// e^x, e^x - 1, e^x - 1 - x and log(1 + x) of blocks, to a few units of the last place.
//
//   x = n log 2 + r, |r| <= log(2)/2;  e^x = 2^n + 2^n (e^r - 1),  e^r - 1 = r + r^2 P(r)
//   log(1 + x) = 2 artanh s = s Q(s^2),  s = x/(2 + x)
//
// P and Q are minimax polynomials. Where n = 0 nothing cancels, so that the first three are accurate
// relative to themselves. In one kernel they share their work.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>

#include "tweedie/tensor/block.hpp"

namespace tweedie::detail {

/// P, Q and the exponent of a floating-point type. e^x is 0 up to `lowest` = -(largest exponent)
/// log 2; above `highest` it is held at its value there.
template <class A>
struct exponential_constants;
template <>
struct exponential_constants<float> {
  using word = std::uint32_t;
  static constexpr int mantissa_bits = 23;
  // log 2 in two parts, n times the first a float.
  static constexpr double log_2_high = 0.693359375, log_2_low = -2.1219444005469057e-4;
  static constexpr double lowest = -88.029691931113054, highest = 88;
  static constexpr double p[] = {0.4999999955, 0.1666657696, 0.04166685408, 0.008363200112,
                                 0.001390131124};  // relative error 1.3e-7
  static constexpr double q[] = {2.000000008, 0.6666631468, 0.4002491028, 0.2796060275,
                                 0.2817833506};  // relative error 4e-9
};
template <>
struct exponential_constants<double> {
  using word = std::uint64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr double log_2_high = 0.693145751953125, log_2_low = 1.4286068203094172321e-6;
  static constexpr double lowest = -709.08956571282406, highest = 709;
  static constexpr double p[] = {
      0.50000000000000011,    0.16666666666666644,    0.041666666666624004,
      0.0083333333333563617,  0.0013888888917291309,  0.00019841269784368816,
      2.4801521158581756e-05, 2.7557355628959476e-06, 2.7620159756380675e-07,
      2.5068200882714112e-08};  // relative error 2e-16
  static constexpr double q[] = {2.0,
                                 0.66666666666683028,
                                 0.39999999995177299,
                                 0.28571429121882058,
                                 0.2222219038682253,
                                 0.1818287216574303,
                                 0.15363487034792039,
                                 0.13592992504760143,
                                 0.098726795377862053,
                                 0.17797003767027178};  // relative error 5e-17
};

/// c_0 + c_1 x + c_2 x^2 + ... by halves (Estrin's scheme): a chain of additions as long as Horner's
/// would leave the processor waiting.
template <class A, std::size_t N>
EIGEN_ALWAYS_INLINE block<A> polynomial(const block<A>& x, const std::array<block<A>, N>& c) {
  if constexpr (N == 1) {
    return c[0];
  } else {
    return [&]<std::size_t... K>(std::index_sequence<K...>) {
      if constexpr (N % 2 == 0)
        return polynomial<A, N / 2>(x * x, {multiply_add(c[2 * K + 1], x, c[2 * K])...});
      else
        return polynomial<A, N / 2 + 1>(x * x,
                                        {multiply_add(c[2 * K + 1], x, c[2 * K])..., c[N - 1]});
    }
    (std::make_index_sequence<N / 2>());
  }
}
/// 2^n, 2^n (e^r - 1) and e^r - 1 - r.
template <class A>
struct reduced_exponential {
  block<A> scale, scaled, excess;
};

template <class A>
EIGEN_ALWAYS_INLINE reduced_exponential<A> reduce_exponential(const block<A>& x) {
  using constants = exponential_constants<A>;
  using word = typename constants::word;
  using bits = words<word, lanes<A>>;
  // Adding 3/2 2^mantissa_bits rounds to an integer and leaves it in the low bits.
  constexpr double shift = 1.5 * static_cast<double>(word{1} << constants::mantissa_bits);
  constexpr word one = bit_cast<word>(A(1));
  const block<A> held = smaller(larger(x, constants::lowest), constants::highest);
  const block<A> shifted = multiply_add(held, 1.4426950408889634074, shift);
  const block<A> n = shifted - shift;
  const block<A> r =
      multiply_add(n, -constants::log_2_low, multiply_add(n, -constants::log_2_high, held));
  const block<A> scale = block<A>::map(
      [](packet<A> p) {
        const bits exponent = bit_cast<bits>(p) << constants::mantissa_bits;
        return bit_cast<packet<A>>(bits(exponent + one));
      },
      shifted);
  const block<A> excess = r * r* [&]<std::size_t... K>(std::index_sequence<K...>) {
    return polynomial<A, sizeof...(K)>(r, {block<A>(constants::p[K])...});
  }
  (std::make_index_sequence<std::size(constants::p)>());
  return {scale, scale * (r + excess), excess};
}

template <class A>
EIGEN_ALWAYS_INLINE block<A> exp(const block<A>& x) {
  const reduced_exponential<A> e = reduce_exponential(x);
  return e.scale + e.scaled;
}
template <class A>
EIGEN_ALWAYS_INLINE block<A> expm1(const block<A>& x) {
  const reduced_exponential<A> e = reduce_exponential(x);
  return e.scaled + (e.scale - 1);
}
/// e^x - 1 - x, also held above `highest`: x falls behind there, and infinity would turn its sign.
template <class A>
EIGEN_ALWAYS_INLINE block<A> expm1_minus(const block<A>& x) {
  const reduced_exponential<A> e = reduce_exponential(x);
  const block<A> held = smaller(x, exponential_constants<A>::highest);
  return choose(e.scale == 1, e.excess, e.scaled + (e.scale - 1) - held);
}

/// log(1 + x) for 0 <= x <= 1.
template <class A>
EIGEN_ALWAYS_INLINE block<A> log1p(const block<A>& x) {
  constexpr auto& q = exponential_constants<A>::q;
  const block<A> s = x / (x + 2);
  return s* [&]<std::size_t... K>(std::index_sequence<K...>) {
    return polynomial<A, sizeof...(K)>(s * s, {block<A>(q[K])...});
  }
  (std::make_index_sequence<std::size(q)>());
}

}  // namespace tweedie::detail
