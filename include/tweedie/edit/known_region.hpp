// Inpainting by replacement: after each step the known part of the state is set to what it would be.
//
//   x <- m (alpha x0 + sigma z) + (1 - m) x         at the level (alpha, sigma) the step ended at
//                                                   (Lugmayr et al. 2022, eqs. 8a to 8c)
//
// m is 1 where the picture is known, 0 where it is made, anything between blends. Replacement ignores
// what the unknown part says of the known one until it is noise-free: on data N(0, [[1, .8], [.8, 1]])
// with x_1 = 1.5 known, 250 steps end at a mean of x_2 of 0.744, where the posterior's is 1.2. Going up
// and down again (`resampled`, RePaint) closes the gap as 1/times: 2, 5, 10, 20, 50, 200 visits of every level
// end at 0.942, 1.097, 1.150, 1.175, 1.189, 1.196.
//
//   while (true) {
//     const auto event = s.advance();
//     if (event == sampling_event::step) known.paste(s);
//     ...
//
// With a change map (differential diffusion, Levin and Fried 2023, algorithm 1) every element has a
// strength of its own: 0 keeps it, 1 makes it anew, c does so in the last c of the steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tweedie/conditioning/image.hpp"
#include "tweedie/process/forward.hpp"
#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// x <- m (alpha x0 + sigma z) + (1 - m) x. m = 0 leaves the bits of x; m = 1 does not read x, and at
/// clean data gives the bits of x0.
/// \throws std::invalid_argument unless all four are of one size and m is within [0, 1]; x is then as
///   it was.
template <class S>
void blend_known(std::span<S> x, std::span<const S> original, std::span<const S> mask,
                 std::span<const S> noise, signal_noise level) {
  detail::require_equal("blend_known", "original.size()", original.size(), x.size());
  detail::require_equal("blend_known", "mask.size()", mask.size(), x.size());
  detail::require_equal("blend_known", "noise.size()", noise.size(), x.size());
  for (const S m : mask)
    detail::require(m >= S(0) && m <= S(1), "blend_known", "mask", static_cast<double>(m),
                    "valid: 0 <= mask <= 1");
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto m = static_cast<double>(mask[i]);
    if (m == 0) continue;
    const double known =
        noised(static_cast<double>(original[i]), static_cast<double>(noise[i]), level);
    x[i] = static_cast<S>(m == 1 ? known : m * known + (1 - m) * static_cast<double>(x[i]));
  }
}

/// The mask of latents of one number for factor x factor pixels: a latent is known as far as all of its pixels
/// are, so it gets the least of theirs. Replacement with it is blended latent diffusion (Avrahami et al.
/// 2023, algorithm 1): paste the pixels themselves once more after decoding.
/// \throws std::invalid_argument unless factor divides both sides and the mask has `height` x `width` elements.
template <class S>
std::vector<S> latent_mask(std::span<const S> mask, std::size_t height, std::size_t width,
                           std::size_t factor) {
  detail::require_equal("latent_mask", "mask.size()", mask.size(), height * width);
  detail::require_blocks("latent_mask", "factor", {1, height, width}, factor);
  std::vector<S> least(mask.size() / (factor * factor), S(1));
  detail::for_each_in_blocks({1, height, width}, factor, [&](std::size_t pixel, std::size_t block) {
    if (!(mask[pixel] >= least[block])) least[block] = mask[pixel];
  });
  return least;
}

/// The known part of the pictures of one run. Holds copies; `paste` allocates nothing.
template <class S>
class known_region {
 public:
  /// The same region in all steps. `original` and `mask` are as large as the state; `seed` should
  /// differ from the run's, whose draws it must not repeat.
  /// \throws std::invalid_argument unless both are of one size and mask is within [0, 1].
  known_region(std::span<const S> original, std::span<const S> mask, std::uint64_t seed)
      : known_region(original, mask, seed, false) {}

  /// A region that shrinks from step to step as the change map says: element i is made in the last
  /// change[i] of the steps, as image-to-image of that strength would.
  /// \throws std::invalid_argument unless both are of one size and change is within [0, 1].
  static known_region with_change_map(std::span<const S> original, std::span<const S> change,
                                      std::uint64_t seed) {
    return known_region(original, change, seed, true);
  }

  /// Call after each step (`sampling_event::step`).
  /// \throws std::invalid_argument if the state is of another size.
  template <class Run>
  void paste(Run& run) {
    const std::span<S> x = elements(run.state());
    const auto step = static_cast<std::uint32_t>(run.steps_done());
    if (shrinks_) {
      const double left = static_cast<double>(run.steps_total() - run.steps_done()) /
                          static_cast<double>(run.steps_total());
      for (std::size_t i = 0; i < mask_.size(); ++i) {
        const auto change = static_cast<double>(map_[i]);
        mask_[i] = S(change < left || change == 0 ? 1 : 0);
      }
    }
    const signal_noise level = run.reached().level;
    if (level.sigma != 0) fill_normal(noise_key{seed_, 0, step}, 0, std::span<S>(noise_));
    blend_known<S>(x, original_, mask_, noise_, level);
  }

 private:
  known_region(std::span<const S> original, std::span<const S> map, std::uint64_t seed,
               bool shrinks)
      : original_(original.begin(), original.end()),
        map_(map.begin(), map.end()),
        mask_(map_),
        noise_(original.size()),
        seed_(seed),
        shrinks_(shrinks) {
    detail::require_equal("known_region", shrinks ? "change.size()" : "mask.size()", map.size(),
                          original.size());
    for (const S m : map)
      detail::require(m >= S(0) && m <= S(1), "known_region", shrinks ? "change" : "mask",
                      static_cast<double>(m), "valid: within [0, 1]");
  }

  std::vector<S> original_, map_, mask_, noise_;
  std::uint64_t seed_;
  bool shrinks_;
};

}  // namespace tweedie
