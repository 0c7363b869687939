// All pairs of two sets of points, block by block: inner products as products of matrices.
//
//   |x - y|^2 = |x|^2 + |y|^2 - 2 x.y
//
// Points are columns. Where little is left of the right-hand side the distance is taken from the
// difference, so that equal points have distance 0 and near ones keep their digits. Memory beside
// the points: one block.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <string>

#include "tweedie/schedule/error.hpp"

namespace tweedie {

/// What kernels and distances see of two points.
struct point_pair {
  double product = 0;           ///< x.y
  double squared_distance = 0;  ///< |x - y|^2
  Eigen::Index dimension = 0;
};

namespace detail {

/// At least `least` finite points each, of one dimension.
template <class First, class Second>
void require_points(const char* function, const Eigen::MatrixBase<First>& first,
                    const Eigen::MatrixBase<Second>& second, Eigen::Index least) {
  if (first.rows() != second.rows())
    fail(function, "rows of the second", static_cast<double>(second.rows()),
         "valid: the dimension of the first, " + std::to_string(first.rows()));
  const Eigen::Index points = (std::min)(first.cols(), second.cols());
  if (points < least)
    fail(function, "points", static_cast<double>(points),
         "valid: at least " + std::to_string(least));
  if (!first.allFinite() || !second.allFinite()) fail(function, "points must be finite");
}

/// visit(i, j, pair) for the columns i of x and j of y, or, where `lower`, for those with i > j.
/// The order and the bits of a pair depend on the two numbers of points alone.
template <class Visit, class Matrix>
void visit_pairs(const Matrix& x, const Matrix& y, bool lower, const Visit& visit) {
  constexpr Eigen::Index block = 256;
  const Eigen::VectorXd x_squares = x.colwise().squaredNorm(),
                        y_squares = y.colwise().squaredNorm();
  Matrix products;
  for (Eigen::Index column = 0; column < y.cols(); column += block) {
    const Eigen::Index columns = (std::min)(block, y.cols() - column);
    for (Eigen::Index row = lower ? column : 0; row < x.cols(); row += block) {
      const Eigen::Index rows = (std::min)(block, x.cols() - row);
      products.noalias() = x.middleCols(row, rows).transpose() * y.middleCols(column, columns);
      for (Eigen::Index j = 0; j < columns; ++j)
        for (Eigen::Index i = 0; i < rows; ++i) {
          if (lower && row + i <= column + j) continue;
          const double product = products(i, j), sizes = x_squares[row + i] + y_squares[column + j];
          double distance = sizes - 2 * product;
          if (distance < 1e-4 * sizes)
            distance = (x.col(row + i) - y.col(column + j)).squaredNorm();
          visit(row + i, column + j, point_pair{product, distance, x.rows()});
        }
    }
  }
}

}  // namespace detail

}  // namespace tweedie
