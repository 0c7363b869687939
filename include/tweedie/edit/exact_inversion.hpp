// Samplers that can be run backwards exactly: from a picture to noise and back, with any network.
//
// With d(x, e; t, s) = (alpha_s/alpha_t) x + (sigma_s - alpha_s/alpha_t sigma_t) e, the DDIM step from level
// t to s along the noise e = z(x, t) that the network finds in x:
//
//   EDICT   x' = d(x, z(y, t); t, s)             two states, x and y, that step along each other's noise
//           y' = d(y, z(x', t); t, s)            (Wallace, Gokul and Naik 2023, eqs. 14 and 15)
//           x <- p x' + (1 - p) y',  y <- p y' + (1 - p) x
//   BDIA    x_(i+1) = g (x_(i-1) - d(x_i, z; i, i-1)) + d(x_i, z; i, i+1)
//           one state and the one before it      (Zhang, Niwa and Kleijn 2024, eq. 17)
//
// Each line of these gives either of its states from the other, so that a step is undone by arithmetic: no iteration,
// nothing approximated, whatever the network. DDIM inversion (`ddim_inversion`) returns in the limit of
// small steps only, and `record_path` keeps a tensor a step. DDIM itself is undone by solving for the higher
// state, x = d(x, z(x, t); t, s)'s inverse in its first argument, over and over (`implicit_inversion`).
//
// A round trip is one program, since two tensors come up with the picture: the walk rises, turns, and falls
// again. Change the prompt at the turn; copy the run there (`sampling` is a value) for several edits.
//
//   sampling s(edict_round_trip(nodes), network, picture);
//   while (s.next()) (s.steps_done() < turn ? old_prompt : new_prompt)(s.input(), ..., s.output());
//
// Rounding grows by 1/p^2 a step of EDICT that rises and 1/g a step of BDIA: with p = 0.93 and 50 steps by
// about 1e3. States may be float; for bits that matter use double.
#pragma once

#include <utility>

#include "tweedie/sampler/pndm.hpp"

namespace tweedie {

namespace detail {

// The x whose step is `stepped`: x = d(stepped, e; to, from).
inline linear undo_transfer(const linear& stepped, const linear& e, signal_noise from,
                            signal_noise to) {
  const double a = to.alpha / from.alpha;
  return (stepped - (to.sigma - a * from.sigma) * e) / a;
}

inline void edict_down(recorder& r, linear& x, linear& y, const node& from, const node& to,
                       double p) {
  linear a = transfer(x, r.evaluate(y, from).noise, from.level, to.level);
  const linear b = transfer(y, r.evaluate(a, from).noise, from.level, to.level);
  x = p * a + (1 - p) * b;
  r.store(x);
  y = p * b + (1 - p) * x;
  r.store(y);
}

inline void edict_up(recorder& r, linear& x, linear& y, const node& low, const node& high,
                     double p) {
  const linear b = (y - (1 - p) * x) / p;
  linear a = (x - (1 - p) * b) / p;
  y = undo_transfer(b, r.evaluate(a, high).noise, high.level, low.level);
  x = undo_transfer(a, r.evaluate(y, high).noise, high.level, low.level);
}

// The steps of EDICT down `nodes`; x and y take turns in going first.
inline void edict_fall(recorder& r, linear& x, linear& y, const grid& nodes, double p) {
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    if (i % 2 == 1) std::swap(x, y);
    edict_down(r, x, y, nodes[i], nodes[i + 1], p);
    if (i % 2 == 1) std::swap(x, y);
    r.mark(x, nodes[i + 1]);
  }
}

inline void check_reversible(const char* function, const grid& nodes) {
  check_descending(function, nodes);
  check_signal(function, nodes);
}

}  // namespace detail

/// EDICT from noise, both states starting there. Two evaluations a step; x and y take turns in going first.
/// \throws std::invalid_argument unless the grid falls from a level with signal and 1/2 < p <= 1.
inline program edict(const grid& nodes, double p = 0.93) {
  constexpr const char* name = "edict";
  detail::check_reversible(name, nodes);
  detail::require(p > 0.5 && p <= 1, name, "p", p, "valid: 1/2 < p <= 1");
  recorder r(nodes.front());
  linear x = r.state(), y = x;
  detail::edict_fall(r, x, y, nodes, p);
  return r.finish(x);
}

/// From the picture, which stands at the last of the falling `nodes`, up to the first and down again: 2 N
/// steps, the turn after N of them. With one network throughout it ends in the picture.
/// \throws std::invalid_argument as `edict`.
inline program edict_round_trip(const grid& nodes, double p = 0.93) {
  constexpr const char* name = "edict_round_trip";
  detail::check_reversible(name, nodes);
  detail::require(p > 0.5 && p <= 1, name, "p", p, "valid: 1/2 < p <= 1");
  recorder r(nodes.back());
  linear x = r.state(), y = x;
  for (std::size_t i = nodes.size() - 1; i-- > 0;) {
    if (i % 2 == 1) std::swap(x, y);
    detail::edict_up(r, x, y, nodes[i + 1], nodes[i], p);
    if (i % 2 == 1) std::swap(x, y);
    r.mark(x, nodes[i]);
  }
  detail::edict_fall(r, x, y, nodes, p);
  return r.finish(x);
}

/// From the picture, which stands at the last of the falling `nodes`, up to the noise that `ddim(nodes)` takes back to it:
/// x_t <- (alpha_t/alpha_s) x_s + (sigma_t - alpha_t/alpha_s sigma_s) z(x_t, t), `iterations` evaluations a step, the first
/// with the noise of the step below (Pan et al. 2023, "Effective real image editing with accelerated iterative
/// diffusion inversion"). The error of a step shrinks by (sigma_t - alpha_t/alpha_s sigma_s) |dz/dx| an iteration,
/// and grows without end where that is above 1: take more steps.
/// \throws std::invalid_argument unless the grid falls from a level with signal and iterations >= 1.
inline program implicit_inversion(const grid& nodes, int iterations = 10) {
  constexpr const char* name = "implicit_inversion";
  detail::check_reversible(name, nodes);
  detail::require(iterations >= 1, name, "iterations", iterations, "valid: at least 1");
  recorder r(nodes.back());
  linear low = r.state(), noise;
  for (std::size_t i = nodes.size() - 1; i-- > 0;) {
    const node &high = nodes[i], &below = nodes[i + 1];
    linear x = detail::undo_transfer(low, noise, high.level, below.level);
    for (int k = 0; k < iterations; ++k) {
      r.store(x);
      noise = r.evaluate(x, high).noise;
      x = detail::undo_transfer(low, noise, high.level, below.level);
    }
    r.store(x);
    r.mark(x, high);
    low = x;
  }
  return r.finish(low);
}

/// BDIA from noise; its first step is DDIM. g = 0 is DDIM throughout, g = 1 the symmetric step. One evaluation a
/// step.
/// \throws std::invalid_argument unless the grid falls from a level with signal and 0 <= g <= 1.
inline program bdia(const grid& nodes, double g = 1) {
  constexpr const char* name = "bdia";
  detail::check_reversible(name, nodes);
  detail::require(g >= 0 && g <= 1, name, "g", g, "valid: 0 <= g <= 1");
  linear before;
  return walk(name, nodes, [&](recorder& r, const linear& x, const leg& l, std::size_t i) {
    const linear e = r.evaluate(x, l.from).noise;
    linear next = transfer(x, e, l.from.level, l.to.level);
    if (i > 0) next += g * (before - transfer(x, e, l.from.level, nodes[i - 1].level));
    before = x;
    return next;
  });
}

/// From the picture, which stands at the last of the falling `nodes`, up to the first and down again: N
/// steps up and N - 1 down, since the first step down is the last one up undone. The step that leaves the
/// picture asks the network at the level above it, so that the picture may be clean. With one network
/// throughout it ends in the picture.
/// \throws std::invalid_argument unless the grid has two steps, falls from a level with signal, and
///   0 < g <= 1.
inline program bdia_round_trip(const grid& nodes, double g = 1) {
  constexpr const char* name = "bdia_round_trip";
  detail::check_reversible(name, nodes);
  detail::require(nodes.size() >= 3, name, "nodes.size()", static_cast<double>(nodes.size()),
                  "valid: at least 3, two steps");
  detail::require(g > 0 && g <= 1, name, "g", g, "valid: 0 < g <= 1; g = 0 cannot be undone");
  const std::size_t n = nodes.size() - 1;
  const auto level = [&](std::size_t i) { return nodes[i].level; };
  recorder r(nodes.back());
  linear low = r.state();
  linear x =
      detail::undo_transfer(low, r.evaluate(low, nodes[n - 1]).noise, level(n - 1), level(n));
  r.mark(x, nodes[n - 1]);
  for (std::size_t i = n - 1; i > 0; --i) {
    const linear e = r.evaluate(x, nodes[i]).noise;
    linear high =
        (low - transfer(x, e, level(i), level(i + 1))) / g + transfer(x, e, level(i), level(i - 1));
    low = x;
    x = high;
    r.mark(x, nodes[i - 1]);
  }
  std::swap(low, x);  // x stands at node 1, low above it
  for (std::size_t i = 1; i < n; ++i) {
    const linear e = r.evaluate(x, nodes[i]).noise;
    linear next =
        g * (low - transfer(x, e, level(i), level(i - 1))) + transfer(x, e, level(i), level(i + 1));
    low = x;
    x = next;
    r.mark(x, nodes[i + 1]);
  }
  return r.finish(x);
}

}  // namespace tweedie
