// Samplers that draw from rows of weights: the ancestral sampler of transition matrices (D3PM), and
// discrete flow matching.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tweedie/discrete/ancestral.hpp"
#include "tweedie/discrete/flow_matching.hpp"
#include "tweedie/discrete/leg_sampler.hpp"
#include "tweedie/discrete/transition_matrix.hpp"

namespace tweedie::discrete {

/// t = T ... 1, one evaluation each; the network is told t.
struct chain_sampler {
  using progress = leg_progress;

  const transition_chain* chain;

  template <token_integer T, uniform_source Source>
  progress begin(token_batch<T> x, std::size_t vocabulary, const Source&) const {
    const auto symbols = static_cast<std::size_t>(chain->symbols());
    detail::require_equal("ancestral", "vocabulary", vocabulary, symbols);
    detail::require_tokens("ancestral", x.tokens, symbols);
    return {};
  }
  bool finished(const progress& at) const { return at.step >= chain->steps(); }
  double network_time(const progress& at, std::size_t) const {
    return static_cast<double>(chain->steps() - at.step);
  }
  template <storage_scalar S, token_integer T, uniform_source Source>
  void step(progress& at, token_batch<T> x, logits_view<S> logits, const Source& source,
            token_memory<S>&) const {
    reverse_step(
        x, logits, {static_cast<std::size_t>(chain->symbols()), -1},
        [&](token x_t, std::span<const double> clean, std::span<double> out) {
          reverse(*chain, chain->steps() - at.step, x_t, clean, out);
        },
        source, static_cast<std::uint32_t>(at.step));
    ++at.step;
  }
};

/// \param chain must live as long as the sampler: its matrices are not copied.
inline chain_sampler ancestral(const transition_chain& chain) { return {&chain}; }
chain_sampler ancestral(transition_chain&&) = delete;

/// Euler steps of a mixture path, from source tokens at the first time to data.
template <mixture_path Path>
struct flow_sampler {
  using progress = leg_progress;

  Path path;
  std::vector<double> times;
  double correction;             ///< share of the divergence-free part
  std::vector<double> source_p;  ///< p_0, for it

  template <token_integer T, uniform_source Source>
  progress begin(token_batch<T> x, std::size_t vocabulary, const Source&) const {
    detail::require_tokens("discrete_flow", x.tokens, vocabulary);
    if (correction > 0) detail::require_equal("discrete_flow", "p_0", source_p.size(), vocabulary);
    return {};
  }
  bool finished(const progress& at) const { return at.step + 1 >= times.size(); }
  double network_time(const progress& at, std::size_t) const { return times[at.step]; }
  template <storage_scalar S, token_integer T, uniform_source Source>
  void step(progress& at, token_batch<T> x, logits_view<S> logits, const Source& source,
            token_memory<S>&) const {
    const double t = times[at.step], next = times[at.step + 1];
    flow_step(x, logits, jump_rates(path, t, correction), next - t, at.step + 2 == times.size(),
              source, static_cast<std::uint32_t>(at.step), source_p);
    ++at.step;
  }
};

/// \param times rising from the source's to data's; the last step takes every token to the network's
///   x_1.
/// \param correction c >= 0 of the divergence-free part, which needs p_0 and a first time where
///   kappa > 0 (`jump_rates`).
/// \throws std::invalid_argument for fewer than two times, times that do not rise, kappa = 1 before
///   the last, or what jump_rates refuses.
template <mixture_path Path>
flow_sampler<Path> discrete_flow(const Path& path, std::vector<double> times, double correction = 0,
                                 std::vector<double> source_p = {}) {
  constexpr const char* name = "discrete_flow";
  detail::require(times.size() >= 2, name, "times", static_cast<double>(times.size()),
                  "valid: at least 2");
  for (std::size_t k = 0; k + 1 < times.size(); ++k) {
    detail::require(times[k + 1] > times[k], name, "time", times[k + 1], "valid: times that rise");
    static_cast<void>(jump_rates(path, times[k], correction));
  }
  return {path, std::move(times), correction, std::move(source_p)};
}

}  // namespace tweedie::discrete
