// Editing pictures and sampling beyond a network's size: known regions and change maps, windows,
// correlated noise. It needs nothing but Eigen.
#pragma once

#include "tweedie/edit/correlated_noise.hpp"
#include "tweedie/edit/inversion.hpp"
#include "tweedie/edit/known_region.hpp"
#include "tweedie/edit/windows.hpp"
