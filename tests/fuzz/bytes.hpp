// What a fuzzer's bytes mean: numbers, choices, levels. When they end, everything is 0.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <string>

#include "tweedie/grid/grid.hpp"

namespace fuzz {

/// Ends the process where an invariant does not hold, which is what a fuzzer looks for.
inline void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what.c_str());
  std::abort();
}

/// Runs `action`; false where it refused its input. Anything but an exception of the standard library that
/// says why ends the process.
template <class Action>
bool accepted(const Action& action) {
  try {
    action();
    return true;
  } catch (const std::exception& error) {
    expect(std::strlen(error.what()) > 10, std::string("an error says why, not: ") + error.what());
    return false;
  }
}

class bytes {
 public:
  bytes(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}

  bool left() const { return at_ != end_; }
  std::uint8_t byte() { return at_ == end_ ? std::uint8_t{0} : *at_++; }
  /// 0 ... count - 1.
  std::size_t below(std::size_t count) { return byte() % count; }
  bool flag() { return byte() % 2 == 1; }
  /// In [0, 1], both included.
  double unit() { return byte() / 255.0; }

  /// Any number: mostly ordinary ones, some that are an end of something, some that are any bits.
  double number() {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr double special[] = {
        0,      1,        -1,        0.5,
        2,      1e-150,   1e150,     1e-300,
        1e300,  1e-16,    1e16,      -0.0,
        5e-324, infinity, -infinity, std::numeric_limits<double>::quiet_NaN()};
    const std::uint8_t kind = byte();
    if (kind < 64) return special[kind % 16];
    if (kind < 72) {
      std::uint64_t bits = 0;
      for (int i = 0; i < 8; ++i) bits = bits << 8 | byte();
      double value;
      std::memcpy(&value, &bits, sizeof value);
      return value;
    }
    const double value = (byte() * 256 + byte()) / 65536.0;
    if (kind < 128) return value;
    if (kind < 160) return 1000 * value;
    if (kind < 192) return -4 * value;
    return std::pow(10, 12 * value - 6);
  }

  /// A noise level sigma/alpha > 0 within 10^[-decades, decades].
  double noise_level(double decades) {
    return std::pow(10, decades * (2 * (byte() * 256 + byte()) / 65535.0 - 1));
  }

  std::string rest() {
    const std::string text(reinterpret_cast<const char*>(at_),
                           static_cast<std::size_t>(end_ - at_));
    at_ = end_;
    return text;
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

/// A level of this noise in one of three gauges: sums of squares 1, alpha = 1, sums 1.
inline tweedie::signal_noise level_of(double noise, std::size_t gauge) {
  if (gauge == 0) return {1 / std::hypot(1.0, noise), noise / std::hypot(1.0, noise)};
  if (gauge == 1) return {1, noise};
  return {1 / (1 + noise), noise / (1 + noise)};
}

}  // namespace fuzz
