// Pictures in memory, and their blocks of pixels: halves, doubles and Haar bands of U-nets and codecs.
//
//   average_blocks   P    means of factor x factor pixels      average pooling
//   repeat_blocks    R    each number for its whole block      nearest-neighbour upsampling
//   haar             H    2 x 2 pixels a b / c d as (a + b + c + d)/2, (a - b + c - d)/2, (a + b - c - d)/2,
//                         (a - b - c + d)/2                    (Haar 1910)
//
// P R = I, and R P is the projection onto pictures that are constant in each block. H is orthogonal and its own inverse
// block by block; its first band is 2 P.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// An image in memory: channels x height x width, the last the fastest.
struct image_shape {
  std::size_t channels = 1;
  std::size_t height = 1;
  std::size_t width = 1;

  std::size_t size() const { return channels * height * width; }
};

namespace detail {

inline void require_blocks(const char* function, const char* factor_name, image_shape shape,
                           std::size_t factor) {
  if (factor == 0 || shape.height % factor != 0 || shape.width % factor != 0)
    fail(function, factor_name, static_cast<double>(factor),
         "valid: a divisor of height " + std::to_string(shape.height) + " and width " +
             std::to_string(shape.width));
}

// Calls each(place of the pixel, place of its block) for every pixel; blocks in reading order, channel by channel.
template <class Each>
void for_each_in_blocks(image_shape shape, std::size_t factor, const Each& each) {
  const std::size_t columns = shape.width / factor;
  std::size_t pixel = 0;
  for (std::size_t row = 0; row < shape.channels * shape.height; ++row)
    for (std::size_t x = 0; x < shape.width; ++x)
      each(pixel++, row / factor * columns + x / factor);
}

// Turns blocks of 2 x 2 pixels into four bands, or back.
template <class S>
void turn_haar(const char* function, std::span<const S> from, image_shape shape, std::span<S> to,
               bool to_bands) {
  require_blocks(function, "2", shape, 2);
  require_equal(function, "size of the input", from.size(), shape.size());
  require_equal(function, "size of the output", to.size(), shape.size());
  const std::size_t w = shape.width, quarter = shape.height * w / 4;
  for (std::size_t block = 0; block < shape.channels * quarter; ++block) {
    const std::size_t channel = block / quarter, inside = block % quarter;
    const std::size_t corner =
        4 * channel * quarter + inside / (w / 2) * 2 * w + inside % (w / 2) * 2;
    const std::size_t band = 4 * channel * quarter + inside;
    const std::array pixels{corner, corner + 1, corner + w, corner + w + 1};
    const std::array bands{band, band + quarter, band + 2 * quarter, band + 3 * quarter};
    const auto& at = to_bands ? pixels : bands;
    const auto& out = to_bands ? bands : pixels;
    const S a = from[at[0]], b = from[at[1]], c = from[at[2]], d = from[at[3]];
    to[out[0]] = S(0.5) * ((a + b) + (c + d));
    to[out[1]] = S(0.5) * ((a - b) + (c - d));
    to[out[2]] = S(0.5) * ((a + b) - (c + d));
    to[out[3]] = S(0.5) * ((a - b) - (c - d));
  }
}

}  // namespace detail

/// Writes the mean of each block of factor x factor pixels.
/// \throws std::invalid_argument unless factor divides both sides and the sizes are the shape's and shape.size() /
///   factor^2; nothing is written then.
template <class S>
void average_blocks(std::type_identity_t<std::span<const S>> image, image_shape shape,
                    std::size_t factor, std::span<S> means) {
  constexpr const char* name = "average_blocks";
  detail::require_blocks(name, "factor", shape, factor);
  detail::require_equal(name, "image.size()", image.size(), shape.size());
  detail::require_equal(name, "means.size()", means.size(), shape.size() / (factor * factor));
  const double share = 1 / static_cast<double>(factor * factor);
  const auto sum = [&](auto sums) {
    std::fill(sums.begin(), sums.end(), 0.0);
    detail::for_each_in_blocks(shape, factor, [&](std::size_t pixel, std::size_t block) {
      sums[block] += share * static_cast<double>(image[pixel]);
    });
  };
  if constexpr (std::same_as<S, double>) {
    sum(means);
  } else {
    std::vector<double> sums(means.size());
    sum(std::span(sums));
    std::transform(sums.begin(), sums.end(), means.begin(),
                   [](double v) { return static_cast<S>(v); });
  }
}

/// Writes each number to all pixels of its block of an image of `shape`.
/// \throws std::invalid_argument as `average_blocks`.
template <class S>
void repeat_blocks(std::type_identity_t<std::span<const S>> blocks, image_shape shape,
                   std::size_t factor, std::span<S> image) {
  constexpr const char* name = "repeat_blocks";
  detail::require_blocks(name, "factor", shape, factor);
  detail::require_equal(name, "image.size()", image.size(), shape.size());
  detail::require_equal(name, "blocks.size()", blocks.size(), shape.size() / (factor * factor));
  detail::for_each_in_blocks(
      shape, factor, [&](std::size_t pixel, std::size_t block) { image[pixel] = blocks[block]; });
}

/// Writes the four bands of every channel, each of half its sides: means, differences along the width, along
/// the height, along both.
/// \throws std::invalid_argument unless both sides are even and both sizes are the shape's; nothing is
///   written then.
template <class S>
void haar(std::type_identity_t<std::span<const S>> image, image_shape shape, std::span<S> bands) {
  detail::turn_haar<S>("haar", image, shape, bands, true);
}

/// Writes the image of `shape` that has these bands.
/// \throws std::invalid_argument as `haar`.
template <class S>
void inverse_haar(std::type_identity_t<std::span<const S>> bands, image_shape shape,
                  std::span<S> image) {
  detail::turn_haar<S>("inverse_haar", bands, shape, image, false);
}

}  // namespace tweedie
