// Gaussian data N(m, S): every quantity of a diffusion model in closed form. With x = alpha x0 +
// sigma z, C = alpha^2 S + sigma^2 I and S = Q diag(s^2) Q^T,
//
//   marginal          x ~ N(alpha m, C)
//   score             -C^-1 (x - alpha m)
//   denoiser          E[x0 | x] = m + alpha S C^-1 (x - alpha m)
//   Cov[x0 | x]       sigma^2 S C^-1                                   (second-order Tweedie)
//   reverse kernel    p(x_s | x_t) = N(alpha_s m + a C_s C_t^-1 (x_t - alpha_t m), b C_s C_t^-1),
//                     a = alpha_t/alpha_s, b = sigma_t^2 - a^2 sigma_s^2
//   flow map          x_r = alpha_r m + C_r^1/2 C_t^-1/2 (x_t - alpha_t m)   (probability-flow ODE)
//
// S is diagonalised once; a level costs no factorisation. S may be singular, also zero (a point):
// what is undefined then (scores and densities at sigma = 0) is refused. d = 0 is one point of
// probability 1. `at(level)` is the marginal as a Gaussian of its own; distances between two of them
// are in metric/frechet.hpp. Points are columns.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/oracle/sample_key.hpp"
#include "tweedie/process/forward.hpp"
#include "tweedie/process/log1p_minus.hpp"
#include "tweedie/schedule/prediction.hpp"

namespace tweedie::oracle {

/// \tparam Scalar float or double.
template <class Scalar = double>
class gaussian {
 public:
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

  /// Asymmetries up to `rounding` times the largest covariance and eigenvalues down to as much below
  /// 0 count as rounding; without it, 64 d roundings of Scalar.
  /// \throws std::invalid_argument if sizes differ or S is not symmetric positive semidefinite.
  gaussian(vector mean, const matrix& covariance, Scalar rounding = 0) : mean_(std::move(mean)) {
    constexpr const char* name = "oracle::gaussian";
    if (covariance.rows() != mean_.size() || covariance.cols() != mean_.size())
      detail::fail(name, "rows of covariance", static_cast<double>(covariance.rows()),
                   "valid: the size of the mean, " + std::to_string(mean_.size()));
    if (!mean_.allFinite() || !covariance.allFinite())
      detail::fail(name, "mean and covariance must be finite");
    axes_ = covariance;
    variances_ = mean_;
    if (mean_.size() == 0) return;
    if (rounding == 0)
      rounding = 64 * Eigen::NumTraits<Scalar>::epsilon() * static_cast<Scalar>(mean_.size());
    const Scalar limit = rounding * covariance.cwiseAbs().maxCoeff();
    const Scalar asymmetry = (covariance - covariance.transpose()).cwiseAbs().maxCoeff();
    detail::require(asymmetry <= limit, name, "asymmetry of covariance",
                    static_cast<double>(asymmetry), "valid: a symmetric matrix");
    const Eigen::SelfAdjointEigenSolver<matrix> eigen(covariance);
    axes_ = eigen.eigenvectors();
    variances_ = eigen.eigenvalues();
    for (Scalar& v : variances_) {
      detail::require(v >= -limit, name, "eigenvalue of covariance", static_cast<double>(v),
                      "valid: >= 0");
      v = (std::max)(v, Scalar(0));
    }
  }
  /// N(mean, diag(variances)).
  static gaussian diagonal(vector mean, const vector& variances) {
    return {std::move(mean), matrix(variances.asDiagonal())};
  }
  /// N(mean, variance I).
  static gaussian isotropic(vector mean, Scalar variance) {
    const vector variances = vector::Constant(mean.size(), variance);
    return diagonal(std::move(mean), variances);
  }
  /// N(alpha m, C), what the data are at a level.
  gaussian at(signal_noise level) const {
    gaussian out = *this;
    out.mean_ *= static_cast<Scalar>(level.alpha);
    for (Scalar& s : out.variances_) s = total(level, s);
    return out;
  }

  Eigen::Index dimension() const { return mean_.size(); }
  const vector& mean() const { return mean_; }
  const matrix& axes() const { return axes_; }
  const vector& variances() const { return variances_; }
  matrix covariance() const {
    return spectral([](Scalar s) { return s; });
  }

  /// Number of variances above d roundings of the largest.
  Eigen::Index rank() const {
    if (dimension() == 0) return 0;
    const Scalar rounding = Eigen::NumTraits<Scalar>::epsilon() * static_cast<Scalar>(dimension()) *
                            variances_.maxCoeff();
    return (variances_.array() > rounding).count();
  }
  /// A with S = A A^T, d x rank.
  matrix factor() const {
    return axes_.rightCols(rank()) * variances_.tail(rank()).cwiseSqrt().asDiagonal();
  }
  /// 1/2 log det(2 pi e S), in nats; -inf below full rank.
  Scalar entropy() const {
    if (rank() < dimension()) return -std::numeric_limits<Scalar>::infinity();
    return ((variances_.array() * Scalar(2 * std::numbers::pi * std::numbers::e)).log() / 2).sum();
  }

  /// Covariance C of the marginal at a level.
  matrix marginal_covariance(signal_noise level) const {
    return spectral([&](Scalar s) { return total(level, s); });
  }

  /// log N(x; alpha m, C) in nats, for each column. Needs C positive definite.
  vector log_density(signal_noise level, const matrix& x) const {
    check_noisy("log_density", level);
    const matrix centred = rotate(level, x);
    vector out = vector::Constant(x.cols(), 0);
    for (Eigen::Index i = 0; i < dimension(); ++i) {
      const Scalar c = total(level, variances_[i]);
      out.array() -= Scalar(0.5) * (centred.row(i).array().square() / c +
                                    std::log(Scalar(2 * std::numbers::pi) * c))
                                       .transpose();
    }
    return out;
  }

  /// grad log p, for each column. Needs C positive definite.
  matrix score(signal_noise level, const matrix& x) const {
    check_noisy("score", level);
    return apply(level, x, [&](Scalar s) { return -1 / total(level, s); });
  }

  /// E[x0 | x], for each column. At sigma = 0 it is x / alpha, also along flat directions of S.
  matrix denoise(signal_noise level, const matrix& x) const {
    const auto alpha = static_cast<Scalar>(level.alpha);
    check_rows(x);
    if (level.sigma == 0) return x / alpha;
    return apply(level, x, [&](Scalar s) { return alpha * s / total(level, s); }).colwise() + mean_;
  }

  /// Cov[x0 | x]; it does not depend on x.
  matrix posterior_covariance(signal_noise level) const {
    const auto sigma = static_cast<Scalar>(level.sigma);
    return spectral(
        [&](Scalar s) { return sigma == 0 ? Scalar(0) : sigma * sigma * s / total(level, s); });
  }

  /// What an exact network of the given prediction kind answers, for each column:
  /// p_x E[x0 | x] + p_z E[z | x], with E[z | x] = sigma C^-1 (x - alpha m).
  matrix predict(signal_noise level, plane_row row, const matrix& x) const {
    const auto p_x = static_cast<Scalar>(row.x0);
    const auto p_z = static_cast<Scalar>(row.z);
    matrix out = matrix::Zero(x.rows(), x.cols());
    if (row.x0 != 0) out += p_x * denoise(level, x);
    if (row.z != 0 && level.sigma != 0) {
      const auto sigma = static_cast<Scalar>(level.sigma);
      out += p_z * apply(level, x, [&](Scalar s) { return sigma / total(level, s); });
    }
    return out;
  }

  /// Mean of p(x_to | x_from) for `to` less noisy, for each column.
  matrix reverse_mean(signal_noise from, signal_noise to, const matrix& x) const {
    const auto a = static_cast<Scalar>(transition(to, from).mean);
    check_noisy("reverse_mean", from);
    return apply(from, x, [&](Scalar s) { return a * total(to, s) / total(from, s); }).colwise() +
           static_cast<Scalar>(to.alpha) * mean_;
  }
  /// Covariance of p(x_to | x_from).
  matrix reverse_covariance(signal_noise from, signal_noise to) const {
    const auto b = static_cast<Scalar>(transition(to, from).variance);
    check_noisy("reverse_covariance", from);
    return spectral([&](Scalar s) { return b * total(to, s) / total(from, s); });
  }

  /// Where the probability-flow ODE carries x from one level to another, for each column.
  matrix flow_map(signal_noise from, signal_noise to, const matrix& x) const {
    check_noisy("flow_map", from);
    return apply(from, x, [&](Scalar s) { return std::sqrt(total(to, s) / total(from, s)); })
               .colwise() +
           static_cast<Scalar>(to.alpha) * mean_;
  }

  /// log p of data by the change of variables along the flow: log N(x_t; alpha m, C_t) at the end
  /// of the flow plus the log determinant of the map; equals log_density at `data` for any end.
  vector log_density_by_flow(signal_noise data, signal_noise end, const matrix& x) const {
    Scalar log_determinant = 0;
    for (const Scalar s : variances_)
      log_determinant += Scalar(0.5) * std::log(total(end, s) / total(data, s));
    return log_density(end, flow_map(data, end, x)).array() + log_determinant;
  }

  /// KL(q(x_t) || N(0, sigma^2 I)) in nats: what is lost by starting from pure noise.
  Scalar prior_divergence(signal_noise level) const {
    detail::require(level.sigma > 0, "prior_divergence", "sigma", level.sigma,
                    "valid: sigma > 0, the deviation of the prior");
    const double snr = level.alpha * level.alpha / (level.sigma * level.sigma);
    double sum = snr * static_cast<double>(mean_.squaredNorm());
    for (const Scalar s : variances_) sum -= log1p_minus(snr * static_cast<double>(s));
    return static_cast<Scalar>(sum / 2);
  }

  /// Mean gap, in nats, between log p(x0) and the variational bound of an ancestral chain that has
  /// the exact reverse means, isotropic reverse variances `variance(from, to)` and prior
  /// N(0, sigma^2 I): the divergences of the steps over levels from noisy to clean. A last step to
  /// sigma = 0 has zero exact variance for s = 0 only and must be excluded by the caller.
  template <class Variance>
  Scalar bound_gap(const std::vector<signal_noise>& levels, const Variance& variance) const {
    auto gap = static_cast<double>(prior_divergence(levels.front()));
    for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
      const double b = transition(levels[i + 1], levels[i]).variance;
      const double used = variance(levels[i], levels[i + 1]);
      for (const Scalar variance_of_data : variances_) {
        const auto s = static_cast<double>(variance_of_data);
        const double ratio = b * total(levels[i + 1], s) / total(levels[i], s) / used;
        gap -= log1p_minus(ratio - 1) / 2;
      }
    }
    return static_cast<Scalar>(gap);
  }

  /// Distribution of the coordinates `kept`, in that order.
  gaussian marginal(const std::vector<Eigen::Index>& kept) const {
    check_coordinates("marginal", kept);
    return {vector(mean_(kept)), matrix(covariance()(kept, kept))};
  }
  /// Distribution of the other coordinates, in order, given that those in `known` have `values`.
  /// \throws std::domain_error if the values are impossible (off the support of a singular S).
  gaussian conditional(const std::vector<Eigen::Index>& known, const vector& values) const;

  /// m + S^1/2 z for each column of standard normals z.
  matrix sample(const matrix& z) const {
    check_rows(z);
    return (axes_ * (variances_.cwiseSqrt().asDiagonal() * z)).colwise() + mean_;
  }
  matrix sample(Eigen::Index count, sample_key key) const {
    return sample(detail::sample_normals<Scalar>("gaussian::sample", dimension(), count, key));
  }

 private:
  gaussian() = default;
  // alpha^2 s + sigma^2, in the precision of s.
  template <class Number>
  static Number total(signal_noise level, Number s) {
    const auto alpha = static_cast<Number>(level.alpha);
    const auto sigma = static_cast<Number>(level.sigma);
    return alpha * alpha * s + sigma * sigma;
  }
  void check_rows(const matrix& x) const {
    if (x.rows() != dimension())
      detail::fail("oracle::gaussian", "rows", static_cast<double>(x.rows()),
                   "valid: the dimension of the data, " + std::to_string(dimension()));
  }
  void check_coordinates(const char* function, const std::vector<Eigen::Index>& coordinates) const {
    std::vector<bool> seen(static_cast<std::size_t>(dimension()));
    for (const Eigen::Index i : coordinates) {
      if (i < 0 || i >= dimension())
        detail::raise(std::out_of_range(detail::describe(
            function, "coordinate", static_cast<double>(i), "valid: 0 <= coordinate < dimension")));
      if (seen[static_cast<std::size_t>(i)])
        detail::fail(function, "coordinate", static_cast<double>(i), "valid: each at most once");
      seen[static_cast<std::size_t>(i)] = true;
    }
  }
  void check_noisy(const char* function, signal_noise level) const {
    for (const Scalar s : variances_)
      detail::require(total(level, s) > 0, function, "sigma", level.sigma,
                      "valid: sigma > 0 where the data covariance is singular");
  }
  matrix rotate(signal_noise level, const matrix& x) const {
    check_rows(x);
    return axes_.transpose() * (x.colwise() - static_cast<Scalar>(level.alpha) * mean_);
  }
  template <class Gain>
  matrix apply(signal_noise level, const matrix& x, const Gain& gain) const {
    return axes_ * (variances_.unaryExpr(gain).asDiagonal() * rotate(level, x));
  }
  template <class Value>
  matrix spectral(const Value& value) const {
    return axes_ * variances_.unaryExpr(value).asDiagonal() * axes_.transpose();
  }

  vector mean_;
  matrix axes_;
  vector variances_;  // increasing
};

template <class Scalar>
gaussian<Scalar> gaussian<Scalar>::conditional(const std::vector<Eigen::Index>& known,
                                               const vector& values) const {
  constexpr const char* name = "conditional";
  check_coordinates(name, known);
  if (values.size() != static_cast<Eigen::Index>(known.size()))
    detail::fail(name, "values", static_cast<double>(values.size()),
                 "valid: one per known coordinate, " + std::to_string(known.size()));
  if (known.empty()) return *this;
  std::vector<Eigen::Index> open;
  for (Eigen::Index i = 0; i < dimension(); ++i)
    if (std::find(known.begin(), known.end(), i) == known.end()) open.push_back(i);
  // Gain S_ok S_kk^+ in units of the known deviations; the pseudo-inverse agrees with the inverse
  // where S_kk is definite.
  const matrix s = covariance();
  const vector known_variances = s.diagonal()(known);
  const vector units = (known_variances.array() > 0)
                           .select(known_variances.array().sqrt(), Scalar(1))
                           .inverse()
                           .matrix();
  const matrix correlation = units.asDiagonal() * s(known, known) * units.asDiagonal();
  const Eigen::CompleteOrthogonalDecomposition<matrix> inverse(correlation);
  const vector surprise = units.asDiagonal() * (values - mean_(known));
  const Scalar off = (correlation * inverse.solve(surprise) - surprise).cwiseAbs().maxCoeff();
  if (off > std::sqrt(Eigen::NumTraits<Scalar>::epsilon()) * surprise.cwiseAbs().maxCoeff())
    detail::raise(std::domain_error(
        detail::describe(name, "distance from the support", static_cast<double>(off), "valid: 0")));
  const matrix cross = units.asDiagonal() * s(known, open);
  const matrix gain = inverse.solve(cross).transpose();
  gaussian out;
  out.mean_ = mean_(open) + gain * surprise;
  if (open.empty()) return out;
  const Eigen::SelfAdjointEigenSolver<matrix> eigen(s(open, open) - gain * cross);
  out.axes_ = eigen.eigenvectors();
  // What rounding leaves of variances that are 0.
  const Scalar rounding = 64 * static_cast<Scalar>(dimension()) *
                          Eigen::NumTraits<Scalar>::epsilon() * s.diagonal().maxCoeff();
  out.variances_ = (eigen.eigenvalues().array() > rounding).select(eigen.eigenvalues(), Scalar(0));
  return out;
}

}  // namespace tweedie::oracle
