// Guidance whose output keeps the spread of the conditional output (Lin, Liu, Li and Yang 2023,
// "Common diffusion noise schedules and sample steps are flawed", eqs. 14 to 16).
//
//   y = (1 - w) y_u + w y_c
//   y <- (phi std(y_c) / std(y) + 1 - phi) y          over one batch item
//
// Large w makes pictures too bright and contrasts too hard; phi in [0, 1], 0.7 in the paper, takes
// that back. phi = 0 is plain guidance. A constant y, which has no spread, is left alone. One pass
// that reads both outputs and one that reads them again and writes: the factor turns the guidance
// weights into others, the guided output is never stored unscaled.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

/// out = rescaled guidance of `items` batch items; out may be either input.
/// \throws std::invalid_argument if sizes differ or are no multiple of items, if w is not finite
/// or phi not in [0, 1].
template <storage_scalar S>
void guide_rescaled(std::span<const S> unconditional, std::span<const S> conditional, double w,
                    double phi, std::span<S> out, std::size_t items = 1);

namespace detail {

struct variance_pair {
  double guided = 0;
  double conditional = 0;
};

// Variances of a u + b c and of c over n elements. Deviations from the first element are added up,
// so that a large mean does no harm and constants have variance 0; in lanes of the arithmetic type
// within blocks of block_size, in double between them.
template <storage_scalar S>
variance_pair variances(const S* u, const S* c, double a, double b, std::size_t n) {
  using A = arithmetic_t<S>;
  constexpr std::size_t step = lanes<A>;
  const packet<A> weight_u = pset1<packet<A>>(static_cast<A>(a));
  const packet<A> weight_c = pset1<packet<A>>(static_cast<A>(b));
  // The first elements, by the same instructions as all others.
  const packet<A> origin_c = pset1<packet<A>>(static_cast<A>(c[0]));
  const packet<A> origin = pmadd(weight_u, pset1<packet<A>>(static_cast<A>(u[0])),
                                 Eigen::internal::pmul(weight_c, origin_c));
  struct sums {
    packet<A> guided, guided_squares, conditional, conditional_squares;
  };
  const packet<A> zero = pset1<packet<A>>(A(0));
  double total[4] = {};
  for (std::size_t at = 0; at < n; at += block_size) {
    const std::size_t end = std::min(n, at + block_size);
    sums even{zero, zero, zero, zero}, odd = even;
    const auto add = [&](sums& to, packet<A> from_u, packet<A> from_c) {
      const packet<A> guided = pmadd(weight_u, from_u, Eigen::internal::pmul(weight_c, from_c));
      const packet<A> d = Eigen::internal::psub(guided, origin);
      const packet<A> e = Eigen::internal::psub(from_c, origin_c);
      to.guided = Eigen::internal::padd(to.guided, d);
      to.guided_squares = pmadd(d, d, to.guided_squares);
      to.conditional = Eigen::internal::padd(to.conditional, e);
      to.conditional_squares = pmadd(e, e, to.conditional_squares);
    };
    std::size_t i = at;
    for (; i + 2 * step <= end; i += 2 * step) {
      add(even, load(u + i), load(c + i));
      add(odd, load(u + i + step), load(c + i + step));
    }
    for (; i < end; i += step) {
      const std::size_t count = std::min(step, end - i);
      // Padding with the first element adds zeros.
      S last_u[step], last_c[step];
      std::fill_n(last_u, step, u[0]);
      std::fill_n(last_c, step, c[0]);
      std::copy_n(u + i, count, last_u);
      std::copy_n(c + i, count, last_c);
      add(even, load(last_u), load(last_c));
    }
    const auto lane_sum = [](packet<A> x, packet<A> y) {
      A lane[step];
      store(lane, Eigen::internal::padd(x, y));
      double sum = 0;
      for (const A value : lane) sum += static_cast<double>(value);
      return sum;
    };
    total[0] += lane_sum(even.guided, odd.guided);
    total[1] += lane_sum(even.guided_squares, odd.guided_squares);
    total[2] += lane_sum(even.conditional, odd.conditional);
    total[3] += lane_sum(even.conditional_squares, odd.conditional_squares);
  }
  const auto size = static_cast<double>(n);
  const auto variance = [&](double sum, double squares) {
    const double mean = sum / size;
    return std::max(0.0, squares / size - mean * mean);
  };
  return {variance(total[0], total[1]), variance(total[2], total[3])};
}

}  // namespace detail

template <storage_scalar S>
void guide_rescaled(std::span<const S> unconditional, std::span<const S> conditional, double w,
                    double phi, std::span<S> out, std::size_t items) {
  constexpr const char* name = "guide_rescaled";
  if (unconditional.size() != out.size() || conditional.size() != out.size())
    detail::fail(name, "size", static_cast<double>(out.size()),
                 "valid: all three of one size; got " + std::to_string(unconditional.size()) +
                     " and " + std::to_string(conditional.size()));
  detail::require(items > 0 && out.size() % items == 0, name, "items", static_cast<double>(items),
                  "valid: divides the size");
  detail::require(std::isfinite(w), name, "w", w, "valid: finite");
  detail::require(phi >= 0 && phi <= 1, name, "phi", phi, "valid: 0 to 1");
  const std::size_t length = out.size() / items;
  for (std::size_t first = 0; first < out.size(); first += length) {
    const std::array<const S*, 2> from{unconditional.data() + first, conditional.data() + first};
    double factor = 1;
    // With w = 1 the factor is 1 and the unconditional output is not read.
    if (phi != 0 && w != 1) {
      const detail::variance_pair v = detail::variances(from[0], from[1], 1 - w, w, length);
      if (v.guided > 0) factor = phi * std::sqrt(v.conditional / v.guided) + 1 - phi;
    }
    S* const to = out.data() + first;
    const std::array<double, 2> weights{factor * (1 - w), factor * w};
    combine<S>(std::span(&to, 1), from, weights, length);
  }
}

}  // namespace tweedie
