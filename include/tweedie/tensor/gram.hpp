// The Gram matrix of some streams and of ones: all inner products and sums in one traversal.
//
//   G(j, k) = sum_i r_j(i) r_k(i),   G(rows, j) = sum_i r_j(i),   G(rows, rows) = n
//
// Norms, angles, means and deviations of all that the streams combine to are functions of it
// (guidance/rule.hpp). Reads up to four streams once; more are read by pairs. Products and sums are in
// double: half and float products are exact, and differences of streams that are nearly the same keep
// their digits. One order of summation, whatever else the rows hold.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/kernel_table.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

/// Of elements [first, first + size) of each row. out: (rows + 1) x (rows + 1). Allocates nothing.
/// \throws std::invalid_argument for another size of out.
template <storage_scalar S>
void gram(std::span<const S* const> rows, std::size_t first, std::size_t size,
          std::span<double> out);

namespace detail {

// Elements of one step: two packets of double.
inline constexpr std::size_t gram_step = 2 * lanes<double>;

template <storage_scalar S>
EIGEN_ALWAYS_INLINE void load_wide(const S* from, packet<double> (&to)[2]) {
  if constexpr (std::same_as<S, double>) {
    to[0] = load(from);
    to[1] = load(from + lanes<double>);
  } else if constexpr (double_parts == 2) {
    widen(load(from), to);
  } else {
    for (std::size_t p = 0; p < 2; ++p) {
      words<float, lanes<double>> values;
      float narrow[lanes<double>];
      for (std::size_t i = 0; i < lanes<double>; ++i)
        narrow[i] = static_cast<float>(from[p * lanes<double> + i]);
      std::memcpy(&values, narrow, sizeof values);
      to[p] = widen_floats(values);
    }
  }
}

inline double lane_sum(packet<double> from) {
  double values[lanes<double>];
  store(values, from);
  return std::accumulate(values, values + lanes<double>, 0.0);
}

// f(0), ..., f(R - 1), the numbers as types.
template <std::size_t R, class F>
EIGEN_ALWAYS_INLINE void for_rows(const F& f) {
  [&]<std::size_t... j>(std::index_sequence<j...>) {
    (f(std::integral_constant<std::size_t, j>()), ...);
  }
  (std::make_index_sequence<R>());
}

// Sums and lower triangle of R rows, to(R + 1 columns, row by row).
template <std::size_t R, storage_scalar S>
class gram_sums {
 public:
  void add(const S* const (&rows)[R], std::size_t n) {
    std::size_t i = 0;
    for (; i + gram_step <= n; i += gram_step) step([&](std::size_t j) { return rows[j] + i; });
    if (i == n) return;
    S padded[R][gram_step] = {};
    for (std::size_t j = 0; j < R; ++j) std::copy(rows[j] + i, rows[j] + n, padded[j]);
    step([&](std::size_t j) { return padded[j]; });
  }

  double product(std::size_t j, std::size_t k) const {
    const std::size_t at = j * (j + 1) / 2 + k;
    return lane_sum(products_[0][at]) + lane_sum(products_[1][at]);
  }
  double sum(std::size_t j) const { return lane_sum(sums_[0][j]) + lane_sum(sums_[1][j]); }

 private:
  template <class Rows>
  EIGEN_ALWAYS_INLINE void step(const Rows& rows) {
    packet<double> values[R][2];
    for_rows<R>([&](auto j) { load_wide(rows(j), values[j]); });
    for_rows<R>([&](auto j) {
      for (std::size_t p = 0; p < 2; ++p) {
        sums_[p][j] = Eigen::internal::padd(sums_[p][j], values[j][p]);
        for_rows<R>([&](auto k) {
          if constexpr (k <= j)
            products_[p][j * (j + 1) / 2 + k] =
                pmadd(values[j][p], values[k][p], products_[p][j * (j + 1) / 2 + k]);
        });
      }
    });
  }

  packet<double> products_[2][R * (R + 1) / 2] = {}, sums_[2][R] = {};
};

// Rows `which` of all.
template <std::size_t R, storage_scalar S>
void gram_of(std::span<const S* const> rows, const std::size_t (&which)[R], std::size_t first,
             std::size_t size, std::span<double> out) {
  const std::size_t width = rows.size() + 1;
  const S* from[R];
  for (std::size_t j = 0; j < R; ++j) from[j] = rows[which[j]] + first;
  gram_sums<R, S> sums;
  sums.add(from, size);
  for (std::size_t j = 0; j < R; ++j) {
    out[rows.size() * width + which[j]] = sums.sum(j);
    for (std::size_t k = 0; k <= j; ++k) out[which[j] * width + which[k]] = sums.product(j, k);
  }
}

// Into (rows + 1)^2 doubles.
template <storage_scalar S>
void own_gram(std::span<const S* const> rows, std::size_t first, std::size_t size, double* to) {
  const std::size_t r = rows.size(), width = r + 1;
  const std::span<double> out(to, width * width);
  switch (r) {
    case 0: break;
    case 1: gram_of<1, S>(rows, {0}, first, size, out); break;
    case 2: gram_of<2, S>(rows, {0, 1}, first, size, out); break;
    case 3: gram_of<3, S>(rows, {0, 1, 2}, first, size, out); break;
    case 4: gram_of<4, S>(rows, {0, 1, 2, 3}, first, size, out); break;
    default:
      for (std::size_t j = 1; j < r; ++j)
        for (std::size_t k = 0; k < j; ++k) gram_of<2, S>(rows, {k, j}, first, size, out);
  }
  out[r * width + r] = static_cast<double>(size);
  for (std::size_t j = 0; j < width; ++j)
    for (std::size_t k = 0; k < j; ++k) out[k * width + j] = out[j * width + k];
}

}  // namespace detail

template <storage_scalar S>
void gram(std::span<const S* const> rows, std::size_t first, std::size_t size,
          std::span<double> out) {
  const std::size_t width = rows.size() + 1;
  if (out.size() != width * width)
    detail::fail("gram", "out.size()", static_cast<double>(out.size()),
                 "must be (rows + 1)^2 = " + std::to_string(width * width));
  if constexpr (detail::kernels_elsewhere)
    detail::kernels<S>().gram(reinterpret_cast<const void* const*>(rows.data()), rows.size(), first,
                              size, out.data());
  else
    detail::own_gram<S>(rows, first, size, out.data());
}

}  // namespace tweedie
