// What happens to the x0 estimate before a step uses it: nothing, clipping inside the pass, or any
// callable that changes it in place.
#pragma once

#include <cstddef>
#include <span>

#include "tweedie/schedule/schedule.hpp"

namespace tweedie {

/// The x0 estimate is used as it is.
struct unchanged {};

/// The x0 estimate is clipped to [low, high], elementwise, inside the pass that uses it.
struct clip {
  double low = -1;
  double high = 1;
};

/// A callable f(std::span<S> clean, std::size_t items, const node& at) that changes x0 estimates.
template <class F, class S>
concept clean_transform = requires(F& f, std::span<S> clean, std::size_t items, const node& at) {
  f(clean, items, at);
};

}  // namespace tweedie
