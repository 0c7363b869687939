// The loops over memory as a table of functions, so that a library can hold them for several
// instruction sets (tweedie/compiled.hpp). Headers alone do without: each kernel then runs where it is
// called.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tweedie/tensor/storage.hpp"

namespace tweedie::detail {

#if defined(TWEEDIE_COMPILED)
inline constexpr bool kernels_elsewhere = true;
#else
inline constexpr bool kernels_elsewhere = false;
#endif

// Kernels for elements of one storage scalar, void here: a build for another instruction set has
// namespaces, and so types, of its own, with the same layout.
struct kernel_table {
  using loop = void (*)();  // a weigh_loop<S, S>

  loop (*weigh_loop)(std::size_t outputs, std::size_t streams, std::size_t blocks);
  void (*combine)(void* const* outputs, std::size_t output_count, const void* const* inputs,
                  std::size_t input_count, const double* weights, std::size_t begin,
                  std::size_t end);
  void (*apply)(const void* fused_pass, std::size_t begin, std::size_t end);
  void (*fill_normal)(const void* noise_key, std::uint64_t first, void* out, std::size_t n);
  void (*fill_uniform)(const void* noise_key, std::uint64_t first, void* out, std::size_t n);
  void (*gram)(const void* const* rows, std::size_t row_count, std::size_t first, std::size_t size,
               double* out);
  void (*pivoted_sums)(const void* const* rows, std::size_t row_count, bool all, const float* t,
                       std::size_t size, double* to);
};

inline constexpr std::size_t storage_scalars = 4;
template <storage_scalar S>
inline constexpr std::size_t scalar_number = std::same_as<S, float>     ? 0
                                             : std::same_as<S, double>  ? 1
                                             : std::same_as<S, float16> ? 2
                                                                        : 3;

// The tables of all storage scalars for the instruction set in use; defined by tweedie/compiled.hpp.
const kernel_table* compiled_kernels();

template <storage_scalar S>
const kernel_table& kernels() {
  return compiled_kernels()[scalar_number<S>];
}

}  // namespace tweedie::detail
