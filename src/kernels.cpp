// The kernels of one further instruction set of tweedie::compiled, compiled with the flags of the set and
// with TWEEDIE_KERNELS defined as its name, avx2 or avx512.
//
// The linker keeps one copy of equal names, and must not give one with wide instructions to a caller
// that asked nothing of the processor. So Eigen and this library have other namespaces here; what they
// use of the standard library is inlined, which tests/compiled checks.
#if defined(TWEEDIE_COMPILED) || !defined(TWEEDIE_KERNELS)
#error "compile with -DTWEEDIE_KERNELS=avx2 or avx512, and without TWEEDIE_COMPILED"
#endif

#define TWEEDIE_JOIN_(a, b) a##b
#define TWEEDIE_JOIN(a, b) TWEEDIE_JOIN_(a, b)
#define Eigen TWEEDIE_JOIN(Eigen_, TWEEDIE_KERNELS)
#define tweedie TWEEDIE_JOIN(tweedie_, TWEEDIE_KERNELS)

#include "tweedie/tensor/own_kernels.hpp"

extern "C" const void* TWEEDIE_JOIN(tweedie_kernels_, TWEEDIE_KERNELS)() {
  return tweedie::detail::own_kernel_tables;
}
