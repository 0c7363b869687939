// Adaptive step size: a controller reads one number per attempted step, the scaled difference of
// two solutions of different order, and chooses the next step in half log-SNR.
//
//   delta = max(absolute, relative * max(|x_low|, |x_low of the last accepted step|))
//   error = rms((x_low - x_high) / delta)
//
// Any embedded pair works (sampler/embedded.hpp):
//
//   const adaptive_plan plan{dpm_solver_23(at), at, {.from = -4, .to = 4}};
//   adaptive_sampling s(plan, network, x, pid_controller{});
//   while (s.next()) engine.run(s.input(), s.network_time(), s.output());
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tweedie/sampler/embedded.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/solve/step_control.hpp"

namespace tweedie {

/// Whose error counts.
enum class error_norm {
  whole_batch,  ///< root mean square over all items together
  worst_item    ///< largest of the items' root mean squares
};

/// absolute and relative of delta above, and whose error counts.
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

/// How steps are planned, which node a noise level is, and where to go.
struct adaptive_plan {
  embedded_method method;
  std::function<node(double noise_level)> at;
  adaptive_range range;
};

/// A run whose steps are chosen as it goes. Same protocol as `sampling`.
template <tensor_like T, step_controller Controller>
class adaptive_sampling {
 public:
  using scalar = scalar_t<T>;

  /// `parts`, in any order: noise, transform of x0 estimates, guidance, buffers, threads
  /// (solve/parts.hpp).
  /// \throws std::invalid_argument for an empty range, a tolerance or slack that is not valid, noise
  ///   on a range that does not fall or without a source, guidance that remembers (steps are tried
  ///   again), or a controller whose parameters are not valid.
  template <class... Parts>
  adaptive_sampling(const adaptive_plan& plan, const network_description& network, const T& x,
                    const Controller& controller, Parts&&... parts)
      : plan_(plan),
        network_(network),
        controller_(controller),
        shape_(traits_of<T>::shape(x)),
        items_(traits_of<T>::items(x)),
        x_(traits_of<T>::data(x), traits_of<T>::data(x) + traits_of<T>::size(x)),
        low_before_(x_),
        reached_(plan.range.from) {
    constexpr const char* name = "adaptive_sampling";
    const adaptive_range& range = plan_.range;
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
    (detail::take_part<scalar>(parts_, std::forward<Parts>(parts)), ...);
    detail::check_parts(name, program{}, parts_, x_.size());
    detail::require(!parts_.guidance || !parts_.guidance->memory, name, "remembers", 1,
                    "valid: guidance without memory");
    if (range.eta > 0 && !parts_.has_noise())
      detail::fail(name, "eta asks for noise; pass a noise source, such as gaussian_noise{seed}");
    low_.resize(x_.size());
    if (range.eta > 0) z_.resize(x_.size());
  }

  /// Runs to the next network call; false at the end of the range.
  /// \throws std::domain_error if steps of a millionth of the range are still too long: the network
  ///   does not answer with finite numbers, or the tolerance is beyond the precision of the state.
  bool next() {
    for (;;) {
      if (!trying_) {
        if (remaining() <= plan_.range.slack) return false;
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
  auto output(std::size_t branch = 0) {
    static_cast<void>(pending());
    return attempt_->output(branch);
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

  double direction() const { return plan_.range.to > plan_.range.from ? 1 : -1; }
  double remaining() const { return direction() * (plan_.range.to - reached_); }
  node at(double half_log_snr) const { return plan_.at(noise_level_of(half_log_snr)); }

  const attempted& pending() const {
    if (!trying_) detail::fail("adaptive_sampling", "no evaluation is pending");
    return *attempt_;
  }

  void begin() {
    const adaptive_range& range = plan_.range;
    Controller controller = controller_;
    const double step = controller.attempt(remaining());
    if (!(step >= (std::min)(remaining(), 1e-6 * std::abs(range.to - range.from))))
      detail::raise(std::domain_error(detail::describe(
          "adaptive_sampling", "step", step, "the error does not fall below the tolerance")));
    target_ = step >= remaining() ? range.to : reached_ + direction() * step;
    const node from = at(reached_);
    target_node_ = ancestral_end(from, at(target_), noise_level_of(range.to), range.eta, plan_.at);
    const program next = plan_.method(from, target_node_.down);
    const auto x = traits_of<T>::make_view(std::as_const(x_).data(), shape_);
    if (attempt_)
      attempt_->restart(next, network_, x);
    else
      attempt_.emplace(next, network_, x, parts_);
    controller_ = std::move(controller);
    trying_ = true;
  }

  // Once noise is made, nothing throws.
  void judge() {
    const auto high = elements(attempt_->state());
    const double error = measure(std::span<const scalar>(high.data(), high.size()));
    Controller controller = controller_;
    const bool accepts = controller.accepts(error);
    const bool renoises = accepts && plan_.range.eta > 0;
    if (renoises)
      parts_.make_noise({static_cast<int>(accepted_), {}, items_}, std::span<scalar>(z_));
    controller_ = std::move(controller);
    error_ = error;
    if (accepts) {
      std::copy(high.begin(), high.end(), x_.begin());
      low_before_ = low_;
      if (renoises) renoise();
      reached_ = target_;
      ++accepted_;
    } else {
      ++rejected_;
    }
    trying_ = false;
  }

  void renoise() {
    const scalar* const from[] = {x_.data(), z_.data()};
    const double weights[] = {target_node_.scale, plan_.range.noise_scale * target_node_.noise};
    scalar* const to = x_.data();
    combine<scalar>(std::span(&to, 1), from, weights, x_.size());
  }

  double measure(std::span<const scalar> high) const {
    const std::size_t parts = plan_.range.allowed.norm == error_norm::worst_item ? items_ : 1;
    const std::size_t length = parts == 0 ? 0 : high.size() / parts;
    double worst = 0;
    for (std::size_t p = 0; p < parts; ++p) {
      double sum = 0;
      for (std::size_t i = p * length; i < (p + 1) * length; ++i) {
        const auto low = static_cast<double>(low_[i]);
        const double size =
            (std::max)(std::abs(low), std::abs(static_cast<double>(low_before_[i])));
        const double delta =
            (std::max)(plan_.range.allowed.absolute, plan_.range.allowed.relative * size);
        const double scaled = (low - static_cast<double>(high[i])) / delta;
        sum += scaled * scaled;
      }
      if (std::isnan(sum)) return std::numeric_limits<double>::infinity();
      worst = (std::max)(worst, std::sqrt(sum / static_cast<double>(length)));
    }
    return worst;
  }

  adaptive_plan plan_;
  network_description network_;
  Controller controller_;
  detail::run_parts<scalar> parts_{};
  typename traits_of<T>::shape_type shape_;
  std::size_t items_;
  std::vector<scalar> x_;
  std::vector<scalar> low_before_;
  std::vector<scalar> low_{}, z_{};
  std::optional<attempted> attempt_{};
  bool trying_ = false;
  double reached_;
  double target_ = 0;
  ancestral_target target_node_{};
  double error_ = 0;
  std::size_t accepted_ = 0;
  std::size_t rejected_ = 0;
  std::size_t evaluations_ = 0;
};

}  // namespace tweedie
