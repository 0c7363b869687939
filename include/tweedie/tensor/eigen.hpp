// Eigen's core, of a version that will do.
#pragma once

#include "tweedie/requirements.hpp"

#include <Eigen/Core>

#if !EIGEN_VERSION_AT_LEAST(3, 4, 0)
#error "tweedie needs Eigen 3.4 or later: an older one stands first on the include path"
#include <tweedie/needs_eigen_3.4>
#endif
