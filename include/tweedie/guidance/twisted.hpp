// Sampling the tilted law p(c|x)^w p(x) for any number of steps: the twisted diffusion sampler, TDS (Wu et
// al. 2023, "Practical and asymptotically exact conditional sampling in diffusion models", algorithm 1).
//
// A twist p~_t(x) is any positive function that is p(c|x)^w at t = 0; before, the nearer it is to what
// p(c|x)^w is expected to be the fewer particles it takes. Particles follow the guided chain and their
// weights make up for guidance, of the transition, and for what the twist has changed:
//
//   W <- W q(x_s | x_t)/q_guided(x_s | x_t) p~_s(x_s)/p~_t(x_t),   log p~_T = 0 before the first step
//
// q is the step of DDPM with the small variance, N(m, rho^2) (process/reverse.hpp); the guided one has the
// mean of the guided output. In the limit of many particles x_0 has exactly the law p(c|x)^w times what
// the chain makes without guidance, whatever the twist and the guidance are: the steps' lengths matter
// to p(x) only. guidance/particles.hpp needs no value of p(c|x), and short steps.
//
//   const program plan = ddim(nodes, 1);
//   twisted_particles particles(w, network, items);
//   sampling s(plan, network, x, guided_but_last(w), gaussian_noise{1});
//   for (auto now = s.advance(); now != sampling_event::finished; now = s.advance())
//     if (now == sampling_event::evaluate) {
//       networks(s.input(), s.output(0), s.output(1));
//       particles.observe(s.state(), s.at());
//     } else {
//       particles.reach(s.state(), s.output(0), s.output(1), s.reached(), log_twists(s.state(), s.reached()));
//       if (particles.effective_size() < 0.5 * items) particles.resample(uniform(), s.state());
//     }
//
// A step without noise, as the last to clean data, has no density: it must not be guided.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/guidance/particle_weights.hpp"
#include "tweedie/guidance/rule.hpp"
#include "tweedie/process/reverse.hpp"
#include "tweedie/program/network.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// Classifier-free guidance by w in all steps but the last, which is unconditional.
inline auto guided_but_last(double w) {
  return varying{[weights = branch_weights{guidance_scale(w)}](const guidance_point& p) {
    return p.step + 1 < p.steps ? weights : branch_weights{{1, 0}};
  }};
}

/// Weights of the items of a run of `ddim(nodes, 1)` that classifier-free guidance by w steers.
class twisted_particles {
 public:
  /// \throws std::invalid_argument for w that is not finite or no items.
  twisted_particles(double w, network_description network, std::size_t items)
      : w_(w), network_(std::move(network)), particles_(items), log_twists_(items, 0.0) {
    detail::require(std::isfinite(w), "twisted_particles", "w", w, "valid: finite");
  }

  /// Keeps the state that is evaluated at `at`.
  /// \throws std::invalid_argument for a size that is no multiple of the items.
  template <tensor_like State>
  void observe(const State& state, const node& at) {
    const std::size_t size = traits_of<State>::size(state);
    detail::require(size > 0 && size % particles_.items() == 0, "twisted_particles::observe",
                    "size", static_cast<double>(size), "valid: a multiple of the items");
    before_.resize(size);
    const auto from = elements(state);
    for (std::size_t k = 0; k < size; ++k) before_[k] = static_cast<double>(from[k]);
    from_ = at;
  }

  /// The step from there to `to` gave `state`; both outputs are those of the evaluation. `log_twists`:
  /// log p~ of each item of the state, up to a constant that is the same for all; -inf is a weight of 0.
  /// \throws std::invalid_argument for other sizes, where outputs determine no x0, and for twists and
  ///   outputs that are infinite or no numbers; no weight is changed then.
  template <tensor_like Output, tensor_like State>
  void reach(const State& state, const Output& unconditional, const Output& conditional,
             const node& to, std::span<const double> log_twists) {
    constexpr const char* name = "twisted_particles::reach";
    const std::size_t items = particles_.items(), size = before_.size(), length = size / items;
    detail::require_equal(name, "log_twists.size()", log_twists.size(), items);
    detail::require_equal(name, "size of the state", traits_of<State>::size(state), size);
    detail::require_equal(name, "size of an output", traits_of<Output>::size(unconditional), size);
    detail::require_equal(name, "size of an output", traits_of<Output>::size(conditional), size);
    const posterior_weights step = posterior(from_.level, to.level);
    const state_output clean = sample_from(from_.level, answer_row(network_, from_));

    std::vector<double> factors(log_twists.begin(), log_twists.end());
    for (std::size_t i = 0; i < items; ++i) {
      const double ratio = step.variance > 0
                               ? log_ratio(i * length, length, step, clean, elements(state),
                                           elements(unconditional), elements(conditional))
                               : 0;
      detail::require(std::isfinite(ratio), name, "log of the transitions' ratio", ratio,
                      "valid: outputs and states that are finite");
      detail::require(log_twists[i] < INFINITY, name, "log twist", log_twists[i],
                      "valid: below infinity");
      factors[i] += ratio - log_twists_[i];
    }
    for (std::size_t i = 0; i < items; ++i) {
      if (log_twists_[i] == -INFINITY) continue;  // has no weight any more
      particles_.multiply(i, factors[i]);
      log_twists_[i] = log_twists[i];
    }
  }

  /// As of `particle_weights`.
  std::vector<double> weights() const { return particles_.weights(); }
  /// As of `particle_weights`.
  double effective_size() const { return particles_.effective_size(); }
  /// As of `particle_weights`.
  template <writable_tensor X>
  void resample(double u, X&& x) {
    const std::vector<double> before = log_twists_;
    const std::vector<std::size_t> chosen = particles_.resample(u, x);
    for (std::size_t i = 0; i < chosen.size(); ++i) log_twists_[i] = before[chosen[i]];
  }

 private:
  // log q(x_s | x_t)/q_guided(x_s | x_t) = -(r, d) - |d|^2/2, for r = (x_s - m_guided)/rho and
  // d = (m_guided - m)/rho.
  double log_ratio(std::size_t first, std::size_t length, const posterior_weights& step,
                   state_output clean, const auto& state, const auto& unconditional,
                   const auto& conditional) const {
    const double of_state = step.state + step.clean * clean.x, of_output = step.clean * clean.y;
    const double deviation = std::sqrt(step.variance);
    double sum = 0;
    for (std::size_t k = first; k < first + length; ++k) {
      const auto u = static_cast<double>(unconditional[k]);
      const double d = of_output * w_ * (static_cast<double>(conditional[k]) - u) / deviation;
      const double plain = of_state * before_[k] + of_output * u;
      const double r = (static_cast<double>(state[k]) - plain) / deviation - d;
      sum -= d * (r + d / 2);
    }
    return sum;
  }

  double w_;
  network_description network_;
  particle_weights particles_;
  node from_{};
  std::vector<double> before_;
  std::vector<double> log_twists_;  // of each item, 0 at the start
};

}  // namespace tweedie
