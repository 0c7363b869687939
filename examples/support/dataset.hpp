// Labelled pictures.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <vector>

#include "png.hpp"

namespace support {

struct dataset {
  Eigen::MatrixXf pictures;  // one per column: pixels row by row, −1 black to 1 white
  std::vector<int> labels;
  tile_size tile{0, 0};

  int classes() const { return 1 + *std::max_element(labels.begin(), labels.end()); }
};

}  // namespace support
