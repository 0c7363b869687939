// A path of noise that leads a sampler exactly to a given picture.
//
// The picture is noised to every level of the program, and what each step misses of the next level is
// kept: r_k = x_(k+1) - step(x_k). Replayed with the same network the residuals end in the picture, to rounding;
// with another prompt they hold on to its structure. Every level is noised afresh (edit-friendly inversion,
// Huberman-Spiegelglas et al. 2024, eqs. 5 and 6), or all by one draw of the forward chain (CycleDiffusion, Wu and
// De la Torre 2023, algorithm 1). For `ddpm` and `ddim(g, 1)` residuals are sigma_k z_k; of the chain, with the exact x0 of the
// picture, z_k are the standard normals that made it. Afresh they are larger, and hold on more. Any other program
// works, multistep ones, too. Nothing is approximated, so no iteration is needed, at the
// price of a tensor a step. (`ddim_inversion` keeps only one, and is exact in the limit of small steps.)
//
//   const auto path = record_path(plan, network, picture, engine, seed);
//   sampling s(plan, network, path.start, zero_noise{});
//   for (auto now = s.advance(); now != sampling_event::finished; now = s.advance())
//     if (now == sampling_event::evaluate) edited_engine(...); else path.apply(s);
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tweedie/process/forward.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/random.hpp"

namespace tweedie {

/// How the levels of a path are noised; the law of each is that of the forward process.
enum class path_noise {
  afresh,  ///< independent of each other
  chained  ///< x_s of q(x_s | x_t, x0), as one run of the forward process; levels must fall
};

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
    const auto x = elements(run.state());
    const auto& residual = residuals[step - 1];
    detail::require_equal("recorded_path::apply", "state.size()", x.size(), residual.size());
    for (std::size_t i = 0; i < residual.size(); ++i)
      x[i] = static_cast<scalar_t<T>>(static_cast<double>(x[i]) +
                                      share * static_cast<double>(residual[i]));
  }
};

/// Records the path of `clean` through `plan`, whose network is evaluate(input view, time, output view).
/// Asks the network as often as a run does. Marks at clean data get the picture itself.
/// \throws std::invalid_argument for a program with learned variance, a chained path whose levels rise,
///   answers that are not finite, and what `sampling` and the callable throw.
template <tensor_like T, class Evaluate>
recorded_path<T> record_path(const program& plan, const network_description& network,
                             const T& clean, Evaluate&& evaluate, std::uint64_t seed,
                             path_noise how = path_noise::afresh) {
  using S = scalar_t<T>;
  if (detail::any_learned(plan.draws))
    detail::fail("record_path", "the program draws with learned variance");
  const auto x0 = elements(clean);
  std::uint32_t draw = 0;
  std::vector<S> target(x0.size());
  T noise = clean;
  // The path at the next level: state (the path before) + clean x0 + noise z.
  const auto go_to = [&](signal_noise level, const ddim_weights& w) {
    if (level.sigma != 0) fill_standard_normal(noise, seed, draw++);
    const auto z = elements(noise);
    for (std::size_t i = 0; i < target.size(); ++i)
      target[i] = static_cast<S>(
          w.state * static_cast<double>(target[i]) +
          noised(static_cast<double>(x0[i]), static_cast<double>(z[i]), {w.clean, w.noise}));
  };
  signal_noise reached = plan.start.level;
  recorded_path<T> path{clean, {}};
  go_to(reached, {0, reached.alpha, reached.sigma});
  std::copy(target.begin(), target.end(), elements(path.start).begin());
  sampling<T> s(plan, network, path.start, zero_noise{});
  for (auto now = s.advance(); now != sampling_event::finished; now = s.advance()) {
    if (now == sampling_event::evaluate) {
      evaluate(s.input(), s.network_time(), s.output());
      continue;
    }
    const signal_noise next = s.reached().level;
    go_to(next, how == path_noise::chained ? ddim_step(reached, next, 1)
                                           : ddim_weights{0, next.alpha, next.sigma});
    reached = next;
    const auto x = elements(s.state());
    std::vector<S> residual(target.size());
    for (std::size_t i = 0; i < target.size(); ++i) {
      const double missing = static_cast<double>(target[i]) - static_cast<double>(x[i]);
      detail::require(std::isfinite(missing), "record_path", "residual", missing,
                      "valid: finite; the network answered NaN or infinity");
      residual[i] = static_cast<S>(missing);
      // What a replay will have, so that rounding does not add up.
      x[i] = static_cast<S>(static_cast<double>(x[i]) + static_cast<double>(residual[i]));
    }
    path.residuals.push_back(std::move(residual));
  }
  return path;
}

}  // namespace tweedie
