// Data whose diffusion model is known exactly: denoisers, scores, flows and likelihoods to test
// samplers and networks against. It needs nothing but Eigen.
#pragma once

#include "tweedie/oracle/empirical.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/oracle/point.hpp"
#include "tweedie/oracle/quantile.hpp"
