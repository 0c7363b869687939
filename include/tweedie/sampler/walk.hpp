// The loop that every sampler is: for each leg, ask the network, mix, and mark the step.
//
//   program euler(const legs& steps) {
//     return walk("euler", steps, [](recorder& r, const linear& x, const leg& l) {
//       const estimate e = r.evaluate(x, l.from);
//       return l.to.level.alpha * e.clean + l.to.level.sigma * e.noise;
//     });
//   }
//
// What a sampler remembers from step to step, the step captures by reference.
#pragma once

#include <cstddef>
#include <type_traits>

#include "tweedie/grid/grid.hpp"
#include "tweedie/process/renoise.hpp"
#include "tweedie/program/recorder.hpp"

namespace tweedie {

/// step(r, x, leg) or step(r, x, leg, number of the leg from 0): the state at leg.to from the state
/// x at leg.from, which is one tensor.
template <class Step>
concept walk_step = std::is_invocable_r_v<linear, Step&, recorder&, const linear&, const leg&> ||
    std::is_invocable_r_v<linear, Step&, recorder&, const linear&, const leg&, std::size_t>;

namespace detail {

/// The loop, for a step of any type: step(context, r, x, leg, number of the leg).
program walk_with(const char* function, const legs& steps, void* context,
                  linear (*step)(void*, recorder&, const linear&, const leg&, std::size_t));

}  // namespace detail

/// The program of `step` along any legs, rising and repeated levels included.
/// \throws std::invalid_argument, in the name of `function`, for no legs and no node to stay at, for levels
///   that are not finite, negative or (0, 0), and for levels so far apart that a weight is not finite.
template <walk_step Step>
program walk_anywhere(const char* function, const legs& steps, Step step) {
  return detail::walk_with(
      function, steps, &step,
      [](void* context, recorder& r, const linear& x, const leg& l, std::size_t i) -> linear {
        Step& call = *static_cast<Step*>(context);
        if constexpr (std::is_invocable_v<Step&, recorder&, const linear&, const leg&>)
          return call(r, x, l);
        else
          return call(r, x, l, i);
      });
}

/// The program of `step` along legs that fall.
/// \throws std::invalid_argument as `walk_anywhere` does, and if a leg does not end at a strictly
///   lower noise level than it starts from.
template <walk_step Step>
program walk(const char* function, const legs& steps, Step step) {
  check_descending(function, steps);
  return walk_anywhere(function, steps, step);
}

/// Noises x from one level up to another with a fresh draw.
inline linear renoised(recorder& r, const linear& x, signal_noise from, signal_noise to) {
  const renoise_weights up = renoise(from, to);
  return up.state * x + up.noise * r.draw();
}

#if defined(TWEEDIE_DEFINES_ENGINE)

TWEEDIE_INLINE program detail::walk_with(const char* function, const legs& steps, void* context,
                                         linear (*step)(void*, recorder&, const linear&, const leg&,
                                                        std::size_t)) {
  check_levels(function, steps);
  recorder r(steps.start());
  linear x = r.state();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    x = step(context, r, x, steps[i], i);
    r.mark(x, steps[i].to);
  }
  program plan = r.finish(x);
  check_program(function, plan);
  return plan;
}

#endif

}  // namespace tweedie
