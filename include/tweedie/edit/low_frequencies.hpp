// Following a reference in its low frequencies only (ILVR, Choi et al. 2021, eq. 8): after each step
//
//   x <- x + P (y_t - x),     y_t = alpha y + sigma z,     P the means of blocks of f x f pixels
//
// at the level the step ended at. P is a projection, so that P x = P y_t afterwards and x - P x is as it was:
// the reference decides what is left of the sample after averaging, the network all detail. Larger blocks leave
// more freedom; f = 1 is the reference itself.
//
//   low_frequencies<float> follow({1, 64, 64}, 8, reference, seed);
//   ... if (event == sampling_event::step) follow.apply(s);
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tweedie/conditioning/position.hpp"
#include "tweedie/schedule/error.hpp"
#include "tweedie/schedule/signal_noise.hpp"
#include "tweedie/tensor/normal.hpp"

namespace tweedie {

/// The low frequencies of the pictures of one run. Holds a copy of the reference; `apply` allocates nothing.
template <class S>
class low_frequencies {
 public:
  /// \param reference pictures of `shape`, as large as the state; `seed` should differ from the run's
  /// \param lowest noise level sigma/alpha at and below which the sample is let go; 0 holds it to the end
  /// \throws std::invalid_argument unless `block` divides both sides, the reference holds whole pictures, and
  ///   0 <= lowest < inf.
  low_frequencies(image_shape shape, std::size_t block, std::span<const S> reference,
                  std::uint64_t seed, double lowest = 0)
      : shape_(shape),
        block_(block),
        reference_(reference.begin(), reference.end()),
        missing_(reference.size()),
        means_(block == 0 ? 0 : reference.size() / (block * block)),
        seed_(seed),
        lowest_(lowest) {
    constexpr const char* name = "low_frequencies";
    if (block == 0 || shape.height % block != 0 || shape.width % block != 0)
      detail::fail(name, "block", static_cast<double>(block),
                   "valid: a divisor of height " + std::to_string(shape.height) + " and width " +
                       std::to_string(shape.width));
    if (shape.size() == 0 || reference.size() % shape.size() != 0)
      detail::fail(name, "reference.size()", static_cast<double>(reference.size()),
                   "valid: a multiple of the picture's, " + std::to_string(shape.size()));
    detail::require(lowest >= 0 && std::isfinite(lowest), name, "lowest", lowest,
                    "valid: 0 <= lowest < inf");
  }

  /// Call after each step (`sampling_event::step`).
  /// \throws std::invalid_argument if the state is of another size.
  template <class Run>
  void apply(Run& run) {
    auto view = run.state();
    const std::span<S> x(view.data(), static_cast<std::size_t>(view.size()));
    detail::require_equal("low_frequencies::apply", "state.size()", x.size(), reference_.size());
    const signal_noise level = run.reached().level;
    const double alpha = level.alpha, sigma = level.sigma;
    if (lowest_ > 0 && sigma <= lowest_ * alpha) return;
    if (sigma != 0)
      fill_normal(noise_key{seed_, 0, static_cast<std::uint32_t>(run.steps_done())}, 0,
                  std::span<S>(missing_));
    const double share = 1 / static_cast<double>(block_ * block_);
    means_.assign(means_.size(), 0);
    for_each([&](std::size_t i, std::size_t b) {
      const double noise = sigma == 0 ? 0 : sigma * static_cast<double>(missing_[i]);
      means_[b] +=
          share * (alpha * static_cast<double>(reference_[i]) + noise - static_cast<double>(x[i]));
    });
    for_each([&](std::size_t i, std::size_t b) {
      x[i] = static_cast<S>(static_cast<double>(x[i]) + means_[b]);
    });
  }

 private:
  template <class Each>
  void for_each(const Each& each) const {
    const std::size_t columns = shape_.width / block_;
    for (std::size_t i = 0; i < reference_.size(); ++i) {
      const std::size_t row = i / shape_.width, column = i % shape_.width;
      each(i, row / block_ * columns + column / block_);
    }
  }

  image_shape shape_;
  std::size_t block_;
  std::vector<S> reference_, missing_;
  std::vector<double> means_;
  std::uint64_t seed_;
  double lowest_;
};

}  // namespace tweedie
