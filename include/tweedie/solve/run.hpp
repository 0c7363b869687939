// The loop as sugar: run a program to its end with a callable network.
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>

#include "tweedie/solve/sampling.hpp"

namespace tweedie {

/// For run without a step observer.
struct unobserved {
  template <class Run>
  void operator()(Run&) const {}
};

/// Runs `plan` from x and leaves the result in x.
///
/// \param network what it predicts, at which input scale, on which clock
/// \param evaluate the network: evaluate(input view, time, output view)
/// \param noise a noise source; no_noise{} for programs that draw nothing
/// \param transform unchanged{}, clip{low, high} or a callable on the x0 estimate
/// \param on_step called with the `sampling` after every step; returns nothing, or false to stop
///   there (x then holds the state of that step)
/// \throws std::invalid_argument for a program with learned variance, whose network answers in
///   `sampling::variance_output`, and whatever the callables throw; x is then as it was.
template <writable_tensor T, class Evaluate, class Noise = no_noise, class Transform = unchanged,
          class OnStep = unobserved>
void run(const program& plan, T& x, const network_description& network, Evaluate&& evaluate,
         Noise noise = {}, Transform transform = {}, OnStep&& on_step = {}) {
  for (const draw_kind& d : plan.draws)
    if (d.learned)
      detail::fail("run",
                   "the program draws with learned variance; use sampling, whose "
                   "variance_output the network writes");
  sampling<std::remove_cvref_t<T>, Noise, Transform> s(plan, network, x, std::move(noise),
                                                       std::move(transform));
  for (bool going = true; going;) {
    switch (s.advance()) {
      case sampling_event::evaluate: evaluate(s.input(), s.network_time(), s.output()); break;
      case sampling_event::step:
        if constexpr (std::is_same_v<std::invoke_result_t<OnStep, decltype(s)&>, bool>)
          going = on_step(s);
        else
          on_step(s);
        break;
      case sampling_event::finished: going = false; break;
    }
  }
  const auto result = elements(s.state());
  std::copy(result.begin(), result.end(), traits_of<T>::data(x));
}

}  // namespace tweedie
