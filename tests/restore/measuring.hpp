#pragma once

#include <Eigen/Core>

namespace tweedie_test {

// Two measurements of three values.
inline const Eigen::MatrixXd& measuring() {
  static const Eigen::MatrixXd a = (Eigen::MatrixXd(2, 3) << 1, 0.5, 0, 0, 1, -1).finished();
  return a;
}

}  // namespace tweedie_test
