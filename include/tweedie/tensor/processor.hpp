// What the processor that runs the program has, beyond what the program was compiled for.
#pragma once

#if (defined(__GNUC__) || defined(__clang__)) && (defined(__x86_64__) || defined(__i386__))
#include <cpuid.h>

namespace tweedie::detail {

/// AVX2, FMA and F16C.
inline bool has_avx2() {
  static const bool has = [] {
    __builtin_cpu_init();     // constructors of globals may ask, too
    unsigned a, b, c = 0, d;  // Clang 14 has no name for F16C
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
  }();
  return has;
}

/// The same and AVX-512 F, DQ, BW, VL.
inline bool has_avx512() {
  static const bool has = has_avx2() && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return has;
}

}  // namespace tweedie::detail

#endif
