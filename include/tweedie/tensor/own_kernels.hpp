// The kernels of this translation unit's instruction set as a table (tensor/kernel_table.hpp).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/fused_pass.hpp"
#include "tweedie/tensor/gram.hpp"
#include "tweedie/tensor/kernel_table.hpp"
#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/pivoted_gram.hpp"
#include "tweedie/tensor/weigh.hpp"

namespace tweedie::detail {

template <storage_scalar S>
struct own_kernels {
  static kernel_table::loop weigh_loop(std::size_t outputs, std::size_t streams,
                                       std::size_t blocks) {
    return reinterpret_cast<kernel_table::loop>(own_weigh_loop<S, S>(outputs, streams, blocks));
  }
  static void combine(void* const* outputs, std::size_t output_count, const void* const* inputs,
                      std::size_t input_count, const double* weights, std::size_t begin,
                      std::size_t end) {
    combine_block<S>({reinterpret_cast<S* const*>(outputs), output_count},
                     streams(inputs, input_count), {}, {weights, output_count * input_count}, begin,
                     end - begin);
  }
  static void apply(const void* pass, std::size_t begin, std::size_t end) {
    own_apply(*static_cast<const fused_pass<S>*>(pass), {begin, end});
  }
  static void fill_normal(const void* key, std::uint64_t first, void* out, std::size_t n) {
    detail::fill_normal(*static_cast<const noise_key*>(key), first,
                        std::span<S>(static_cast<S*>(out), n), [](std::size_t) {});
  }
  static void fill_uniform(const void* key, std::uint64_t first, void* out, std::size_t n) {
    if constexpr (std::floating_point<S>)
      own_fill_uniform(*static_cast<const noise_key*>(key), first,
                       std::span<S>(static_cast<S*>(out), n));
  }
  static void gram(const void* const* rows, std::size_t row_count, std::size_t first,
                   std::size_t size, double* out) {
    own_gram<S>(streams(rows, row_count), first, size, out);
  }
  static void pivoted_sums(const void* const* rows, std::size_t row_count, bool all, const float* t,
                           std::size_t size, double* to) {
    own_pivoted_sums<S>(streams(rows, row_count).data(), row_count, all, t, size, to);
  }

  static constexpr kernel_table table{weigh_loop,   combine, apply,       fill_normal,
                                      fill_uniform, gram,    pivoted_sums};

 private:
  static std::span<const S* const> streams(const void* const* from, std::size_t count) {
    return {reinterpret_cast<const S* const*>(from), count};
  }
};

inline constexpr kernel_table own_kernel_tables[storage_scalars] = {
    own_kernels<float>::table, own_kernels<double>::table, own_kernels<float16>::table,
    own_kernels<bfloat16>::table};

}  // namespace tweedie::detail
