// Where the draws of a run come from.
//
// A noise source is anything with  fill(const noise_request&, std::span<S> out)  that writes
// standard normal values for draw number `request.draw`. What it writes may depend on the draw
// number, on the item and on the position, never on when or in which order it is asked: that is
// what makes runs independent of thread count and batch split, and resumable.
#pragma once

#include <cstdint>
#include <cstddef>
#include <span>
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

template <class Source, class S>
concept noise_source = requires(Source& source, const noise_request& request, std::span<S> out) {
  source.fill(request, out);
};

/// Counter-based normals keyed by (seed, item, draw, position).
struct gaussian_noise {
  std::uint64_t seed = 0;

  template <class S>
  void fill(const noise_request& request, std::span<S> out) const {
    const std::size_t length = request.items == 0 ? 0 : out.size() / request.items;
    for (std::size_t item = 0; item < request.items; ++item)
      fill_normal(noise_key{seed, static_cast<std::uint32_t>(item),
                            static_cast<std::uint32_t>(request.draw)},
                  0, out.subspan(item * length, length));
  }
};

/// One seed per item: item i gets the values it would get alone with `gaussian_noise{seeds[i]}`.
struct seeded_items {
  std::vector<std::uint64_t> seeds;

  template <class S>
  void fill(const noise_request& request, std::span<S> out) const {
    if (seeds.size() != request.items)
      detail::fail("seeded_items", "seeds", static_cast<double>(seeds.size()),
                   "valid: one seed per item, " + std::to_string(request.items));
    const std::size_t length = request.items == 0 ? 0 : out.size() / request.items;
    for (std::size_t item = 0; item < request.items; ++item)
      fill_normal(noise_key{seeds[item], 0, static_cast<std::uint32_t>(request.draw)}, 0,
                  out.subspan(item * length, length));
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
