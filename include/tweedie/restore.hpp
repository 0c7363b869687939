// Linear inverse problems with a denoiser as the prior: measurements as operators, and the published
// ways of moving x0 estimates and states towards them. It needs nothing but Eigen.
#pragma once

#include "tweedie/restore/conjugate_gradients.hpp"
#include "tweedie/restore/decoupled.hpp"
#include "tweedie/restore/flow.hpp"
#include "tweedie/restore/operators.hpp"
#include "tweedie/restore/posterior.hpp"
#include "tweedie/restore/red_diff.hpp"
#include "tweedie/restore/spectral.hpp"
