// Gram matrices of each batch item's streams, G = R R^T: all inner products in one traversal.
//
//   G(item, j, k) = sum over the item's elements of r_j r_k
//
// Norms, projections, rescaling factors and error estimates are functions of it. Reads every stream
// once. Products and sums are in double; an item is added up in pieces of gram_piece elements, in
// order, so that the result does not depend on the number of threads. Storage scalars up to float
// are exact before the first sum.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/parallel.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

inline constexpr std::size_t gram_piece = 32768;

// out: items x rows x rows. `rows` are streams of items * item_size elements.
template <storage_scalar S>
void gram(std::span<const S* const> rows, std::size_t items, std::size_t item_size,
          std::span<double> out);

template <storage_scalar S>
void gram(std::span<const S* const> rows, std::size_t items, std::size_t item_size,
          std::span<double> out, workers& threads);

/// The Gram matrix of `size` elements of each row, starting at `first`, and of a last row of ones:
/// out is (rows + 1) x (rows + 1), out(rows, j) the sum of row j, out(rows, rows) = size. Allocates
/// nothing and adds up in one order, whatever else the rows hold.
template <storage_scalar S>
void gram_with_ones(std::span<const S* const> rows, std::size_t first, std::size_t size,
                    std::span<double> out);

namespace detail {

// As many elements as double packets have lanes, widened.
template <storage_scalar S>
EIGEN_ALWAYS_INLINE packet<double> load_wide(const S* from) {
  if constexpr (std::same_as<S, double>) {
    return load(from);
  } else {
    words<float, lanes<double>> values;
    if constexpr (std::same_as<S, float>) {
      std::memcpy(&values, from, sizeof values);
    } else {
      float narrow[lanes<double>];
      for (std::size_t i = 0; i < lanes<double>; ++i) narrow[i] = static_cast<float>(from[i]);
      std::memcpy(&values, narrow, sizeof values);
    }
    return widen_floats(values);
  }
}

template <storage_scalar S>
double inner_product(const S* a, const S* b, std::size_t n) {
  constexpr std::size_t step = lanes<double>;
  packet<double> s0 = pset1<packet<double>>(0.0), s1 = s0, s2 = s0, s3 = s0;
  std::size_t i = 0;
  for (; i + 4 * step <= n; i += 4 * step) {
    s0 = pmadd(load_wide(a + i), load_wide(b + i), s0);
    s1 = pmadd(load_wide(a + i + step), load_wide(b + i + step), s1);
    s2 = pmadd(load_wide(a + i + 2 * step), load_wide(b + i + 2 * step), s2);
    s3 = pmadd(load_wide(a + i + 3 * step), load_wide(b + i + 3 * step), s3);
  }
  double sums[step];
  store(sums, Eigen::internal::padd(Eigen::internal::padd(s0, s1), Eigen::internal::padd(s2, s3)));
  double total = std::accumulate(sums, sums + step, 0.0);
  for (; i < n; ++i) total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return total;
}

template <storage_scalar S>
double element_sum(const S* a, std::size_t n) {
  constexpr std::size_t step = lanes<double>;
  packet<double> s0 = pset1<packet<double>>(0.0), s1 = s0;
  std::size_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    s0 = Eigen::internal::padd(s0, load_wide(a + i));
    s1 = Eigen::internal::padd(s1, load_wide(a + i + step));
  }
  double sums[step];
  store(sums, Eigen::internal::padd(s0, s1));
  double total = std::accumulate(sums, sums + step, 0.0);
  for (; i < n; ++i) total += static_cast<double>(a[i]);
  return total;
}

// Lower triangle, row by row, of the elements [begin, end), by blocks that stay in the cache.
template <storage_scalar S>
void gram_of_piece(std::span<const S* const> rows, std::size_t begin, std::size_t end,
                   std::span<double> triangle) {
  constexpr std::size_t block = 2048;
  for (std::size_t at = begin; at < end; at += block) {
    const std::size_t n = std::min(end - at, block);
    double* sum = triangle.data();
    for (std::size_t j = 0; j < rows.size(); ++j) {
      for (std::size_t k = 0; k <= j; ++k) {
        *sum++ += inner_product(rows[j] + at, rows[k] + at, n);
      }
    }
  }
}

}  // namespace detail

template <storage_scalar S>
void gram(std::span<const S* const> rows, std::size_t items, std::size_t item_size,
          std::span<double> out, workers& threads) {
  const std::size_t r = rows.size();
  if (out.size() != items * r * r) {
    detail::fail("gram", "out.size()", static_cast<double>(out.size()),
                 "must be items x rows x rows = " + std::to_string(items * r * r));
  }
  const std::size_t triangle = r * (r + 1) / 2;
  const std::size_t pieces = (item_size + gram_piece - 1) / gram_piece;
  std::vector<double> sums(items * pieces * triangle);
  threads.for_each(items * pieces, [&](std::size_t i) {
    const std::size_t begin = i % pieces * gram_piece;
    const std::size_t first = i / pieces * item_size;
    detail::gram_of_piece<S>(rows, first + begin, first + std::min(item_size, begin + gram_piece),
                             std::span(sums).subspan(i * triangle, triangle));
  });
  for (std::size_t item = 0; item < items; ++item) {
    double* const matrix = out.data() + item * r * r;
    std::size_t entry = 0;
    for (std::size_t j = 0; j < r; ++j) {
      for (std::size_t k = 0; k <= j; ++k, ++entry) {
        double total = 0;
        for (std::size_t p = 0; p < pieces; ++p) {
          total += sums[(item * pieces + p) * triangle + entry];
        }
        matrix[j * r + k] = matrix[k * r + j] = total;
      }
    }
  }
}

template <storage_scalar S>
void gram(std::span<const S* const> rows, std::size_t items, std::size_t item_size,
          std::span<double> out) {
  workers caller_only(1);
  gram(rows, items, item_size, out, caller_only);
}

template <storage_scalar S>
void gram_with_ones(std::span<const S* const> rows, std::size_t first, std::size_t size,
                    std::span<double> out) {
  const std::size_t r = rows.size();
  const std::size_t width = r + 1;
  if (out.size() != width * width)
    detail::fail("gram_with_ones", "out.size()", static_cast<double>(out.size()),
                 "must be (rows + 1)^2 = " + std::to_string(width * width));
  std::fill(out.begin(), out.end(), 0.0);
  constexpr std::size_t block = 2048;
  for (std::size_t at = 0; at < size; at += block) {
    const std::size_t n = std::min(size - at, block);
    for (std::size_t j = 0; j < r; ++j) {
      const S* const row = rows[j] + first + at;
      for (std::size_t k = 0; k <= j; ++k)
        out[j * width + k] += detail::inner_product(row, rows[k] + first + at, n);
      out[r * width + j] += detail::element_sum(row, n);
    }
  }
  out[r * width + r] = static_cast<double>(size);
  for (std::size_t j = 0; j < width; ++j)
    for (std::size_t k = 0; k < j; ++k) out[k * width + j] = out[j * width + k];
}

}  // namespace tweedie
