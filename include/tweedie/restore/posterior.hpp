// Solving y = A x0 + s e, e standard normal, with a denoiser as the prior: the x0 estimate of every
// evaluation is moved towards the measurement, and any sampler goes on from there.
//
//   x0' = x0 + C A' (A K A' + s^2 I)^-1 (y - A x0)
//
// E[x0 | x, y] is this, with C = K = Cov[x0 | x], where that is Gaussian. By the second-order Tweedie
// formula Cov[x0 | x] = (sigma^2 / alpha) J, J = d E[x0 | x] / d x. The published methods differ in what
// they put for the two:
//
//   name                C                 K                 paper
//   moment_matching     sigma^2/alpha J   sigma^2/alpha J   TMPD, Boys et al. 2023; MMPS, Rozet et al. 2024, eq. 12
//   pseudo_inverse      sigma^2/alpha J   r^2 I             PiGDM, Song et al. 2023, eq. 7
//   posterior_sampling  w sigma^2/alpha J 0                 DPS, Chung et al. 2023, eq. 16, at the weight w / s^2
//   proximal            r^2 I             r^2 I             DiffPIR, Zhu et al. 2023, eq. 13: r = sigma / (alpha sqrt(lambda))
//   null_space          I                 I, s = 0          DDNM, Wang et al. 2023, eq. 13: x0 + A^+ (y - A x0)
//   flow_posterior      t v I             v I               FlowDPS, Kim et al. 2025, eq. 17, t the straight path's time
//
// The first is exact for Gaussian data, the second where the covariance is r^2 I; the last three ask for no
// derivative of the network. DPS scales its gradient by a norm in practice; its weight here is the one
// its derivation has, and far too large for small s.
//
// J' v is asked of the caller: jacobian(v, item, out) writes the vector-Jacobian product of the network's
// x0 estimate at its last evaluation, as automatic differentiation gives it. J is symmetric for exact
// denoisers, and is taken to be.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "tweedie/process/reverse.hpp"
#include "tweedie/restore/conjugate_gradients.hpp"
#include "tweedie/restore/operators.hpp"
#include "tweedie/schedule/clock.hpp"

namespace tweedie {

/// What stands for the covariance of x0 given x.
enum class clean_covariance {
  zero,       ///< 0
  isotropic,  ///< r^2 I
  jacobian    ///< sigma^2/alpha J, exact
};

/// A method: the two covariances of the formula, r^2 of a level, and a weight of the whole step at a level.
struct restoration {
  clean_covariance outer = clean_covariance::jacobian;
  clean_covariance inner = clean_covariance::jacobian;
  std::function<double(signal_noise)> variance = [](signal_noise) { return 1.0; };  ///< r^2
  std::function<double(signal_noise)> weight = [](signal_noise) { return 1.0; };
  bool exact_data = false;  ///< take s = 0, whatever the measurement says

  bool needs_jacobian() const {
    return outer == clean_covariance::jacobian || inner == clean_covariance::jacobian;
  }
};

/// Exact for Gaussian data; solves by conjugate gradients, one vector-Jacobian product an iteration.
inline restoration moment_matching() { return {}; }

/// r^2 = v sigma^2 / (alpha^2 v + sigma^2), the variance left of isotropic data of variance v.
/// \throws std::invalid_argument unless v is positive and finite.
inline restoration pseudo_inverse(double data_variance = 1) {
  detail::require(data_variance > 0 && std::isfinite(data_variance), "pseudo_inverse",
                  "data_variance", data_variance, "valid: 0 < v < inf");
  return {.inner = clean_covariance::isotropic, .variance = [v = data_variance](signal_noise l) {
            return gaussian_variance(l, {1, 0}, v);
          }};
}

/// \throws std::invalid_argument unless the weight is finite and not negative.
inline restoration posterior_sampling(double weight = 1) {
  detail::require(weight >= 0 && std::isfinite(weight), "posterior_sampling", "weight", weight,
                  "valid: 0 <= weight < inf");
  return {.inner = clean_covariance::zero, .weight = [weight](signal_noise) { return weight; }};
}

/// \throws std::invalid_argument unless lambda is positive and finite.
inline restoration proximal(double lambda = 7) {
  detail::require(lambda > 0 && std::isfinite(lambda), "proximal", "lambda", lambda,
                  "valid: 0 < lambda < inf");
  return {.outer = clean_covariance::isotropic,
          .inner = clean_covariance::isotropic,
          .variance = [lambda](signal_noise l) {
            return l.sigma * l.sigma / (l.alpha * l.alpha * lambda);
          }};
}

/// Puts the part of x0 that y determines to what y says.
inline restoration null_space() {
  return {.outer = clean_covariance::isotropic,
          .inner = clean_covariance::isotropic,
          .exact_data = true};
}

/// A share t = sigma / (alpha + sigma) of the way from x0 to argmin |y - A x|^2 / s^2 + |x - x0|^2 / v; the paper takes
/// three steps of gradient descent instead of the minimum. Its sampler is `flow_dps` (restore/flow.hpp).
/// \throws std::invalid_argument unless v is positive and finite.
inline restoration flow_posterior(double data_variance = 1) {
  detail::require(data_variance > 0 && std::isfinite(data_variance), "flow_posterior",
                  "data_variance", data_variance, "valid: 0 < v < inf");
  return {.outer = clean_covariance::isotropic,
          .inner = clean_covariance::isotropic,
          .variance = [v = data_variance](signal_noise) { return v; },
          .weight = [](signal_noise l) { return flow_time(node{.level = l}); }};
}

/// For methods that need no derivative.
struct no_jacobian {
  void operator()(std::span<const double>, std::size_t, std::span<double>) const {
    detail::fail("restored", "this method needs a vector-Jacobian product; give jacobian");
  }
};

/// The method as a transform of x0 estimates for `sampling` and `run`: y holds one measurement for each
/// item. Allocates its memory at the first step.
template <linear_operator A, class Jacobian = no_jacobian>
class restored {
 public:
  /// \throws std::invalid_argument unless y holds whole measurements, all finite, deviation is finite
  ///   and not negative (positive for posterior_sampling), and the method has the derivative it needs.
  restored(restoration how, A a, std::vector<double> y, double deviation, Jacobian jacobian = {})
      : how_(std::move(how)),
        a_(std::move(a)),
        y_(std::move(y)),
        variance_(how_.exact_data ? 0 : deviation * deviation),
        jacobian_(std::move(jacobian)) {
    detail::check_measurements("restored", a_.outputs(), y_, deviation);
    if (how_.inner == clean_covariance::zero)
      detail::require(deviation > 0, "restored", "deviation", deviation,
                      "valid: above 0 for posterior_sampling, whose weight is 1 / deviation^2");
    if (how_.needs_jacobian() && std::is_same_v<Jacobian, no_jacobian>)
      detail::fail("restored", "this method needs a vector-Jacobian product; give jacobian");
  }

  /// \throws std::invalid_argument if items or their size do not fit, or an estimate or product is not finite;
  ///   std::domain_error where the Jacobian is not that of a denoiser (not positive semidefinite). The estimate is then as
  ///   it was.
  template <class S>
  void operator()(std::span<S> clean, std::size_t items, const node& at) {
    detail::require_equal("restored", "items", items, y_.size() / a_.outputs());
    detail::require_equal("restored", "elements of an item", items == 0 ? 0 : clean.size() / items,
                          a_.inputs());
    // Clean data has no uncertainty left that a measurement could move.
    if (at.level.sigma == 0 && !how_.exact_data) return;
    if (how_.needs_jacobian())
      detail::require(at.level.alpha > 0, "restored", "alpha", at.level.alpha,
                      "valid: alpha > 0, where x0 depends on x; start from a level with signal");
    resize(clean.size());
    const double weight = how_.weight(at.level);
    for (std::size_t item = 0; item < items; ++item) {
      const std::size_t first = item * a_.inputs();
      for (std::size_t i = 0; i < a_.inputs(); ++i) x_[i] = static_cast<double>(clean[first + i]);
      a_.apply(x_, residual_);
      for (std::size_t i = 0; i < residual_.size(); ++i)
        residual_[i] = y_[item * residual_.size() + i] - residual_[i];
      solve(at.level, item);
      a_.adjoint(solution_, x_);
      multiply(how_.outer, at.level, item, x_, shift_);
      for (std::size_t i = 0; i < a_.inputs(); ++i) moved_[first + i] = weight * shift_[i];
    }
    for (const double m : moved_)
      detail::require(std::isfinite(m), "restored", "move of the estimate", m,
                      "valid: finite estimates and Jacobian products");
    for (std::size_t i = 0; i < clean.size(); ++i)
      clean[i] = static_cast<S>(static_cast<double>(clean[i]) + moved_[i]);
  }

 private:
  void resize(std::size_t size) {
    moved_.resize(size);
    for (auto* v : {&x_, &shift_, &work_}) v->resize(a_.inputs());
    for (auto* v : {&residual_, &solution_, &direction_, &image_}) v->resize(a_.outputs());
  }

  // out = C v; v and out differ.
  void multiply(clean_covariance c, signal_noise level, std::size_t item, std::span<const double> v,
                std::span<double> out) {
    double factor = 0;
    if (c == clean_covariance::jacobian) {
      jacobian_(v, item, out);
      factor = level.sigma * level.sigma / level.alpha;
      for (double& o : out) o *= factor;
    } else {
      if (c == clean_covariance::isotropic) factor = how_.variance(level);
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = factor * v[i];
    }
  }

  // image = (A K A' + s^2 I) v.
  void system(signal_noise level, std::size_t item, std::span<const double> v) {
    a_.adjoint(v, x_);
    multiply(how_.inner, level, item, x_, work_);
    a_.apply(work_, image_);
    for (std::size_t i = 0; i < image_.size(); ++i) image_[i] += variance_ * v[i];
  }

  // solution = (A K A' + s^2 I)^-1 residual.
  void solve(signal_noise level, std::size_t item) {
    if (how_.inner == clean_covariance::zero) {
      for (std::size_t i = 0; i < residual_.size(); ++i) solution_[i] = residual_[i] / variance_;
      return;
    }
    detail::conjugate_gradients(
        "restored", [&](std::span<const double> v) { system(level, item, v); }, residual_,
        solution_, direction_, image_);
  }

  restoration how_;
  A a_;
  std::vector<double> y_;
  double variance_;
  Jacobian jacobian_;
  std::vector<double> moved_, x_, shift_, work_, residual_, solution_, direction_, image_;
};

}  // namespace tweedie
