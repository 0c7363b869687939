// Guidance whose output keeps the spread of the conditional output (Lin, Liu, Li and Yang 2023,
// "Common diffusion noise schedules and sample steps are flawed", eqs. 14 to 16).
//
//   y = (1 - w) y_u + w y_c
//   y <- (phi std(y_c) / std(y) + 1 - phi) y          over one batch item
//
// Large w makes pictures too bright and contrasts too hard; phi in [0, 1], 0.7 in the paper, takes
// that back. phi = 0 is plain guidance. A constant y, which has no spread, is left alone. One pass
// reads both outputs, another reads them again and writes: the factor turns the guidance weights
// into others, the guided output is never stored unscaled. Where y or y_c has a mean beyond
// sqrt(15) deviations from 0, but not so in its first block, the reading is done twice.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <numeric>
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

// Sums of values and of their squares, by lanes.
template <std::floating_point A>
struct lane_sums {
  packet<A> values = pset1<packet<A>>(A(0));
  packet<A> squares = values;

  EIGEN_ALWAYS_INLINE void add(packet<A> value) {
    values = Eigen::internal::padd(values, value);
    squares = pmadd(value, value, squares);
  }
};

// The same over many blocks, in double.
template <std::floating_point A>
class moments {
 public:
  void add(const lane_sums<A>& even, const lane_sums<A>& odd) {
    add(values_, Eigen::internal::padd(even.values, odd.values));
    add(squares_, Eigen::internal::padd(even.squares, odd.squares));
  }
  double mean_square(std::size_t n) const { return mean(squares_, n); }
  double variance(std::size_t n) const {
    const double m = mean(values_, n);
    return std::max(0.0, mean_square(n) - m * m);
  }

 private:
  using lane_array = std::array<double, lanes<A>>;

  static void add(lane_array& to, packet<A> sums) {
    A lane[lanes<A>];
    store(lane, sums);
    for (std::size_t k = 0; k < lanes<A>; ++k) to[k] += static_cast<double>(lane[k]);
  }
  static double mean(const lane_array& sums, std::size_t n) {
    return std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(n);
  }

  lane_array values_{}, squares_{};
};

// Of the guided and of the conditional output.
template <class T>
struct output_pair {
  T guided, conditional;
};
// Not an output_pair: GCC warns of packets as arguments of templates.
template <std::floating_point A>
struct output_packets {
  packet<A> guided, conditional;
};

// Moments over n elements of what `outputs` makes of packets of u and c: in lanes of the arithmetic
// type within blocks of block_size, in double between them.
template <storage_scalar S, class F>
output_pair<moments<arithmetic_t<S>>> moments_of_outputs(const S* u, const S* c, std::size_t n,
                                                         const F& outputs) {
  using A = arithmetic_t<S>;
  constexpr std::size_t step = lanes<A>;
  output_pair<moments<A>> total;
  for (std::size_t at = 0; at < n; at += block_size) {
    const std::size_t end = std::min(n, at + block_size);
    output_pair<lane_sums<A>> even, odd;
    const auto add = [](output_pair<lane_sums<A>>& to, const output_packets<A>& from) {
      to.guided.add(from.guided);
      to.conditional.add(from.conditional);
    };
    std::size_t i = at;
    for (; i + 2 * step <= end; i += 2 * step) {
      add(even, outputs(load(u + i), load(c + i)));
      add(odd, outputs(load(u + i + step), load(c + i + step)));
    }
    for (; i < end; i += step) {
      const std::size_t count = std::min(step, end - i);
      const auto first_lanes = [count](packet<A> from) {
        A lane[step];
        store(lane, from);
        return load_partial(lane, count);
      };
      const output_packets<A> last =
          outputs(load_partial(u + i, count), load_partial(c + i, count));
      add(even, {first_lanes(last.guided), first_lanes(last.conditional)});
    }
    total.guided.add(even.guided, odd.guided);
    total.conditional.add(even.conditional, odd.conditional);
  }
  return total;
}

template <storage_scalar S>
output_pair<double> variances(const S* u, const S* c, double w, std::size_t n) {
  using A = arithmetic_t<S>;
  using Eigen::internal::pmul;
  using Eigen::internal::psub;
  // Sums of the outputs as they are, the guided one divided by w, are fewest instructions. They
  // serve where the mean square is at most 16 variances, so that the difference loses four bits;
  // the first block mostly tells. Smaller w would make the ratio larger than 1, without limit.
  if (w >= 0.5) {
    const packet<A> ratio = pset1<packet<A>>(static_cast<A>((1 - w) / w));
    for (const std::size_t count : {std::min(n, block_size), n}) {
      const auto total = moments_of_outputs(u, c, count, [=](packet<A> from_u, packet<A> from_c) {
        return output_packets<A>{pmadd(ratio, from_u, from_c), from_c};
      });
      const auto serves = [count](const moments<A>& m) {
        return m.mean_square(count) <= 16 * m.variance(count);
      };
      if (!serves(total.guided) || !serves(total.conditional)) break;
      if (count == n) return {w * w * total.guided.variance(n), total.conditional.variance(n)};
    }
  }
  // Deviations from the first elements, which go through the same instructions as all others: a
  // large mean does no harm and constants have variance 0.
  const packet<A> weight_u = pset1<packet<A>>(static_cast<A>(1 - w));
  const packet<A> weight_c = pset1<packet<A>>(static_cast<A>(w));
  const auto guided = [=](packet<A> from_u, packet<A> from_c) {
    return pmadd(weight_u, from_u, pmul(weight_c, from_c));
  };
  const packet<A> first_u = pset1<packet<A>>(static_cast<A>(u[0]));
  const packet<A> first_c = pset1<packet<A>>(static_cast<A>(c[0]));
  const packet<A> first_guided = guided(first_u, first_c);
  const auto total = moments_of_outputs(u, c, n, [=](packet<A> from_u, packet<A> from_c) {
    return output_packets<A>{psub(guided(from_u, from_c), first_guided), psub(from_c, first_c)};
  });
  return {total.guided.variance(n), total.conditional.variance(n)};
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
      const detail::output_pair<double> v = detail::variances(from[0], from[1], w, length);
      if (v.guided > 0) factor = phi * std::sqrt(v.conditional / v.guided) + 1 - phi;
    }
    S* const to = out.data() + first;
    const std::array<double, 2> weights{factor * (1 - w), factor * w};
    combine<S>(std::span(&to, 1), from, weights, length);
  }
}

}  // namespace tweedie
