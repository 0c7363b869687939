// The exact denoiser of pictures known by heart, as what it is: attention.
//
//   E[x0 | x] = V softmax(K'q),   q = (alpha x, alpha^2) / sigma^2,   k_i = (x_i, -|x_i|^2 / 2)
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <utility>

#include "tweedie/conditioning/attention.hpp"
#include "tweedie/schedule/signal_noise.hpp"

namespace support {

class memorised {
 public:
  explicit memorised(Eigen::MatrixXf pictures)  // one a column
      : pictures_(std::move(pictures)), keys_(pictures_.rows() + 1, pictures_.cols()) {
    keys_ << pictures_, -0.5f * pictures_.colwise().squaredNorm();
  }

  const Eigen::MatrixXf& pictures() const { return pictures_; }
  const Eigen::MatrixXf& keys() const { return keys_; }

  // Queries of a batch. Attention divides them by the root of their length again.
  template <class X>
  static Eigen::MatrixXf queries(tweedie::signal_noise level, const Eigen::MatrixBase<X>& x) {
    const auto alpha = static_cast<float>(level.alpha);
    Eigen::MatrixXf q(x.rows() + 1, x.cols());
    q << alpha * x, Eigen::RowVectorXf::Constant(x.cols(), alpha * alpha);
    return q * static_cast<float>(std::sqrt(static_cast<double>(q.rows())) /
                                  (level.sigma * level.sigma));
  }
  template <class X>
  Eigen::MatrixXf denoise(tweedie::signal_noise level, const Eigen::MatrixBase<X>& x) const {
    return tweedie::attention(queries(level, x), keys_, pictures_);
  }

 private:
  Eigen::MatrixXf pictures_, keys_;
};

}  // namespace support
