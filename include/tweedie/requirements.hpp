// What the library asks of the compiler; each lack is refused in one sentence.
//
// Every header reaches this one before anything that needs it. Compilers go on after #error, hence
// the #include behind it of what does not exist: that ends the compilation.
#pragma once

#if defined(_MSVC_LANG)
#define TWEEDIE_LANGUAGE _MSVC_LANG
#else
#define TWEEDIE_LANGUAGE __cplusplus
#endif
#if TWEEDIE_LANGUAGE < 202002L
#error "tweedie needs C++20: compile with -std=c++20 (MSVC: /std:c++20)"
#include <tweedie/needs_c++20>
#endif
#undef TWEEDIE_LANGUAGE

// Bad input is reported by exceptions of the standard library or, where the compiler has none, to a handler
// (schedule/error.hpp).
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define TWEEDIE_EXCEPTIONS
#endif

// Infinities and NaNs could be neither refused nor kept, and the digits of noise would depend on the
// optimiser.
#if defined(__FAST_MATH__) || defined(_M_FP_FAST) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error \
    "tweedie needs IEEE arithmetic: compile without -ffast-math and -ffinite-math-only (MSVC: /fp:fast)"
#include <tweedie/needs_ieee_arithmetic>
#endif

// Headers only is the default. With TWEEDIE_COMPILED defined (CMake: tweedie::compiled) what takes long to
// compile is declared, and one source that includes tweedie/compiled.hpp defines it.
#if defined(TWEEDIE_COMPILED)
#define TWEEDIE_INLINE
#else
#define TWEEDIE_INLINE inline
#define TWEEDIE_DEFINES_ENGINE
#define TWEEDIE_DEFINES_LOADER
#endif
