// Linear measurements y = A x of a picture, as values that apply A and its adjoint.
//
// An operator is anything with inputs(), outputs(), apply(x, y) and adjoint(y, x), <A x, y> = <x, A' y>.
// All work in double and overwrite their result. The ones here satisfy A A' = c I, where noted, which
// makes every solve with A A' exact and free.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/conditioning/image.hpp"
#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// A linear map from `inputs()` to `outputs()` numbers.
template <class A>
concept linear_operator = requires(const A& a, std::span<const double> from, std::span<double> to) {
  { a.inputs() } -> std::convertible_to<std::size_t>;
  { a.outputs() } -> std::convertible_to<std::size_t>;
  a.apply(from, to);
  a.adjoint(from, to);
};

namespace detail {

// Throws unless y holds whole measurements of an operator of `outputs`, all finite, and 0 <= deviation < inf.
inline void check_measurements(const char* function, std::size_t outputs, std::span<const double> y,
                               double deviation) {
  if (outputs == 0 || y.empty() || y.size() % outputs != 0)
    fail(function, "y.size()", static_cast<double>(y.size()),
         "valid: a multiple of the operator's outputs, " + std::to_string(outputs));
  require_all_finite(function, "y", y);
  require(deviation >= 0 && std::isfinite(deviation), function, "deviation", deviation,
          "valid: 0 <= deviation < inf");
}

}  // namespace detail

/// Some elements of the picture, in the order given: masks, subsampling. A A' = I.
class selection {
 public:
  /// \throws std::invalid_argument for an element beyond the inputs, or one that occurs twice.
  selection(std::size_t inputs, std::vector<std::size_t> kept)
      : inputs_(inputs), kept_(std::move(kept)) {
    std::vector<bool> seen(inputs, false);
    for (const std::size_t k : kept_) {
      if (k >= inputs || seen[k])
        detail::fail("selection", "kept", static_cast<double>(k),
                     "valid: each once, below " + std::to_string(inputs));
      seen[k] = true;
    }
  }
  /// The elements where `mask` is not 0.
  /// \throws std::invalid_argument unless the mask is within [0, 1].
  template <class S>
  static selection of_mask(std::span<const S> mask) {
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < mask.size(); ++i) {
      detail::require(mask[i] >= S(0) && mask[i] <= S(1), "selection::of_mask", "mask",
                      static_cast<double>(mask[i]), "valid: 0 <= mask <= 1");
      if (mask[i] != S(0)) kept.push_back(i);
    }
    return {mask.size(), std::move(kept)};
  }
  /// Every `factor`-th pixel of every `factor`-th row, from the first on.
  /// \throws std::invalid_argument for a factor of 0.
  static selection every(image_shape shape, std::size_t factor) {
    detail::require(factor > 0, "selection::every", "factor", 0, "valid: at least 1");
    std::vector<std::size_t> kept;
    for (std::size_t c = 0; c < shape.channels; ++c)
      for (std::size_t y = 0; y < shape.height; y += factor)
        for (std::size_t x = 0; x < shape.width; x += factor)
          kept.push_back((c * shape.height + y) * shape.width + x);
    return {shape.size(), std::move(kept)};
  }

  std::size_t inputs() const { return inputs_; }
  std::size_t outputs() const { return kept_.size(); }
  void apply(std::span<const double> x, std::span<double> y) const {
    for (std::size_t i = 0; i < kept_.size(); ++i) y[i] = x[kept_[i]];
  }
  void adjoint(std::span<const double> y, std::span<double> x) const {
    std::fill(x.begin(), x.end(), 0.0);
    for (std::size_t i = 0; i < kept_.size(); ++i) x[kept_[i]] = y[i];
  }

 private:
  std::size_t inputs_;
  std::vector<std::size_t> kept_;
};

/// Means of blocks of factor x factor pixels: what super-resolution undoes. A A' = I / factor^2.
class average_pooling {
 public:
  /// \throws std::invalid_argument unless factor divides both sides.
  average_pooling(image_shape shape, std::size_t factor) : shape_(shape), factor_(factor) {
    detail::require_blocks("average_pooling", "factor", shape, factor);
  }

  std::size_t inputs() const { return shape_.size(); }
  std::size_t outputs() const { return shape_.size() / (factor_ * factor_); }
  void apply(std::span<const double> x, std::span<double> y) const {
    average_blocks(x, shape_, factor_, y);
  }
  void adjoint(std::span<const double> y, std::span<double> x) const {
    repeat_blocks(y, shape_, factor_, x);
    for (double& pixel : x) pixel /= static_cast<double>(factor_ * factor_);
  }

 private:
  image_shape shape_;
  std::size_t factor_;
};

/// The same kernel along rows and columns, with the edges of the picture joined (circular).
class blur {
 public:
  /// \param kernel weights at offsets -r ... r, an odd number of them, no longer than either side
  /// \throws std::invalid_argument for another number of weights, or one that is not finite.
  blur(image_shape shape, std::vector<double> kernel) : shape_(shape), kernel_(std::move(kernel)) {
    const std::size_t n = kernel_.size();
    if (n % 2 == 0 || n > (std::min)(shape.height, shape.width))
      detail::fail("blur", "kernel.size()", static_cast<double>(n),
                   "valid: odd and at most the shorter side");
    detail::require_all_finite("blur", "kernel weight", kernel_);
  }
  /// A Gaussian of `deviation` pixels, cut off at 3 deviations and normalised.
  /// \throws std::invalid_argument unless 0 < deviation and the kernel fits into the picture.
  static blur gaussian(image_shape shape, double deviation) {
    detail::require(deviation > 0 && deviation < 1e6, "blur::gaussian", "deviation", deviation,
                    "valid: positive, at most a sixth of the shorter side");
    const int radius = static_cast<int>(std::ceil(3 * deviation));
    std::vector<double> kernel;
    double sum = 0;
    for (int k = -radius; k <= radius; ++k) {
      kernel.push_back(std::exp(-0.5 * k * k / (deviation * deviation)));
      sum += kernel.back();
    }
    for (double& w : kernel) w /= sum;
    return {shape, std::move(kernel)};
  }

  std::size_t inputs() const { return shape_.size(); }
  std::size_t outputs() const { return shape_.size(); }
  void apply(std::span<const double> x, std::span<double> y) const { convolve(x, y, false); }
  void adjoint(std::span<const double> y, std::span<double> x) const { convolve(y, x, true); }

 private:
  void convolve(std::span<const double> from, std::span<double> to, bool mirrored) const {
    const std::size_t h = shape_.height, w = shape_.width, n = kernel_.size(), r = n / 2;
    std::vector<double> rows(from.size(), 0.0);
    std::fill(to.begin(), to.end(), 0.0);
    for (std::size_t k = 0; k < n; ++k) {
      const double weight = kernel_[mirrored ? n - 1 - k : k];
      for (std::size_t c = 0; c < shape_.channels; ++c)
        for (std::size_t y = 0; y < h; ++y)
          for (std::size_t x = 0; x < w; ++x)
            rows[(c * h + y) * w + x] += weight * from[(c * h + y) * w + (x + k + w - r) % w];
    }
    for (std::size_t k = 0; k < n; ++k) {
      const double weight = kernel_[mirrored ? n - 1 - k : k];
      for (std::size_t c = 0; c < shape_.channels; ++c)
        for (std::size_t y = 0; y < h; ++y)
          for (std::size_t x = 0; x < w; ++x)
            to[(c * h + y) * w + x] += weight * rows[(c * h + (y + k + h - r) % h) * w + x];
    }
  }
  image_shape shape_;
  std::vector<double> kernel_;
};

/// Any matrix.
struct dense_operator {
  Eigen::MatrixXd matrix;

  std::size_t inputs() const { return static_cast<std::size_t>(matrix.cols()); }
  std::size_t outputs() const { return static_cast<std::size_t>(matrix.rows()); }
  void apply(std::span<const double> x, std::span<double> y) const {
    map(y).noalias() = matrix * map(x);
  }
  void adjoint(std::span<const double> y, std::span<double> x) const {
    map(x).noalias() = matrix.transpose() * map(y);
  }

 private:
  static Eigen::Map<const Eigen::VectorXd> map(std::span<const double> v) {
    return {v.data(), static_cast<Eigen::Index>(v.size())};
  }
  static Eigen::Map<Eigen::VectorXd> map(std::span<double> v) {
    return {v.data(), static_cast<Eigen::Index>(v.size())};
  }
};

}  // namespace tweedie
