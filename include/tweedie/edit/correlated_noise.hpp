// Noise sources whose values are standard normal each, but not independent of one another.
//
//   varied       cos(s pi/2) z + sin(s pi/2) z'      a little away from a seed (variation seeds)
//   offset       (z + s c) / sqrt(1 + s^2)           c: one number a channel (offset noise, Guttenberg 2023)
//   pyramid      sum_k d^k up_k(z_k), normalised     blocks of 2^k x 2^k share z_k (multi-resolution noise)
//   mixed        (r c + e_f) / sqrt(1 + r^2)         c: shared by the frames f of a video
//   progressive  (r z_{f-1} + e_f) / sqrt(1 + r^2)   an AR(1) chain of frames
//                                                    (both: Ge et al. 2023, eqs. 3 and 4)
//
// All of them leave N(0, 1) to every element, so that they may start and feed any sampler: offset and
// pyramid noise as trained with are these times the root of their variance, 1 + s^2 and sum_k d^2k.
// As all sources they are functions of (seed, item, draw, position): the same bits whatever the batch
// split, thread count or interruption.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

#include "tweedie/schedule/error.hpp"
#include "tweedie/solve/noise.hpp"
#include "tweedie/tensor/normal.hpp"

namespace tweedie {

/// Noise of `seed`, turned towards that of `variation` by strength * 90 degrees: 0 is the one, 1 the
/// other. On the way norms stay what they are, since both are independent.
struct varied_noise {
  std::uint64_t seed = 0;
  std::uint64_t variation = 0;
  double strength = 0;  ///< in [0, 1]

  /// \throws std::invalid_argument for a strength outside [0, 1].
  template <class S>
  void fill(const noise_request& request, std::span<S> out) const;
};

/// A shift of whole channels. An item is channels of `channel_size` elements.
struct offset_noise {
  std::uint64_t seed = 0;
  std::size_t channel_size = 1;
  double strength = 0.1;  ///< s, finite

  /// \throws std::invalid_argument unless channels fill an item and strength is finite.
  template <class S>
  void fill(const noise_request& request, std::span<S> out) const;
};

/// Detail on all scales. An item is channels of height x width, row-major.
struct pyramid_noise {
  std::uint64_t seed = 0;
  std::size_t height = 1;
  std::size_t width = 1;
  double discount = 0.8;  ///< d in [0, 1]
  int levels = 6;         ///< blocks of 1, 2, 4, ... 2^(levels - 1)

  /// \throws std::invalid_argument unless channels fill an item, d is in [0, 1] and levels in [1, 16].
  template <class S>
  void fill(const noise_request& request, std::span<S> out) const;
};

/// How the frames of a video depend on each other.
enum class frame_correlation {
  mixed,       ///< every two frames alike: correlation r^2 / (1 + r^2)
  progressive  ///< fading with their distance k: (r / sqrt(1 + r^2))^k
};

/// Noise for videos. An item is frames of `frame_size` elements, one after the other.
struct video_noise {
  std::uint64_t seed = 0;
  std::size_t frame_size = 1;
  double ratio = 1;  ///< r >= 0; 0 is independent frames
  frame_correlation how = frame_correlation::mixed;

  /// \throws std::invalid_argument unless frames fill an item and r is finite and not negative.
  template <class S>
  void fill(const noise_request& request, std::span<S> out) const;
};

namespace detail {

// Independent streams of one (seed, item, draw): positions of the k-th start at k 2^44.
inline constexpr std::uint64_t stream_length = std::uint64_t{1} << 44;

template <class S>
void add_normals(noise_key key, std::uint64_t stream, double weight, std::span<S> out,
                 std::vector<S>& memory) {
  memory.resize(out.size());
  fill_normal(key, stream * stream_length, std::span<S>(memory));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<S>(static_cast<double>(out[i]) + weight * static_cast<double>(memory[i]));
}

// make(key, elements) for every item.
template <class S, class Make>
void for_each_item(const noise_request& request, std::uint64_t seed, std::span<S> out,
                   const Make& make) {
  if (request.items == 0) return;
  const std::size_t each = out.size() / request.items;
  for (std::size_t item = 0; item < request.items; ++item)
    make(
        noise_key{seed, static_cast<std::uint32_t>(item), static_cast<std::uint32_t>(request.draw)},
        out.subspan(item * each, each));
}

inline void require_parts(const char* function, const char* what, std::size_t part,
                          std::size_t items, std::size_t size) {
  const std::size_t each = items == 0 ? 0 : size / items;
  if (part == 0 || each % part != 0)
    fail(function, what, static_cast<double>(part),
         "valid: a divisor of the elements of an item, " + std::to_string(each));
}

}  // namespace detail

template <class S>
void varied_noise::fill(const noise_request& request, std::span<S> out) const {
  detail::require(strength >= 0 && strength <= 1, "varied_noise", "strength", strength,
                  "valid: 0 <= strength <= 1");
  gaussian_noise{seed}.fill(request, out);
  if (strength == 0) return;
  if (strength == 1) return gaussian_noise{variation}.fill(request, out);
  const double angle = strength * std::numbers::pi / 2;
  std::vector<S> other;
  detail::for_each_item(request, variation, out, [&](noise_key key, std::span<S> item) {
    for (S& z : item) z = static_cast<S>(std::cos(angle) * static_cast<double>(z));
    detail::add_normals(key, 0, std::sin(angle), item, other);
  });
}

template <class S>
void offset_noise::fill(const noise_request& request, std::span<S> out) const {
  detail::require(std::isfinite(strength), "offset_noise", "strength", strength, "valid: finite");
  detail::require_parts("offset_noise", "channel_size", channel_size, request.items, out.size());
  gaussian_noise{seed}.fill(request, out);
  const double norm = std::hypot(1, strength);
  detail::for_each_item(request, seed, out, [&](noise_key key, std::span<S> item) {
    for (std::size_t c = 0; c * channel_size < item.size(); ++c) {
      const double shift = strength * normal_at<double>(key, detail::stream_length + c);
      for (S& z : item.subspan(c * channel_size, channel_size))
        z = static_cast<S>((static_cast<double>(z) + shift) / norm);
    }
  });
}

template <class S>
void pyramid_noise::fill(const noise_request& request, std::span<S> out) const {
  constexpr const char* name = "pyramid_noise";
  detail::require(discount >= 0 && discount <= 1, name, "discount", discount,
                  "valid: 0 <= discount <= 1");
  detail::require(levels >= 1 && levels <= 16, name, "levels", levels, "valid: 1 to 16");
  detail::require_parts(name, "height * width", height * width, request.items, out.size());
  double variance = 0;
  for (int k = 0; k < levels; ++k) variance += std::pow(discount, 2 * k);
  const double norm = std::sqrt(variance);
  gaussian_noise{seed}.fill(request, out);
  std::vector<double> coarse;
  detail::for_each_item(request, seed, out, [&](noise_key key, std::span<S> item) {
    const std::size_t channels = item.size() / (height * width);
    for (S& z : item) z = static_cast<S>(static_cast<double>(z) / norm);
    for (int k = 1; k < levels; ++k) {
      const std::size_t rows = ((height - 1) >> k) + 1, columns = ((width - 1) >> k) + 1;
      coarse.resize(channels * rows * columns);
      fill_normal(key, static_cast<std::uint64_t>(k) * detail::stream_length, std::span(coarse));
      const double weight = std::pow(discount, k) / norm;
      for (std::size_t c = 0; c < channels; ++c)
        for (std::size_t y = 0; y < height; ++y)
          for (std::size_t x = 0; x < width; ++x) {
            S& z = item[(c * height + y) * width + x];
            z = static_cast<S>(static_cast<double>(z) +
                               weight * coarse[(c * rows + (y >> k)) * columns + (x >> k)]);
          }
    }
  });
}

template <class S>
void video_noise::fill(const noise_request& request, std::span<S> out) const {
  detail::require(ratio >= 0 && std::isfinite(ratio), "video_noise", "ratio", ratio,
                  "valid: 0 <= ratio < inf");
  detail::require_parts("video_noise", "frame_size", frame_size, request.items, out.size());
  gaussian_noise{seed}.fill(request, out);
  if (ratio == 0) return;
  const double norm = std::hypot(1, ratio);
  std::vector<S> shared(frame_size);
  detail::for_each_item(request, seed, out, [&](noise_key key, std::span<S> item) {
    fill_normal(key, detail::stream_length, std::span<S>(shared));
    std::span<const S> other(shared);
    for (std::size_t at = 0; at < item.size(); at += frame_size) {
      const std::span<S> frame = item.subspan(at, frame_size);
      const bool first_of_chain = how == frame_correlation::progressive && at == 0;
      if (!first_of_chain)
        for (std::size_t i = 0; i < frame_size; ++i)
          frame[i] = static_cast<S>(
              (ratio * static_cast<double>(other[i]) + static_cast<double>(frame[i])) / norm);
      if (how == frame_correlation::progressive) other = frame;
    }
  });
}

}  // namespace tweedie
