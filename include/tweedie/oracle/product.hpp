// Oracles made of others: independent blocks, and data turned in space.
//
//   product   x0 = (x0_1, ..., x0_n), independent      log p = sum of log p_i, all else block by block
//   rotated   x0 = Q y, Q^T Q = I                      p(x) = p_y(Q^T x), score and denoiser Q f(Q^T x)
//
// Noise is the same in all directions, so both hold at every level. A product of lines, rotated, is data
// that no formula in its coordinates knows, with exact answers.
#pragma once

#include <Eigen/Core>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/oracle/distribution.hpp"

namespace tweedie::oracle {

/// An oracle of any type. Copies share what they hold.
class any_distribution {
 public:
  template <distribution Data>
  requires(!std::same_as<Data, any_distribution>) any_distribution(Data data)
      : dimension_(data.dimension()) {
    const auto held = std::make_shared<const Data>(std::move(data));
    log_density_ = [held](signal_noise level, const Eigen::MatrixXd& x) {
      return oracle::log_density(*held, level, x);
    };
    score_ = [held](signal_noise level, const Eigen::MatrixXd& x) -> Eigen::MatrixXd {
      return held->score(level, x);
    };
    denoise_ = [held](signal_noise level, const Eigen::MatrixXd& x) -> Eigen::MatrixXd {
      return held->denoise(level, x);
    };
    covariance_ = [held](signal_noise level, const Eigen::VectorXd& x) {
      return oracle::covariance(*held, level, x);
    };
    sample_ = [held](Eigen::Index count, sample_key key) -> Eigen::MatrixXd {
      return held->sample(count, key);
    };
  }

  Eigen::Index dimension() const { return dimension_; }
  Eigen::VectorXd log_density(signal_noise level, const Eigen::MatrixXd& x) const {
    return log_density_(level, x);
  }
  Eigen::MatrixXd score(signal_noise level, const Eigen::MatrixXd& x) const {
    return score_(level, x);
  }
  Eigen::MatrixXd denoise(signal_noise level, const Eigen::MatrixXd& x) const {
    return denoise_(level, x);
  }
  Eigen::MatrixXd posterior_covariance(signal_noise level, const Eigen::VectorXd& x) const {
    return covariance_(level, x);
  }
  Eigen::MatrixXd sample(Eigen::Index count, sample_key key) const { return sample_(count, key); }

 private:
  using of_columns = std::function<Eigen::MatrixXd(signal_noise, const Eigen::MatrixXd&)>;
  Eigen::Index dimension_;
  std::function<Eigen::VectorXd(signal_noise, const Eigen::MatrixXd&)> log_density_;
  of_columns score_, denoise_;
  std::function<Eigen::MatrixXd(signal_noise, const Eigen::VectorXd&)> covariance_;
  std::function<Eigen::MatrixXd(Eigen::Index, sample_key)> sample_;
};

/// Independent blocks of coordinates, one oracle each, in order.
class product {
 public:
  /// \throws std::invalid_argument for no parts.
  explicit product(std::vector<any_distribution> parts) : parts_(std::move(parts)) {
    if (parts_.empty()) detail::fail("oracle::product", "no parts; valid: at least one");
    for (const any_distribution& part : parts_) dimension_ += part.dimension();
  }

  Eigen::Index dimension() const { return dimension_; }
  const std::vector<any_distribution>& parts() const { return parts_; }

  /// log p, for each column of x.
  Eigen::VectorXd log_density(signal_noise level, const Eigen::MatrixXd& x) const {
    check("product::log_density", x.rows());
    Eigen::VectorXd sum = Eigen::VectorXd::Zero(x.cols());
    for_each([&](const any_distribution& part, Eigen::Index first) {
      sum += part.log_density(level, x.middleRows(first, part.dimension()));
    });
    return sum;
  }
  /// grad log p, for each column of x.
  Eigen::MatrixXd score(signal_noise level, const Eigen::MatrixXd& x) const {
    check("product::score", x.rows());
    return stacked(x.cols(), [&](const any_distribution& part, Eigen::Index first) {
      return part.score(level, x.middleRows(first, part.dimension()));
    });
  }
  /// E[x0 | x], for each column of x.
  Eigen::MatrixXd denoise(signal_noise level, const Eigen::MatrixXd& x) const {
    check("product::denoise", x.rows());
    return stacked(x.cols(), [&](const any_distribution& part, Eigen::Index first) {
      return part.denoise(level, x.middleRows(first, part.dimension()));
    });
  }
  /// Cov[x0 | x], zero between blocks.
  Eigen::MatrixXd posterior_covariance(signal_noise level, const Eigen::VectorXd& x) const {
    check("product::posterior_covariance", x.size());
    Eigen::MatrixXd out = Eigen::MatrixXd::Zero(dimension_, dimension_);
    for_each([&](const any_distribution& part, Eigen::Index first) {
      const Eigen::Index d = part.dimension();
      out.block(first, first, d, d) = part.posterior_covariance(level, x.segment(first, d));
    });
    return out;
  }
  /// Samples, one a column.
  Eigen::MatrixXd sample(Eigen::Index count, sample_key key) const {
    detail::require_count("product::sample", count);
    return stacked(count, [&](const any_distribution& part, Eigen::Index first) {
      return part.sample(count,
                         {key.seed, key.draw, key.first + static_cast<std::uint64_t>(first)});
    });
  }

 private:
  void check(const char* function, Eigen::Index rows) const {
    if (rows != dimension_)
      detail::fail(function, "rows of x", static_cast<double>(rows),
                   "valid: the dimensions of the parts together, " + std::to_string(dimension_));
  }
  template <class Each>
  void for_each(const Each& each) const {
    Eigen::Index first = 0;
    for (const any_distribution& part : parts_) {
      each(part, first);
      first += part.dimension();
    }
  }
  template <class Block>
  Eigen::MatrixXd stacked(Eigen::Index columns, const Block& block) const {
    Eigen::MatrixXd out(dimension_, columns);
    for_each([&](const any_distribution& part, Eigen::Index first) {
      out.middleRows(first, part.dimension()) = block(part, first);
    });
    return out;
  }

  std::vector<any_distribution> parts_;
  Eigen::Index dimension_ = 0;
};

/// Another oracle's data y, turned: x0 = Q y.
class rotated {
 public:
  /// \param rotation orthogonal, reflections included, of the dimension of the data
  /// \throws std::invalid_argument for another size, or Q^T Q further from I than 1e-10.
  rotated(any_distribution data, Eigen::MatrixXd rotation)
      : data_(std::move(data)), q_(std::move(rotation)) {
    constexpr const char* name = "oracle::rotated";
    const Eigen::Index d = data_.dimension();
    for (const Eigen::Index side : {q_.rows(), q_.cols()})
      if (side != d)
        detail::fail(name, "side of the rotation", static_cast<double>(side),
                     "valid: the dimension of the data, " + std::to_string(d));
    const double off =
        d == 0 ? 0 : (q_.transpose() * q_ - Eigen::MatrixXd::Identity(d, d)).cwiseAbs().maxCoeff();
    detail::require(off <= 1e-10, name, "largest entry of Q^T Q - I", off, "valid: at most 1e-10");
  }

  Eigen::Index dimension() const { return data_.dimension(); }
  const Eigen::MatrixXd& rotation() const { return q_; }

  Eigen::VectorXd log_density(signal_noise level, const Eigen::MatrixXd& x) const {
    return data_.log_density(level, back("rotated::log_density", x));
  }
  Eigen::MatrixXd score(signal_noise level, const Eigen::MatrixXd& x) const {
    return q_ * data_.score(level, back("rotated::score", x));
  }
  Eigen::MatrixXd denoise(signal_noise level, const Eigen::MatrixXd& x) const {
    return q_ * data_.denoise(level, back("rotated::denoise", x));
  }
  Eigen::MatrixXd posterior_covariance(signal_noise level, const Eigen::VectorXd& x) const {
    const Eigen::VectorXd y = back("rotated::posterior_covariance", x);
    return q_ * data_.posterior_covariance(level, y) * q_.transpose();
  }
  Eigen::MatrixXd sample(Eigen::Index count, sample_key key) const {
    return q_ * data_.sample(count, key);
  }

 private:
  Eigen::MatrixXd back(const char* function, const Eigen::MatrixXd& x) const {
    if (x.rows() != dimension())
      detail::fail(function, "rows of x", static_cast<double>(x.rows()),
                   "valid: the dimension of the data, " + std::to_string(dimension()));
    return q_.transpose() * x;
  }

  any_distribution data_;
  Eigen::MatrixXd q_;
};

}  // namespace tweedie::oracle
