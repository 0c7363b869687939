// All of guidance: rules that weigh the outputs of a network, what applies them, and mixers.
#pragma once

#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/guidance/corrected.hpp"
#include "tweedie/guidance/exact.hpp"
#include "tweedie/guidance/frequency.hpp"
#include "tweedie/guidance/guided_outputs.hpp"
#include "tweedie/guidance/particle_weights.hpp"
#include "tweedie/guidance/particles.hpp"
#include "tweedie/guidance/projected.hpp"
#include "tweedie/guidance/regional.hpp"
#include "tweedie/guidance/rule.hpp"
#include "tweedie/guidance/several.hpp"
#include "tweedie/guidance/threshold.hpp"
#include "tweedie/guidance/twisted.hpp"
