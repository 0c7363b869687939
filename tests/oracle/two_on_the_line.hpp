// Two Gaussians on the line, the second twice as likely.
#pragma once

#include "tweedie/oracle/mixture.hpp"

namespace tweedie {

inline Eigen::VectorXd one(double v) { return Eigen::VectorXd::Constant(1, v); }

inline oracle::mixture<double> two_on_the_line() {
  const auto variance = [](double v) -> Eigen::MatrixXd {
    return Eigen::MatrixXd::Constant(1, 1, v);
  };
  return oracle::mixture<double>({{1, one(-1), variance(0.1)}, {2, one(0.8), variance(0.2)}});
}

}  // namespace tweedie
