// Gaussian data that look alike everywhere: textures on a grid whose edges are joined, of any power
// spectrum. The covariance is a convolution, so the discrete Fourier transform diagonalises it,
//
//   S = F^-1 diag(power) F          power[k]: variance of wave number k; variance of a pixel: mean of power
//
// and all that oracle/gaussian.hpp does axis by axis, with C = alpha^2 S + sigma^2 I, costs
// O(d log d): a million dimensions are a matter of a fraction of a second. Photographs have about
// power ~ |k|^-2 (Field 1987): most of what a sampler does to pictures can be seen on `power_law`.
//
// Points are columns, each a rows x columns field with the rows of a column adjacent; one column
// (the default) is a signal. Sides with large prime factors are slow. What is d x d, the covariance
// written out, is for small fields.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <numbers>
#include <unsupported/Eigen/FFT>
#include <utility>
#include <vector>

#include "tweedie/oracle/sample_key.hpp"
#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie::oracle {

/// A grid of points; columns = 1 is a line.
struct field_shape {
  Eigen::Index rows = 1;
  Eigen::Index columns = 1;
  Eigen::Index size() const { return rows * columns; }
};

/// Signed wave number of entry k of a transform of n: 0, 1, ..., then negative ones.
inline Eigen::Index wave_number(Eigen::Index k, Eigen::Index n) { return 2 * k <= n ? k : k - n; }

/// power ~ |k|^-exponent, |k|^2 = (row wave number)^2 + (column wave number)^2, with the power of |k| = 1
/// at k = 0, scaled so that a pixel has the given variance.
/// \throws std::invalid_argument for an empty shape, an exponent that is not finite, or a variance
///   that is negative or not finite.
inline Eigen::VectorXd power_law(field_shape shape, double exponent, double pixel_variance = 1) {
  constexpr const char* name = "power_law";
  detail::require(shape.rows > 0 && shape.columns > 0, name, "size of the shape",
                  static_cast<double>(shape.size()), "valid: rows and columns at least 1");
  detail::require(std::isfinite(exponent), name, "exponent", exponent, "valid: finite");
  detail::require(pixel_variance >= 0 && std::isfinite(pixel_variance), name, "pixel_variance",
                  pixel_variance, "valid: 0 <= pixel_variance < inf");
  Eigen::VectorXd power(shape.size());
  for (Eigen::Index c = 0; c < shape.columns; ++c)
    for (Eigen::Index r = 0; r < shape.rows; ++r) {
      const auto a = static_cast<double>(wave_number(r, shape.rows));
      const auto b = static_cast<double>(wave_number(c, shape.columns));
      power[c * shape.rows + r] = std::pow((std::max)(a * a + b * b, 1.0), -exponent / 2);
    }
  return power * (pixel_variance / power.mean());
}

/// A stationary Gaussian field.
/// \tparam Scalar float or double.
template <class Scalar = double>
class stationary {
 public:
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

  /// \param power variance of each wave number, in the order of the transform; even: power(-k) = power(k)
  /// \param mean of every pixel
  /// \throws std::invalid_argument for another number of powers than pixels, a power that is negative,
  ///   not finite or not even (beyond rounding), or a mean that is not finite.
  stationary(field_shape shape, vector power, Scalar mean = 0)
      : shape_(shape), power_(std::move(power)), mean_(mean) {
    constexpr const char* name = "oracle::stationary";
    detail::require(shape.rows > 0 && shape.columns > 0, name, "size of the shape",
                    static_cast<double>(shape.size()), "valid: rows and columns at least 1");
    detail::require_equal(name, "powers", static_cast<std::size_t>(power_.size()),
                          static_cast<std::size_t>(shape.size()));
    detail::require(std::isfinite(mean), name, "mean", static_cast<double>(mean), "valid: finite");
    for (const Scalar p : power_)
      detail::require(p >= 0 && std::isfinite(p), name, "power", static_cast<double>(p),
                      "valid: 0 <= power < inf");
    for (Eigen::Index c = 0; c < shape.columns; ++c)
      for (Eigen::Index r = 0; r < shape.rows; ++r) {
        const Scalar here = power_[c * shape.rows + r];
        const Scalar there = power_[(shape.columns - c) % shape.columns * shape.rows +
                                    (shape.rows - r) % shape.rows];
        detail::require(std::abs(here - there) <=
                            64 * Eigen::NumTraits<Scalar>::epsilon() * (std::max)(here, there),
                        name, "power", static_cast<double>(here),
                        "valid: the same at k and -k, else the field is not real");
      }
  }

  Eigen::Index dimension() const { return shape_.size(); }
  field_shape shape() const { return shape_; }
  Scalar mean() const { return mean_; }
  /// The eigenvalues of S.
  const vector& power() const { return power_; }

  /// f(S) x for each column: f is given a power. f = identity applies the covariance, f(s) = sqrt(s)
  /// its root, f(s) = alpha^2 s + sigma^2 that of a level.
  template <class Function>
  matrix apply(const Function& f, const matrix& x) const;

  /// log N(x; alpha m, C) in nats, for each column. Needs C positive definite.
  vector log_density(signal_noise level, const matrix& x) const {
    check_noisy("stationary::log_density", level);
    const matrix centred = centre("stationary::log_density", level, x);
    const matrix whitened =
        apply([&](Scalar s) { return 1 / std::sqrt(total(level, s)); }, centred);
    Scalar log_determinant = 0;
    for (const Scalar s : power_) log_determinant += std::log(total(level, s));
    const auto d = static_cast<Scalar>(dimension());
    return -(whitened.colwise().squaredNorm().transpose().array() + log_determinant +
             d * std::log(2 * std::numbers::pi_v<Scalar>)) /
           2;
  }

  /// grad log p, for each column. Needs C positive definite.
  matrix score(signal_noise level, const matrix& x) const {
    check_noisy("stationary::score", level);
    return apply([&](Scalar s) { return -1 / total(level, s); },
                 centre("stationary::score", level, x));
  }

  /// E[x0 | x], for each column (Wiener's filter). At sigma = 0 it is x / alpha.
  matrix denoise(signal_noise level, const matrix& x) const {
    const matrix centred = centre("stationary::denoise", level, x);
    const auto alpha = static_cast<Scalar>(level.alpha);
    if (level.sigma == 0) return x / alpha;
    return apply([&](Scalar s) { return alpha * s / total(level, s); }, centred).array() + mean_;
  }

  /// Cov[x0 | x] v for each column v; it does not depend on x.
  matrix posterior_covariance_times(signal_noise level, const matrix& v) const {
    const auto variance = static_cast<Scalar>(level.sigma * level.sigma);
    return apply(
        [&](Scalar s) { return variance == 0 ? Scalar(0) : variance * s / total(level, s); }, v);
  }
  /// Cov[x0 | x], d x d.
  matrix posterior_covariance(signal_noise level) const {
    return posterior_covariance_times(level, matrix::Identity(dimension(), dimension()));
  }
  /// S, d x d.
  matrix covariance() const {
    return apply([](Scalar s) { return s; }, matrix::Identity(dimension(), dimension()));
  }

  /// Where the probability-flow ODE carries x from one level to another, for each column.
  matrix flow_map(signal_noise from, signal_noise to, const matrix& x) const {
    check_noisy("stationary::flow_map", from);
    return apply([&](Scalar s) { return std::sqrt(total(to, s) / total(from, s)); },
                 centre("stationary::flow_map", from, x))
               .array() +
           static_cast<Scalar>(to.alpha) * mean_;
  }

  /// m + S^1/2 z for each column of standard normals z.
  matrix sample(const matrix& z) const {
    check("stationary::sample", z.rows());
    return apply([](Scalar s) { return std::sqrt(s); }, z).array() + mean_;
  }
  matrix sample(Eigen::Index count, sample_key key) const {
    return sample(detail::sample_normals<Scalar>("stationary::sample", dimension(), count, key));
  }

 private:
  static Scalar total(signal_noise level, Scalar s) {
    const auto alpha = static_cast<Scalar>(level.alpha), sigma = static_cast<Scalar>(level.sigma);
    return alpha * alpha * s + sigma * sigma;
  }
  void check(const char* function, Eigen::Index rows) const {
    detail::require_equal(function, "rows of x", static_cast<std::size_t>(rows),
                          static_cast<std::size_t>(dimension()));
  }
  void check_noisy(const char* function, signal_noise level) const {
    detail::require(total(level, power_.minCoeff()) > 0, function, "sigma", level.sigma,
                    "valid: sigma > 0 where a power is 0");
  }
  matrix centre(const char* function, signal_noise level, const matrix& x) const {
    check(function, x.rows());
    return x.array() - static_cast<Scalar>(level.alpha) * mean_;
  }

  field_shape shape_;
  vector power_;
  Scalar mean_;
};

template <class Scalar>
template <class Function>
auto stationary<Scalar>::apply(const Function& f, const matrix& x) const -> matrix {
  using complex = std::complex<Scalar>;
  check("stationary::apply", x.rows());
  const Eigen::Index rows = shape_.rows, columns = shape_.columns;
  Eigen::FFT<Scalar> along;
  Eigen::Matrix<complex, Eigen::Dynamic, Eigen::Dynamic> field(rows, columns),
      turned(columns, rows);
  std::vector<complex> result(static_cast<std::size_t>((std::max)(rows, columns)));
  // Every column of m through the transform or its inverse.
  const auto transform = [&](Eigen::Matrix<complex, Eigen::Dynamic, Eigen::Dynamic>& m,
                             bool forwards) {
    if (m.rows() == 1) return;
    for (Eigen::Index c = 0; c < m.cols(); ++c) {
      if (forwards)
        along.fwd(result.data(), m.col(c).data(), static_cast<int>(m.rows()));
      else
        along.inv(result.data(), m.col(c).data(), static_cast<int>(m.rows()));
      std::copy_n(result.data(), m.rows(), m.col(c).data());
    }
  };
  vector gain(power_.size());
  for (Eigen::Index k = 0; k < gain.size(); ++k) gain[k] = f(power_[k]);

  matrix out(x.rows(), x.cols());
  for (Eigen::Index i = 0; i < x.cols(); ++i) {
    field = x.col(i).reshaped(rows, columns).template cast<complex>();
    transform(field, true);
    turned = field.transpose();
    transform(turned, true);
    for (Eigen::Index r = 0; r < rows; ++r)
      for (Eigen::Index c = 0; c < columns; ++c) turned(c, r) *= gain[c * rows + r];
    transform(turned, false);
    field = turned.transpose();
    transform(field, false);
    out.col(i) = field.reshaped().real();
  }
  return out;
}

}  // namespace tweedie::oracle
