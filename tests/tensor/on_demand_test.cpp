// Minutes of statistics on the random numbers, disabled by default; CONTRIBUTING.md says how to run
// them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "tweedie/tensor/normal.hpp"

namespace {

using namespace tweedie;

double normal_distribution(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

// Counts of numbers in cells of width 2^-16 that cover [-reach, reach), and sums of their powers.
class census {
 public:
  static constexpr double reach = 10;
  static constexpr double cells_per_unit = 0x1p16;

  template <class S>
  void add(const std::vector<S>& numbers) {
    double sum[5] = {};
    for (const S number : numbers) {
      const auto z = static_cast<double>(number);
      ++cells_[static_cast<std::size_t>((z + reach) * cells_per_unit)];
      const double square = z * z;
      sum[1] += z;
      sum[2] += square;
      sum[3] += z * square;
      sum[4] += square * square;
    }
    for (int power = 1; power <= 4; ++power) sums_[power] += sum[power];
    count_ += static_cast<double>(numbers.size());
  }

  // Moments within 4.5 standard errors; Kolmogorov-Smirnov and Anderson-Darling at 1e-5, both on
  // the cells' upper ends (Choulakian, Lockhart and Stephens 1994, eq. 4, for the latter; a cell
  // has a hundredth of the distance that is significant); counts beyond t within 4.5 standard
  // deviations, and two more where a Poisson number is expected.
  void expect_normal() const {
    const double sigmas = 4.5;
    EXPECT_NEAR(sums_[1] / count_, 0, sigmas * std::sqrt(1 / count_));
    EXPECT_NEAR(sums_[2] / count_, 1, sigmas * std::sqrt(2 / count_));
    EXPECT_NEAR(sums_[3] / count_, 0, sigmas * std::sqrt(15 / count_));
    EXPECT_NEAR(sums_[4] / count_, 3, sigmas * std::sqrt(96 / count_));

    double below = 0, distance = 0, anderson = 0, last = 0;
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      below += static_cast<double>(cells_[i]);
      const double end = static_cast<double>(i + 1) / cells_per_unit - reach;
      const double left = normal_distribution(end), right = normal_distribution(-end);
      const double deviation = below / count_ - left;
      distance = std::max(distance, std::abs(deviation));
      // Cells in which less than one number is expected say nothing, but divide by next to nothing.
      if (left * count_ > 1 && right * count_ > 1) {
        anderson += count_ * deviation * deviation / (left * right) * (left - last);
      }
      last = left;
    }
    EXPECT_EQ(below, count_);
    EXPECT_LT(distance * std::sqrt(count_), 2.47);  // 2 exp(-2 d^2) = 1e-5
    EXPECT_LT(anderson, 10.0);                      // p about 1e-5

    for (const double t : {1.0, 2.0, 3.0, 4.0, 4.5, 5.0, 5.5, 6.0, 6.25, 6.5, 6.6}) {
      const double expected = count_ * std::erfc(t / std::numbers::sqrt2);
      const double tolerance = sigmas * std::sqrt(expected) + 2;
      EXPECT_NEAR(beyond(t), expected, tolerance) << t;
    }
  }

 private:
  double beyond(double t) const {
    const auto cell = [](double z) {
      return static_cast<std::ptrdiff_t>((z + reach) * cells_per_unit);
    };
    const double lower = std::accumulate(cells_.begin(), cells_.begin() + cell(-t), 0.0);
    return std::accumulate(cells_.begin() + cell(t), cells_.end(), lower);
  }

  std::vector<std::uint32_t> cells_ =
      std::vector<std::uint32_t>(static_cast<std::size_t>(2 * reach * cells_per_unit));
  double sums_[5] = {};
  double count_ = 0;
};

// 10^9 numbers, a chunk of a thousandth from each of a thousand draws.
template <class S>
void check_law(noise_key key) {
  census seen;
  std::vector<S> chunk(1'000'000);
  for (key.draw = 0; key.draw < 1000; ++key.draw) {
    fill_normal<S>(key, 0, chunk);
    seen.add(chunk);
  }
  seen.expect_normal();
}

TEST(on_demand, DISABLED_law_of_float_normals) { check_law<float>({2025, 0, 0}); }
TEST(on_demand, DISABLED_law_of_double_normals) { check_law<double>({2025, 0, 0}); }

// The battery of Brown, Eddelbuettel and Bauer, Debian's package dieharder, on the words that
// become float normals, in the order of their counters. "FAILED" is p < 1e-6 or p > 1 - 1e-6.
TEST(on_demand, DISABLED_dieharder_passes_the_uniform_words) {
  const std::string report = testing::TempDir() + "/dieharder.txt";
  std::signal(SIGPIPE, SIG_IGN);  // dieharder stops reading when it is done
  FILE* const battery = popen(("dieharder -a -g 200 > " + report).c_str(), "w");
  ASSERT_NE(battery, nullptr);

  constexpr std::size_t counters = 1 << 14;
  std::vector<std::uint32_t> block(4 * counters);
  const detail::philox_stream stream({2025, 0, 0});
  std::uint64_t first = 0;
  do {
    for (std::size_t i = 0; i < counters; i += detail::float_lanes) {
      const std::uint64_t tile = (first + i) / detail::counters_per_tile;
      const detail::word_packets packets = detail::philox_packets(
          stream, detail::tile_at(stream, detail::purpose::normal_float, tile),
          (first + i) % detail::counters_per_tile);
      for (std::size_t w = 0; w < 4; ++w) {
        std::uint32_t words[detail::float_lanes];
        std::memcpy(words, &packets.word[w], sizeof words);
        for (std::size_t lane = 0; lane < detail::float_lanes; ++lane) {
          block[4 * (i + lane) + w] = words[lane];
        }
      }
    }
    first += counters;
  } while (std::fwrite(block.data(), 4, block.size(), battery) == block.size());
  pclose(battery);

  std::size_t assessed = 0;
  std::ifstream lines(report);
  for (std::string line; std::getline(lines, line);) {
    std::puts(line.c_str());
    assessed += line.find("PASSED") != line.npos || line.find("WEAK") != line.npos;
    EXPECT_EQ(line.find("FAILED"), line.npos) << line;
  }
  EXPECT_GT(assessed, 100u);
}

}  // namespace
