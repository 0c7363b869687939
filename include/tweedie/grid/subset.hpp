// Respacing: a subset of the levels of a discrete schedule, and the shorter schedule they form.
//
// The shorter schedule keeps alpha_bar where it is and takes
//   beta'(i) = 1 - alpha_bar(k_i) / alpha_bar(k_(i-1))
// (Nichol and Dhariwal 2021, eq. 19), so every method for the full schedule works on it unchanged.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tweedie/grid/spacing.hpp"

namespace tweedie {

/// Splits 0 ... levels-1 into equal sections and takes counts[i] levels, evenly spread and
/// including both ends, from section i (improved-diffusion's section counts). Ascending. A section
/// of one level takes its first.
/// \throws std::invalid_argument if a section has fewer levels than its count.
inline std::vector<int> sectioned_times(int levels, std::span<const int> counts) {
  constexpr const char* name = "sectioned_times";
  detail::require(levels >= 1, name, "levels", levels, "valid: levels >= 1");
  const int sections = static_cast<int>(counts.size());
  detail::require(sections >= 1, name, "sections", sections, "valid: at least one");
  std::vector<int> times;
  int first = 0;
  for (int i = 0; i < sections; ++i) {
    const int size = levels / sections + (i < levels % sections ? 1 : 0);
    const int count = counts[static_cast<std::size_t>(i)];
    if (count < 0 || count > size)
      detail::fail(name, "count of section " + std::to_string(i), count,
                   "valid: 0 <= count <= levels of the section, " + std::to_string(size));
    // The published rule adds up the stride; its rounding decides ties.
    const double stride = count <= 1 ? 1 : static_cast<double>(size - 1) / (count - 1);
    double at = 0;
    for (int k = 0; k < count; ++k) {
      times.push_back(first + static_cast<int>(round_half_even(at)));
      at += stride;
    }
    first += size;
  }
  return times;
}

/// Every n-th level from 0, for the smallest n that gives exactly `count` of them (the DDIM
/// striding of improved-diffusion). Ascending.
/// \throws std::invalid_argument if no integer stride gives that count.
inline std::vector<int> strided_times(int levels, int count) {
  detail::require(count >= 1 && count <= levels, "strided_times", "count", count,
                  "valid: 1 <= count <= levels");
  for (int stride = 1; stride <= levels; ++stride) {
    if ((levels + stride - 1) / stride != count) continue;
    std::vector<int> times;
    for (int t = 0; t < levels; t += stride) times.push_back(t);
    return times;
  }
  detail::fail("strided_times", "count", count,
               "no integer stride over " + std::to_string(levels) + " levels gives that count");
}

/// The schedule formed by the given levels, ascending and distinct. Its time i is time times[i] of
/// the full one.
inline discrete_schedule respaced(const discrete_schedule& schedule, std::span<const int> times) {
  std::vector<double> signal, noise;
  for (const int t : times) {
    detail::require(t >= 0 && t < schedule.steps(), "respaced", "time", t,
                    "valid: 0 <= time <= T - 1");
    signal.push_back(schedule.log_alpha_bar(t));
    noise.push_back(schedule.log_one_minus_alpha_bar(t));
  }
  return {std::move(signal), std::move(noise)};
}

/// The given levels of the full schedule, ascending, as a grid from noisy to clean.
inline grid at_kept_times(const discrete_schedule& schedule, std::span<const int> times) {
  const std::vector<double> falling(times.rbegin(), times.rend());
  return ending_clean(schedule, at_times(schedule, falling));
}

}  // namespace tweedie
