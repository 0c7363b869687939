// Where the draws of a run come from.
//
// A noise source is anything with  fill(const noise_request&, std::span<S> out)  that writes
// standard normal values for draw number `request.draw`. What it writes may depend on the draw
// number, on the item and on the position, never on when or in which order it is asked: that is
// what makes runs independent of thread count and batch split, and resumable.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tweedie/program/program.hpp"
#include "tweedie/schedule/error.hpp"
#include "tweedie/tensor/normal.hpp"

namespace tweedie {

/// One request for noise: draw number, how it is made, and how many items `out` is split into.
struct noise_request {
  int draw = 0;
  draw_kind kind;
  std::size_t items = 1;
};

/// Anything with `fill`, as described above.
template <class Source, class S>
concept noise_source = requires(Source& source, const noise_request& request, std::span<S> out) {
  source.fill(request, out);
};

/// A source whose values are a function of (seed, item, draw, position) only: such noise is made
/// inside the pass that uses it and never stored. key(item) gives seed and item.
template <class Source>
concept counter_noise = requires(const Source& source, std::size_t item) {
  { source.key(item) } -> std::same_as<noise_key>;
};

namespace detail {

template <counter_noise Source, class S>
void fill_items(const Source& source, const noise_request& request, std::span<S> out) {
  if (request.items == 0) return;
  const std::size_t length = out.size() / request.items;
  static_cast<void>(source.key(request.items - 1));  // refuses before anything is written
  for (std::size_t item = 0; item < request.items; ++item) {
    noise_key key = source.key(item);
    key.draw = static_cast<std::uint32_t>(request.draw);
    fill_normal(key, 0, out.subspan(item * length, length));
  }
}

}  // namespace detail

/// Counter-based normals keyed by (seed, item, draw, position).
struct gaussian_noise {
  std::uint64_t seed = 0;

  noise_key key(std::size_t item) const { return {seed, static_cast<std::uint32_t>(item), 0}; }

  template <class S>
  void fill(const noise_request& request, std::span<S> out) const {
    detail::fill_items(*this, request, out);
  }
};

/// One seed per item: item i gets the values it would get alone with `gaussian_noise{seeds[i]}`.
struct seeded_items {
  std::vector<std::uint64_t> seeds;

  /// \throws std::out_of_range for an item beyond the seeds.
  noise_key key(std::size_t item) const {
    if (item >= seeds.size())
      detail::raise(std::out_of_range(
          detail::describe("seeded_items", "item", static_cast<double>(item),
                           "valid: below the number of seeds, " + std::to_string(seeds.size()))));
    return {seeds[item], 0, 0};
  }

  template <class S>
  void fill(const noise_request& request, std::span<S> out) const {
    detail::fill_items(*this, request, out);
  }
};

/// For programs that draw nothing; asking it for noise is an error.
struct no_noise {
  template <class S>
  void fill(const noise_request& request, std::span<S>) const {
    detail::fail("no_noise", "draw", request.draw, "this program draws noise; pass a noise source");
  }
};

}  // namespace tweedie
