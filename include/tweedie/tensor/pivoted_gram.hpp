// The Gram matrix of streams that may be nearly the same, at the speed of reading them.
//
//   b_p = r_p,   b_j = r_j + t_j r_p        formed element by element, before any product
//   r_j = b_j - t_j b_p                     the matrix of the rows r from that of the b, in double
//
// tensor/gram.hpp multiplies in double; these products are in the arithmetic type and summed in blocks
// of 32, which are added in double (tensor/pivoted_sums.hpp). With t_j = -1 the b_j are differences from row p: what combinations
// with small results depend on is summed by itself, and no digit of it is lost against r_p. With
// row j the state x and r_j + t_j r_p a multiple of an x0 estimate c_x x + c_y y_p, t_j = c_y/c_x, the
// same holds for estimates from nearly pure noise. A matrix of estimates alone (guidance on clean data) needs no sums of r_p
// itself, half of those of three rows.
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

#include "tweedie/tensor/pivoted_sums.hpp"

namespace tweedie {

/// `gram` of these rows with pivot p and t_p = 0, by the formula above. Allocates nothing.
/// \throws std::invalid_argument for another size of t or out than gram's, and a pivot that is no row.
template <storage_scalar S>
void pivoted_gram(std::span<const S* const> rows, std::size_t pivot, std::span<const double> t,
                  std::size_t first, std::size_t size, std::span<double> out);

namespace detail {

// Sums of the b: of all of them, or of all but the pivot's. b of row j is b number place[j].
template <storage_scalar S>
class pivoted_sums {
 public:
  pivoted_sums(std::span<const S* const> rows, std::size_t pivot, std::span<const double> t,
               bool all, std::size_t first, std::size_t size)
      : count_(rows.size()), from_(all ? 0 : 1), n_(static_cast<double>(size)) {
    const S* streams[most_pivoted_rows] = {rows[pivot] + first};
    for (std::size_t j = 0, next = 1; j < count_; ++j) {
      if (j == pivot) continue;
      place_[j] = next;
      shares_[next] = static_cast<float>(t[j]);
      streams[next++] = rows[j] + first;
    }
    if constexpr (kernels_elsewhere)
      kernels<S>().pivoted_sums(reinterpret_cast<const void* const*>(streams), count_, all, shares_,
                                size, sums_);
    else
      own_pivoted_sums<S>(streams, count_, all, shares_, size, sums_);
  }

  double share(std::size_t j) const { return static_cast<double>(shares_[place_[j]]); }
  double product(std::size_t j, std::size_t k) const { return of_places(place_[j], place_[k]); }
  double total(std::size_t j) const { return of_place(place_[j]); }

  // False where the sums have too few digits.
  bool keep_digits() const {
    for (std::size_t b = from_; b < count_; ++b) {
      const double sum = of_place(b), square = of_places(b, b), spread = square - sum * sum / n_;
      if (b > 0 && square == 0 && sum == 0) continue;  // no difference, nothing remembered
      if (!(square > n_ * 0x1p-100 && square < n_ * 0x1p100 && spread > square / 32)) return false;
    }
    return true;
  }

 private:
  double of_places(std::size_t a, std::size_t b) const {
    const std::size_t high = (std::max)(a, b) - from_, low = (std::min)(a, b) - from_;
    return sums_[high * (high + 1) / 2 + low];
  }
  double of_place(std::size_t b) const {
    const std::size_t kept = count_ - from_;
    return sums_[kept * (kept + 1) / 2 + b - from_];
  }

  std::size_t count_, from_;
  double n_;
  std::size_t place_[most_pivoted_rows] = {};
  float shares_[most_pivoted_rows] = {};
  double sums_[most_pivoted_rows * (most_pivoted_rows + 3) / 2] = {};
};

// The upper triangle from the lower one.
inline void make_symmetric(std::span<double> matrix, std::size_t width) {
  for (std::size_t j = 0; j < width; ++j)
    for (std::size_t k = 0; k < j; ++k) matrix[k * width + j] = matrix[j * width + k];
}

// Whether there are sums in float for so many rows.
template <storage_scalar S>
bool may_be_quick(std::size_t rows) {
  return !std::same_as<S, double> && rows >= 2 && rows <= most_pivoted_rows;
}

// False where the matrix would have too few digits.
template <storage_scalar S>
bool quick_gram(std::span<const S* const> rows, std::size_t pivot, std::span<const double> t,
                std::size_t first, std::size_t size, std::span<double> out) {
  const std::size_t count = rows.size(), width = count + 1;
  const pivoted_sums<S> sums(rows, pivot, t, true, first, size);
  if (!sums.keep_digits()) return false;
  const double own = sums.product(pivot, pivot);
  for (std::size_t j = 0; j < count; ++j) {
    out[count * width + j] = sums.total(j) - sums.share(j) * sums.total(pivot);
    for (std::size_t k = 0; k <= j; ++k)
      out[j * width + k] = sums.product(j, k) - sums.share(j) * sums.product(pivot, k) -
                           sums.share(k) * sums.product(j, pivot) +
                           sums.share(j) * sums.share(k) * own;
    const double read = sums.product(j, j) + sums.share(j) * sums.share(j) * own;
    const double square = out[j * width + j];
    if (square != 0 && !(square > read / 32)) return false;
  }
  out[count * width + count] = static_cast<double>(size);
  make_symmetric(out, width);
  return true;
}

// The matrix of x0 estimates D_j = c_x x + c_y y_j of the first `outputs` rows y_j, of what else is between, and of ones; x is
// the last row. With t_j = -1 for outputs and t_x = c_y/c_x it is D_j = c_x b_x + c_y b_j: the pivot's own stream
// is in no sum. `out` has rows.size()^2 elements. False where float would not keep the digits.
template <storage_scalar S>
bool estimates_gram(std::span<const S* const> rows, std::size_t outputs, std::size_t pivot,
                    std::span<const double> t, double c_x, double c_y, std::size_t first,
                    std::size_t size, std::span<double> out) {
  const std::size_t width = rows.size(), count = width - 1;
  const auto own = [&](std::size_t j) { return j >= outputs ? 1 : j == pivot ? 0 : c_y; };
  if (c_x == 0) {
    pivoted_gram<S>(rows.first(count), pivot, t.first(count), first, size, out);
    for (std::size_t j = 0; j < outputs; ++j)
      for (std::size_t k = 0; k < width; ++k) {
        out[j * width + k] *= c_y;
        out[k * width + j] *= c_y;
      }
    return true;
  }
  // t is rounded to float, which moves an estimate by 2^-17 of the output.
  if (!may_be_quick<S>(width) || !(std::abs(t[count]) <= 256)) return false;
  const pivoted_sums<S> sums(rows, pivot, t, false, first, size);
  if (!sums.keep_digits()) return false;
  const double of_state = c_x * c_x * sums.product(count, count);
  const auto product = [&](std::size_t j, std::size_t k) {
    const auto with_state = [&](std::size_t i) {
      return own(i) == 0 ? 0 : own(i) * c_x * sums.product(i, count);
    };
    double total = own(j) * own(k) == 0 ? 0 : own(j) * own(k) * sums.product(j, k);
    if (k < outputs) total += with_state(j);
    if (j < outputs) total += with_state(k);
    return j < outputs && k < outputs ? total + of_state : total;
  };
  for (std::size_t j = 0; j < count; ++j) {
    out[count * width + j] =
        (own(j) == 0 ? 0 : own(j) * sums.total(j)) + (j < outputs ? c_x * sums.total(count) : 0);
    for (std::size_t k = 0; k <= j; ++k) out[j * width + k] = product(j, k);
    const double read = (own(j) == 0 ? 0 : own(j) * own(j) * sums.product(j, j)) + of_state;
    const double square = out[j * width + j];
    if (j < outputs && square != 0 && !(square > read / 32)) return false;
  }
  out[count * width + count] = static_cast<double>(size);
  make_symmetric(out, width);
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
  if (detail::may_be_quick<S>(rows.size()) &&
      detail::quick_gram<S>(rows, pivot, t, first, size, out))
    return;
  gram<S>(rows, first, size, out);
}

}  // namespace tweedie
