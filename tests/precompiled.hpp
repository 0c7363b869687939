// What all tests share. A decomposition takes seconds to compile, in every test that uses it: they are
// compiled once, in precompiled.cpp.
#pragma once

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <unsupported/Eigen/CXX11/Tensor>

namespace Eigen {

extern template class SelfAdjointEigenSolver<MatrixXd>;
extern template class SelfAdjointEigenSolver<MatrixXf>;
extern template class BDCSVD<MatrixXd>;
extern template class CompleteOrthogonalDecomposition<MatrixXd>;

}  // namespace Eigen
