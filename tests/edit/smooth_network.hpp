#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>

namespace tweedie_test {

// A network that no sampler is exact for.
inline constexpr auto smooth_network = [](auto in, double t, auto out) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(in.size()); ++i)
    out.data()[i] = static_cast<std::remove_cvref_t<decltype(out.data()[0])>>(
        0.3 * std::sin(3 * in.data()[i]) + 0.2 * in.data()[i] + 0.1 * std::cos(t));
};

}  // namespace tweedie_test
