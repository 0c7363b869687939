// The mathematics of conditioning a network: attention, low-rank updates, control residuals,
// modulation, positions, blocks of pixels. Networks themselves are the user's. It needs nothing but Eigen.
#pragma once

#include "tweedie/conditioning/attention.hpp"
#include "tweedie/conditioning/attention_control.hpp"
#include "tweedie/conditioning/classifier.hpp"
#include "tweedie/conditioning/control.hpp"
#include "tweedie/conditioning/embedding.hpp"
#include "tweedie/conditioning/image.hpp"
#include "tweedie/conditioning/low_rank.hpp"
#include "tweedie/conditioning/modulation.hpp"
#include "tweedie/conditioning/position.hpp"
#include "tweedie/conditioning/rendering.hpp"
