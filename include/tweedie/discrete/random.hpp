// Where the uniform numbers of a token sampler come from.
//
// A uniform source is a function of a request: which step, what for, which item, which position. It
// never depends on when it is asked, so that runs are the same for any split of a batch, and resume.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>

#include "tweedie/tensor/philox.hpp"

namespace tweedie::discrete {

/// What a uniform number decides.
enum class draw_use : std::uint32_t {
  choice,       ///< which token, by inverting the distribution function
  gumbel,       ///< which token, one number for each of them
  order,        ///< which positions
  route,        ///< which of a few ways to change
  replacement,  ///< which token where all are equally likely
  jump          ///< whether, or when, a position changes
};

/// One number is asked for. `index` is the position in the item, for `gumbel` position * vocabulary
/// + token.
struct uniform_request {
  std::uint32_t step = 0;
  draw_use use = draw_use::choice;
  std::uint32_t item = 0;
  std::uint64_t index = 0;
};

/// A function of the request alone; see above.
template <class Source>
concept uniform_source = requires(const Source& source, const uniform_request& request) {
  { source(request) } -> std::convertible_to<double>;
};

/// Uniforms in (0, 1), odd multiples of 2^-53, from Philox4x32-10 keyed by (seed, item, step and
/// use, index). Limits: step below 2^29, index below 2^56.
struct counter_uniform {
  std::uint64_t seed = 0;

  double operator()(const uniform_request& r) const {
    // The other streams of the library have numbers below 4 in the upper byte of the second word.
    constexpr std::uint32_t stream = 4u << 24;
    const philox_counter words = philox4x32(
        {static_cast<std::uint32_t>(r.index), static_cast<std::uint32_t>(r.index >> 32) | stream,
         r.item, r.step * 8 + static_cast<std::uint32_t>(r.use)},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
    const std::uint64_t bits = (std::uint64_t{words[0]} << 32 | words[1]) >> 12;
    return (static_cast<double>(bits) + 0.5) * 0x1p-52;
  }
};

/// Standard Gumbel number of a uniform u in (0, 1): -log(-log u). Adding one to each log-probability
/// makes the arg max a sample.
inline double gumbel(double u) { return -std::log(-std::log(u)); }

/// A whole number below `count`, all equally likely, of a uniform u in [0, 1).
inline std::size_t below(std::size_t count, double u) {
  const auto k = static_cast<std::size_t>(u * static_cast<double>(count));
  return k < count ? k : count - 1;
}

}  // namespace tweedie::discrete
