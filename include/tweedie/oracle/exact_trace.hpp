// An oracle as the denoiser whose likelihood solve/likelihood.hpp integrates, with the exact divergence:
// at alpha = 1 and noise level u, tr dD/dx = tr Cov[x0 | x] / u^2.
#pragma once

#include <Eigen/Core>

#include "tweedie/oracle/distribution.hpp"
#include "tweedie/solve/likelihood.hpp"

namespace tweedie::oracle {

/// To be passed to `log_likelihood`. Holds a reference: the oracle has to live as long.
template <distribution Data>
auto exact_trace(const Data& data) {
  return [&data](const Eigen::MatrixXd& x, double u) {
    denoised_with_trace out;
    out.clean = data.denoise({1, u}, x);
    const auto at = [&](Eigen::Index i) {
      return covariance(data, {1, u}, Eigen::VectorXd(x.col(i))).trace() / (u * u);
    };
    if constexpr (requires { data.posterior_covariance(signal_noise{}); }) {  // the same for all
      out.trace.setConstant(x.cols(), x.cols() > 0 ? at(0) : 0);
    } else {
      out.trace.resize(x.cols());
      for (Eigen::Index i = 0; i < x.cols(); ++i) out.trace[i] = at(i);
    }
    return out;
  };
}
template <distribution Data>
auto exact_trace(const Data&&) = delete;

}  // namespace tweedie::oracle
