// The Gram matrix of streams that may be nearly the same, at the speed of reading them.
//
//   b_p = r_p,   b_j = r_j + t_j r_p        formed element by element, before any product
//   r_j = b_j - t_j b_p                     the matrix of the rows r from that of the b, in double
//
// tensor/gram.hpp multiplies in double; these products are in the arithmetic type and summed in blocks
// of 32, which are added in double. With t_j = -1 the b_j are differences from row p: what combinations
// with small results depend on is summed by itself, and no digit of it is lost against r_p. With
// row j the state x and r_j + t_j r_p a multiple of an x0 estimate c_x x + c_y y_p, t_j = c_y/c_x, the
// same holds for estimates from nearly pure noise.
//
// Inner products of the b are within 36 roundings of |b_j| |b_k| each, 2^-24 for all but double: 2e-6 at
// most, commonly 1e-7. Where that would not do the sums in double are taken: for a row that is a fifth of
// what it is found from or less, a b_j whose mean is five times its deviation or more, squares near the
// ends of float's range, numbers that are not finite, rows of double, one row and more than four.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>

#include "tweedie/tensor/gram.hpp"

namespace tweedie {

/// `gram` of these rows with pivot p and t_p = 0, by the formula above. Allocates nothing.
/// \throws std::invalid_argument for another size of t or out than gram's, and a pivot that is no row.
template <storage_scalar S>
void pivoted_gram(std::span<const S* const> rows, std::size_t pivot, std::span<const double> t,
                  std::size_t first, std::size_t size, std::span<double> out);

namespace detail {

inline constexpr std::size_t most_pivoted_rows = 4;

// Lower triangle of the inner products of R rows b, row by row, then their sums. The pivot is row 0.
template <std::size_t R, storage_scalar S>
void add_pivoted(const S* const* rows, const float* t, std::size_t n, double* to) {
  using P = packet<float>;
  constexpr std::size_t sums = R * (R + 1) / 2 + R, step = 2 * lanes<float>, most_steps = 16;
  constexpr std::size_t parts = R == 2 ? 2 : 1;  // as many as there are registers for
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
        if constexpr (k <= j) s[j * (j + 1) / 2 + k] = pmadd(b[j], b[k], s[j * (j + 1) / 2 + k]);
      });
      s[R * (R + 1) / 2 + j] = Eigen::internal::padd(s[R * (R + 1) / 2 + j], b[j]);
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

template <storage_scalar S>
void own_pivoted_sums(const S* const* rows, std::size_t count, const float* t, std::size_t n,
                      double* to) {
  if constexpr (!std::same_as<S, double>) {
    if (count == 2) add_pivoted<2, S>(rows, t, n, to);
    if (count == 3) add_pivoted<3, S>(rows, t, n, to);
    if (count == 4) add_pivoted<4, S>(rows, t, n, to);
  }
}

// False where the matrix would have too few digits.
template <storage_scalar S>
bool quick_gram(std::span<const S* const> rows, std::size_t pivot, std::span<const double> t,
                std::size_t first, std::size_t size, std::span<double> out) {
  const std::size_t count = rows.size(), width = count + 1;
  const S* from[most_pivoted_rows] = {rows[pivot] + first};
  float shares[most_pivoted_rows] = {};
  std::size_t place[most_pivoted_rows] = {};  // of each row among `from`
  for (std::size_t j = 0, next = 1; j < count; ++j) {
    if (j == pivot) continue;
    place[j] = next;
    shares[next] = static_cast<float>(t[j]);
    from[next++] = rows[j] + first;
  }
  double sums[most_pivoted_rows * (most_pivoted_rows + 3) / 2];
  if constexpr (kernels_elsewhere)
    kernels<S>().pivoted_sums(reinterpret_cast<const void* const*>(from), count, shares, size,
                              sums);
  else
    own_pivoted_sums<S>(from, count, shares, size, sums);

  const auto n = static_cast<double>(size);
  const double* const totals = sums + count * (count + 1) / 2;
  const auto product = [&](std::size_t a, std::size_t b) {
    return sums[(std::max)(a, b) * ((std::max)(a, b) + 1) / 2 + (std::min)(a, b)];
  };
  for (std::size_t b = 0; b < count; ++b) {
    const double square = product(b, b), spread = square - totals[b] * totals[b] / n;
    if (b > 0 && square == 0 && totals[b] == 0) continue;  // no difference, nothing remembered
    if (!(square > n * 0x1p-100 && square < n * 0x1p100 && spread > square / 32)) return false;
  }
  const auto share = [&](std::size_t j) { return static_cast<double>(shares[place[j]]); };
  for (std::size_t j = 0; j < count; ++j) {
    const std::size_t a = place[j];
    out[count * width + j] = totals[a] - share(j) * totals[0];
    for (std::size_t k = 0; k <= j; ++k) {
      const std::size_t b = place[k];
      out[j * width + k] = product(a, b) - share(j) * product(0, b) - share(k) * product(a, 0) +
                           share(j) * share(k) * product(0, 0);
    }
    const double read = product(a, a) + share(j) * share(j) * product(0, 0);
    const double square = out[j * width + j];
    if (square != 0 && !(square > read / 32)) return false;
  }
  out[count * width + count] = n;
  for (std::size_t j = 0; j < width; ++j)
    for (std::size_t k = 0; k < j; ++k) out[k * width + j] = out[j * width + k];
  return true;
}

}  // namespace detail

template <storage_scalar S>
void pivoted_gram(std::span<const S* const> rows, std::size_t pivot, std::span<const double> t,
                  std::size_t first, std::size_t size, std::span<double> out) {
  constexpr const char* name = "pivoted_gram";
  detail::require_equal(name, "t.size()", t.size(), rows.size());
  detail::require_equal(name, "out.size()", out.size(), (rows.size() + 1) * (rows.size() + 1));
  detail::require(pivot < rows.size() && t[pivot] == 0, name, "pivot", static_cast<double>(pivot),
                  "valid: one of the rows, its t = 0");
  if constexpr (!std::same_as<S, double>)
    if (rows.size() >= 2 && rows.size() <= detail::most_pivoted_rows &&
        detail::quick_gram<S>(rows, pivot, t, first, size, out))
      return;
  gram<S>(rows, first, size, out);
}

}  // namespace tweedie
