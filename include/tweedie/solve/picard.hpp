// Parallel-in-time execution of any program (Shih et al. 2023, ParaDiGMS): guess all network
// answers of a window, run the linear passes on the guesses, ask the network at all the states so
// found at once, and take its answers as the next guesses.
//
// A program is triangular: the state of evaluation i depends on the answers before i only. After k
// sweeps the first k answers are exact whatever the guesses, so the result is that of sequential
// execution after at most as many sweeps as evaluations; it is reached earlier, within `tolerance`,
// where neighbouring answers are alike. Draws are those of a sequential run, so `noise` must answer
// the same for the same draw number.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "tweedie/program/lower.hpp"
#include "tweedie/solve/parts.hpp"
#include "tweedie/tensor/combine.hpp"
#include "tweedie/tensor/traits.hpp"

namespace tweedie {

/// One of the network calls of a sweep.
template <class S>
struct picard_request {
  std::span<const S> input;  ///< scaled as the network wants it
  double time;               ///< what the network is told
  std::span<S> output;       ///< to be written
};

/// When an answer counts as settled, and how many calls go at once.
struct picard_options {
  double tolerance = 1e-3;  ///< root mean square change of an answer that is taken as no change
  std::size_t window = 64;  ///< network calls in flight
};

/// What a run parallel in time has cost.
struct picard_cost {
  std::size_t sweeps = 0;       ///< rounds of simultaneous network calls: the latency
  std::size_t evaluations = 0;  ///< network calls in total: the work
};

/// Runs `plan` from x and leaves the result in x. `evaluate(span<const picard_request<S>>)` writes
/// every output. `parts`, in any order: a noise source and picard_options. Memory: 3 * window + 2 *
/// registers tensors, and those of one pass.
/// \throws std::invalid_argument for a window of none, a negative tolerance, a program that draws
///   without noise or with a variance the network chooses.
template <writable_tensor T, class EvaluateAll, class... Parts>
picard_cost picard(const program& plan, const network_description& network, T& x,
                   EvaluateAll&& evaluate, Parts&&... parts) {
  using S = scalar_t<T>;
  picard_options options;
  detail::run_parts<S> taken;
  [[maybe_unused]] const auto take = [&]<class Part>(Part&& part) {
    using P = std::remove_cvref_t<Part>;
    if constexpr (std::same_as<P, picard_options>) {
      options = part;
    } else {
      static_assert(noise_source<P, S> || std::same_as<P, no_noise>,
                    "picard takes a noise source and picard_options");
      detail::take_part<S>(taken, std::forward<Part>(part));
    }
  };
  (take(std::forward<Parts>(parts)), ...);
  detail::check_parts<S>("picard", plan, taken, traits_of<T>::size(x));
  constexpr const char* name = "picard";
  detail::require(options.window >= 1, name, "window", static_cast<double>(options.window),
                  "valid: window >= 1");
  detail::require(options.tolerance >= 0, name, "tolerance", options.tolerance, "valid: >= 0");
  detail::require(!detail::any_learned(plan.draws), name, "learned draw", 1,
                  "valid: draws of fixed variance");
  const lowered_program bound = lower(plan, network, {.caller = name});
  const std::size_t n = traits_of<T>::size(x);
  const std::size_t items = traits_of<T>::items(x);

  std::vector<std::vector<S>> kept(static_cast<std::size_t>(bound.registers), std::vector<S>(n));
  std::copy_n(traits_of<T>::data(x), n, kept[0].begin());
  std::vector<std::vector<S>> guesses;  // of the window's evaluations
  std::vector<std::vector<S>> inputs;
  std::vector<S> draw(n);
  picard_cost cost;

  // Everything of one stage but the evaluation.
  const auto pass = [&](const lowered_stage& s, std::vector<std::vector<S>>& registers,
                        const std::vector<S>* output) {
    for (const linear_pass& p : s.passes) {
      std::vector<std::vector<S>> fresh;
      std::vector<const S*> from;
      std::vector<std::vector<S>> draws;
      draws.reserve(p.inputs.size());
      for (const operand& in : p.inputs) {
        if (in.from == operand_kind::stored) {
          from.push_back(registers[static_cast<std::size_t>(in.index)].data());
        } else if (in.from == operand_kind::output) {
          from.push_back(output->data());
        } else {
          taken.make_noise({in.index, bound.draws[static_cast<std::size_t>(in.index)], items},
                           std::span<S>(draw));
          draws.push_back(draw);
          from.push_back(draws.back().data());
        }
      }
      std::vector<S*> to;
      fresh.assign(p.outputs.size(), std::vector<S>(n));
      for (std::vector<S>& f : fresh) to.push_back(f.data());
      if (!to.empty()) combine<S>(to, from, p.weights, n);
      for (std::size_t j = 0; j < fresh.size(); ++j)
        registers[static_cast<std::size_t>(p.outputs[j])].swap(fresh[j]);
    }
  };

  std::size_t first = 0;  // stage of the first evaluation that is not exact yet
  while (first < bound.stages.size() && !bound.stages[first].evaluates)
    pass(bound.stages[first++], kept, nullptr);
  while (first < bound.stages.size()) {
    // States of the window, on the guesses there are; beyond them the last guess is repeated.
    std::vector<std::vector<S>> registers = kept;
    std::vector<std::size_t> stages;
    inputs.clear();
    for (std::size_t s = first; s < bound.stages.size(); ++s) {
      const lowered_stage& now = bound.stages[s];
      if (now.evaluates) {
        if (stages.size() == options.window) break;
        const std::vector<S>& state = registers[static_cast<std::size_t>(now.state)];
        inputs.emplace_back(n);
        const auto scale = static_cast<arithmetic_t<S>>(now.input_scale);
        std::transform(state.begin(), state.end(), inputs.back().begin(), [&](S v) {
          return static_cast<S>(scale * static_cast<arithmetic_t<S>>(v));
        });
        stages.push_back(s);
        if (guesses.empty()) break;  // nothing to go on: ask once
        if (stages.size() > guesses.size()) guesses.push_back(guesses.back());
        pass(now, registers, &guesses[stages.size() - 1]);
      } else {
        pass(now, registers, nullptr);
      }
    }
    std::vector<std::vector<S>> answers(stages.size(), std::vector<S>(n));
    std::vector<picard_request<S>> requests;
    for (std::size_t i = 0; i < stages.size(); ++i)
      requests.push_back({inputs[i], bound.stages[stages[i]].time, answers[i]});
    evaluate(std::span<const picard_request<S>>(requests));
    ++cost.sweeps;
    cost.evaluations += stages.size();

    // The first answer is exact; so are those behind it as long as guesses did not change.
    std::size_t exact = 1;
    for (; exact < stages.size() && !guesses.empty(); ++exact) {
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double change =
            static_cast<double>(answers[exact - 1][i]) - static_cast<double>(guesses[exact - 1][i]);
        sum += change * change;
      }
      if (!(std::sqrt(sum / static_cast<double>(n)) <= options.tolerance)) break;
    }
    const std::size_t end = exact < stages.size() ? stages[exact] : bound.stages.size();
    std::size_t used = 0;
    for (; first < end; ++first) {
      const lowered_stage& now = bound.stages[first];
      if (now.evaluates && used == exact) break;
      pass(now, kept, now.evaluates ? &answers[used++] : nullptr);
    }
    guesses.assign(
        answers.begin() + static_cast<std::ptrdiff_t>((std::min)(exact, answers.size() - 1)),
        answers.end());
  }
  const std::vector<S>& result = kept[static_cast<std::size_t>(bound.result)];
  std::copy(result.begin(), result.end(), traits_of<T>::data(x));
  return cost;
}

}  // namespace tweedie
