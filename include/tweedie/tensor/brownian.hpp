// Brownian paths that can be asked for W(b) - W(a) over any interval, in any order, as often as one
// likes, without storing anything: the same path for every grid of times, coarse or fine.
//
// The positive axis is cut into octaves [2^k, 2^(k+1)), whose increments are independent normals.
// Inside an octave the value at t is found by halving (Levy's construction): with the ends known,
//   W(m) = (W(l) + W(r)) / 2 + sqrt(r - l) / 2 z
// for the midpoint m, z being keyed by the node of the tree; after tree_depth halvings the bridge
// is drawn at t itself. The negative axis is an independent copy. Times nearer to 0 than 2^-64 count
// as 0. Cost: up to tree_depth + 2 normals per element and end, less where ends are round numbers.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/philox.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

// One Brownian motion for every element of one batch item.
struct brownian_path {
  std::uint64_t seed = 0;
  std::uint32_t item = 0;

  // Two times closer than 2^-tree_depth of their size have independent bridges.
  static constexpr int tree_depth = 24;

  // (W(to) - W(from)) / sqrt(|to - from|): standard normals, for elements first, first + 1, ...
  template <storage_scalar S>
  void normalised_increment(double from, double to, std::uint64_t first, std::span<S> out) const;
};

// The noise source of methods whose draws are increments of one path: draws with an interval are
// that, draws without one are independent.
struct brownian_noise {
  std::uint64_t seed = 0;

  template <class Request, storage_scalar S>
  void fill(const Request& request, std::span<S> out) const {
    const std::size_t length = request.items == 0 ? 0 : out.size() / request.items;
    for (std::size_t i = 0; i < request.items; ++i) {
      const auto item = static_cast<std::uint32_t>(i);
      const std::span<S> part = out.subspan(i * length, length);
      if (request.kind.from == request.kind.to) {
        fill_normal(noise_key{seed, item, static_cast<std::uint32_t>(request.draw)}, 0, part);
      } else {
        brownian_path{seed, item}.normalised_increment(request.kind.from, request.kind.to, 0, part);
      }
    }
  }
};

namespace detail {

inline constexpr int lowest_octave = -64;
inline constexpr std::size_t brownian_block = 512;

// A seed of its own for each use of a path: every octave, every bridge. The path's item enters by
// the noise_key.
inline std::uint64_t derived_seed(std::uint64_t seed, std::uint64_t value, std::uint32_t use) {
  const philox_counter words =
      philox4x32({static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32), use,
                  0x42726f77u},  // a counter word no stream of normals under this seed has in use
                 {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return words[0] | std::uint64_t{words[1]} << 32;
}

template <class A>
class brownian_sum {
 public:
  brownian_sum(const brownian_path& path, std::uint64_t first, std::span<A> out)
      : path_(path), first_(first), out_(out) {}

  // out += factor (W(t) - W(0))
  void add_since_zero(double t, A factor) {
    const double size = std::abs(t);
    if (size < std::ldexp(1, lowest_octave)) return;
    add_octaves(lowest_octave, std::ilogb(size), t < 0, factor);
    add_within_octave(t, factor);
  }

  // out += factor (W(2^last) - W(2^first)), on the axis given
  void add_octaves(int first, int last, bool negative, A factor) {
    A z[brownian_block];
    for (int octave = first; octave < last; ++octave) {
      draw(octave_seed(octave, negative), 0, z);
      add(z, factor * deviation(std::ldexp(1, octave)));
    }
  }

  // out += factor (W(t) - W(+-2^octave)), t in that octave
  void add_within_octave(double t, A factor) {
    const double size = std::abs(t);
    const int octave = std::ilogb(size);
    double low = std::ldexp(1, octave);
    double width = low;
    if (size == low) return;
    const std::uint64_t seed = octave_seed(octave, t < 0);
    A left[brownian_block] = {}, right[brownian_block], z[brownian_block];
    draw(seed, 0, right);
    const A end = deviation(width);
    for (A& w : std::span(right, out_.size())) w *= end;
    std::uint32_t node = 1;
    for (int level = 0; level < brownian_path::tree_depth && size != low; ++level) {
      draw(seed, node, z);
      const A spread = deviation(width) / 2;
      width /= 2;
      const bool upper = size >= low + width;
      A* const moved = upper ? left : right;
      for (std::size_t i = 0; i < out_.size(); ++i) {
        moved[i] = (left[i] + right[i]) / 2 + spread * z[i];
      }
      if (upper) low += width;
      node = 2 * node + (upper ? 1 : 0);
    }
    if (size != low) {
      const double part = (size - low) / width;
      draw(derived_seed(path_.seed, bit_cast<std::uint64_t>(t), 1), 0, z);
      const auto share = static_cast<A>(part);
      const A spread = deviation(width * part * (1 - part));
      for (std::size_t i = 0; i < out_.size(); ++i) {
        left[i] += (right[i] - left[i]) * share + spread * z[i];
      }
    }
    add(left, factor);
  }

 private:
  std::uint64_t octave_seed(int octave, bool negative) const {
    const auto index = static_cast<std::uint64_t>(octave - lowest_octave);
    return derived_seed(path_.seed, 2 * index + (negative ? 1 : 0), 0);
  }
  static A deviation(double variance) { return static_cast<A>(std::sqrt(variance)); }
  void draw(std::uint64_t seed, std::uint32_t number, A* to) const {
    fill_normal(noise_key{seed, path_.item, number}, first_, std::span<A>(to, out_.size()));
  }
  void add(const A* values, A factor) {
    for (std::size_t i = 0; i < out_.size(); ++i) out_[i] += factor * values[i];
  }

  brownian_path path_;
  std::uint64_t first_;
  std::span<A> out_;
};

}  // namespace detail

template <storage_scalar S>
void brownian_path::normalised_increment(double from, double to, std::uint64_t first,
                                         std::span<S> out) const {
  using A = arithmetic_t<S>;
  constexpr const char* name = "brownian_path::normalised_increment";
  detail::require(std::isfinite(from), name, "from", from, "must be finite");
  detail::require(std::isfinite(to), name, "to", to, "must be finite");
  detail::require(from != to, name, "to", to, "must differ from `from`");
  const double smallest = std::ldexp(1, detail::lowest_octave);
  const bool one_side = from * to > 0 && (std::min)(std::abs(from), std::abs(to)) >= smallest;
  const A norm = static_cast<A>(1 / std::sqrt(std::abs(to - from)));
  A values[detail::brownian_block];
  for (std::size_t at = 0; at < out.size(); at += detail::brownian_block) {
    const std::size_t n = (std::min)(out.size() - at, detail::brownian_block);
    std::fill_n(values, n, A(0));
    detail::brownian_sum<A> sum(*this, first + at, std::span<A>(values, n));
    if (one_side) {
      // Only the octaves between the ends, so that nothing cancels.
      const int a = std::ilogb(from), b = std::ilogb(to);
      const A sign = a <= b ? A(1) : A(-1);
      sum.add_octaves((std::min)(a, b), (std::max)(a, b), from < 0, sign);
      sum.add_within_octave(to, A(1));
      sum.add_within_octave(from, A(-1));
    } else {
      sum.add_since_zero(to, A(1));
      sum.add_since_zero(from, A(-1));
    }
    for (std::size_t i = 0; i < n; ++i) out[at + i] = static_cast<S>(values[i] * norm);
  }
}

}  // namespace tweedie
