// What a program makes of data that are not Gaussian, with their exact denoiser. There is no closed form;
// these two say in their name what they are instead.
//
//   particle_law         runs the program on many starts: any program, any oracle; errors fall as 1/sqrt(n)
//   moment_matched_law   a mixture on the line: the start is cut into narrow Gaussians, each is carried by
//                        program/law.hpp with the affine map that fits the denoiser best where the state
//                        is, in mean square (statistical linearisation: gain E[D (x - m)]/v, so that mean
//                        and regression are matched)
//
// The second draws nothing. Deterministic programs: the error of mean and variance falls as the fourth power
// of the pieces' width.
// Programs that draw widen the pieces again: then it is an approximation, exact for Gaussian data.
//
// On the line only: cut along d axes a start has as many pieces as the d-th power, each with a covariance and an
// affine fit of its own by a d-dimensional integral, and carried whole, uncut, a mixture keeps an error that nothing
// tells. In more dimensions `particle_law` is the form; data that are a product keep the programs of their axes apart,
// and have a law on each line.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "tweedie/oracle/distribution.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/program/generated.hpp"
#include "tweedie/solve/run.hpp"

namespace tweedie::oracle {

/// Samples of a program, one a column, with what they say of its law.
struct particles {
  Eigen::MatrixXd samples;
  Eigen::VectorXd mean;
  Eigen::VectorXd mean_error;  ///< standard errors
  Eigen::MatrixXd covariance;
};

/// Runs `plan` with the exact denoiser from `count` starts, which are noised data or pure noise. Data,
/// starts and the program's noise are those of the seed.
/// \throws std::invalid_argument for fewer than 2 particles, and as `run`.
template <distribution Data>
particles particle_law(const program& plan, const Data& data, Eigen::Index count,
                       std::uint64_t seed, start_law start = start_law::marginal) {
  detail::require(count >= 2, "particle_law", "count", static_cast<double>(count),
                  "valid: at least 2");
  const auto [alpha, sigma] = plan.start.level;
  Eigen::MatrixXd x(data.dimension(), count);
  fill_standard_normal(x, seed);
  x *= sigma;
  if (start == start_law::marginal) x += alpha * data.sample(count, sample_key{seed});
  sampling<Eigen::MatrixXd> s(plan, {.prediction = predicts_sample}, x, gaussian_noise{seed});
  while (s.next()) s.output() = data.denoise(s.at().level, s.input());
  particles out;
  out.samples = s.state();
  out.mean = out.samples.rowwise().mean();
  const Eigen::MatrixXd off = out.samples.colwise() - out.mean;
  const auto n = static_cast<double>(count);
  out.covariance = off * off.transpose() / (n - 1);
  out.mean_error = (out.covariance.diagonal() / n).cwiseSqrt();
  return out;
}

/// The law of `plan` on a mixture on the line, approximately, as a mixture.
/// \param width deviation of the pieces the start is cut into, in deviations of each of its Gaussians;
///   1 does not cut
/// \throws std::invalid_argument for data of another dimension, unless 0.001 <= width <= 0.5 or it is 1,
///   and as `law`.
template <class Scalar>
mixture<Scalar> moment_matched_law(const program& plan, const mixture<Scalar>& data,
                                   double width = 0.05, start_law start = start_law::marginal) {
  using vector = typename mixture<Scalar>::vector;
  using matrix = typename mixture<Scalar>::matrix;
  constexpr const char* name = "moment_matched_law";
  detail::require(data.dimension() == 1, name, "dimension", static_cast<double>(data.dimension()),
                  "valid: 1");
  detail::require((width >= 0.001 && width <= 0.5) || width == 1, name, "width", width,
                  "valid: 0.001 <= width <= 0.5, or 1");
  // The best affine map of the denoiser under N(mean, variance), by the trapezoidal rule.
  const auto fit = [&](const node& at, scalar_law state) -> affine_denoiser {
    constexpr int half = 24;
    constexpr double step = 0.3;
    const double deviation = std::sqrt((std::max)(state.variance, 0.0));
    matrix x(1, 2 * half + 1);
    Eigen::ArrayXd weights(x.cols());
    for (int i = -half; i <= half; ++i) {
      x(0, i + half) = static_cast<Scalar>(state.mean + deviation * step * i);
      weights[i + half] = std::exp(-step * step * i * i / 2);
    }
    weights /= weights.sum();
    const Eigen::ArrayXd clean =
        data.denoise(at.level, x).row(0).transpose().template cast<double>();
    const double mean = (weights * clean).sum();
    if (deviation == 0) return {0, mean};
    const Eigen::ArrayXd off = x.row(0).transpose().array().template cast<double>() - state.mean;
    const double gain = (weights * clean * off).sum() / (weights * off.square()).sum();
    return {gain, mean - gain * state.mean};
  };
  std::vector<component<Scalar>> made;
  const auto carry = [&](double weight, scalar_law piece) {
    const scalar_law end = law(plan, fit, piece).result;
    made.push_back({static_cast<Scalar>(weight), vector::Constant(1, static_cast<Scalar>(end.mean)),
                    matrix::Constant(1, 1, static_cast<Scalar>((std::max)(end.variance, 0.0)))});
  };
  // N(m, v) as pieces of deviation width sqrt(v), whose centres, as far apart, have the variance left.
  const double between = std::sqrt(1 - width * width);
  const int pieces = static_cast<int>(std::ceil(7 * between / width));
  const auto cut = [&](double share, scalar_law axis) {
    const scalar_law from = law_of_start(plan, axis, start);
    const double deviation = std::sqrt(from.variance);
    for (int i = -pieces; i <= pieces; ++i) {
      const double u = i * width;
      const double weight = pieces == 0
                                ? share
                                : share * width / between / std::sqrt(2 * std::numbers::pi) *
                                      std::exp(-u * u / (2 * between * between));
      carry(weight, {from.mean + deviation * u, from.variance * width * width});
    }
  };
  if (start == start_law::prior)
    cut(1, {});
  else
    for (std::size_t k = 0; k < data.components(); ++k)
      cut(static_cast<double>(data.weight(k)),
          {static_cast<double>(data.mean(k)[0]), static_cast<double>(data.covariance(k)(0, 0))});
  return mixture<Scalar>(made);
}

}  // namespace tweedie::oracle
