// The loop as sugar: run a program to its end with a callable network.
#pragma once

#include <algorithm>
#include <concepts>
#include <type_traits>
#include <utility>

#include "tweedie/solve/sampling.hpp"

namespace tweedie {

namespace detail {

// What `run` calls after every step, rather than a part of the run.
template <class Part, class Run>
concept step_observer = std::invocable<Part&, Run&>;

}  // namespace detail

/// Runs `plan` from x and leaves the result in x.
///
/// \param network what it predicts, at which input scale, on which clock
/// \param evaluate the network: evaluate(input view, time, output view), or with two branch
///   weights evaluate(input view, time, first output, second output)
/// \param parts in any order: noise, transform, branch weights, threads (solve/parts.hpp), and an
///   observer that is called with the `sampling` after every step; it returns nothing, or false to
///   stop there (x then holds the state of that step)
/// \throws std::invalid_argument as `sampling`, for a program with learned variance, whose network
///   answers in `sampling::variance_output`, and whatever the callables throw; x is then as it was.
template <class T, class Evaluate, class... Parts>
void run(const program& plan, const network_description& network, T& x, Evaluate&& evaluate,
         Parts&&... parts) {
  static_assert(writable_tensor<T>,
                "x must be contiguous memory of float, double, half or bfloat16; for float* use "
                "std::span(p, n); halves as Eigen::half");
  using S = scalar_t<T>;
  using Run = sampling<std::remove_cvref_t<T>>;
  for (const draw_kind& d : plan.draws)
    if (d.learned)
      detail::fail("run",
                   "the program draws with learned variance; use sampling, whose "
                   "variance_output the network writes");
  detail::run_parts<S> options;
  [[maybe_unused]] const auto take = [&]<class Part>(Part&& part) {
    if constexpr (!detail::step_observer<std::remove_cvref_t<Part>, Run>)
      detail::take_part<S>(options, std::forward<Part>(part));
  };
  (take(std::forward<Parts>(parts)), ...);
  detail::check_parts<S>("run", plan, options);
  Run s(plan, network, x, std::move(options));
  [[maybe_unused]] const auto goes_on = [&s](auto& part) {
    using Part = std::remove_cvref_t<decltype(part)>;
    if constexpr (detail::step_observer<Part, Run>) {
      if constexpr (std::is_same_v<std::invoke_result_t<Part&, Run&>, bool>) return part(s);
      part(s);
    }
    return true;
  };
  const auto ask = [&] {
    using view = typename Run::view;
    using const_view = typename Run::const_view;
    const std::size_t branches = s.branch_weights().size();
    constexpr bool one = std::invocable<Evaluate&, const_view, double, view>;
    constexpr bool two = std::invocable<Evaluate&, const_view, double, view, view>;
    static_assert(one || two, "the network is called as evaluate(input, time, output)");
    if constexpr (one)
      if (branches == 1) return void(evaluate(s.input(), s.network_time(), s.output()));
    if constexpr (two)
      if (branches == 2)
        return void(evaluate(s.input(), s.network_time(), s.output(0), s.output(1)));
    detail::fail("run", "branch_weights", static_cast<double>(branches),
                 "valid: as many as the network takes outputs, 1 or 2; use sampling for more");
  };
  for (bool going = true; going;) {
    switch (s.advance()) {
      case sampling_event::evaluate: ask(); break;
      case sampling_event::step: going = (goes_on(parts) && ...); break;
      case sampling_event::finished: going = false; break;
    }
  }
  const auto result = elements(s.state());
  std::copy(result.begin(), result.end(), traits_of<T>::data(x));
}

}  // namespace tweedie
