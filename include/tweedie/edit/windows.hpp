// Pictures larger than the network: it is asked window by window, and the answers are averaged.
//
//   y(p) = sum_i w_i(p) F_i(p) / sum_i w_i(p)       MultiDiffusion, Bar-Tal et al. 2023, eq. 5
//
// over the windows i that contain the pixel p. With equal weights it is the least-squares answer of the
// paper; a tent falls towards the edges, where a network sees least, and leaves no seams. Weights are
// normalised at every pixel, so whatever all windows agree on passes unchanged.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tweedie/conditioning/image.hpp"

namespace tweedie {

/// Where windows begin along one side: every `stride`, the last one flush with the end.
/// \throws std::invalid_argument unless 1 <= stride <= window <= extent.
inline std::vector<std::size_t> window_starts(std::size_t extent, std::size_t window,
                                              std::size_t stride) {
  if (window == 0 || window > extent)
    detail::fail("window_starts", "window", static_cast<double>(window),
                 "valid: 1 to the extent, " + std::to_string(extent));
  if (stride == 0 || stride > window)
    detail::fail("window_starts", "stride", static_cast<double>(stride),
                 "valid: 1 to the window, " + std::to_string(window) + "; more leaves gaps");
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at + window < extent; at += stride) starts.push_back(at);
  starts.push_back(extent - window);
  return starts;
}

/// How much a window's pixels count.
enum class window_weight {
  equal,
  tent  ///< falls linearly from the middle; 1 / window at the edge
};

/// A network for small pictures as one for large ones. Its memory is made once.
template <class S>
class windowed {
 public:
  /// Windows of height x width over `whole`, at most `stride` apart.
  /// \throws std::invalid_argument as window_starts.
  windowed(image_shape whole, std::size_t height, std::size_t width, std::size_t stride,
           window_weight weight = window_weight::tent)
      : whole_(whole),
        part_{whole.channels, height, width},
        tops_(window_starts(whole.height, height, (std::min)(stride, height))),
        lefts_(window_starts(whole.width, width, (std::min)(stride, width))),
        down_(profile(height, weight)),
        across_(profile(width, weight)),
        total_down_(totals(whole.height, tops_, down_)),
        total_across_(totals(whole.width, lefts_, across_)),
        input_(part_.size()),
        output_(part_.size()) {}

  std::size_t windows() const { return tops_.size() * lefts_.size(); }

  /// Fills `out` by asking network(input span, output span) for each window of `x`.
  /// \throws std::invalid_argument unless x and out have the size of the whole picture.
  template <class Network>
  void operator()(std::span<const S> x, Network&& network, std::span<S> out) {
    detail::require_equal("windowed", "x.size()", x.size(), whole_.size());
    detail::require_equal("windowed", "out.size()", out.size(), whole_.size());
    std::fill(out.begin(), out.end(), S(0));
    for (const std::size_t top : tops_)
      for (const std::size_t left : lefts_) {
        for_each(top, left,
                 [&](std::size_t here, std::size_t there, double) { input_[here] = x[there]; });
        network(std::span<const S>(input_), std::span<S>(output_));
        for_each(top, left, [&](std::size_t here, std::size_t there, double weight) {
          out[there] = static_cast<S>(static_cast<double>(out[there]) +
                                      weight * static_cast<double>(output_[here]));
        });
      }
  }

 private:
  static std::vector<double> profile(std::size_t n, window_weight weight) {
    std::vector<double> weights(n, 1.0);
    if (weight == window_weight::tent)
      for (std::size_t i = 0; i < n; ++i)
        weights[i] = static_cast<double>((std::min)(i, n - 1 - i) + 1);
    return weights;
  }
  // Weights are products of one along each side, and so is what they are divided by.
  static std::vector<double> totals(std::size_t extent, const std::vector<std::size_t>& starts,
                                    const std::vector<double>& weights) {
    std::vector<double> sums(extent, 0.0);
    for (const std::size_t start : starts)
      for (std::size_t i = 0; i < weights.size(); ++i) sums[start + i] += weights[i];
    return sums;
  }

  template <class Each>
  void for_each(std::size_t top, std::size_t left, const Each& each) const {
    std::size_t here = 0;
    for (std::size_t c = 0; c < part_.channels; ++c)
      for (std::size_t y = 0; y < part_.height; ++y)
        for (std::size_t x = 0; x < part_.width; ++x, ++here)
          each(here, (c * whole_.height + top + y) * whole_.width + left + x,
               (down_[y] / total_down_[top + y]) * (across_[x] / total_across_[left + x]));
  }

  image_shape whole_, part_;
  std::vector<std::size_t> tops_, lefts_;
  std::vector<double> down_, across_, total_down_, total_across_;
  std::vector<S> input_, output_;
};

}  // namespace tweedie
