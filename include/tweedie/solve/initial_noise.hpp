// The state from which a program starts when nothing is known of the data: x = sigma z, with the
// sigma of the program's first node and z standard normal.
//
// A standard normal is right for variance-preserving nodes near pure noise and for flows, and wrong
// by sigma for EDM and noise levels (80 and 14.6 there). Dropping alpha x0 is what samplers do; it
// costs a shift of alpha m and a variance of alpha^2 s^2 for data of mean m and deviation s.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tweedie/program/program.hpp"
#include "tweedie/tensor/random.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// Fills x with plan.start.level.sigma times the standard normals of `fill_standard_normal`, so that
/// items and draws are independent of those that the program makes under the same seed.
/// \throws std::invalid_argument if the program starts at clean data, sigma = 0.
template <writable_tensor T>
void initial_noise(const program& plan, std::uint64_t seed, T&& x) {
  const double sigma = plan.start.level.sigma;
  detail::require(sigma > 0, "initial_noise", "sigma of plan.start", sigma,
                  "valid: sigma > 0; a program from clean data starts at data");
  fill_standard_normal(x, seed);
  using S = scalar_t<T>;
  for (std::size_t i = 0; i < traits_of<T>::items(x); ++i)
    for (S& value : item_elements(x, i)) value = static_cast<S>(static_cast<double>(value) * sigma);
}

}  // namespace tweedie
