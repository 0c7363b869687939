// Moments of pictures in 256 shades, as integers: sums that are the same in any order, so on any number of machines.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <vector>

#include "tweedie/metric/frechet.hpp"

namespace many_machines {

struct moments {
  explicit moments(Eigen::Index pixels)
      : size(pixels), sums(static_cast<std::size_t>(2 + pixels + pixels * pixels)) {}

  // Pictures of -1 to 1, one a column. Products of shades of at most 258 pictures are exact in float.
  void add(const Eigen::MatrixXf& pictures, std::uint64_t first) {
    for (Eigen::Index start = 0; start < pictures.cols(); start += 250) {
      const auto some =
          pictures.middleCols(start, (std::min<Eigen::Index>)(250, pictures.cols() - start));
      const Eigen::MatrixXf shades = ((some.array() + 1) * 127.5f).round();
      sums[0] += some.cols();
      mean() += shades.rowwise().sum().cast<std::int64_t>();
      products() += (shades * shades.transpose()).eval().cast<std::int64_t>();
      for (Eigen::Index i = 0; i < some.cols(); ++i) {
        // Each picture has a hash of its bits and its number; their sum knows no order.
        std::uint64_t hash = first + static_cast<std::uint64_t>(start + i);
        for (const float v : some.col(i))
          hash = (hash ^ std::bit_cast<std::uint32_t>(v)) * 0x9e3779b97f4a7c15;
        sums[1] =
            static_cast<std::int64_t>(static_cast<std::uint64_t>(sums[1]) + (hash ^ hash >> 32));
      }
    }
  }

  std::int64_t count() const { return sums[0]; }
  std::uint64_t hash() const { return static_cast<std::uint64_t>(sums[1]); }

  // In shades.
  tweedie::point_moments result() {
    const auto n = static_cast<double>(count());
    const Eigen::VectorXd m = mean().cast<double>() / n;
    return {m, (products().cast<double>() - n * m * m.transpose()) / (n - 1)};
  }

  Eigen::Index size;
  std::vector<std::int64_t> sums;  // number, hash, sum of each pixel, of each product of two

 private:
  using vector = Eigen::Matrix<std::int64_t, Eigen::Dynamic, 1>;
  using matrix = Eigen::Matrix<std::int64_t, Eigen::Dynamic, Eigen::Dynamic>;
  Eigen::Map<vector> mean() { return {sums.data() + 2, size}; }
  Eigen::Map<matrix> products() { return {sums.data() + 2 + size, size, size}; }
};

}  // namespace many_machines
