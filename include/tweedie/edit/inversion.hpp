// A path of noise that leads a sampler exactly to a given picture.
//
// The picture is noised to every level of the program with independent noise, and what each step misses
// of the next level is kept: r_k = x_(k+1) - step(x_k). Replayed with the same network the residuals end
// in the picture, to rounding; with another prompt they hold on to its structure. For `ddpm` and `ddim(g, 1)`
// they are sigma_k z_k of the edit-friendly inversion (Huberman-Spiegelglas et al. 2024, eqs. 5 and 6); any
// other program works, multistep ones, too. Nothing is approximated, so no iteration is needed, at the
// price of a tensor a step. (`ddim_inversion` keeps only one, and is exact in the limit of small steps.)
//
//   const auto path = record_path(plan, network, picture, engine, seed);
//   sampling s(plan, network, path.start, zero_noise{});
//   for (auto now = s.advance(); now != sampling_event::finished; now = s.advance())
//     if (now == sampling_event::evaluate) edited_engine(...); else path.apply(s);
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {

/// Draws that are all 0: what is left of a program are its means.
struct zero_noise {
  template <class S>
  void fill(const noise_request&, std::span<S> out) const {
    std::fill(out.begin(), out.end(), S(0));
  }
};

/// Where a path starts, in the tensor type of the picture, and what to add after each step.
template <tensor_like T>
struct recorded_path {
  T start;
  std::vector<std::vector<scalar_t<T>>> residuals;

  /// Call after each step (`sampling_event::step`) of a run of the same program. `share` below 1 lets
  /// the network decide more: 0 adds nothing.
  /// \throws std::invalid_argument for a step the path does not have, or a state of another size.
  template <class Run>
  void apply(Run& run, double share = 1) const {
    const std::size_t step = run.steps_done();
    if (step == 0 || step > residuals.size())
      detail::fail("recorded_path::apply", "step", static_cast<double>(step),
                   "valid: 1 to the number of steps of the recorded program, " +
                       std::to_string(residuals.size()));
    auto view = run.state();
    const auto& residual = residuals[step - 1];
    detail::require_equal("recorded_path::apply", "state.size()",
                          traits_of<decltype(view)>::size(view), residual.size());
    auto* const x = view.data();
    for (std::size_t i = 0; i < residual.size(); ++i)
      x[i] = static_cast<scalar_t<T>>(static_cast<double>(x[i]) +
                                      share * static_cast<double>(residual[i]));
  }
};

/// Records the path of `clean` through `plan`, whose network is evaluate(input view, time, output view).
/// Asks the network as often as a run does. Marks at clean data get the picture itself.
/// \throws std::invalid_argument for a program with learned variance, and what `sampling` and the
///   callable throw.
template <tensor_like T, class Evaluate>
recorded_path<T> record_path(const program& plan, const network_description& network,
                             const T& clean, Evaluate&& evaluate, std::uint64_t seed) {
  using S = scalar_t<T>;
  for (const draw_kind& d : plan.draws)
    if (d.learned) detail::fail("record_path", "the program draws with learned variance");
  const auto x0 = elements(clean);
  std::uint32_t draw = 0;
  std::vector<S> target(x0.size());
  T noise = clean;
  const auto noised = [&](signal_noise level) {
    if (level.sigma != 0) fill_standard_normal(noise, seed, draw++);
    const auto z = elements(noise);
    for (std::size_t i = 0; i < target.size(); ++i) {
      const double signal = level.alpha * static_cast<double>(x0[i]);
      target[i] = static_cast<S>(
          level.sigma == 0 ? signal : signal + level.sigma * static_cast<double>(z[i]));
    }
  };
  recorded_path<T> path{clean, {}};
  noised(plan.start.level);
  std::copy(target.begin(), target.end(), elements(path.start).begin());
  sampling<T> s(plan, network, path.start, zero_noise{});
  for (auto now = s.advance(); now != sampling_event::finished; now = s.advance()) {
    if (now == sampling_event::evaluate) {
      evaluate(s.input(), s.network_time(), s.output());
      continue;
    }
    noised(s.reached().level);
    auto view = s.state();
    auto* const x = view.data();
    std::vector<S> residual(target.size());
    for (std::size_t i = 0; i < target.size(); ++i) {
      residual[i] = static_cast<S>(static_cast<double>(target[i]) - static_cast<double>(x[i]));
      // What a replay will have, so that rounding does not add up.
      x[i] = static_cast<S>(static_cast<double>(x[i]) + static_cast<double>(residual[i]));
    }
    path.residuals.push_back(std::move(residual));
  }
  return path;
}

}  // namespace tweedie
