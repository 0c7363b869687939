// The optional parts of a run, recognised by what they are, in any order:
//
//   noise      a noise_source (solve/noise.hpp): gaussian_noise{seed}, seeded_items{...}, your own
//   transform  unchanged{}, clip{low, high}, dynamic_threshold{} or a callable on x0 estimates
//   guidance   branch weights: guidance_scale(7.5), std::vector<double>, std::array<double, n>;
//              a guidance_rule (guidance/rule.hpp): rescaled{adaptive_projected{7.5}, 0.7};
//              a mixer, mix(point, outputs, guided), with branches(): frequency_decoupled{...}
//   buffers    network_buffers<float>{.input = ..., .outputs = {...}}: memory of the caller where
//              the network reads and writes
//   threads    workers&, which must outlive the run
//
// All but threads and the memory of buffers is copied into the run; a second part of one kind
// replaces the first.
#pragma once

#include <cmath>
#include <concepts>
#include <span>
#include <type_traits>
#include <utility>

#include "tweedie/solve/execution.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie::detail {

template <class>
inline constexpr bool never = false;

template <class Part>
concept thread_pool = requires(Part& p) {
  p.for_each(std::size_t{1}, [](std::size_t) {});
};

/// Writes the guided output, which may be one of the outputs.
template <class M, class S>
concept guidance_mixer = std::copy_constructible<M> &&
    requires(const M& mix, const guidance_point& point, std::span<const S* const> outputs,
             std::span<S> guided) {
  { mix.branches() } -> std::convertible_to<std::size_t>;
  mix(point, outputs, guided);
};

template <class Part, class S>
inline constexpr bool is_part =
    std::same_as<Part, no_noise> || noise_source<Part, S> || std::same_as<Part, unchanged> ||
    std::same_as<Part, clip> || clean_transform<Part, S> ||
    std::convertible_to<const Part&, std::span<const double>> || guidance_rule<Part> ||
    guidance_mixer<Part, S> || std::same_as<Part, network_buffers<S>> || thread_pool<Part>;

template <storage_scalar S, class Part>
void take_part(run_parts<S>& to, Part&& part) {
  using P = std::remove_cvref_t<Part>;
  static_assert(
      std::same_as<P, run_parts<S>> || is_part<P, S>,
      "an optional part of a run is a noise source (gaussian_noise{seed}; a seed or a "
      "generator alone is none), a transform of x0 estimates (clip{-1, 1}), branch weights "
      "(guidance_scale(7.5)), a guidance rule or mixer, network_buffers of x's scalar, or threads "
      "(workers)");
  if constexpr (std::same_as<P, run_parts<S>>) {
    to = std::forward<Part>(part);
  } else if constexpr (std::same_as<P, no_noise>) {
    to.key = nullptr;
    to.fill = nullptr;
  } else if constexpr (counter_noise<P>) {
    to.key = [source = P(std::forward<Part>(part))](std::size_t item) { return source.key(item); };
    to.fill = nullptr;
  } else if constexpr (noise_source<P, S>) {
    to.key = nullptr;
    to.fill = [source = P(std::forward<Part>(part))](const noise_request& request,
                                                     std::span<S> out) mutable {
      source.fill(request, out);
    };
  } else if constexpr (std::same_as<P, unchanged>) {
    to.clipped.reset();
    to.transform = nullptr;
  } else if constexpr (std::same_as<P, clip>) {
    to.clipped = part;
    to.transform = nullptr;
  } else if constexpr (std::convertible_to<const P&, std::span<const double>>) {
    const std::span<const double> weights(part);
    to.branch_weights.assign(weights.begin(), weights.end());
    to.guidance.reset();
  } else if constexpr (std::same_as<P, branch_weights>) {
    to.branch_weights = part.values;
    to.guidance.reset();
  } else if constexpr (guidance_rule<P>) {
    to.branch_weights.clear();
    to.guidance = {
        part.branches(),
        needs_gram(part),
        remembers(part),
        reads_state(part),
        reads_clean_only(part),
        [rule = P(std::forward<Part>(part))](
            const guidance_point& point, const stream_gram& gram, std::span<double> guided,
            std::span<double> remembered) { rule.weights(point, gram, guided, remembered); },
        nullptr};
  } else if constexpr (guidance_mixer<P, S>) {
    to.branch_weights.clear();
    to.guidance = {part.branches(),
                   false,
                   false,
                   false,
                   false,
                   nullptr,
                   [mix = P(std::forward<Part>(part))](
                       const guidance_point& point, std::span<const S* const> outputs,
                       std::span<S> guided) { mix(point, outputs, guided); }};
  } else if constexpr (std::same_as<P, network_buffers<S>>) {
    to.buffers = std::forward<Part>(part);
  } else if constexpr (clean_transform<P, S>) {
    to.clipped.reset();
    to.transform = std::forward<Part>(part);
  } else if constexpr (thread_pool<P>) {
    static_assert(std::is_lvalue_reference_v<Part>, "threads must outlive the run");
    to.threads = &part;
    to.apply = [](const fused_pass<S>& work, void* with) { apply(work, *static_cast<P*>(with)); };
  }
}

inline void check_weights_finite(const char* function, std::span<const double> weights) {
  for (const double w : weights)
    require(std::isfinite(w), function, "branch weight", w, "valid: finite");
}

/// For states of `size` elements.
/// \throws std::invalid_argument, in the name of `function`, for no branch weights, one that is not
///   finite, a clip whose limits leave nothing, a program that draws without a noise source, or
///   buffers that do not fit.
template <storage_scalar S>
void check_parts(const char* function, const program& plan, const run_parts<S>& parts,
                 std::size_t size) {
  if (parts.branches() == 0)
    fail(function, "branches of guidance", 0, "valid: at least one network output");
  check_weights_finite(function, parts.branch_weights);
  if (parts.clipped && !(parts.clipped->low <= parts.clipped->high))
    fail(function, "low of clip", parts.clipped->low,
         "valid: at most high, " + number(parts.clipped->high));
  if (!plan.draws.empty() && !parts.has_noise())
    fail(function, "the program draws noise; pass a noise source, such as gaussian_noise{seed}");
  if (parts.buffers)
    check_buffers(function, *parts.buffers, parts.branches(), any_learned(plan.draws), size);
}

template <storage_scalar S, class... Parts>
run_parts<S> collect_parts(const char* function, const program& plan, std::size_t size,
                           Parts&&... parts) {
  run_parts<S> out;
  (take_part<S>(out, std::forward<Parts>(parts)), ...);
  check_parts(function, plan, out, size);
  return out;
}

}  // namespace tweedie::detail
