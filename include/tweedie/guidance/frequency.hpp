// Guidance by bands of frequency (Sadat et al. 2025, "Guidance in the frequency domain enables
// high-fidelity sampling at low CFG scales", algorithm 1), a mixer: given the outputs it writes the
// guided one.
//
//   G_0 = y, G_(i+1) = down(G_i);  L_i = G_i - up(G_(i+1)), L_last = G_last;  y = L_0 + up(L_1 + up(...))
//
// down blurs with [1 4 6 4 1]/16 along both axes, reflected at the border, and halves by means of
// 2 x 2; up doubles linearly and blurs. Each band is guided by a rule of its own, level 0 the finest.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/guidance/guided_outputs.hpp"

namespace tweedie {

/// Planes (channels) of height x width in each item of a batch, row-major.
struct plane_shape {
  std::size_t planes = 1;
  std::size_t height = 1;
  std::size_t width = 1;
  std::size_t size() const { return planes * height * width; }
};

namespace detail {

inline std::size_t reflected(std::ptrdiff_t i, std::size_t n) {
  const auto last = static_cast<std::ptrdiff_t>(n) - 1;
  if (i < 0) i = -i;
  return static_cast<std::size_t>(i > last ? 2 * last - i : i);
}

// Planes blurred along both axes with a symmetric kernel of odd size, at most 2 n - 1, reflected.
inline std::vector<double> blurred(std::span<const double> from, plane_shape shape,
                                   std::span<const double> kernel) {
  const auto half = static_cast<std::ptrdiff_t>(kernel.size() / 2);
  const std::size_t h = shape.height, w = shape.width;
  std::vector<double> across(from.size()), to(from.size());
  for (std::size_t row = 0; row < shape.planes * h; ++row)
    for (std::size_t x = 0; x < w; ++x)
      for (std::ptrdiff_t k = -half; k <= half; ++k)
        across[row * w + x] += kernel[static_cast<std::size_t>(k + half)] *
                               from[row * w + reflected(static_cast<std::ptrdiff_t>(x) + k, w)];
  for (std::size_t p = 0; p < shape.planes; ++p)
    for (std::size_t y = 0; y < h; ++y)
      for (std::ptrdiff_t k = -half; k <= half; ++k) {
        const std::size_t source = (p * h + reflected(static_cast<std::ptrdiff_t>(y) + k, h)) * w;
        const double weight = kernel[static_cast<std::size_t>(k + half)];
        for (std::size_t x = 0; x < w; ++x) to[(p * h + y) * w + x] += weight * across[source + x];
      }
  return to;
}

inline constexpr std::array<double, 5> binomial{1.0 / 16, 4.0 / 16, 6.0 / 16, 4.0 / 16, 1.0 / 16};

inline plane_shape halved(plane_shape s) { return {s.planes, s.height / 2, s.width / 2}; }

inline std::vector<double> pyramid_down(std::span<const double> from, plane_shape shape) {
  const std::vector<double> smooth = blurred(from, shape, binomial);
  const plane_shape halved_shape = halved(shape);
  std::vector<double> to(halved_shape.size());
  for (std::size_t row = 0; row < halved_shape.planes * halved_shape.height; ++row)
    for (std::size_t x = 0; x < halved_shape.width; ++x) {
      const double* const at = smooth.data() + 2 * row * shape.width + 2 * x;
      to[row * halved_shape.width + x] =
          (at[0] + at[1] + at[shape.width] + at[shape.width + 1]) / 4;
    }
  return to;
}

// To `shape` from half of it.
inline std::vector<double> pyramid_up(std::span<const double> from, plane_shape shape) {
  const plane_shape halved_shape = halved(shape);
  // Neighbours of position i of 2 n, the nearer first, which has weight 3/4.
  const auto neighbours = [](std::size_t i, std::size_t n) {
    const std::size_t nearer = i / 2;
    const std::size_t farther =
        i % 2 == 0 ? (nearer == 0 ? 0 : nearer - 1) : (std::min)(nearer + 1, n - 1);
    return std::array{nearer, farther};
  };
  std::vector<double> to(shape.size());
  for (std::size_t p = 0; p < shape.planes; ++p)
    for (std::size_t y = 0; y < shape.height; ++y)
      for (std::size_t x = 0; x < shape.width; ++x) {
        const auto rows = neighbours(y, halved_shape.height);
        const auto columns = neighbours(x, halved_shape.width);
        const auto value = [&](std::size_t r) {
          const double* const row =
              from.data() + (p * halved_shape.height + r) * halved_shape.width;
          return 0.75 * row[columns[0]] + 0.25 * row[columns[1]];
        };
        to[(p * shape.height + y) * shape.width + x] =
            0.75 * value(rows[0]) + 0.25 * value(rows[1]);
      }
  return blurred(to, shape, binomial);
}

}  // namespace detail

/// Bands of `levels` levels, the finest first, of planes of which all are of one shape.
/// \throws std::invalid_argument unless height and width can be halved levels - 1 times and are at
///   least 3 wherever they are blurred.
inline std::vector<std::vector<double>> laplacian_pyramid(std::span<const double> from,
                                                          plane_shape shape, std::size_t levels) {
  constexpr const char* name = "laplacian_pyramid";
  detail::require(levels > 0, name, "levels", 0, "valid: at least 1");
  detail::require(from.size() == shape.size(), name, "size", static_cast<double>(from.size()),
                  "valid: planes x height x width");
  std::vector<std::vector<double>> bands;
  std::vector<double> now(from.begin(), from.end());
  for (std::size_t i = 0; i + 1 < levels; ++i) {
    for (const std::size_t side : {shape.height, shape.width})
      detail::require(side % 2 == 0 && side >= 3, name, "side", static_cast<double>(side),
                      "valid: even and at least 4 at every level but the last; pad the outputs");
    std::vector<double> next = detail::pyramid_down(now, shape);
    const std::vector<double> expanded = detail::pyramid_up(next, shape);
    for (std::size_t k = 0; k < now.size(); ++k) now[k] -= expanded[k];
    bands.push_back(std::exchange(now, std::move(next)));
    shape = detail::halved(shape);
  }
  bands.push_back(std::move(now));
  return bands;
}

/// The planes that have these bands.
inline std::vector<double> from_laplacian_pyramid(std::span<const std::vector<double>> bands,
                                                  plane_shape shape) {
  std::vector<double> now;
  for (std::size_t i = bands.size(); i-- > 0;) {
    const plane_shape here{shape.planes, shape.height >> i, shape.width >> i};
    std::vector<double> to = bands[i];
    if (!now.empty()) {
      const std::vector<double> expanded = detail::pyramid_up(now, here);
      for (std::size_t k = 0; k < to.size(); ++k) to[k] += expanded[k];
    }
    now = std::move(to);
  }
  return now;
}

/// One rule without memory per level, the finest first, on outputs whose items have `shape`.
template <guidance_rule Rule>
struct frequency_decoupled {
  plane_shape shape;
  std::vector<Rule> rules;

  std::size_t branches() const { return rules.empty() ? 0 : rules.front().branches(); }

  /// Writes the guided output, which may be one of the outputs.
  /// \throws std::invalid_argument for no rules, other sizes, and shapes that cannot be halved.
  template <storage_scalar S>
  void operator()(const guidance_point& point, std::span<const S* const> outputs,
                  std::span<S> guided) const {
    constexpr const char* name = "frequency_decoupled";
    detail::require(!rules.empty(), name, "rules", 0, "valid: at least 1");
    detail::require(shape.size() > 0 && guided.size() % shape.size() == 0, name, "size",
                    static_cast<double>(guided.size()), "valid: a multiple of the shape's size");
    const std::size_t items = guided.size() / shape.size();
    const plane_shape all{items * shape.planes, shape.height, shape.width};
    std::vector<std::vector<std::vector<double>>> bands;
    for (const S* output : outputs) {
      std::vector<double> wide(guided.size());
      for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = static_cast<double>(output[i]);
      bands.push_back(laplacian_pyramid(wide, all, rules.size()));
    }
    std::vector<std::vector<double>> result(rules.size());
    for (std::size_t level = 0; level < rules.size(); ++level) {
      std::vector<const double*> streams;
      for (const auto& of_output : bands) streams.push_back(of_output[level].data());
      result[level].resize(bands.front()[level].size());
      guided_outputs<double, Rule> guide(rules[level], result[level].size(), items);
      guide(point, streams, result[level]);
    }
    const std::vector<double> y = from_laplacian_pyramid(result, all);
    for (std::size_t i = 0; i < y.size(); ++i) guided[i] = static_cast<S>(y[i]);
  }
};

/// Queries of self-attention, blurred for smoothed energy guidance (Hong 2024, section 4): tokens x
/// channels, of which the first floor(sqrt(tokens))^2 are a square picture, others stay. A Gaussian of deviation
/// sigma in at most the picture's width, reflected; an infinite sigma is the mean.
inline std::vector<double> smoothed_queries(std::span<const double> queries, std::size_t channels,
                                            double sigma) {
  constexpr const char* name = "smoothed_queries";
  detail::require(channels > 0 && queries.size() % channels == 0, name, "channels",
                  static_cast<double>(channels), "valid: divides the size");
  detail::require(sigma > 0, name, "sigma", sigma, "valid: sigma > 0");
  const std::size_t tokens = queries.size() / channels;
  std::size_t side = 0;
  while ((side + 1) * (side + 1) <= tokens) ++side;
  const std::size_t count = side * side;
  std::vector<double> planes(count * channels), out(queries.begin(), queries.end());
  for (std::size_t t = 0; t < count; ++t)
    for (std::size_t c = 0; c < channels; ++c) planes[c * count + t] = queries[t * channels + c];
  if (std::isinf(sigma)) {
    for (std::size_t c = 0; c < channels; ++c) {
      double mean = 0;
      for (std::size_t t = 0; t < count; ++t)
        mean += queries[t * channels + c] / static_cast<double>(count);
      for (std::size_t t = 0; t < count; ++t) out[t * channels + c] = mean;
    }
    return out;
  }
  const double wanted = std::ceil(6 * sigma);
  const std::size_t widest = side % 2 == 0 ? side + 1 : side;
  std::size_t size = widest;
  if (wanted < static_cast<double>(widest)) {
    size = static_cast<std::size_t>(wanted) + 1;
    size -= (size + 1) % 2;
    size = (std::min)(size, widest);
  }
  std::vector<double> kernel(size);
  double total = 0;
  for (std::size_t k = 0; k < size; ++k) {
    const double x = (static_cast<double>(k) - static_cast<double>(size / 2)) / sigma;
    total += kernel[k] = std::exp(-x * x / 2);
  }
  for (double& k : kernel) k /= total;
  planes = detail::blurred(planes, {channels, side, side}, kernel);
  for (std::size_t t = 0; t < count; ++t)
    for (std::size_t c = 0; c < channels; ++c) out[t * channels + c] = planes[c * count + t];
  return out;
}

}  // namespace tweedie
