// Hardware vectors of arithmetic scalars, and of the integers that hold their bits.
//
// The width is Eigen's for the build's instruction set, so that the kernels here and Eigen's own
// expressions agree, and vectorisation does not hang on the optimisation level. One lane, a scalar,
// where Eigen has vectors of float but not of double (32-bit ARM, SVE), where its vectors are classes,
// and where the compiler has no operators for vectors (MSVC).
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tweedie/tensor/eigen.hpp"

// Vector types with operators, as GCC and Clang have them.
#if (defined(__GNUC__) || defined(__clang__)) && !defined(EIGEN_VECTORIZE_RVV10)
#define TWEEDIE_VECTORS 1
#else
#define TWEEDIE_VECTORS 0
#endif

// The instruction sets that kernels name instructions of.
#define TWEEDIE_SSE2 0
#define TWEEDIE_AVX 0
#define TWEEDIE_AVX2 0
#define TWEEDIE_AVX512 0
#if TWEEDIE_VECTORS && defined(EIGEN_VECTORIZE_SSE2)
#undef TWEEDIE_SSE2
#define TWEEDIE_SSE2 1
#endif
#if TWEEDIE_VECTORS && defined(EIGEN_VECTORIZE_AVX)
#undef TWEEDIE_AVX
#define TWEEDIE_AVX 1
#endif
#if TWEEDIE_VECTORS && defined(EIGEN_VECTORIZE_AVX2)
#undef TWEEDIE_AVX2
#define TWEEDIE_AVX2 1
#endif
#if TWEEDIE_VECTORS && defined(EIGEN_VECTORIZE_AVX512)
#undef TWEEDIE_AVX512
#define TWEEDIE_AVX512 1
#endif

namespace tweedie::detail {

// libc++ before 14 has no std::bit_cast.
#if defined(__cpp_lib_bit_cast)
using std::bit_cast;
#else
template <class To, class From>
EIGEN_ALWAYS_INLINE constexpr To bit_cast(const From& from) {
  return __builtin_bit_cast(To, from);
}
#endif

template <class A>
using eigen_packet = typename Eigen::internal::packet_traits<A>::type;

// Classes have no operators.
template <class A>
concept adds_packets = requires(eigen_packet<A> p) {
  p + p;
};

inline constexpr bool has_vectors = TWEEDIE_VECTORS && adds_packets<float> &&
                                    adds_packets<double> &&
                                    sizeof(eigen_packet<float>) == sizeof(eigen_packet<double>);

template <class A, bool Vector>
struct lane_type {
  using type = A;
};
template <class A>
struct lane_type<A, true> {
  using type = eigen_packet<A>;
};

// float or double lanes: a compiler vector type, or the scalar itself.
template <class A>
using packet = typename lane_type<A, has_vectors>::type;

template <class A>
inline constexpr std::size_t lanes = Eigen::internal::unpacket_traits<packet<A>>::size;

using Eigen::internal::pmadd;
using Eigen::internal::pset1;

// The correctly rounded square root; Eigen's packets may use an approximation that differs between
// processors.
template <class Scalar>
EIGEN_ALWAYS_INLINE Scalar square_root(Scalar x) {
  return Eigen::internal::psqrt(x);
}
#if TWEEDIE_SSE2
EIGEN_ALWAYS_INLINE __m128 square_root(__m128 x) { return _mm_sqrt_ps(x); }
EIGEN_ALWAYS_INLINE __m128d square_root(__m128d x) { return _mm_sqrt_pd(x); }
#endif
#if TWEEDIE_AVX
EIGEN_ALWAYS_INLINE __m256 square_root(__m256 x) { return _mm256_sqrt_ps(x); }
EIGEN_ALWAYS_INLINE __m256d square_root(__m256d x) { return _mm256_sqrt_pd(x); }
#endif
#if TWEEDIE_AVX512
// The masked forms, all lanes on: GCC warns of an undefined register inside the others.
EIGEN_ALWAYS_INLINE __m512 square_root(__m512 x) { return _mm512_maskz_sqrt_ps(0xffff, x); }
EIGEN_ALWAYS_INLINE __m512d square_root(__m512d x) { return _mm512_maskz_sqrt_pd(0xff, x); }
#endif

// a where the lanes' comparison holds, else b.
template <class Packet, class Condition>
EIGEN_ALWAYS_INLINE Packet choose_lanes(Condition condition, Packet a, Packet b) {
  if constexpr (std::is_arithmetic_v<Packet>) {
    return condition ? a : b;
  } else {
    // Lanes of the comparison are all ones or zeros.
    return bit_cast<Packet>(
        Condition((condition & bit_cast<Condition>(a)) | (~condition & bit_cast<Condition>(b))));
  }
}

// The larger and the smaller of each two lanes; the first one's where one of them is not a number.
template <class Packet>
EIGEN_ALWAYS_INLINE Packet maximum(Packet a, Packet b) {
#if TWEEDIE_SSE2
  return Eigen::internal::pmax(a, b);
#else
  return choose_lanes(a < b, b, a);
#endif
}
template <class Packet>
EIGEN_ALWAYS_INLINE Packet minimum(Packet a, Packet b) {
#if TWEEDIE_SSE2
  return Eigen::internal::pmin(a, b);
#else
  return choose_lanes(b < a, b, a);
#endif
}
#if TWEEDIE_AVX512
EIGEN_ALWAYS_INLINE __m512 maximum(__m512 a, __m512 b) { return _mm512_maskz_max_ps(0xffff, b, a); }
EIGEN_ALWAYS_INLINE __m512d maximum(__m512d a, __m512d b) {
  return _mm512_maskz_max_pd(0xff, b, a);
}
EIGEN_ALWAYS_INLINE __m512 minimum(__m512 a, __m512 b) { return _mm512_maskz_min_ps(0xffff, b, a); }
EIGEN_ALWAYS_INLINE __m512d minimum(__m512d a, __m512d b) {
  return _mm512_maskz_min_pd(0xff, b, a);
}
#endif

// Unsigned integers, as many lanes as Bytes hold; scalars when there is one lane.
template <class Word, std::size_t Lanes>
struct word_lanes {
#if TWEEDIE_VECTORS
  using type [[gnu::vector_size(Lanes * sizeof(Word))]] = Word;
#endif
};
template <class Word>
struct word_lanes<Word, 1> {
  using type = Word;
};
template <class Word, std::size_t Lanes>
using words = typename word_lanes<Word, Lanes>::type;

template <class To, class From>
EIGEN_ALWAYS_INLINE To convert_lanes(From from) {
#if TWEEDIE_VECTORS
  if constexpr (!std::is_arithmetic_v<From>)
    return __builtin_convertvector(from, To);
  else
#endif
    return static_cast<To>(from);
}

inline constexpr std::size_t float_lanes = lanes<float>;
using float_bits = words<std::uint32_t, float_lanes>;

// All ones in the lanes where condition holds.
template <class Condition>
EIGEN_ALWAYS_INLINE float_bits mask(Condition condition) {
  if constexpr (float_lanes == 1) {
    return condition ? ~0u : 0u;
  } else {
    return bit_cast<float_bits>(condition);
  }
}

EIGEN_ALWAYS_INLINE packet<double> widen_floats(words<float, lanes<double>> narrow) {
#if TWEEDIE_AVX512
  return _mm512_maskz_cvtps_pd(0xff, bit_cast<__m256>(narrow));
#elif TWEEDIE_AVX
  return _mm256_cvtps_pd(bit_cast<__m128>(narrow));
#elif TWEEDIE_SSE2
  return _mm_cvtps_pd(_mm_castpd_ps(_mm_load_sd(reinterpret_cast<const double*>(&narrow))));
#else
  return convert_lanes<packet<double>>(narrow);
#endif
}

// Packets of double that hold as many elements as one of float.
inline constexpr std::size_t double_parts = lanes<float> / lanes<double>;

EIGEN_ALWAYS_INLINE void widen(packet<float> from, packet<double> (&to)[double_parts]) {
#if TWEEDIE_AVX512
  const __m512d halves = _mm512_castps_pd(from);
  to[0] = widen_floats(bit_cast<words<float, 8>>(_mm512_maskz_extractf64x4_pd(0xf, halves, 0)));
  to[1] = widen_floats(bit_cast<words<float, 8>>(_mm512_maskz_extractf64x4_pd(0xf, halves, 1)));
#elif TWEEDIE_AVX
  to[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(from));
  to[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(from, 1));
#elif TWEEDIE_SSE2
  to[0] = _mm_cvtps_pd(from);
  to[1] = _mm_cvtps_pd(_mm_movehl_ps(from, from));
#else
  words<float, lanes<double>> parts[double_parts];
  std::memcpy(parts, &from, sizeof from);
  for (std::size_t p = 0; p < double_parts; ++p) to[p] = widen_floats(parts[p]);
#endif
}

EIGEN_ALWAYS_INLINE packet<float> narrow(const packet<double> (&from)[double_parts]) {
#if TWEEDIE_AVX512
  const __m256d low = _mm256_castps_pd(_mm512_maskz_cvtpd_ps(0xff, from[0]));
  const __m256d high = _mm256_castps_pd(_mm512_maskz_cvtpd_ps(0xff, from[1]));
  return _mm512_castpd_ps(_mm512_maskz_insertf64x4(0xff, _mm512_castpd256_pd512(low), high, 1));
#elif TWEEDIE_AVX
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(from[0])),
                              _mm256_cvtpd_ps(from[1]), 1);
#elif TWEEDIE_SSE2
  return _mm_movelh_ps(_mm_cvtpd_ps(from[0]), _mm_cvtpd_ps(from[1]));
#else
  words<float, lanes<double>> parts[double_parts];
  for (std::size_t p = 0; p < double_parts; ++p)
    parts[p] = convert_lanes<words<float, lanes<double>>>(from[p]);
  packet<float> to;
  std::memcpy(&to, parts, sizeof to);
  return to;
#endif
}

// Whether a lane of one of the two is not a number.
EIGEN_ALWAYS_INLINE bool any_nan(packet<float> a, packet<float> b) {
#if TWEEDIE_AVX512
  return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q) != 0;
#elif TWEEDIE_AVX
  return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_UNORD_Q)) != 0;
#elif TWEEDIE_SSE2
  return _mm_movemask_ps(_mm_cmpunord_ps(a, b)) != 0;
#else
  float x[float_lanes], y[float_lanes];
  Eigen::internal::pstoreu(x, a);
  Eigen::internal::pstoreu(y, b);
  bool any = false;
  for (std::size_t i = 0; i < float_lanes; ++i) any |= x[i] != x[i] || y[i] != y[i];
  return any;
#endif
}

// One bit for each lane where a < b does not hold, a NaN included.
template <std::floating_point A>
EIGEN_ALWAYS_INLINE unsigned lanes_not_below(packet<A> a, packet<A> b) {
#if TWEEDIE_AVX512
  if constexpr (std::same_as<A, float>)
    return _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ);
  else
    return _mm512_cmp_pd_mask(a, b, _CMP_NLT_UQ);
#elif TWEEDIE_AVX
  if constexpr (std::same_as<A, float>) {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NLT_UQ)));
  } else {
    return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_NLT_UQ)));
  }
#elif TWEEDIE_SSE2
  if constexpr (std::same_as<A, float>) {
    return static_cast<unsigned>(_mm_movemask_ps(_mm_cmpnlt_ps(a, b)));
  } else {
    return static_cast<unsigned>(_mm_movemask_pd(_mm_cmpnlt_pd(a, b)));
  }
#else
  A x[lanes<A>], y[lanes<A>];
  Eigen::internal::pstoreu(x, a);
  Eigen::internal::pstoreu(y, b);
  unsigned bits = 0;
  for (std::size_t i = 0; i < lanes<A>; ++i) bits |= (x[i] < y[i] ? 0u : 1u) << i;
  return bits;
#endif
}

// Asks for memory to be brought to the cache, which need not be the program's.
EIGEN_ALWAYS_INLINE void prefetch(const void* from) {
#if TWEEDIE_VECTORS
  __builtin_prefetch(from);
#else
  static_cast<void>(from);
#endif
}

}  // namespace tweedie::detail
