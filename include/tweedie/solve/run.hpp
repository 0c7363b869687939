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

template <class View, std::size_t>
using view_for = View;

}  // namespace detail

/// Runs `plan` from x and leaves the result in x.
///
/// \param network what it predicts, at which input scale, on which clock
/// \param evaluate the network: evaluate(input view, time, output view), with guidance as many
///   output views as it has branches, at most 4
/// \param parts in any order: noise, transform, guidance, buffers, threads (solve/parts.hpp), and an
///   observer that is called with the `sampling` after every step; it returns nothing, or false to
///   stop there (x then holds the state of that step)
/// \throws std::invalid_argument as `sampling`, for buffers that overlap x, for a program with learned
///   variance, whose network answers in `sampling::variance_output`, and whatever the callables throw;
///   x is then as it was.
template <class T, class Evaluate, class... Parts>
void run(const program& plan, const network_description& network, T& x, Evaluate&& evaluate,
         Parts&&... parts) {
  static_assert(writable_tensor<T>,
                "x must be contiguous memory of float, double, half or bfloat16; for float* use "
                "std::span(p, n); halves as Eigen::half; Eigen::Tensor needs "
                "<tweedie/tensor/eigen_tensor.hpp>");
  using S = scalar_t<T>;
  using Run = sampling<std::remove_cvref_t<T>>;
  if (detail::any_learned(plan.draws))
    detail::fail("run",
                 "the program draws with learned variance; use sampling, whose "
                 "variance_output the network writes");
  detail::run_parts<S> options;
  [[maybe_unused]] const auto take = [&]<class Part>(Part&& part) {
    if constexpr (!detail::step_observer<std::remove_cvref_t<Part>, Run>)
      detail::take_part<S>(options, std::forward<Part>(part));
  };
  (take(std::forward<Parts>(parts)), ...);
  detail::check_parts<S>("run", plan, options, traits_of<T>::size(x));
  if (options.buffers)
    detail::check_apart<S>("run", *options.buffers, std::span<const S>(elements(x)));
  Run s(plan, network, x, std::move(options));
  [[maybe_unused]] const auto goes_on = [&s](auto& part) {
    using Part = std::remove_cvref_t<decltype(part)>;
    if constexpr (detail::step_observer<Part, Run>) {
      if constexpr (std::is_same_v<std::invoke_result_t<Part&, Run&>, bool>) return part(s);
      part(s);
    }
    return true;
  };
  using view = typename Run::view;
  using const_view = typename Run::const_view;
  // Asks a network of sizeof...(i) outputs, if that is how it is called.
  const auto asked = [&]<std::size_t... i>(std::index_sequence<i...>) {
    if constexpr (std::invocable<Evaluate&, const_view, double, detail::view_for<view, i>...>)
      if (s.branches() == sizeof...(i)) {
        evaluate(s.input(), s.network_time(), s.output(i)...);
        return true;
      }
    return false;
  };
  constexpr auto callable = []<std::size_t... i>(std::index_sequence<i...>) {
    return std::invocable<Evaluate&, const_view, double, detail::view_for<view, i>...>;
  };
  using one = std::make_index_sequence<1>;
  using two = std::make_index_sequence<2>;
  using three = std::make_index_sequence<3>;
  using four = std::make_index_sequence<4>;
  static_assert(callable(one{}) || callable(two{}) || callable(three{}) || callable(four{}),
                "the network is called as evaluate(input, time, output), with an output for each "
                "branch of guidance");
  const auto ask = [&] {
    if (!asked(one{}) && !asked(two{}) && !asked(three{}) && !asked(four{}))
      detail::fail("run", "branches of guidance", static_cast<double>(s.branches()),
                   "valid: as many as the network takes outputs, 1 to 4; use sampling for more");
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
