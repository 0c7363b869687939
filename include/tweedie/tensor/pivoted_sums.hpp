// Sums for pivoted_gram.hpp: of the streams b_0 = r_0, b_j = r_j + t_j r_0, and of their products in pairs.
//
// In the arithmetic type over blocks of 32 elements a lane, the blocks added in double. Two streams take six additions for
// each packet of elements, of which a processor does two at a time: with the four lanes of SSE2 that is longer than
// memory takes. Programs compiled for no more than SSE2 therefore sum floats in sixteen lanes, by the widest vectors that
// the processor has; products are rounded before they are added, so that the bits are the same with all of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "tweedie/tensor/gram.hpp"
#include "tweedie/tensor/processor.hpp"

#if TWEEDIE_SSE2 && !TWEEDIE_AVX
#define TWEEDIE_SUMS_IN_LANES 1
#else
#define TWEEDIE_SUMS_IN_LANES 0
#endif
// tweedie::compiled has kernels for other instruction sets besides; GCC does not align the stack for AVX on Windows.
#if TWEEDIE_SUMS_IN_LANES && defined(__x86_64__) && !defined(_WIN32) && !defined(TWEEDIE_COMPILED)
#define TWEEDIE_WIDER_SUMS 1
#else
#define TWEEDIE_WIDER_SUMS 0
#endif

namespace tweedie::detail {

// Products and sums of the streams From, ..., R - 1.
template <std::size_t R, std::size_t From>
inline constexpr std::size_t sum_count = (R - From) * (R - From + 3) / 2;
template <std::size_t R, std::size_t From>
constexpr std::size_t product_place(std::size_t j, std::size_t k) {
  return (j - From) * (j - From + 1) / 2 + k - From;
}
template <std::size_t R, std::size_t From>
constexpr std::size_t sum_place(std::size_t j) {
  return product_place<R, From>(R, From) + j - From;
}

// Lower triangle of the inner products of the streams From, ..., R - 1, row by row, then their sums.
template <std::size_t R, std::size_t From, storage_scalar S>
void add_pivoted(const S* const* rows, const float* t, std::size_t n, double* to) {
  using P = packet<float>;
  constexpr std::size_t sums = sum_count<R, From>, step = 2 * lanes<float>, most_steps = 16;
  constexpr std::size_t parts = sums == 5 ? 2 : 1;  // as many as there are registers for
  packet<double> total[sums];
  std::fill(total, total + sums, pset1<packet<double>>(0.0));
  P share[R];
  for (std::size_t j = 1; j < R; ++j) share[j] = pset1<P>(t[j]);
  P block[parts][sums];
  const auto clear = [&] {
    for (std::size_t p = 0; p < parts; ++p) std::fill(block[p], block[p] + sums, pset1<P>(0.0f));
  };
  const auto add = [&](const P(&r)[R], P(&s)[sums]) {
    P b[R];
    b[0] = r[0];
    for_rows<R>([&](auto j) {
      if constexpr (j > 0) b[j] = pmadd(share[j], r[0], r[j]);
      for_rows<R>([&](auto k) {
        if constexpr (From <= k && k <= j)
          s[product_place<R, From>(j, k)] = pmadd(b[j], b[k], s[product_place<R, From>(j, k)]);
      });
      if constexpr (From <= j)
        s[sum_place<R, From>(j)] = Eigen::internal::padd(s[sum_place<R, From>(j)], b[j]);
    });
  };
  const auto fold = [&] {
    for (std::size_t k = 0; k < sums; ++k)
      for (std::size_t p = 0; p < parts; ++p) {
        packet<double> halves[double_parts];
        widen(block[p][k], halves);
        for (const packet<double>& w : halves) total[k] = Eigen::internal::padd(total[k], w);
      }
  };
  std::size_t i = 0;
  while (i + step <= n) {
    clear();
    const std::size_t end = i + (std::min)(most_steps, (n - i) / step) * step;
    for (; i < end; i += step) {
      P low[R], high[R];
      for_rows<R>([&](auto j) {
        const packet_pair<S> both = load_pair(rows[j] + i);
        low[j] = both.first;
        high[j] = both.second;
      });
      add(low, block[0]);
      add(high, block[parts - 1]);
    }
    fold();
  }
  clear();
  for (; i < n; i += lanes<float>) {
    P last[R];
    for_rows<R>([&](auto j) { last[j] = load_up_to(rows[j] + i, n - i); });
    add(last, block[0]);
  }
  fold();
  for (std::size_t k = 0; k < sums; ++k) to[k] = lane_sum(total[k]);
}

#if TWEEDIE_SUMS_IN_LANES

// Keeps a product from being fused with the sum it goes to, as GCC does within AVX-512; Clang leaves apart what is in two
// statements.
template <class Vector>
EIGEN_ALWAYS_INLINE void round_now([[maybe_unused]] Vector& product) {
#if !defined(__clang__) && __has_builtin(__builtin_assoc_barrier)
  if constexpr (sizeof product == 64) product = __builtin_assoc_barrier(product);
#endif
}
#if defined(__clang__) || __has_builtin(__builtin_assoc_barrier)
inline constexpr bool may_round_now = true;
#else
inline constexpr bool may_round_now = false;
#endif

// Elements go to sixteen lanes in turn. At the end of a block the lanes are added to four, which are widened.
inline constexpr std::size_t block_lanes = 16;
template <std::size_t R, std::size_t From>
using four_totals = double[sum_count<R, From>][4];

// `steps` times sixteen elements from `first` on, N lanes at a time: to `total`, by blocks.
template <std::size_t R, std::size_t From, std::size_t N>
EIGEN_ALWAYS_INLINE void add_lanes(const float* const* rows, const float* t, std::size_t first,
                                   std::size_t steps, four_totals<R, From>& total) {
  using vector = words<float, N>;
  constexpr std::size_t sums = sum_count<R, From>, most_steps = 32;
  constexpr std::size_t parts =
      N < block_lanes && sums == 5 ? 2 : 1;  // as many as there are registers for
  vector share[R];
  for (std::size_t j = 1; j < R; ++j) share[j] = vector{} + t[j];
  while (steps > 0) {
    const std::size_t now = (std::min)(most_steps, steps);
    float block[sums][block_lanes];
    for (std::size_t lane = 0; lane < block_lanes; lane += parts * N) {
      vector s[parts][sums];
      for (std::size_t p = 0; p < parts; ++p)
        for (std::size_t k = 0; k < sums; ++k) s[p][k] = vector{};
      for (std::size_t i = first + lane; i < first + block_lanes * now; i += block_lanes)
        for_rows<parts>([&](auto p) __attribute__((always_inline)) {
          vector b[R];
          for_rows<R>([&](auto j) __attribute__((always_inline)) {
            std::memcpy(&b[j], rows[j] + i + p * N, sizeof(vector));
            if constexpr (j > 0) {
              vector product = share[j] * b[0];
              round_now(product);
              b[j] += product;
            }
            for_rows<R>([&](auto k) __attribute__((always_inline)) {
              if constexpr (From <= k && k <= j) {
                vector product = b[j] * b[k];
                round_now(product);
                s[p][product_place<R, From>(j, k)] += product;
              }
            });
            if constexpr (From <= j) s[p][sum_place<R, From>(j)] += b[j];
          });
        });
      for (std::size_t p = 0; p < parts; ++p)
        for (std::size_t k = 0; k < sums; ++k)
          std::memcpy(block[k] + lane + p * N, &s[p][k], sizeof(vector));
    }
    for (std::size_t k = 0; k < sums; ++k)
      for (std::size_t l = 0; l < 4; ++l)
        total[k][l] += static_cast<double>((block[k][l] + block[k][l + 4]) +
                                           (block[k][l + 8] + block[k][l + 12]));
    first += block_lanes * now;
    steps -= now;
  }
}

#if TWEEDIE_WIDER_SUMS
template <std::size_t R, std::size_t From>
[[gnu::target("avx512f"), gnu::noinline]] void add_lanes_of_avx512(const float* const* rows,
                                                                   const float* t,
                                                                   std::size_t first,
                                                                   std::size_t steps,
                                                                   four_totals<R, From>& total) {
  add_lanes<R, From, 16>(rows, t, first, steps, total);
}
template <std::size_t R, std::size_t From>
[[gnu::target("avx2"), gnu::noinline]] void add_lanes_of_avx2(const float* const* rows,
                                                              const float* t, std::size_t first,
                                                              std::size_t steps,
                                                              four_totals<R, From>& total) {
  add_lanes<R, From, 8>(rows, t, first, steps, total);
}
#endif
template <std::size_t R, std::size_t From>
[[gnu::noinline]] void add_lanes_of_sse2(const float* const* rows, const float* t,
                                         std::size_t first, std::size_t steps,
                                         four_totals<R, From>& total) {
  add_lanes<R, From, 4>(rows, t, first, steps, total);
}

// The same as add_pivoted, in the order of sixteen lanes, `widest` of them in a register.
template <std::size_t R, std::size_t From>
void add_pivoted_floats(const float* const* rows, const float* t, std::size_t n, double* to,
                        [[maybe_unused]] std::size_t widest) {
  four_totals<R, From> total = {};
  auto add = add_lanes_of_sse2<R, From>;
#if TWEEDIE_WIDER_SUMS
  if (widest == 8) add = add_lanes_of_avx2<R, From>;
  if (widest == 16) add = add_lanes_of_avx512<R, From>;
#endif
  const std::size_t whole = n / block_lanes * block_lanes;
  add(rows, t, 0, whole / block_lanes, total);
  float last[R][block_lanes] = {};
  const float* at[R];
  for (std::size_t j = 0; j < R; ++j) {
    std::copy(rows[j] + whole, rows[j] + n, last[j]);
    at[j] = last[j];
  }
  if (whole != n) add(at, t, 0, 1, total);
  for (std::size_t k = 0; k < sum_count<R, From>; ++k)
    to[k] = total[k][0] + total[k][1] + (total[k][2] + total[k][3]);
}

// Lanes of the widest vectors that the processor has.
inline std::size_t widest_vector() {
#if TWEEDIE_WIDER_SUMS
  return may_round_now && has_avx512() ? 16 : has_avx2() ? 8 : 4;
#else
  return 4;
#endif
}

#endif

template <std::size_t R, std::size_t From, storage_scalar S>
void pivoted_sums_of(const S* const* rows, const float* t, std::size_t n, double* to) {
#if TWEEDIE_SUMS_IN_LANES
  if constexpr (std::same_as<S, float>)
    return add_pivoted_floats<R, From>(rows, t, n, to, widest_vector());
#endif
  add_pivoted<R, From, S>(rows, t, n, to);
}

inline constexpr std::size_t most_pivoted_rows = 4;

// Of all `count` streams, or of all but the pivot's, b_0.
template <storage_scalar S>
void own_pivoted_sums(const S* const* rows, std::size_t count, bool all, const float* t,
                      std::size_t n, double* to) {
  if constexpr (!std::same_as<S, double>) {
    if (count == 2 && all) pivoted_sums_of<2, 0, S>(rows, t, n, to);
    if (count == 3 && all) pivoted_sums_of<3, 0, S>(rows, t, n, to);
    if (count == 4 && all) pivoted_sums_of<4, 0, S>(rows, t, n, to);
    if (count == 2 && !all) pivoted_sums_of<2, 1, S>(rows, t, n, to);
    if (count == 3 && !all) pivoted_sums_of<3, 1, S>(rows, t, n, to);
    if (count == 4 && !all) pivoted_sums_of<4, 1, S>(rows, t, n, to);
  }
}

}  // namespace tweedie::detail
