// Posterior sampling with noise that is decoupled from step to step (DAPS, Zhang et al. 2024, algorithm 1): from each
// level down to clean data by the flow, a draw of x0 that fits the measurement, and up again to the next level.
//
//   x0^  <- flow from x_t to clean data, a few DDIM steps
//   x0   ~  N(x0; x0^, r^2 I) N(y; A x0, s^2 I)
//   x_s  =  alpha_s x0 + sigma_s z
//
// For linear A the draw is exact, where the paper runs Langevin steps (`langevin_steps` does): solve for x0^ + r e and y + s e', e and e'
// normal (Papandreou and Yuille 2010). r^2 stands for Cov[x0 | x_t]. With one step of the flow, which gives the mean
// of x0, and data for which r^2 I is the covariance, every step is exact, however large.
//
//   const program plan = decoupled_annealing(nodes, 4, nodes_of(schedule));
//   decoupled draw(a, y, deviation, seed);
//   sampling s(plan, network, x, gaussian_noise{seed});
//   ... if (event == sampling_event::step) draw.apply(s);
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tweedie/restore/conjugate_gradients.hpp"
#include "tweedie/restore/operators.hpp"
#include "tweedie/restore/posterior.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/tensor/normal.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// The walk: from every node but the last down to clean data in `inner` DDIM steps (one from the lowest noisy
/// node), evenly in the logarithm of the noise level down to that node, then up to the next node. `between` makes nodes of noise levels.
/// \throws std::invalid_argument unless the grid falls from a level with signal to clean data and inner is
///   positive.
template <class Between>
program decoupled_annealing(const grid& nodes, int inner, const Between& between) {
  constexpr const char* name = "decoupled_annealing";
  check_descending(name, nodes);
  check_signal(name, nodes);
  check_ends_clean(name, nodes);
  detail::require(inner >= 1, name, "inner", inner, "valid: at least 1");
  grid visited;
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    visited.push_back(nodes[i]);
    const double highest = noise_level(nodes[i].level);
    const double lowest = noise_level(nodes[nodes.size() - 2].level);
    const int count = i + 2 == nodes.size() ? 1 : inner;
    for (int k = 1; k < count; ++k)
      visited.push_back(
          between(highest * std::pow(lowest / highest, static_cast<double>(k) / (inner - 1))));
    visited.push_back(nodes.back());
  }
  return walk_anywhere(name, visited.empty() ? nodes : visited, [](recorder& r, const linear& x, const leg& l) {
    if (l.from.level.sigma > 0) return ddim_step(r, x, l, 0);
    return renoised(r, x, l.from.level, l.to.level);
  });
}

/// Langevin steps in place of the exact draw, as published:
///   x0 <- x0 + h grad log p + sqrt(2 h) z     from x0^, log p = -|x0 - x0^|^2 / (2 r^2) - |y - A x0|^2 / (2 s^2)
/// Steps are stable below h = 2 / (1/r^2 + |A|^2/s^2); many small ones end in the exact draw. Their length h falls along the
/// run from `first` to `last`.
struct langevin_steps {
  int count = 100;
  double first = 1e-4;
  double last = 1e-6;
};

/// The draws of x0, one measurement for each item. Allocates its memory at the first step.
template <linear_operator A>
class decoupled {
 public:
  /// \param variance r^2 of the level that the flow came down from; that of `pseudo_inverse` unless given, sigma^2 /
  ///   (alpha^2 + sigma^2). The paper's code takes sigma^2 / alpha^2.
  /// \param langevin how to draw; exactly unless given
  /// \throws std::invalid_argument unless y holds whole measurements, all finite, deviation is positive, and Langevin
  ///   steps are at least one, their lengths positive and finite.
  decoupled(A a, std::vector<double> y, double deviation, std::uint64_t seed,
            std::function<double(signal_noise)> variance = pseudo_inverse().variance,
            std::optional<langevin_steps> langevin = {})
      : a_(std::move(a)),
        y_(std::move(y)),
        deviation_(deviation),
        seed_(seed),
        variance_(std::move(variance)),
        langevin_(langevin) {
    constexpr const char* name = "decoupled";
    detail::check_measurements(name, a_.outputs(), y_, deviation);
    detail::require(deviation > 0, name, "deviation", deviation, "valid: 0 < deviation < inf");
    if (!langevin_) return;
    detail::require(langevin_->count >= 1, name, "langevin.count", langevin_->count,
                    "valid: at least 1");
    for (const double h : {langevin_->first, langevin_->last})
      detail::require(h > 0 && std::isfinite(h), name, "length of a Langevin step", h,
                      "valid: 0 < length < inf");
  }

  /// Call after each step (`sampling_event::step`): replaces clean states by a draw.
  /// \throws std::invalid_argument if the state is not as many items as there are measurements, not finite, or r^2 is not
  ///   positive; std::domain_error where Langevin steps are too long and diverge. The state is then as it was.
  template <class Run>
  void apply(Run& run) {
    constexpr const char* name = "decoupled::apply";
    if (run.reached().level.sigma > 0) return;
    const auto state = elements(run.state());
    using S = typename decltype(state)::element_type;
    const std::size_t n = a_.inputs(), m = a_.outputs(), items = y_.size() / m;
    detail::require_equal(name, "state.size()", state.size(), items * n);
    detail::require_all_finite(name, "state", state);
    const double r2 = variance_(came_from(run));
    detail::require(r2 > 0 && std::isfinite(r2), name, "r^2", r2, "valid: 0 < r^2 < inf");
    drawn_.assign(state.begin(), state.end());
    for (auto* v : {&work_, &noise_}) v->resize(n);
    for (auto* v : {&residual_, &solution_, &direction_, &image_, &error_}) v->resize(m);
    const auto done = static_cast<std::uint32_t>(run.steps_done());
    const double along = static_cast<double>(done) / static_cast<double>(run.steps_total());
    for (std::size_t item = 0; item < items; ++item) {
      const std::span<double> x = std::span(drawn_).subspan(item * n, n);
      const std::span<const double> y = std::span(y_).subspan(item * m, m);
      const noise_key first{seed_, static_cast<std::uint32_t>(item), 2 * done};
      const noise_key second{seed_, static_cast<std::uint32_t>(item), 2 * done + 1};
      if (langevin_)
        walk_langevin(x, y, r2, std::lerp(langevin_->first, langevin_->last, along), first);
      else
        draw_exactly(x, y, r2, first, second);
    }
    std::transform(drawn_.begin(), drawn_.end(), state.begin(),
                   [](double x) { return static_cast<S>(x); });
  }

 private:
  // x <- a draw of N(x, r^2 I) N(y; A x, s^2 I).
  void draw_exactly(std::span<double> x, std::span<const double> y, double r2, noise_key first,
                    noise_key second) {
    const double s2 = deviation_ * deviation_;
    fill_normal(first, 0, std::span<double>(noise_));
    fill_normal(second, 0, std::span<double>(error_));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += std::sqrt(r2) * noise_[i];
    a_.apply(x, residual_);
    for (std::size_t i = 0; i < y.size(); ++i)
      residual_[i] = y[i] + deviation_ * error_[i] - residual_[i];
    const auto system = [&](std::span<const double> v) {
      a_.adjoint(v, work_);
      a_.apply(work_, image_);
      for (std::size_t i = 0; i < v.size(); ++i) image_[i] = r2 * image_[i] + s2 * v[i];
    };
    detail::conjugate_gradients("decoupled", system, residual_, solution_, direction_, image_);
    a_.adjoint(solution_, work_);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += r2 * work_[i];
  }

  void walk_langevin(std::span<double> x, std::span<const double> y, double r2, double h,
                     noise_key key) {
    start_.assign(x.begin(), x.end());
    for (int k = 0; k < langevin_->count; ++k) {
      fill_normal(key, static_cast<std::uint64_t>(k) * x.size(), std::span<double>(noise_));
      a_.apply(x, residual_);
      for (std::size_t i = 0; i < y.size(); ++i)
        residual_[i] = (y[i] - residual_[i]) / (deviation_ * deviation_);
      a_.adjoint(residual_, work_);
      for (std::size_t i = 0; i < x.size(); ++i)
        x[i] += h * (work_[i] + (start_[i] - x[i]) / r2) + std::sqrt(2 * h) * noise_[i];
    }
    for (const double v : x)
      if (!std::isfinite(v))
        detail::raise(
            std::domain_error(detail::describe("decoupled", "length of a Langevin step", h,
                                               "the steps diverge; valid: below 2 / (1/r^2 + "
                                               "|A|^2 / deviation^2)")));
  }

  // Where the walk turned down: the first mark after the last clean one.
  template <class Run>
  static signal_noise came_from(const Run& run) {
    signal_noise top = run.plan().start.level;
    bool clean = false;
    std::size_t marks = 0;
    for (const auto& s : run.plan().stages) {
      if (!s.mark) continue;
      if (++marks == run.steps_done()) break;
      if (clean) top = s.mark->at.level;
      clean = s.mark->at.level.sigma == 0;
    }
    return top;
  }

  A a_;
  std::vector<double> y_;
  double deviation_;
  std::uint64_t seed_;
  std::function<double(signal_noise)> variance_;
  std::optional<langevin_steps> langevin_;
  std::vector<double> drawn_, start_, work_, noise_, residual_, solution_, direction_, image_,
      error_;
};

}  // namespace tweedie
