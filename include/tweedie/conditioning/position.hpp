// Where a token stands: patches of an image as tokens, and rotary positions.
//
// Patches (Dosovitskiy et al. 2021; order of DiT, Peebles and Xie 2023): an image of channels x
// height x width, row-major, becomes (height / p) (width / p) tokens in reading order, each p x p x
// channels, channel fastest.
//
// Rotary positions (Su et al. 2021, eq. 34): pair i of a query or key turns by the angle
// position * theta_i, theta_i = base^(-2 i / d), so that inner products depend on the difference of
// positions only. A pair is two neighbours (RoFormer, Flux) or the same place in both halves
// (GPT-NeoX, LLaMA's published weights); networks trained with one are wrong with the other.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "tweedie/conditioning/image.hpp"

namespace tweedie {

namespace detail {

// Calls move(place in the image, place in the tokens) for every element.
template <class Move>
void for_each_patched(const char* function, image_shape shape, std::size_t patch, std::size_t image,
                      std::size_t tokens, const Move& move) {
  require_blocks(function, "patch", shape, patch);
  require_equal(function, "image.size()", image, shape.size());
  require_equal(function, "tokens.size()", tokens, shape.size());
  std::size_t at = 0;
  for (std::size_t top = 0; top < shape.height; top += patch)
    for (std::size_t left = 0; left < shape.width; left += patch)
      for (std::size_t y = top; y < top + patch; ++y)
        for (std::size_t x = left; x < left + patch; ++x)
          for (std::size_t c = 0; c < shape.channels; ++c)
            move((c * shape.height + y) * shape.width + x, at++);
}

}  // namespace detail

/// Writes the image as tokens.
/// \throws std::invalid_argument unless patch divides both sides and both sizes are the shape's;
///   nothing is written then.
template <class S>
void patchify(std::span<const S> image, image_shape shape, std::size_t patch, std::span<S> tokens) {
  detail::for_each_patched("patchify", shape, patch, image.size(), tokens.size(),
                           [&](std::size_t i, std::size_t t) { tokens[t] = image[i]; });
}

/// Writes the tokens as an image: the inverse of patchify.
/// \throws std::invalid_argument as patchify.
template <class S>
void unpatchify(std::span<const S> tokens, image_shape shape, std::size_t patch,
                std::span<S> image) {
  detail::for_each_patched("unpatchify", shape, patch, image.size(), tokens.size(),
                           [&](std::size_t i, std::size_t t) { image[i] = tokens[t]; });
}

/// Which two features turn together.
enum class rotary_pairs {
  neighbours,  ///< (0, 1), (2, 3), ...
  halves       ///< (0, d/2), (1, d/2 + 1), ...
};

/// theta_i for i = 0 ... d/2 - 1.
/// \throws std::invalid_argument unless d is even and positive and base > 1.
inline std::vector<double> rotary_frequencies(std::size_t dimension, double base = 10000) {
  detail::require(dimension > 0 && dimension % 2 == 0, "rotary_frequencies", "dimension",
                  static_cast<double>(dimension), "valid: even and positive");
  detail::require(base > 1 && std::isfinite(base), "rotary_frequencies", "base", base,
                  "valid: 1 < base < inf");
  std::vector<double> frequencies;
  for (std::size_t i = 0; i < dimension; i += 2)
    frequencies.push_back(std::pow(base, -static_cast<double>(i) / static_cast<double>(dimension)));
  return frequencies;
}

/// Turns the features of one token, in place, to `position`; -position turns them back. Position 0
/// leaves the bits.
/// \throws std::invalid_argument unless there are two features for each frequency and position is finite.
template <class S>
void rotate_to_position(std::span<S> features, double position, std::span<const double> frequencies,
                        rotary_pairs pairs) {
  const std::size_t n = frequencies.size();
  detail::require_equal("rotate_to_position", "features.size()", features.size(), 2 * n);
  detail::require(std::isfinite(position), "rotate_to_position", "position", position,
                  "valid: finite");
  for (std::size_t i = 0; i < n; ++i) {
    S& a = features[pairs == rotary_pairs::neighbours ? 2 * i : i];
    S& b = features[pairs == rotary_pairs::neighbours ? 2 * i + 1 : i + n];
    const double c = std::cos(position * frequencies[i]), s = std::sin(position * frequencies[i]);
    const auto x = static_cast<double>(a), y = static_cast<double>(b);
    a = static_cast<S>(c * x - s * y);
    b = static_cast<S>(s * x + c * y);
  }
}

}  // namespace tweedie
