// Diffusion of tokens: corruption and its reversal, samplers, training objectives and exact text
// models. It needs nothing but Eigen.
#pragma once

#include "tweedie/discrete/ancestral.hpp"
#include "tweedie/discrete/categorical.hpp"
#include "tweedie/discrete/chain_bound.hpp"
#include "tweedie/discrete/exact_text.hpp"
#include "tweedie/discrete/flow_matching.hpp"
#include "tweedie/discrete/guidance.hpp"
#include "tweedie/discrete/jump.hpp"
#include "tweedie/discrete/masked_bound.hpp"
#include "tweedie/discrete/order.hpp"
#include "tweedie/discrete/proposal.hpp"
#include "tweedie/discrete/random.hpp"
#include "tweedie/discrete/rates.hpp"
#include "tweedie/discrete/score_entropy.hpp"
#include "tweedie/discrete/survival.hpp"
#include "tweedie/discrete/token_kernel.hpp"
#include "tweedie/discrete/tokens.hpp"
#include "tweedie/discrete/transition_matrix.hpp"
#include "tweedie/discrete/unmasking.hpp"
