// Posterior sampling with noise that is decoupled from step to step (DAPS, Zhang et al. 2024, algorithm 1): from each
// level down to clean data by the flow, a draw of x0 that fits the measurement, and up again to the next level.
//
//   x0^  <- flow from x_t to clean data, a few DDIM steps
//   x0   ~  N(x0; x0^, r^2 I) N(y; A x0, s^2 I)
//   x_s  =  alpha_s x0 + sigma_s z
//
// For linear A the draw is exact, where the paper runs Langevin steps: solve for x0^ + r e and y + s e', e and e'
// normal (Papandreou and Yuille 2010). r^2 stands for Cov[x0 | x_t]. With one step of the flow, which gives the mean
// of x0, and data for which r^2 I is the covariance, every step is exact, however large.
//
//   const program plan = decoupled_annealing(nodes, 4, nodes_of(schedule));
//   decoupled draw(a, y, deviation, seed);
//   sampling s(plan, network, x, gaussian_noise{seed});
//   ... if (event == sampling_event::step) draw.apply(s);
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/restore/conjugate_gradients.hpp"
#include "tweedie/restore/operators.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/tensor/normal.hpp"

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
  detail::require(nodes.back().level.sigma == 0, name, "last sigma", nodes.back().level.sigma,
                  "valid: 0, clean data");
  detail::require(inner >= 1, name, "inner", inner, "valid: at least 1");
  recorder r(nodes.front());
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    node from = nodes[i];
    const double highest = noise_level(from.level);
    const double lowest = noise_level(nodes[nodes.size() - 2].level);
    const bool last = i + 2 == nodes.size();
    const int count = last ? 1 : inner;
    for (int k = 1; k <= count; ++k) {
      const node to =
          k == count
              ? nodes.back()
              : between(highest * std::pow(lowest / highest, static_cast<double>(k) / (inner - 1)));
      x = ddim_step(r, x, {from, to}, 0);
      r.mark(x, to);
      from = to;
    }
    if (last) break;
    const auto [alpha, sigma] = nodes[i + 1].level;
    x = alpha / nodes.back().level.alpha * x + sigma * r.draw();
    r.mark(x, nodes[i + 1]);
  }
  return r.finish(x);
}

/// The draws of x0, one measurement for each item. Allocates its memory at the first step.
template <linear_operator A>
class decoupled {
 public:
  /// \param variance r^2 of the level that the flow came down from; sigma^2 / (alpha^2 + sigma^2) unless given, what is
  ///   left of isotropic data of variance 1
  /// \throws std::invalid_argument unless y holds whole measurements, all finite, and deviation is positive.
  decoupled(
      A a, std::vector<double> y, double deviation, std::uint64_t seed,
      std::function<double(signal_noise)> variance =
          [](signal_noise l) {
            return l.sigma * l.sigma / (l.alpha * l.alpha + l.sigma * l.sigma);
          })
      : a_(std::move(a)),
        y_(std::move(y)),
        deviation_(deviation),
        seed_(seed),
        variance_(std::move(variance)) {
    const std::size_t m = a_.outputs();
    if (m == 0 || y_.empty() || y_.size() % m != 0)
      detail::fail("decoupled", "y.size()", static_cast<double>(y_.size()),
                   "valid: a multiple of the operator's outputs, " + std::to_string(m));
    for (const double v : y_)
      detail::require(std::isfinite(v), "decoupled", "y", v, "valid: finite");
    detail::require(deviation > 0 && std::isfinite(deviation), "decoupled", "deviation", deviation,
                    "valid: 0 < deviation < inf");
  }

  /// Call after each step (`sampling_event::step`): replaces clean states by a draw.
  /// \throws std::invalid_argument if the state is not as many items as there are measurements.
  template <class Run>
  void apply(Run& run) {
    const signal_noise level = run.reached().level;
    if (level.sigma > 0) return;
    auto view = run.state();
    const std::size_t n = a_.inputs(), m = a_.outputs(), items = y_.size() / m;
    detail::require_equal("decoupled::apply", "state.size()", static_cast<std::size_t>(view.size()),
                          items * n);
    for (auto* v : {&x_, &work_, &noise_}) v->resize(n);
    for (auto* v : {&residual_, &solution_, &direction_, &image_, &error_}) v->resize(m);
    const double r2 = variance_(came_from(run)), s2 = deviation_ * deviation_;
    const auto system = [&](std::span<const double> v) {
      a_.adjoint(v, work_);
      a_.apply(work_, image_);
      for (std::size_t i = 0; i < m; ++i) image_[i] = r2 * image_[i] + s2 * v[i];
    };
    using S = std::remove_cvref_t<decltype(view.data()[0])>;
    for (std::size_t item = 0; item < items; ++item) {
      S* const state = view.data() + item * n;
      const auto key = [&](std::uint32_t what) {
        return noise_key{seed_, static_cast<std::uint32_t>(item),
                         2 * static_cast<std::uint32_t>(run.steps_done()) + what};
      };
      fill_normal(key(0), 0, std::span<double>(noise_));
      fill_normal(key(1), 0, std::span<double>(error_));
      for (std::size_t i = 0; i < n; ++i)
        x_[i] = static_cast<double>(state[i]) + std::sqrt(r2) * noise_[i];
      a_.apply(x_, residual_);
      for (std::size_t i = 0; i < m; ++i)
        residual_[i] = y_[item * m + i] + deviation_ * error_[i] - residual_[i];
      detail::conjugate_gradients("decoupled", system, residual_, solution_, direction_, image_);
      a_.adjoint(solution_, work_);
      for (std::size_t i = 0; i < n; ++i) state[i] = static_cast<S>(x_[i] + r2 * work_[i]);
    }
  }

 private:
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
  std::vector<double> x_, work_, noise_, residual_, solution_, direction_, image_, error_;
};

}  // namespace tweedie
