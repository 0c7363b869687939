// Restoring in the singular vectors of the measurement (DDRM, Kawar et al. 2022, eqs. 7 and 8).
//
// y = A x0 + s e with A = U diag(d) V': each coordinate v_i' x0 is either not measured (d_i = 0), or measured as
// u_i' y / d_i with deviation s / d_i. In the gauge alpha = 1, with t the noise level of the next state, x0^ the estimate
// and z^ its noise, coordinate by coordinate:
//
//   d_i = 0            x0^ + sqrt(1 - eta^2) t z^ + eta t z
//   t < s / d_i        x0^ + sqrt(1 - eta^2) t (y_i - x0^) / (s / d_i) + eta t z
//   t >= s / d_i       (1 - eta_b) x0^ + eta_b y_i + sqrt(t^2 - eta_b^2 s^2 / d_i^2) z
//
// It rides on a deterministic sampler through both doors: it sees x0 estimates, and rewrites the state.
//
//   ddrm method(singular_system_of(matrix), y, deviation, seed);
//   method.start(x, plan.start.level);
//   sampling s(ddim(nodes), network, x, [&](std::span<double> clean, std::size_t items, const node& at) {
//     method.see(clean, items, at);
//   });
//   ... if (event == sampling_event::step) method.apply(s);
#pragma once

#include <Eigen/Core>
#include <Eigen/SVD>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tweedie/restore/operators.hpp"
#include "tweedie/schedule/schedule.hpp"
#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// A = left diag(values) right', values positive; columns are orthonormal.
struct singular_system {
  Eigen::MatrixXd left;    ///< outputs x rank
  Eigen::VectorXd values;  ///< rank
  Eigen::MatrixXd right;   ///< inputs x rank
};

/// The singular system of a matrix, without what is below 1e-12 of its largest value.
/// \throws std::invalid_argument for a matrix of zeros.
template <class M>
singular_system singular_system_of(const Eigen::MatrixBase<M>& matrix) {
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(matrix, Eigen::ComputeThinU | Eigen::ComputeThinV);
  Eigen::Index rank = 0;
  while (rank < svd.singularValues().size() &&
         svd.singularValues()[rank] > 1e-12 * svd.singularValues()[0])
    ++rank;
  detail::require(rank > 0, "singular_system_of", "rank", 0, "valid: a matrix that measures");
  return {svd.matrixU().leftCols(rank), svd.singularValues().head(rank),
          svd.matrixV().leftCols(rank)};
}

/// One run of DDRM; y holds one measurement for each item.
class ddrm {
 public:
  /// \throws std::invalid_argument unless y holds whole measurements, all finite, 0 <= deviation < inf, and eta
  ///   and eta_b are within [0, 1].
  ddrm(singular_system a, const std::vector<double>& y, double deviation, std::uint64_t seed,
       double eta = 0.85, double eta_b = 1)
      : a_(std::move(a)), seed_(seed), eta_(eta), eta_b_(eta_b) {
    detail::check_measurements("ddrm", static_cast<std::size_t>(a_.left.rows()), y, deviation);
    detail::require(eta >= 0 && eta <= 1, "ddrm", "eta", eta, "valid: 0 <= eta <= 1");
    detail::require(eta_b >= 0 && eta_b <= 1, "ddrm", "eta_b", eta_b, "valid: 0 <= eta_b <= 1");
    deviations_ = deviation * a_.values.cwiseInverse();
    seen_ = a_.values.cwiseInverse().asDiagonal() * a_.left.transpose() *
            Eigen::Map<const Eigen::MatrixXd>(y.data(), a_.left.rows(),
                                              static_cast<Eigen::Index>(y.size()) / a_.left.rows());
  }

  /// Puts the measured part of a start x = alpha x0 + sigma z at `level` to what y says; x comes in as sigma z.
  /// \throws std::invalid_argument if x is of another size.
  template <class S>
  void start(std::span<S> x, signal_noise level) {
    require_size("ddrm::start", x.size());
    if (level.alpha == 0) return;
    const double t = noise_level(level);
    for (Eigen::Index item = 0; item < seen_.cols(); ++item) {
      auto state = column(x, item);
      Eigen::VectorXd v = state.template cast<double>() / level.alpha;
      const Eigen::VectorXd z = a_.right.transpose() * v / t;
      for (Eigen::Index i = 0; i < deviations_.size(); ++i)
        if (t >= deviations_[i])
          v += a_.right.col(i) * (seen_(i, item) + rest(t, deviations_[i]) * z[i] - t * z[i]);
      state = (level.alpha * v).template cast<S>();
    }
  }
  template <class S>
  void start(std::vector<S>& x, signal_noise level) {
    start(std::span<S>(x), level);
  }

  /// Notes the x0 estimates of an evaluation: call as the run's transform.
  /// \throws std::invalid_argument if they are of another size or not finite.
  template <class S>
  void see(std::span<S> clean, std::size_t items, const node&) {
    detail::require_equal("ddrm::see", "items", items, static_cast<std::size_t>(seen_.cols()));
    require_size("ddrm::see", clean.size());
    detail::require_all_finite("ddrm::see", "estimate", clean);
    clean_.resize(a_.right.rows(), seen_.cols());
    for (Eigen::Index item = 0; item < seen_.cols(); ++item)
      clean_.col(item) = column(clean, item).template cast<double>();
  }

  /// Rewrites the state that a deterministic step left: call after each step (`sampling_event::step`).
  /// \throws std::invalid_argument if the state is of another size or no estimate was seen.
  template <class Run>
  void apply(Run& run) {
    const std::span x = elements(run.state());
    using S = typename decltype(x)::element_type;
    require_size("ddrm::apply", x.size());
    if (clean_.size() == 0) detail::fail("ddrm::apply", "no x0 estimate was seen");
    const signal_noise level = run.reached().level;
    const double t = noise_level(level);
    const double kept = std::sqrt(1 - eta_ * eta_);
    Eigen::VectorXd z(a_.right.rows());
    for (Eigen::Index item = 0; item < seen_.cols(); ++item) {
      const noise_key key{seed_, static_cast<std::uint32_t>(item),
                          static_cast<std::uint32_t>(run.steps_done())};
      fill_normal(key, 0, std::span<double>(z.data(), static_cast<std::size_t>(z.size())));
      auto state = column(x, item);
      const auto clean = clean_.col(item);
      Eigen::VectorXd v = clean;
      if (t > 0) v += kept * (state.template cast<double>() / level.alpha - clean) + eta_ * t * z;
      const Eigen::VectorXd found = a_.right.transpose() * clean, noise = a_.right.transpose() * z,
                            own = a_.right.transpose() * v;
      for (Eigen::Index i = 0; i < deviations_.size(); ++i) {
        const double d = deviations_[i], y = seen_(i, item);
        const double next = t < d ? found[i] + kept * t * (y - found[i]) / d + eta_ * t * noise[i]
                                  : (1 - eta_b_) * found[i] + eta_b_ * y + rest(t, d) * noise[i];
        v += a_.right.col(i) * (next - own[i]);
      }
      state = (level.alpha * v).template cast<S>();
    }
  }

 private:
  // sqrt(t^2 - eta_b^2 d^2) for t >= d.
  double rest(double t, double d) const { return std::sqrt((t - eta_b_ * d) * (t + eta_b_ * d)); }
  void require_size(const char* function, std::size_t size) const {
    detail::require_equal(function, "size", size,
                          static_cast<std::size_t>(a_.right.rows() * seen_.cols()));
  }
  template <class S>
  auto column(std::span<S> x, Eigen::Index item) const {
    return Eigen::Map<Eigen::Matrix<std::remove_const_t<S>, Eigen::Dynamic, 1>>(
        x.data() + item * a_.right.rows(), a_.right.rows());
  }

  singular_system a_;
  Eigen::VectorXd deviations_;  // s / d_i
  Eigen::MatrixXd seen_;        // u_i' y / d_i, one column an item
  Eigen::MatrixXd clean_;
  std::uint64_t seed_;
  double eta_, eta_b_;
};

}  // namespace tweedie
