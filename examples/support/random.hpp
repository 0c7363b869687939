// Random numbers of the library, one draw of a seed after another: the same with every compiler and
// standard library, whose distributions differ.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "tweedie/tensor/random.hpp"

namespace support {

class random_draws {
 public:
  explicit random_draws(std::uint64_t seed) : seed_(seed) {}

  // Standard normals.
  template <class Tensor>
  void fill_normal(Tensor& tensor) {
    tweedie::fill_standard_normal(tensor, seed_, next_++);
  }
  // In [0, 1).
  std::vector<double> uniform(Eigen::Index count) {
    std::vector<double> values(static_cast<std::size_t>(count));
    tweedie::fill_standard_uniform(values, seed_, next_++);
    return values;
  }
  // Indices below `end`.
  std::vector<Eigen::Index> below(Eigen::Index end, Eigen::Index count) {
    std::vector<Eigen::Index> values;
    for (const double u : uniform(count))
      values.push_back(static_cast<Eigen::Index>(u * static_cast<double>(end)));
    return values;
  }

 private:
  std::uint64_t seed_;
  std::uint32_t next_ = 0;
};

}  // namespace support
