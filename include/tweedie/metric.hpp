// Distances between distributions and between sets of points, and what a set of points is worth. It
// needs nothing but Eigen.
#pragma once

#include "tweedie/metric/discrepancy.hpp"
#include "tweedie/metric/divergence.hpp"
#include "tweedie/metric/diversity.hpp"
#include "tweedie/metric/frechet.hpp"
#include "tweedie/metric/information.hpp"
#include "tweedie/metric/neighbours.hpp"
#include "tweedie/metric/pairs.hpp"
#include "tweedie/metric/trajectory.hpp"
#include "tweedie/metric/transport.hpp"
#include "tweedie/metric/wasserstein.hpp"
