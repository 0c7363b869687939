// Gaussian-mixture data: everything a diffusion model would have to learn, in closed form.
//
//   x0 ~ sum_k w_k N(m_k, S_k),  x = alpha x0 + sigma z
//   p(x)      = sum_k w_k N(x; alpha m_k, C_k),  C_k = alpha^2 S_k + sigma^2 I
//   r_k(x)    proportional to w_k N(x; alpha m_k, C_k)                responsibilities
//   score     = sum_k r_k s_k,   s_k = -C_k^-1 (x - alpha m_k)
//   E[x0|x]   = sum_k r_k d_k,   d_k = m_k + alpha S_k C_k^-1 (x - alpha m_k)
//   Cov[x0|x] = sum_k r_k (sigma^2 S_k C_k^-1 + d_k d_k^T) - E[x0|x] E[x0|x]^T
//
// Tweedie's formula ties them: E[x0|x] = (x + sigma^2 score) / alpha (Efron 2011, eq. 1.4), and
// Cov[x0|x] = sigma^2 (I + sigma^2 Hessian log p) / alpha^2. Every covariance is diagonalised once,
// so a level costs no factorisation: one evaluation takes O(components * dimension^2) per point, in
// matrix products over all points at once.
//
// Points are columns. Levels run from (alpha, 0) to (0, sigma); a singular covariance is allowed
// wherever sigma > 0.
#pragma once

#include <Eigen/Dense>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/oracle/gaussian.hpp"
#include "tweedie/schedule/signal_noise.hpp"

namespace tweedie::oracle {

/// One Gaussian of a mixture. Weights need not be normalised.
template <class Scalar>
struct component {
  Scalar weight = 1;
  Eigen::Vector<Scalar, Eigen::Dynamic> mean;
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> covariance;
};

/// Exact densities, scores and denoisers of Gaussian-mixture data.
/// Invariant: at least one component, weights sum to one, covariances are positive semidefinite.
template <class Scalar>
class mixture {
 public:
  using vector = Eigen::Vector<Scalar, Eigen::Dynamic>;
  using matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

  /// \throws std::invalid_argument for no components, a weight that is not positive, weights whose
  ///   sum is not finite, sizes that differ, a mean that is not finite, or a covariance that is not
  ///   finite, symmetric and positive semidefinite.
  explicit mixture(const std::vector<component<Scalar>>& components);

  Eigen::Index dimension() const { return parts_.front().law.dimension(); }
  std::size_t components() const { return parts_.size(); }
  Scalar weight(std::size_t k) const { return std::exp(parts_.at(k).log_weight); }
  const vector& mean(std::size_t k) const { return parts_.at(k).law.mean(); }
  matrix covariance(std::size_t k) const { return parts_.at(k).law.covariance(); }
  const gaussian<Scalar>& law(std::size_t k) const { return parts_.at(k).law; }

  /// log p(x) at a level.
  Scalar log_density(signal_noise level, const vector& x) const;

  /// Probability of each component given x; sums to one, also where every density underflows.
  vector responsibilities(signal_noise level, const vector& x) const;

  /// Gradient of log p, for each column of x.
  matrix score(signal_noise level, const matrix& x) const;

  /// E[x0 | x], for each column of x.
  matrix denoise(signal_noise level, const matrix& x) const;

  /// Cov[x0 | x].
  matrix posterior_covariance(signal_noise level, const vector& x) const;

  /// Hessian of log p. Its trace gives the exact divergence of the probability-flow ODE.
  matrix score_jacobian(signal_noise level, const vector& x) const;

  /// The law of alpha x0 + sigma z, again a mixture.
  mixture noised(signal_noise level) const;

  /// Mean and covariance of the data.
  std::pair<vector, matrix> moments() const;

  /// One sample for each column of `normals`; uniforms in [0, 1) choose the components.
  matrix sample(const vector& uniforms, const matrix& normals) const;
  matrix sample(Eigen::Index count, sample_key key) const {
    constexpr const char* name = "mixture::sample";
    return sample(detail::sample_uniforms<Scalar>(name, count, key),
                  detail::sample_normals<Scalar>(name, dimension(), count, key));
  }

 private:
  struct part {
    Scalar log_weight;
    gaussian<Scalar> law;
  };

  // One row a component, one column a point.
  matrix log_joint(signal_noise level, const matrix& x) const {
    matrix out(static_cast<Eigen::Index>(parts_.size()), x.cols());
    for (Eigen::Index k = 0; k < out.rows(); ++k) {
      const part& p = parts_[static_cast<std::size_t>(k)];
      out.row(k) = (p.law.log_density(level, x).array() + p.log_weight).transpose();
    }
    return out;
  }
  static matrix softmax(const matrix& logits);

  // sum_k r_k value(law_k), for each column of x.
  template <class Value>
  matrix weighted(signal_noise level, const matrix& x, const Value& value) const {
    const matrix r = softmax(log_joint(level, x));
    matrix out = matrix::Zero(x.rows(), x.cols());
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const matrix term = value(parts_[k].law);
      out.array() += term.array().rowwise() * r.row(static_cast<Eigen::Index>(k)).array();
    }
    return out;
  }
  void check(const char* function, Eigen::Index rows) const {
    detail::require(rows == dimension(), function, "rows of x", static_cast<double>(rows),
                    "valid: the dimension of the data");
  }

  std::vector<part> parts_;
};

template <class Scalar>
mixture<Scalar>::mixture(const std::vector<component<Scalar>>& components) {
  if (components.empty()) detail::fail("mixture", "no components; valid: at least one");
  Scalar total = 0;
  for (const component<Scalar>& c : components) {
    detail::require(c.weight > 0 && std::isfinite(c.weight), "mixture", "weight",
                    static_cast<double>(c.weight), "valid: 0 < weight < inf");
    total += c.weight;
  }
  detail::require(std::isfinite(total), "mixture", "sum of the weights", static_cast<double>(total),
                  "valid: finite");
  const Eigen::Index d = components.front().mean.size();
  detail::require(d > 0, "mixture", "dimension", static_cast<double>(d), "valid: at least 1");
  for (const component<Scalar>& c : components) {
    for (const Eigen::Index size : {c.mean.size(), c.covariance.rows(), c.covariance.cols()})
      if (size != d)
        detail::fail("mixture", "size of a mean or covariance", static_cast<double>(size),
                     "valid: the dimension of the first mean, " + std::to_string(d));
    parts_.push_back({std::log(c.weight / total), {c.mean, c.covariance}});
  }
}

template <class Scalar>
auto mixture<Scalar>::softmax(const matrix& logits) -> matrix {
  const auto top = logits.colwise().maxCoeff().eval();
  matrix e = (logits.rowwise() - top).array().exp().matrix();
  const auto sum = e.colwise().sum().eval();
  e.array().rowwise() /= sum.array();
  return e;
}

template <class Scalar>
Scalar mixture<Scalar>::log_density(signal_noise level, const vector& x) const {
  check("mixture::log_density", x.size());
  const matrix joint = log_joint(level, x);
  const Scalar top = joint.maxCoeff();
  return top + std::log((joint.array() - top).exp().sum());
}

template <class Scalar>
auto mixture<Scalar>::responsibilities(signal_noise level, const vector& x) const -> vector {
  check("mixture::responsibilities", x.size());
  return softmax(log_joint(level, x));
}

template <class Scalar>
auto mixture<Scalar>::score(signal_noise level, const matrix& x) const -> matrix {
  check("mixture::score", x.rows());
  return weighted(level, x, [&](const auto& law) { return law.score(level, x); });
}

template <class Scalar>
auto mixture<Scalar>::denoise(signal_noise level, const matrix& x) const -> matrix {
  check("mixture::denoise", x.rows());
  return weighted(level, x, [&](const auto& law) { return law.denoise(level, x); });
}

template <class Scalar>
auto mixture<Scalar>::posterior_covariance(signal_noise level, const vector& x) const -> matrix {
  check("mixture::posterior_covariance", x.size());
  const vector r = softmax(log_joint(level, x));
  matrix clean(x.size(), r.size());  // by each component
  for (Eigen::Index k = 0; k < r.size(); ++k)
    clean.col(k) = parts_[static_cast<std::size_t>(k)].law.denoise(level, x);
  const vector mean = clean * r;
  matrix out = matrix::Zero(x.size(), x.size());
  for (Eigen::Index k = 0; k < r.size(); ++k) {
    const vector off = clean.col(k) - mean;
    out += r[k] * (parts_[static_cast<std::size_t>(k)].law.posterior_covariance(level) +
                   off * off.transpose());
  }
  return out;
}

template <class Scalar>
auto mixture<Scalar>::score_jacobian(signal_noise level, const vector& x) const -> matrix {
  check("mixture::score_jacobian", x.size());
  const vector r = softmax(log_joint(level, x));
  const vector mean = score(level, x);
  matrix out = matrix::Zero(x.size(), x.size());
  for (std::size_t k = 0; k < parts_.size(); ++k) {
    const gaussian<Scalar> now = parts_[k].law.at(level);
    const vector off = now.score({1, 0}, x) - mean;
    const matrix precision =
        now.axes() * now.variances().cwiseInverse().asDiagonal() * now.axes().transpose();
    out += r[static_cast<Eigen::Index>(k)] * (off * off.transpose() - precision);
  }
  return out;
}

template <class Scalar>
mixture<Scalar> mixture<Scalar>::noised(signal_noise level) const {
  mixture out = *this;
  for (part& p : out.parts_) p.law = p.law.at(level);
  return out;
}

template <class Scalar>
auto mixture<Scalar>::moments() const -> std::pair<vector, matrix> {
  vector mean = vector::Zero(dimension());
  for (const part& p : parts_) mean += std::exp(p.log_weight) * p.law.mean();
  matrix covariance = matrix::Zero(dimension(), dimension());
  for (const part& p : parts_) {
    const vector off = p.law.mean() - mean;
    covariance += std::exp(p.log_weight) * (p.law.covariance() + off * off.transpose());
  }
  return {mean, covariance};
}

template <class Scalar>
auto mixture<Scalar>::sample(const vector& uniforms, const matrix& normals) const -> matrix {
  check("mixture::sample", normals.rows());
  detail::require(uniforms.size() == normals.cols(), "mixture::sample", "uniforms",
                  static_cast<double>(uniforms.size()), "valid: one for each column of normals");
  matrix out(normals.rows(), normals.cols());
  for (Eigen::Index i = 0; i < normals.cols(); ++i) {
    std::size_t k = 0;
    Scalar below = std::exp(parts_[0].log_weight);
    while (k + 1 < parts_.size() && uniforms[i] >= below) below += std::exp(parts_[++k].log_weight);
    out.col(i) = parts_[k].law.sample(normals.col(i));
  }
  return out;
}

}  // namespace tweedie::oracle
