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

namespace detail {

inline constexpr std::size_t gram_block = 256;

// to[i] = double(from[i]) for n <= gram_block, zeros behind.
template <storage_scalar S>
void widen_block(const S* from, double* to, std::size_t n) {
  if constexpr (std::same_as<S, double>) {
    std::copy_n(from, n, to);
  } else {
    alignas(64) float narrow[gram_block];
    std::size_t i = 0;
    for (; i + float_lanes <= n; i += float_lanes) store(narrow + i, load(from + i));
    if (i < n) store(narrow + i, load_partial(from + i, n - i));
    for (i = 0; i < n; i += lanes<double>) {
      words<float, lanes<double>> values;
      std::memcpy(&values, narrow + i, sizeof values);
      store(to + i, convert_lanes<packet<double>>(values));
    }
  }
  std::fill(to + n, to + gram_block, 0.0);
}

// The sum of a[i] b[i] over one block.
inline double block_product(const double* a, const double* b) {
  constexpr std::size_t step = lanes<double>;
  packet<double> s0 = pset1<packet<double>>(0.0), s1 = s0, s2 = s0, s3 = s0;
  for (std::size_t i = 0; i < gram_block; i += 4 * step) {
    s0 = pmadd(load(a + i), load(b + i), s0);
    s1 = pmadd(load(a + i + step), load(b + i + step), s1);
    s2 = pmadd(load(a + i + 2 * step), load(b + i + 2 * step), s2);
    s3 = pmadd(load(a + i + 3 * step), load(b + i + 3 * step), s3);
  }
  double sums[step];
  store(sums, Eigen::internal::padd(Eigen::internal::padd(s0, s1), Eigen::internal::padd(s2, s3)));
  return std::accumulate(sums, sums + step, 0.0);
}

// Lower triangle, row by row, of the elements [begin, end).
template <storage_scalar S>
void gram_of_piece(std::span<const S* const> rows, std::size_t begin, std::size_t end,
                   std::span<double> triangle, std::span<double> blocks) {
  std::fill(triangle.begin(), triangle.end(), 0.0);
  for (std::size_t at = begin; at < end; at += gram_block) {
    const std::size_t n = std::min(end - at, gram_block);
    double* sum = triangle.data();
    for (std::size_t j = 0; j < rows.size(); ++j) {
      double* const block = blocks.data() + j * gram_block;
      widen_block(rows[j] + at, block, n);
      for (std::size_t k = 0; k <= j; ++k) {
        *sum++ += block_product(block, blocks.data() + k * gram_block);
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
    std::vector<double> blocks(r * detail::gram_block);
    detail::gram_of_piece<S>(rows, first + begin,
                             first + std::min(item_size, begin + gram_piece),
                             std::span(sums).subspan(i * triangle, triangle), blocks);
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

}  // namespace tweedie
