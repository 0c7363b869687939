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
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/sampler/runge_kutta.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/solve/step_control.hpp"

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
template <tensor_like T, step_controller Controller, class Noise = no_noise,
          class Transform = unchanged>
class adaptive_sampling {
 public:
  using scalar = scalar_t<T>;

  /// \throws std::invalid_argument for an empty range, a tolerance or slack that is not valid, noise
  ///   on a range that does not fall, or a controller with such parameters.
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
    detail::require(std::isfinite(range.noise_scale), name, "noise_scale", range.noise_scale,
                    "valid: finite");
    detail::require(range.slack >= 0 && std::isfinite(range.slack), name, "slack", range.slack,
                    "valid: 0 <= slack < inf");
    detail::require(controller_.step > 0, name, "first step", controller_.step, "valid: > 0");
    controller_.check(name);
  }

  /// Runs to the next network call; false at the end of the range.
  /// \throws std::domain_error if steps of a millionth of the range are still too long: the network
  ///   does not answer with finite numbers, or the tolerance is beyond the precision of the state.
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

  /// As in `sampling`, while an evaluation is pending.
  /// \throws std::invalid_argument if none is.
  auto input() const { return pending().input(); }
  double network_time() const { return pending().network_time(); }
  const node& at() const { return pending().at(); }
  auto output() {
    static_cast<void>(pending());
    return attempt_->output();
  }

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
  using attempted = sampling<const_view_t<T>>;

  double direction() const { return range_.to > range_.from ? 1 : -1; }
  double remaining() const { return direction() * (range_.to - reached_); }

  const attempted& pending() const {
    if (!attempt_) detail::fail("adaptive_sampling", "no evaluation is pending");
    return *attempt_;
  }

  void begin() {
    const double step = controller_.attempt(remaining());
    if (!(step >= std::min(remaining(), 1e-6 * std::abs(range_.to - range_.from))))
      throw std::domain_error(detail::describe("adaptive_sampling", "step", step,
                                               "the error does not fall below the tolerance"));
    target_ = step >= remaining() ? range_.to : reached_ + direction() * step;
    target_node_ = ancestral_end(at_(reached_), at_(target_), range_.to, range_.eta, at_);
    attempt_.emplace(method_(at_(reached_), target_node_.down), network_,
                     traits_of<T>::make_view(std::as_const(x_).data(), shape_), transform_);
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
      if (std::isnan(sum)) return std::numeric_limits<double>::infinity();
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
