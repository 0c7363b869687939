// A training set as data distribution: the denoiser a network reaches by memorising it.
//
//   x0 ~ sum_i w_i delta(x_i),  x = alpha x0 + sigma z
//   E[x0|x] = sum_i softmax_i(log w_i - |x - alpha x_i|^2 / (2 sigma^2)) x_i
//   (Karras et al. 2022, appendix B.3)
//
// The limit of oracle/mixture.hpp for vanishing covariances. Every probability-flow trajectory ends
// in a training point. Points are columns; sigma > 0 everywhere; O(points * dimension) per column.
//
// `denoise` and `score` take 32 columns of x at a time and go through blocks of 512 points with matrix
// products and a softmax that is carried along (Milakov and Gimelshein 2018), so that beside points, x and
// the answer a thread takes 32 (512 + 2 dimension) numbers, and all together two for each point. Threads
// share out the columns; the bits are those of one thread. Distances by
// products, |x|^2 - 2 alpha x^T x_i + alpha^2 |x_i|^2, lose digits at small sigma: those that count are
// then taken again as |x - alpha x_i|^2.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>

#include "tweedie/oracle/sample_key.hpp"
#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie::oracle {

/// Calls work(i) for each i below a count, on any threads.
template <class Threads>
concept column_threads = requires(Threads& threads, void (*work)(std::size_t)) {
  threads.for_each(std::size_t(1), work);
};

/// Exact denoiser, score and density of a finite set of points (columns).
template <class Scalar>
class empirical {
  struct own_thread {
    template <class Work>
    void for_each(std::size_t count, const Work& work) const {
      for (std::size_t i = 0; i < count; ++i) work(i);
    }
  };

 public:
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  using mask = Eigen::Array<bool, Eigen::Dynamic, 1>;

  /// Equally likely points.
  explicit empirical(const matrix& points) : empirical(points, vector::Ones(points.cols())) {}

  /// Points with positive weights, which need not be normalised.
  /// \throws std::invalid_argument for no points, points that are not finite, a number of weights
  /// that differs, or weights that are not positive or whose sum is not finite.
  empirical(matrix points, const vector& weights) : points_(std::move(points)) {
    if (points_.size() == 0) detail::fail("empirical", "no points; valid: at least one");
    detail::require(weights.size() == points_.cols(), "empirical", "weights",
                    static_cast<double>(weights.size()), "valid: one for each point");
    if (!points_.allFinite()) detail::fail("empirical", "points must be finite");
    const Scalar total = weights.sum();
    detail::require(std::isfinite(total), "empirical", "sum of the weights",
                    static_cast<double>(total), "valid: finite");
    detail::require(weights.minCoeff() > 0, "empirical", "weight",
                    static_cast<double>(weights.minCoeff()), "valid: weight > 0");
    log_weights_ = (weights / total).array().log().matrix();
    squares_ = points_.colwise().squaredNorm().transpose();
  }

  const matrix& points() const { return points_; }
  Eigen::Index dimension() const { return points_.rows(); }

  /// Probability of each point given x.
  vector responsibilities(signal_noise level, const vector& x) const {
    const vector logits = log_joint("empirical::responsibilities", level, x);
    const vector e = (logits.array() - logits.maxCoeff()).exp().matrix();
    return e / e.sum();
  }

  /// E[x0 | x], for each column of x.
  matrix denoise(signal_noise level, const matrix& x) const {
    return streamed(level, x, nullptr, own_thread{});
  }

  /// The same, shared out among threads: `workers`, or what else has its for_each(count, work).
  template <column_threads Threads>
  matrix denoise(signal_noise level, const matrix& x, Threads& threads) const {
    return streamed(level, x, nullptr, threads);
  }

  /// E[x0 | x, x0 one of the points where `mask` is true], for example those of a class.
  /// \throws std::invalid_argument unless the mask has one entry a point, one of them true.
  matrix denoise(signal_noise level, const matrix& x, const mask& among) const {
    return denoise(level, x, among, own_thread{});
  }
  template <column_threads Threads>
  matrix denoise(signal_noise level, const matrix& x, const mask& among, Threads&& threads) const {
    detail::require(among.size() == points_.cols(), "empirical::denoise", "mask",
                    static_cast<double>(among.size()), "valid: one entry for each point");
    if (!among.any()) detail::fail("empirical::denoise", "the mask leaves no point");
    return streamed(level, x, &among, threads);
  }

  /// Gradient of log p, for each column of x, by Tweedie's formula.
  matrix score(signal_noise level, const matrix& x) const {
    const auto alpha = static_cast<Scalar>(level.alpha);
    const auto sigma = static_cast<Scalar>(level.sigma);
    return (alpha * denoise(level, x) - x) / (sigma * sigma);
  }

  /// log p(x).
  Scalar log_density(signal_noise level, const vector& x) const {
    const vector logits = log_joint("empirical::log_density", level, x);
    const Scalar top = logits.maxCoeff();
    const auto variance = static_cast<Scalar>(level.sigma * level.sigma);
    return top + std::log((logits.array() - top).exp().sum()) -
           static_cast<Scalar>(x.size()) * std::log(2 * std::numbers::pi_v<Scalar> * variance) / 2;
  }

  /// Cov[x0 | x].
  matrix posterior_covariance(signal_noise level, const vector& x) const {
    const vector r = responsibilities(level, x);
    const matrix off = points_.colwise() - points_ * r;
    return off * r.asDiagonal() * off.transpose();
  }

  /// Points drawn by their weights, one for each uniform in [0, 1).
  matrix sample(const vector& uniforms) const {
    vector below = log_weights_.array().exp().matrix();
    std::partial_sum(below.begin(), below.end(), below.begin());
    matrix out(dimension(), uniforms.size());
    for (Eigen::Index i = 0; i < uniforms.size(); ++i)
      out.col(i) = points_.col(std::upper_bound(below.begin(), below.end() - 1, uniforms[i]) -
                               below.begin());
    return out;
  }
  matrix sample(Eigen::Index count, sample_key key) const {
    return sample(detail::sample_uniforms<Scalar>("empirical::sample", count, key));
  }

 private:
  template <class Threads>
  matrix streamed(signal_noise level, const matrix& x, const mask* among, Threads&& threads) const {
    constexpr Eigen::Index width = 32;
    check("empirical::denoise", level, x.rows());
    matrix out(x.rows(), x.cols());
    threads.for_each(static_cast<std::size_t>((x.cols() + width - 1) / width), [&](std::size_t i) {
      const Eigen::Index first = static_cast<Eigen::Index>(i) * width;
      const Eigen::Index count = (std::min)(width, x.cols() - first);
      out.middleCols(first, count) = few_columns(level, x.middleCols(first, count), among);
    });
    return out;
  }

  matrix few_columns(signal_noise level, const matrix& x, const mask* among) const {
    constexpr Eigen::Index block = 512;
    const auto alpha = static_cast<Scalar>(level.alpha);
    const auto variance = static_cast<Scalar>(level.sigma * level.sigma);
    constexpr Scalar none = -std::numeric_limits<Scalar>::infinity();
    using row = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;
    const row x_squares = x.colwise().squaredNorm();
    // How wrong the logits of a column may be, and below the largest by how much one no longer counts.
    const row rounding = (4 * Eigen::NumTraits<Scalar>::epsilon() / variance *
                          (x_squares.array() + alpha * alpha * squares_.maxCoeff()))
                             .matrix();
    const Scalar bearable = std::sqrt(Eigen::NumTraits<Scalar>::epsilon()) / 100;

    matrix out = matrix::Zero(x.rows(), x.cols());
    row top = row::Constant(x.cols(), none);
    row sum = row::Zero(x.cols());
    for (Eigen::Index first = 0; first < points_.cols(); first += block) {
      const Eigen::Index count = (std::min)(block, points_.cols() - first);
      const auto points = points_.middleCols(first, count);
      matrix logits = (alpha / variance) * (points.transpose() * x);
      logits.colwise() += log_weights_.segment(first, count) -
                          alpha * alpha / (2 * variance) * squares_.segment(first, count);
      logits.rowwise() -= x_squares / (2 * variance);
      if (among)
        for (Eigen::Index i = 0; i < count; ++i)
          if (!(*among)[first + i]) logits.row(i).setConstant(none);
      for (Eigen::Index c = 0; c < x.cols(); ++c) {
        if (rounding[c] > bearable) {
          const Scalar least =
              (std::max)(top[c], logits.col(c).maxCoeff()) - (50 + 2 * rounding[c]);
          for (Eigen::Index i = 0; i < count; ++i)
            if (logits(i, c) > least)
              logits(i, c) = log_weights_[first + i] -
                             (x.col(c) - alpha * points.col(i)).squaredNorm() / (2 * variance);
        }
        const Scalar higher = (std::max)(top[c], logits.col(c).maxCoeff());
        if (higher == none) {
          logits.col(c).setZero();
          continue;
        }
        const Scalar kept = std::exp(top[c] - higher);
        logits.col(c) = (logits.col(c).array() - higher).exp().matrix();
        sum[c] = sum[c] * kept + logits.col(c).sum();
        out.col(c) *= kept;
        top[c] = higher;
      }
      out.noalias() += points * logits;
    }
    out.array().rowwise() /= sum.array();
    return out;
  }

  void check(const char* function, signal_noise level, Eigen::Index rows) const {
    detail::require(rows == points_.rows(), function, "rows of x", static_cast<double>(rows),
                    "valid: the dimension of the points");
    detail::require(level.sigma > 0, function, "sigma", level.sigma, "valid: sigma > 0");
  }

  vector log_joint(const char* function, signal_noise level, const vector& x) const {
    check(function, level, x.size());
    const auto alpha = static_cast<Scalar>(level.alpha);
    const auto sigma = static_cast<Scalar>(level.sigma);
    return log_weights_ - ((alpha * points_).colwise() - x).colwise().squaredNorm().transpose() /
                              (2 * sigma * sigma);
  }

  matrix points_;
  vector log_weights_;
  vector squares_;  // |x_i|^2
};

}  // namespace tweedie::oracle
