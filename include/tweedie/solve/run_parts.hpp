// The optional parts of a run as values, whatever types they came as (solve/parts.hpp recognises
// them).
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tweedie/guidance/rule.hpp"
#include "tweedie/program/lower.hpp"
#include "tweedie/solve/network_buffers.hpp"
#include "tweedie/solve/noise.hpp"
#include "tweedie/solve/transform.hpp"
#include "tweedie/tensor/fused_pass.hpp"

namespace tweedie::detail {

/// A guidance rule or a mixer as a value, whatever type it came as.
template <storage_scalar S>
struct erased_guidance {
  std::size_t outputs = 1;
  bool gram = false, memory = false, state = false, clean_only = false;
  std::function<void(const guidance_point&, const stream_gram&, std::span<double>,
                     std::span<double>)>
      rule;
  std::function<void(const guidance_point&, std::span<const S* const>, std::span<S>)> mixer;

  std::size_t branches() const { return outputs; }
  bool needs_gram() const { return gram; }
  bool remembers() const { return memory; }
  bool reads_state() const { return state; }
  bool reads_clean_only() const { return clean_only; }
  void weights(const guidance_point& point, const stream_gram& of, std::span<double> guided,
               std::span<double> remembered) const {
    rule(point, of, guided, remembered);
  }
};

/// The optional parts of a run as values, whatever types they came as.
template <storage_scalar S>
struct run_parts {
  std::function<noise_key(std::size_t)> key;  ///< of a source whose noise is made inside the pass
  std::function<void(const noise_request&, std::span<S>)> fill;  ///< of any other source
  std::optional<clip> clipped;
  std::function<void(std::span<S>, std::size_t, const node&)> transform;
  std::vector<double> branch_weights{1};  ///< none where guidance is a rule or a mixer
  std::optional<erased_guidance<S>> guidance;
  std::optional<network_buffers<S>> buffers;
  void* threads = nullptr;
  void (*apply)(const fused_pass<S>&, void*) = nullptr;

  bool transforms() const { return clipped || transform; }
  bool has_noise() const { return key || fill; }
  void make_noise(const noise_request& request, std::span<S> out) const {
    if (fill)
      fill(request, out);
    else
      fill_items(*this, request, out);  // by `key`
  }
  /// Outputs of the network.
  std::size_t branches() const { return guidance ? guidance->outputs : branch_weights.size(); }
  /// What passes read as outputs: a mixer leaves one; rules weigh what they remember and the state too.
  std::size_t streams() const {
    if (!guidance) return branch_weights.size();
    return guidance->mixer ? 1 : guidance->outputs + guidance->memory + guidance->state;
  }
  lowering how() const {
    return {static_cast<int>(streams()), transforms(), guidance && guidance->state, "sampling"};
  }
};

}  // namespace tweedie::detail
