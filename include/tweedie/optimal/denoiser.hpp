// Denoisers as functions of many samples at once, one column a sample: what an oracle is, and what a
// network becomes by `denoiser_of`.
#pragma once

#include <Eigen/Core>
#include <concepts>
#include <utility>

#include "tweedie/program/recorder.hpp"
#include "tweedie/solve/run.hpp"

namespace tweedie {

/// denoise(node, x) = E[x0 | x], for each column of x at noise level node.level.
template <class Denoiser>
concept batch_denoiser =
    std::is_invocable_r_v<Eigen::MatrixXd, const Denoiser&, const node&, const Eigen::MatrixXd&>;

/// A network, as `run` calls it, as a denoiser: evaluate(input view, time, output view) on matrices of
/// `Scalar` whose columns are samples.
template <class Scalar = float, class Evaluate>
auto denoiser_of(network_description network, Evaluate evaluate) {
  return [network = std::move(network), evaluate = std::move(evaluate)](
             const node& at, const Eigen::MatrixXd& x) -> Eigen::MatrixXd {
    recorder r(at);
    const program one_call = r.finish(r.evaluate(r.state(), at).clean);
    Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> samples = x.template cast<Scalar>();
    run(one_call, network, samples, evaluate);
    return samples.template cast<double>();
  };
}

/// The samples that a deterministic program makes from x, one column a sample.
template <batch_denoiser Denoiser>
Eigen::MatrixXd run_denoiser(const program& plan, const Denoiser& denoise,
                             const Eigen::MatrixXd& x) {
  sampling<Eigen::MatrixXd> s(plan, {.prediction = predicts_sample}, x);
  while (s.next()) s.output() = denoise(s.at(), s.input());
  return s.state();
}

}  // namespace tweedie
