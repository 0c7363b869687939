// Better steps for a model of your own: grids and programs fitted to a spectrum, to recorded pilot
// runs or to the model itself. It needs nothing but Eigen.
#pragma once

#include "tweedie/optimal/denoiser.hpp"
#include "tweedie/optimal/grid.hpp"
#include "tweedie/optimal/least_cost_path.hpp"
#include "tweedie/optimal/least_squares.hpp"
#include "tweedie/optimal/multistep_form.hpp"
#include "tweedie/optimal/pilot.hpp"
#include "tweedie/optimal/program.hpp"
#include "tweedie/optimal/published_pairs.hpp"
#include "tweedie/optimal/recorded_ways.hpp"
