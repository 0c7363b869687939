// Starts a run of a loaded sampler: the program, its network and the treatment of x0 estimates.
//
//   auto s = huggingface::start(sampler, x, gaussian_noise{seed});
//   while (s.next()) engine.run(s.input(), s.network_time(), s.output());
//
// x is standard normal noise times sampler.init_noise_sigma, or noised data. Classes with
// `correction` need solve/langevin.hpp before each evaluation; those with `masked` marks a mask.
#pragma once

#include <memory>
#include <utility>

#include "tweedie/guidance/threshold.hpp"
#include "tweedie/interop/huggingface/loaded_sampler.hpp"
#include "tweedie/solve/sampling.hpp"

namespace tweedie::huggingface {

/// clean_transform as a transform of `sampling`.
struct estimate_transform {
  clean_transform how;

  template <class S>
  void operator()(std::span<S> clean, std::size_t items, const node& at) {
    if (const auto* limits = std::get_if<clip_range>(&how)) {
      const auto range = static_cast<S>(limits->range);
      for (S& v : clean) v = std::min(std::max(v, static_cast<S>(-range)), range);
    } else if (auto* threshold = std::get_if<dynamic_threshold>(&how)) {
      (*threshold)(clean, items, at);
    }
  }
};

/// The bound program of a sampler, to be shared between runs. Where x0 estimates are not changed
/// they are folded into the weights, and the transform finds nothing to do.
inline std::shared_ptr<const bound_program> bound(const loaded_sampler& sampler) {
  const bool folded = std::holds_alternative<std::monostate>(sampler.transform);
  bound_program plan = bind(sampler.plan, sampler.network,
                            folded ? clean_estimate::linear : clean_estimate::transformed);
  plan.estimate = clean_estimate::transformed;
  return std::make_shared<const bound_program>(std::move(plan));
}

/// A run of `sampler` from x, which stands at sampler.plan.start.
template <tensor_like T, class Noise = gaussian_noise>
sampling<T, Noise, estimate_transform> start(const loaded_sampler& sampler, const T& x,
                                             Noise noise = {},
                                             std::vector<double> branch_weights = {1}) {
  return {bound(sampler), x, std::move(noise), estimate_transform{sampler.transform},
          std::move(branch_weights)};
}

}  // namespace tweedie::huggingface
