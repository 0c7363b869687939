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

#include "tweedie/conditioning/image.hpp"
#include "tweedie/process/forward.hpp"
#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/traits.hpp"

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
        noise_(reference.size()),
        means_(block == 0 ? 0 : reference.size() / (block * block)),
        seed_(seed),
        lowest_(lowest) {
    constexpr const char* name = "low_frequencies";
    detail::require_blocks(name, "block", shape, block);
    if (shape.size() == 0 || reference.size() % shape.size() != 0)
      detail::fail(name, "reference.size()", static_cast<double>(reference.size()),
                   "valid: a multiple of the picture's, " + std::to_string(shape.size()));
    detail::require(lowest >= 0 && std::isfinite(lowest), name, "lowest", lowest,
                    "valid: 0 <= lowest < inf");
    shape_.channels = reference.size() / (shape.height * shape.width);
  }

  /// Call after each step (`sampling_event::step`).
  /// \throws std::invalid_argument if the state is of another size.
  template <class Run>
  void apply(Run& run) {
    const std::span<S> x = elements(run.state());
    detail::require_equal("low_frequencies::apply", "state.size()", x.size(), reference_.size());
    const signal_noise level = run.reached().level;
    if (lowest_ > 0 && level.sigma <= lowest_ * level.alpha) return;
    if (level.sigma != 0)
      fill_normal(noise_key{seed_, 0, static_cast<std::uint32_t>(run.steps_done())}, 0,
                  std::span<S>(noise_));
    const auto missing = [&](std::size_t i) {
      return noised(static_cast<double>(reference_[i]), static_cast<double>(noise_[i]), level) -
             static_cast<double>(x[i]);
    };
    const double share = 1 / static_cast<double>(block_ * block_);
    means_.assign(means_.size(), 0);
    detail::for_each_in_blocks(
        shape_, block_, [&](std::size_t i, std::size_t b) { means_[b] += share * missing(i); });
    detail::for_each_in_blocks(shape_, block_, [&](std::size_t i, std::size_t b) {
      x[i] = static_cast<S>(static_cast<double>(x[i]) + means_[b]);
    });
  }

 private:
  image_shape shape_;  // of all pictures, as channels of one
  std::size_t block_;
  std::vector<S> reference_, noise_;
  std::vector<double> means_;
  std::uint64_t seed_;
  double lowest_;
};

}  // namespace tweedie
