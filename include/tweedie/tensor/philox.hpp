// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011: 128 random bits as a pure function of counter and key.
#pragma once

#include <array>
#include <cstdint>

#include "tweedie/requirements.hpp"

namespace tweedie {

/// Counter and key of Philox 4x32.
using philox_counter = std::array<std::uint32_t, 4>;
using philox_key = std::array<std::uint32_t, 2>;

namespace detail {

// Round multipliers and key increments (Weyl sequence) of the paper, section 3.3.
inline constexpr std::uint32_t philox_multiplier[2] = {0xD2511F53u, 0xCD9E8D57u};
inline constexpr std::uint32_t philox_weyl[2] = {0x9E3779B9u, 0xBB67AE85u};

}  // namespace detail

/// Ten rounds. Known answers: the `kat_vectors` of the authors' Random123.
constexpr philox_counter philox4x32(philox_counter c, philox_key k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{detail::philox_multiplier[0]} * c[0];
    const std::uint64_t p1 = std::uint64_t{detail::philox_multiplier[1]} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
    k = {k[0] + detail::philox_weyl[0], k[1] + detail::philox_weyl[1]};
  }
  return c;
}

}  // namespace tweedie
