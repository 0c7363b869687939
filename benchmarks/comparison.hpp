// Two ways of doing the same work, timed in turns in one process; the result is their ratio. Or one
// work at growing sizes; the result is the exponent of its time.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace comparison {

/// What the ratio has to be. An exponent has to be within 0.15 of its model's.
enum class reach { at_least, at_most, exponent };

struct row {
  std::string work;
  std::string against;
  reach direction;
  double target;
};

using body = std::function<void()>;

/// Called when the row is measured, so that its memory lives no longer; `scale` multiplies the
/// ratio, for instance by a ratio of bytes.
struct pair {
  body ours;
  body theirs;
  double scale = 1;
};

/// Registers a row. at_least: ratio = theirs / ours (how many times faster); at_most: ours / theirs.
void add(row description, std::function<pair()> make);

/// Registers a row that measures b in time = a size^b, a least-squares fit of the logarithms of
/// median times. `make` gives the work at a size.
void add_growth(const std::string& work, const std::string& model, double exponent,
                std::vector<std::size_t> sizes, std::function<body(std::size_t)> make);

/// The compiler may not assume anything about memory.
inline void touch() { benchmark::ClobberMemory(); }

inline double seconds(const body& work, std::size_t repeats) {
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < repeats; ++i) {
    work();
    touch();
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  return time.count() / static_cast<double>(repeats);
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace comparison
