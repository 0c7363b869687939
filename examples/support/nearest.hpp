// What would someone read? The label of the nearest real picture answers for them.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <vector>

#include "dataset.hpp"

namespace support {

// For each column the nearest picture of `data`, and how far it is.
struct neighbour {
  Eigen::Index index;
  double distance;
};
inline std::vector<neighbour> nearest_pictures(const dataset& data,
                                               const Eigen::MatrixXf& pictures) {
  const Eigen::VectorXf squares = data.pictures.colwise().squaredNorm();
  std::vector<neighbour> found;
  constexpr Eigen::Index block = 64;  // keeps the table of distances small
  Eigen::MatrixXf distances;
  for (Eigen::Index first = 0; first < pictures.cols(); first += block) {
    const auto part = pictures.middleCols(first, std::min(block, pictures.cols() - first));
    distances.noalias() = data.pictures.transpose() * part * -2.0f;
    distances.colwise() += squares;
    for (Eigen::Index i = 0; i < part.cols(); ++i) {
      Eigen::Index nearest = 0;
      distances.col(i).minCoeff(&nearest);
      found.push_back(
          {nearest, static_cast<double>((data.pictures.col(nearest) - part.col(i)).norm())});
    }
  }
  return found;
}

// Share of `pictures` whose nearest real picture has the wanted label.
inline double nearest_accuracy(const dataset& data, const Eigen::MatrixXf& pictures,
                               const std::vector<int>& wanted) {
  const std::vector<neighbour> found = nearest_pictures(data, pictures);
  std::size_t right = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    right += data.labels[static_cast<std::size_t>(found[i].index)] == wanted[i] ? 1U : 0U;
  return static_cast<double>(right) / static_cast<double>(found.size());
}

}  // namespace support
