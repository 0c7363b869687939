// Data whose diffusion model is known exactly: denoisers, scores, flows and likelihoods to test
// samplers and networks against, and the log-likelihood of any denoiser. It needs nothing but Eigen.
#pragma once

#include "tweedie/oracle/distribution.hpp"
#include "tweedie/oracle/empirical.hpp"
#include "tweedie/oracle/exact_trace.hpp"
#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/oracle/line.hpp"
#include "tweedie/oracle/linear_inverse.hpp"
#include "tweedie/oracle/linear_vae.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/oracle/point.hpp"
#include "tweedie/oracle/product.hpp"
#include "tweedie/oracle/program_law.hpp"
#include "tweedie/oracle/quantile.hpp"
#include "tweedie/oracle/reverse_kernel.hpp"
#include "tweedie/oracle/sample_key.hpp"
#include "tweedie/oracle/stationary.hpp"
#include "tweedie/solve/information.hpp"
#include "tweedie/solve/likelihood.hpp"
#include "tweedie/solve/ode.hpp"
