// Starts a run of a loaded sampler: the program, its network and the treatment of x0 estimates.
//
//   auto s = huggingface::start(sampler, x, gaussian_noise{seed});
//   while (s.next()) engine.run(s.input(), s.network_time(), s.output());
//
// x is standard normal noise times sampler.init_noise_sigma, or noised data. Two classes want more:
// those with `masked` marks `paste_known` after each step, those with a `correction` its `steps` of
// solve/langevin.hpp before each evaluation.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "tweedie/guidance/threshold.hpp"
#include "tweedie/interop/huggingface/loaded_sampler.hpp"
#include "tweedie/solve/sampling.hpp"

namespace tweedie::huggingface {

namespace detail {

// What a file does to x0 estimates, before what the caller does to them, if anything.
template <storage_scalar S>
void transform_first(tweedie::detail::run_parts<S>& parts, const clean_transform& how) {
  const bool alone = !parts.transforms();
  std::function<void(std::span<S>, std::size_t, const node&)> then = std::move(parts.transform);
  const auto elementwise = [](clip limits) {
    return [limits](std::span<S> clean, std::size_t, const node&) {
      const auto low = static_cast<S>(limits.low), high = static_cast<S>(limits.high);
      for (S& v : clean) v = (std::min)((std::max)(v, low), high);
    };
  };
  if (parts.clipped) then = elementwise(*std::exchange(parts.clipped, {}));
  if (const auto* limits = std::get_if<clip_range>(&how)) {
    const clip range{-limits->range, limits->range};
    if (alone) {
      parts.clipped = range;
      return;
    }
    parts.transform = elementwise(range);
  } else {
    parts.transform = std::get<dynamic_threshold>(how);
  }
  if (alone) return;
  parts.transform = [first = std::move(parts.transform), then = std::move(then)](
                        std::span<S> clean, std::size_t items, const node& at) {
    first(clean, items, at);
    then(clean, items, at);
  };
}

}  // namespace detail

/// A run of `sampler` from x, which stands at sampler.plan.start; `parts` as `sampling` takes them. A
/// transform among them gets the x0 estimates as the file's clipping or thresholding leaves them.
/// \throws std::invalid_argument as `sampling` does.
template <tensor_like T, class... Parts>
sampling<T> start(const loaded_sampler& sampler, const T& x, Parts&&... parts) {
  using S = scalar_t<T>;
  tweedie::detail::run_parts<S> all = tweedie::detail::collect_parts<S>(
      "huggingface::start", sampler.plan, traits_of<T>::size(x), std::forward<Parts>(parts)...);
  if (!std::holds_alternative<std::monostate>(sampler.transform))
    detail::transform_first(all, sampler.transform);
  return {sampler.plan, sampler.network, x, std::move(all)};
}

/// Pastes the known part of a picture after the step that ended in mark number `mark`:
/// x <- m (alpha original + sigma z) + (1 - m) x, z the draw of that step; `noise` is the source
/// of the run. Marks without a paste are left alone.
/// \throws std::invalid_argument unless original and mask have the size of the state.
template <class Run, class Noise, class S>
void paste_known(const loaded_sampler& sampler, std::size_t mark, Run& run, Noise& noise,
                 std::span<const S> original, std::span<const S> mask, std::size_t items) {
  for (const masked_mark& m : sampler.masked) {
    if (m.mark != mark) continue;
    auto view = run.state();
    S* const x = view.data();
    const auto size = static_cast<std::size_t>(view.size());
    constexpr const char* name = "huggingface::paste_known";
    tweedie::detail::require_equal(name, "original.size()", original.size(), size);
    tweedie::detail::require_equal(name, "mask.size()", mask.size(), size);
    std::vector<S> z(size);
    noise.fill(noise_request{m.draw_index,
                             sampler.plan.draws[static_cast<std::size_t>(m.draw_index)], items},
               std::span<S>(z));
    const auto alpha = static_cast<S>(m.level.alpha);
    const auto sigma = static_cast<S>(m.level.sigma);
    for (std::size_t i = 0; i < size; ++i)
      x[i] = mask[i] * (alpha * original[i] + sigma * z[i]) + (1 - mask[i]) * x[i];
  }
}

}  // namespace tweedie::huggingface
