// Linear inverse problems with a denoiser as the prior: measurements as operators, and the published
// ways of moving x0 estimates towards them. It needs nothing but Eigen.
#pragma once

#include "tweedie/restore/operators.hpp"
#include "tweedie/restore/posterior.hpp"
