// Adaptive step size: a controller reads one number per attempted step, the scaled difference of
// two solutions of different order, and chooses the next step in half log-SNR.
//
//   delta = max(absolute, relative * max(|x_low|, |x_low of the last accepted step|))
//   error = rms((x_low - x_high) / delta)
//
// A step is a small program whose one mark is x_low and whose result is
// x_high, so any embedded pair works: DPM-Solver-12 and -23 (Lu et al. 2022a, appendix C), or a
// Butcher tableau with two sets of weights.
//
//   adaptive_sampling s(dpm_solver_23(at), at, network, x, range, pid_controller{});
//   while (s.next()) engine.run(s.input(), s.network_time(), s.output());
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/sampler/runge_kutta.hpp"
#include "tweedie/solve/sampling.hpp"

namespace tweedie {

namespace detail {

// Both solutions of a DPM-Solver step: all points for the result, one fewer for the mark.
inline program embedded_pair(const node& from, const node& to, std::span<const node> points,
                             const dpm_solver_rule& rule) {
  recorder r(from);
  linear x = r.state();
  const dpm_solver_step step(r, x, from, points, rule);
  linear low = step.state(to, points.size());
  r.mark(low, to);
  return r.finish(step.state(to, points.size() + 1));
}

}  // namespace detail

/// Whose error counts.
enum class error_norm {
  whole_batch,  ///< root mean square over all items together
  worst_item    ///< largest of the items' root mean squares
};

struct tolerance {
  double absolute = 0.0078;  ///< in units of the data
  double relative = 0.05;
  error_norm norm = error_norm::whole_batch;
};

/// Proportional-integral-derivative control as k-diffusion's dpm_adaptive does it: with
/// e = 1/error, the step is multiplied by 1 + atan(e^b1 e_1^b2 e_2^b3 - 1), where e_1 and e_2
/// belong to the last two accepted steps, and accepted if that factor is at least `safety`.
struct pid_controller {
  double step = 0.05;  ///< first attempt, in half log-SNR
  double proportional = 0;
  double integral = 1;
  double derivative = 0;
  double order = 3;
  double safety = 0.81;
  std::vector<double> inverse_errors{};

  double attempt(double remaining) const { return std::min(step, remaining); }

  bool accepts(double error) {
    const double inverse = 1 / (error + 1e-8);
    if (inverse_errors.empty()) inverse_errors.assign(3, inverse);
    inverse_errors[0] = inverse;
    const double b1 = (proportional + integral + derivative) / order;
    const double b2 = -(proportional + 2 * derivative) / order;
    const double b3 = derivative / order;
    const double raw = std::pow(inverse_errors[0], b1) * std::pow(inverse_errors[1], b2) *
                       std::pow(inverse_errors[2], b3);
    const double factor = 1 + std::atan(raw - 1);
    const bool accept = factor >= safety;
    if (accept) {
      inverse_errors[2] = inverse_errors[1];
      inverse_errors[1] = inverse_errors[0];
    }
    step *= factor;
    return accept;
  }
};

/// Accept if error <= 1; next step = theta * step * error^(-1/order) (Lu et al. 2022a, algorithm
/// 3).
struct elementary_controller {
  double step = 0.05;
  double theta = 0.9;
  double order = 3;

  double attempt(double remaining) { return step = std::min(step, remaining); }

  bool accepts(double error) {
    step *= theta * std::pow(error, -1 / order);
    return error <= 1;
  }
};

/// Where to integrate, how exactly, and how much noise to add on the way (0: the ODE).
struct adaptive_range {
  double from = 0;  ///< half log-SNR of the start
  double to = 0;    ///< half log-SNR of the end, either side of the start
  tolerance allowed{};
  double eta = 0;          ///< ancestral noise; needs to > from
  double noise_scale = 1;  ///< factor on that noise
  double slack = 1e-5;     ///< ends when no further than this from `to`
};

/// x_low at the mark, x_high as the result.
using embedded_method = std::function<program(const node& from, const node& to)>;

/// DPM-Solver-12: order one for the error, two for the step.
inline embedded_method dpm_solver_12(node_maker at, dpm_solver_rule rule = {}) {
  return [at = std::move(at), rule](const node& from, const node& to) {
    return detail::embedded_pair(from, to, even_leg(from, to, 2, at).points, rule);
  };
}

/// DPM-Solver-23, sharing the point at a third of the step.
inline embedded_method dpm_solver_23(node_maker at, dpm_solver_rule rule = {}) {
  return [at = std::move(at), rule](const node& from, const node& to) {
    return detail::embedded_pair(from, to, even_leg(from, to, 3, at).points, rule);
  };
}

/// A Butcher tableau with embedded weights (sampler/runge_kutta.hpp).
inline embedded_method embedded_runge_kutta(const butcher_tableau& method, node_maker at,
                                            plane_row row = noise_row) {
  return [method, at = std::move(at), row](const node& from, const node& to) {
    const double u = chart_coordinate(row, from.level);
    const double h = chart_coordinate(row, to.level) - u;
    recorder r(from);
    linear x = r.state();
    const linear start = x / determinant(from.level, row);
    std::vector<linear> k;
    for (std::size_t i = 0; i < method.stages; ++i) {
      const double c = method.c[i];
      const node point = c == 0   ? from
                         : c == 1 ? to
                                  : at(-std::log(noise_level_at(row, u + c * h)));
      linear stage = start;
      for (std::size_t j = 0; j < i; ++j) stage += h * method.a[i][j] * k[j];
      stage *= determinant(point.level, row);
      const estimate e = r.evaluate(stage, point);
      k.push_back(slope(row, stage, e, point));
    }
    linear low = start;
    linear high = start;
    for (std::size_t i = 0; i < method.stages; ++i) {
      low += h * method.embedded[i] * k[i];
      high += h * method.b[i] * k[i];
    }
    low *= determinant(to.level, row);
    high *= determinant(to.level, row);
    r.mark(low, to);
    return r.finish(high);
  };
}

/// A run whose steps are chosen as it goes. Same protocol as `sampling`.
template <tensor_like T, class Controller, class Noise = no_noise, class Transform = unchanged>
class adaptive_sampling {
 public:
  using scalar = scalar_t<T>;

  /// \throws std::invalid_argument for an empty range, a tolerance that is not positive, or noise
  ///   on a range that does not fall.
  adaptive_sampling(embedded_method method, node_maker at, network_description network, const T& x,
                    const adaptive_range& range, Controller controller, Noise noise = {},
                    Transform transform = {})
      : method_(std::move(method)),
        at_(std::move(at)),
        network_(std::move(network)),
        range_(range),
        controller_(std::move(controller)),
        noise_(std::move(noise)),
        transform_(std::move(transform)),
        shape_(traits_of<T>::shape(x)),
        items_(traits_of<T>::items(x)),
        x_(traits_of<T>::data(x), traits_of<T>::data(x) + traits_of<T>::size(x)),
        low_before_(x_),
        reached_(range.from) {
    constexpr const char* name = "adaptive_sampling";
    detail::require(std::isfinite(range.from - range.to) && range.from != range.to, name, "to",
                    range.to, "valid: finite and different from the start");
    detail::require(range.allowed.absolute > 0, name, "absolute tolerance", range.allowed.absolute,
                    "valid: > 0");
    detail::require(range.allowed.relative >= 0, name, "relative tolerance", range.allowed.relative,
                    "valid: >= 0");
    detail::require(range.eta == 0 || (range.eta > 0 && range.to > range.from), name, "eta",
                    range.eta, "valid: 0, or positive while the noise falls");
    detail::require(controller_.step > 0, name, "first step", controller_.step, "valid: > 0");
  }

  /// Runs to the next network call; false at the end of the range.
  bool next() {
    for (;;) {
      if (!attempt_) {
        if (remaining() <= range_.slack) return false;
        begin();
      }
      switch (attempt_->advance()) {
        case sampling_event::evaluate: ++evaluations_; return true;
        case sampling_event::step: {
          const auto low = elements(attempt_->state());
          low_.assign(low.begin(), low.end());
          break;
        }
        case sampling_event::finished: judge(); break;
      }
    }
  }

  auto input() const { return std::as_const(*attempt_).input(); }
  double network_time() const { return attempt_->network_time(); }
  const node& at() const { return attempt_->at(); }
  auto output() { return attempt_->output(); }

  /// The sample at `reached()`.
  view_t<T> state() { return traits_of<T>::make_view(x_.data(), shape_); }
  /// Half log-SNR of the sample.
  double reached() const { return reached_; }
  /// Error of the last attempt, in units of the tolerance.
  double error() const { return error_; }
  const Controller& controller() const { return controller_; }
  std::size_t accepted() const { return accepted_; }
  std::size_t rejected() const { return rejected_; }
  std::size_t evaluations() const { return evaluations_; }

 private:
  using attempted = sampling<const_view_t<T>, no_noise, Transform>;

  double direction() const { return range_.to > range_.from ? 1 : -1; }
  double remaining() const { return direction() * (range_.to - reached_); }

  void begin() {
    const double step = controller_.attempt(remaining());
    target_ = step >= remaining() ? range_.to : reached_ + direction() * step;
    target_node_ = ancestral_end(at_(reached_), at_(target_), range_.to, range_.eta, at_);
    attempt_.emplace(method_(at_(reached_), target_node_.down), network_,
                     traits_of<T>::make_view(std::as_const(x_).data(), shape_), no_noise{},
                     transform_);
  }

  void judge() {
    const auto high = elements(attempt_->state());
    error_ = measure(std::span<const scalar>(high.data(), high.size()));
    if (controller_.accepts(error_)) {
      const bool noisy = range_.eta > 0;
      std::copy(high.begin(), high.end(), x_.begin());
      low_before_ = low_;
      if (noisy) renoise();
      reached_ = target_;
      ++accepted_;
    } else {
      ++rejected_;
    }
    attempt_.reset();
  }

  void renoise() {
    std::vector<scalar> z(x_.size());
    noise_.fill(noise_request{static_cast<int>(accepted_), {}, items_}, std::span<scalar>(z));
    for (std::size_t i = 0; i < x_.size(); ++i)
      x_[i] =
          static_cast<scalar>(target_node_.scale * static_cast<double>(x_[i]) +
                              range_.noise_scale * target_node_.noise * static_cast<double>(z[i]));
  }

  double measure(std::span<const scalar> high) const {
    const std::size_t parts = range_.allowed.norm == error_norm::worst_item ? items_ : 1;
    const std::size_t length = parts == 0 ? 0 : high.size() / parts;
    double worst = 0;
    for (std::size_t p = 0; p < parts; ++p) {
      double sum = 0;
      for (std::size_t i = p * length; i < (p + 1) * length; ++i) {
        const auto low = static_cast<double>(low_[i]);
        const double size = std::max(std::abs(low), std::abs(static_cast<double>(low_before_[i])));
        const double delta = std::max(range_.allowed.absolute, range_.allowed.relative * size);
        const double scaled = (low - static_cast<double>(high[i])) / delta;
        sum += scaled * scaled;
      }
      worst = std::max(worst, std::sqrt(sum / static_cast<double>(length)));
    }
    return worst;
  }

  embedded_method method_;
  node_maker at_;
  network_description network_;
  adaptive_range range_;
  Controller controller_;
  Noise noise_;
  Transform transform_;
  typename traits_of<T>::shape_type shape_;
  std::size_t items_;
  std::vector<scalar> x_;
  std::vector<scalar> low_before_;
  std::vector<scalar> low_{};
  std::optional<attempted> attempt_{};
  double reached_;
  double target_ = 0;
  ancestral_target target_node_{};
  double error_ = 0;
  std::size_t accepted_ = 0;
  std::size_t rejected_ = 0;
  std::size_t evaluations_ = 0;
};

}  // namespace tweedie
