// Diffusion in continuous time: stochastic differential equations and their steppers, bridges, Langevin dynamics,
// the heat equation. It needs nothing but Eigen.
#pragma once

#include "tweedie/continuous/annealed_langevin.hpp"
#include "tweedie/continuous/bridge.hpp"
#include "tweedie/continuous/critically_damped.hpp"
#include "tweedie/continuous/heat.hpp"
#include "tweedie/continuous/langevin_dynamics.hpp"
#include "tweedie/continuous/sde.hpp"
