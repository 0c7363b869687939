#include "precompiled.hpp"

namespace Eigen {

template class SelfAdjointEigenSolver<MatrixXd>;
template class SelfAdjointEigenSolver<MatrixXf>;
template class BDCSVD<MatrixXd>;
template class CompleteOrthogonalDecomposition<MatrixXd>;

}  // namespace Eigen
