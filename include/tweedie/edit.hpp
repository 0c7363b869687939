// Editing pictures and sampling beyond a network's size: known regions and change maps, references, exact and
// controlled inversion, null text, edits without inversion, windows, frames at levels of their own, correlated noise. It
// needs nothing but Eigen.
#pragma once

#include "tweedie/edit/answer_step.hpp"
#include "tweedie/edit/correlated_noise.hpp"
#include "tweedie/edit/exact_inversion.hpp"
#include "tweedie/edit/flow_edit.hpp"
#include "tweedie/edit/flow_inversion.hpp"
#include "tweedie/edit/inversion.hpp"
#include "tweedie/edit/known_region.hpp"
#include "tweedie/edit/low_frequencies.hpp"
#include "tweedie/edit/null_text.hpp"
#include "tweedie/edit/staggered.hpp"
#include "tweedie/edit/windows.hpp"
#include "tweedie/solve/adam.hpp"
