// What would someone read? The label of the nearest real picture answers for them.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <vector>

#include "dataset.hpp"

namespace digits {

// The label of the picture of `data` nearest to each column.
inline std::vector<int> nearest_labels(const dataset& data, const Eigen::MatrixXf& pictures) {
  const Eigen::VectorXf squares = data.pictures.colwise().squaredNorm();
  std::vector<int> labels;
  constexpr Eigen::Index block = 64;  // keeps the table of distances small
  Eigen::MatrixXf distances;
  for (Eigen::Index first = 0; first < pictures.cols(); first += block) {
    const auto part = pictures.middleCols(first, std::min(block, pictures.cols() - first));
    distances.noalias() = data.pictures.transpose() * part * -2.0f;
    distances.colwise() += squares;
    for (Eigen::Index i = 0; i < part.cols(); ++i) {
      Eigen::Index nearest = 0;
      distances.col(i).minCoeff(&nearest);
      labels.push_back(data.labels[static_cast<std::size_t>(nearest)]);
    }
  }
  return labels;
}

// Share of `pictures` whose nearest real picture has the wanted label.
inline double nearest_accuracy(const dataset& data, const Eigen::MatrixXf& pictures,
                               const std::vector<int>& wanted) {
  const std::vector<int> read = nearest_labels(data, pictures);
  std::size_t right = 0;
  for (std::size_t i = 0; i < read.size(); ++i) right += read[i] == wanted[i] ? 1U : 0U;
  return static_cast<double>(right) / static_cast<double>(read.size());
}

}  // namespace digits
