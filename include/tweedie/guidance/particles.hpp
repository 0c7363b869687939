// Sampling the law that guidance is said to sample, p(c|x)^w p(x): many particles with weights
// (Feynman-Kac correctors, Skreta et al. 2025, "Feynman-Kac correctors in diffusion", proposition 3.1).
//
// Let p_v be proportional to p_v(x|c)^w p_v(x)^(1 - w) at every noise level v = sigma/alpha. Particles that
// follow the reverse SDE with the guided score w s_c + (1 - w) s_u have these laws if their weights
// grow by
//
//   d log W = w (w - 1)/2 |s_c - s_u|^2 d(v^2) = w (w - 1) |e_c - e_u|^2 d log v
//
// while v falls; e are noise predictions. Without weights, w = 0 or 1 aside, the law is another one
// (guidance/exact.hpp). Where few particles carry the weight they are drawn again by it. Exact as steps
// become short and particles many; the step to clean data weighs nothing.
//
//   guided_particles particles(w, network, items);       // a run with two branches, guided by w
//   for (auto now = s.advance(); now != sampling_event::finished; now = s.advance())
//     if (now == sampling_event::evaluate) {
//       networks(s.input(), s.output(0), s.output(1));
//       particles.observe(s.output(0), s.output(1), s.at());
//     } else if (particles.reach(s.reached()); particles.effective_size() < 0.5 * items) {
//       particles.resample(uniform(), s.state());
//     }
//
// For samplers with one register, such as ddpm and ddim with eta = 1: what others remember of a
// particle would stay behind.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/guidance/particle_weights.hpp"
#include "tweedie/program/network.hpp"
#include "tweedie/tensor/gram.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// Weights of the items of a guided run.
class guided_particles {
 public:
  /// \throws std::invalid_argument for w that is not finite or no items.
  guided_particles(double w, network_description network, std::size_t items)
      : w_(w), network_(std::move(network)), differences_(items, 0.0), particles_(items) {
    detail::require(std::isfinite(w), "guided_particles", "w", w, "valid: finite");
  }

  /// Reads the outputs of the evaluation at `at`, both of the kind the network predicts.
  /// \throws std::invalid_argument for other sizes, or where outputs determine no noise.
  template <tensor_like Output>
  void observe(const Output& unconditional, const Output& conditional, const node& at) {
    using S = scalar_t<Output>;
    constexpr const char* name = "guided_particles::observe";
    const std::size_t size = traits_of<Output>::size(unconditional), items = particles_.items();
    detail::require(size == traits_of<Output>::size(conditional) && size % items == 0, name, "size",
                    static_cast<double>(size), "valid: of both outputs, a multiple of the items");
    const double to_noise = noise_from(at.level, answer_row(network_, at)).y;
    detail::require(std::isfinite(to_noise), name, "alpha", at.level.alpha,
                    "valid: levels at which outputs determine the noise");
    const S* const rows[] = {traits_of<Output>::data(unconditional),
                             traits_of<Output>::data(conditional)};
    double g[9];
    for (std::size_t i = 0; i < items; ++i) {
      gram<S>(rows, i * (size / items), size / items, g);
      differences_[i] = to_noise * to_noise * (std::max)(0.0, g[0] - 2 * g[1] + g[4]);
    }
    from_ = at;
  }

  /// The step from the observed level to `to` is done.
  void reach(const node& to) {
    if (!(to.level.sigma > 0) || !(from_.level.alpha > 0)) return;
    const double fall = std::log(noise_level(from_.level) / noise_level(to.level));
    for (std::size_t i = 0; i < particles_.items(); ++i)
      particles_.multiply(i, w_ * (w_ - 1) * differences_[i] * fall);
  }

  /// As of `particle_weights`.
  std::vector<double> weights() const { return particles_.weights(); }
  /// As of `particle_weights`.
  double effective_size() const { return particles_.effective_size(); }
  /// As of `particle_weights`.
  template <writable_tensor X>
  void resample(double u, X&& x) {
    particles_.resample(u, x);
  }

 private:
  double w_;
  network_description network_;
  node from_{};
  std::vector<double> differences_;  // |e_c - e_u|^2 of each item
  particle_weights particles_;
};

}  // namespace tweedie
