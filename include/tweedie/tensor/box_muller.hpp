// Random bits to pairs of standard normals, a packet at a time.
//
// Box and Muller, "A note on the generation of random normal deviates", Ann. Math. Statist. 29
// (1958): z0 = r cos(theta), z1 = r sin(theta), r = sqrt(-2 ln u). The radius takes 32 bits
// (|z| <= 6.76) for float and 64 bits (|z| <= 9.5) for double, rounded to floating point, so that the
// tail has all of them.
#pragma once

#include <Eigen/Core>
#include <bit>
#include <cstdint>

#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/philox_packet.hpp"

namespace tweedie::detail {

using Eigen::internal::padd;
using Eigen::internal::pdiv;
using Eigen::internal::pmul;
using Eigen::internal::psub;

template <class A>
struct pair_of {
  packet<A> first, second;
};

template <class A>
EIGEN_ALWAYS_INLINE packet<A> constant(A value) {
  return pset1<packet<A>>(value);
}

template <class A>
EIGEN_ALWAYS_INLINE packet<A> polynomial(packet<A>, packet<A> sum) {
  return sum;
}
// Horner's rule, highest power first.
template <class A, class... Rest>
EIGEN_ALWAYS_INLINE packet<A> polynomial(packet<A> x, packet<A> sum, A next, Rest... rest) {
  return polynomial<A>(x, pmadd(sum, x, constant(next)), rest...);
}

// sin and cos of pi/2 t, |t| <= 1: minimax polynomials, errors 7e-9 and 3e-10.
EIGEN_ALWAYS_INLINE pair_of<float> cos_sin(packet<float> t) {
  const auto t2 = pmul(t, t);
  const auto c = polynomial<float>(t2, constant(-2.38249183451e-5f), 0.000917724839441f,
                                   -0.0208626883856f, 0.253669322772f, -1.23370053431f, 1.0f);
  const auto s = polynomial<float>(t2, constant(0.000151678532442f), -0.00467415750138f,
                                   0.0796899268734f, -0.645963761294f, 1.57079632009f);
  return {c, pmul(s, t)};
}

// The same in double: errors 4e-18 and 4e-19 before rounding.
EIGEN_ALWAYS_INLINE pair_of<double> cos_sin(packet<double> t) {
  const auto t2 = pmul(t, t);
  const auto c = polynomial<double>(
      t2, constant(6.331774923059018866e-11), -6.382237613066826956e-9, 4.710830770805507095e-7,
      -2.520203978455083421e-5, 9.192602739445762234e-4, -0.02086348076317913794,
      0.2536695079010310971, -1.2337005501361691935, 1.0);
  const auto s = polynomial<double>(
      t2, constant(5.873007450365762793e-12), -6.684418100338326467e-10, 5.692136448713752363e-8,
      -3.598843020641696971e-6, 1.604411847131733581e-4, -4.681754135304276137e-3,
      0.07969262624616564243, -0.6459640975062462011, 1.570796326794896619);
  return {c, pmul(s, t)};
}

// -2 ln((x + 1/2) 2^-32) >= 0 for a 32-bit word x. With x + 1/2 = 2^e (1 + t), 1 + t in
// [1/sqrt 2, sqrt 2): -2 ln(1 + t) = -2 t + t^2 P(t), error 5e-8.
EIGEN_ALWAYS_INLINE packet<float> radius_squared(float_bits x) {
  using signed_bits = words<std::int32_t, float_lanes>;
  const auto value = padd(convert_lanes<packet<float>>(x), constant(0.5f));
  const auto bits = bit_cast<signed_bits>(value);
  const signed_bits shifted = bits - 0x3f3504f3;  // sqrt(1/2)
  const signed_bits exponent = shifted >> 23;
  const auto mantissa = bit_cast<packet<float>>(signed_bits(bits - (exponent << 23)));
  const auto t = psub(mantissa, constant(1.0f));
  const auto p = polynomial<float>(t, constant(-0.184532064252f), 0.287046032617f, -0.295500505165f,
                                   0.331240443886f, -0.399489164956f, 0.500041167569f,
                                   -0.666672854258f, 0.999999851315f);
  const auto log_mantissa = pmul(t, pmadd(t, p, constant(-2.0f)));
  const auto e = convert_lanes<packet<float>>(signed_bits(exponent - 32));
  return pmadd(e, constant(-1.38629436111989f), log_mantissa);
}

// A word in the low half of each lane as a double: 2^52 + word has the word as its mantissa.
EIGEN_ALWAYS_INLINE packet<double> word_to_double(wide word) {
  const wide bits = (word & 0xffffffffu) | 0x4330000000000000u;
  return psub(bit_cast<packet<double>>(bits), constant(0x1p52));
}

// The same for 64 bits. With s = t / (2 + t): ln(1 + t) = 2 s + s^3 Q(s^2), error 2e-18 before
// rounding.
EIGEN_ALWAYS_INLINE packet<double> radius_squared(wide high, wide low) {
  const auto value =
      pmadd(padd(word_to_double(low), constant(0.5)), constant(0x1p-32), word_to_double(high));
  const auto bits = bit_cast<wide>(value);
  // The offset keeps the shifted exponent non-negative: value >= 2^-33.
  const wide exponent = (bits - 0x3fe6a09e667f3bcdu + (std::uint64_t{64} << 52)) >> 52;
  const auto mantissa = bit_cast<packet<double>>(wide(bits - ((exponent - 64) << 52)));
  const auto t = psub(mantissa, constant(1.0));
  const auto s = pdiv(t, padd(t, constant(2.0)));
  const auto s2 = pmul(s, s);
  const auto q = polynomial<double>(
      s2, constant(0.1461773462392422846), 0.1533160818162985727, 0.1818289287926226111,
      0.2222221107753090049, 0.2857142862637027898, 0.3999999999989850929, 0.6666666666666669727);
  const auto log_mantissa = pmul(s, pmadd(s2, q, constant(2.0)));
  const auto e = psub(word_to_double(exponent), constant(96.0));
  return pmul(constant(-2.0), pmadd(e, constant(0.6931471805599453094), log_mantissa));
}

EIGEN_ALWAYS_INLINE pair_of<float> box_muller(float_bits radius, float_bits angle) {
  using signed_bits = words<std::int32_t, float_lanes>;
  // The top bit of the angle chooses the half plane, the others pi/2 t in [-pi/2, pi/2).
  const auto r = square_root(radius_squared(radius));
  const auto signed_r =
      bit_cast<packet<float>>(float_bits(bit_cast<float_bits>(r) | (angle & 0x80000000u)));
  const auto t = pmul(convert_lanes<packet<float>>(bit_cast<signed_bits>(float_bits(angle << 1))),
                      constant(0x1p-31f));
  const pair_of<float> unit = cos_sin(t);
  return {pmul(signed_r, unit.first), pmul(signed_r, unit.second)};
}

EIGEN_ALWAYS_INLINE pair_of<double> box_muller(const wide_block& words) {
  const auto r = square_root(radius_squared(words.word[0], words.word[1]));
  const auto signed_r =
      bit_cast<packet<double>>(wide(bit_cast<wide>(r) | ((words.word[2] & 0x80000000u) << 32)));
  // 31 bits and 21 more, as the mantissa of a number in [2, 4).
  const wide angle = ((words.word[2] & 0x7fffffffu) << 21) | ((words.word[3] & 0xffffffffu) >> 11);
  const wide bits = angle | 0x4000000000000000u;
  const auto t = psub(bit_cast<packet<double>>(bits), constant(3.0));
  const pair_of<double> unit = cos_sin(t);
  return {pmul(signed_r, unit.first), pmul(signed_r, unit.second)};
}

}  // namespace tweedie::detail
