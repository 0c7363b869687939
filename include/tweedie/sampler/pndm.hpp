// PNDM, pseudo numerical methods (Liu et al. 2022): classical multistep and Runge-Kutta weights
// applied to the predicted noise, with the DDIM step as the transfer part (eq. 11),
//
//   phi(x, e, t, s) = (alpha_s/alpha_t) x + (sigma_s - sigma_t alpha_s/alpha_t) e
//
//   PLMS      e = (55 e_n - 59 e_(n-1) + 37 e_(n-2) - 9 e_(n-3))/24              (eq. 12)
//   pseudo RK e = (e1 + 2 e2 + 2 e3 + e4)/6, e2 and e3 halfway between t and s   (eq. 13)
//
// PLMS is started by one pseudo Heun step and lower orders (as in Stable Diffusion), or by three
// pseudo Runge-Kutta steps (as in the paper). The weights are those of equal steps: on any other
// grid both are of first order in general.
#pragma once

#include <array>
#include <vector>

#include "tweedie/grid/grid.hpp"
#include "tweedie/program/recorder.hpp"

namespace tweedie {

/// The transfer part phi: the DDIM step from x at `from` to `to` along the noise e.
inline linear transfer(const linear& x, const linear& e, signal_noise from, signal_noise to) {
  detail::require(from.alpha > 0, "transfer", "alpha", from.alpha,
                  "valid: alpha > 0; start below pure noise");
  const double ratio = to.alpha / from.alpha;
  return ratio * x + (to.sigma - from.sigma * ratio) * e;
}

/// Adams-Bashforth combination of the last one to four estimates, newest last.
inline linear plms_noise(const std::vector<linear>& history) {
  const auto e = [&](std::size_t back) { return history[history.size() - 1 - back]; };
  switch (history.size()) {
    case 1: return e(0);
    case 2: return (3 * e(0) - e(1)) / 2;
    case 3: return (23 * e(0) - 16 * e(1) + 5 * e(2)) / 12;
    default: return (55 * e(0) - 59 * e(1) + 37 * e(2) - 9 * e(3)) / 24;
  }
}

namespace detail {

inline void remember(std::vector<linear>& history, const linear& e) {
  history.push_back(e);
  if (history.size() > 4) history.erase(history.begin());
}

// PLMS from node `first` on, given the estimates at earlier nodes.
inline linear plms_tail(recorder& r, linear x, const grid& nodes, std::size_t first,
                        std::vector<linear> history) {
  for (std::size_t i = first; i + 1 < nodes.size(); ++i) {
    remember(history, r.evaluate(x, nodes[i]).noise);
    x = transfer(x, plms_noise(history), nodes[i].level, nodes[i + 1].level);
    r.mark(x, nodes[i + 1]);
  }
  return x;
}

}  // namespace detail

/// PLMS started by a pseudo Heun step: N steps, N + 1 evaluations.
inline program plms(const grid& nodes) {
  check_descending("plms", nodes);
  recorder r(nodes.front());
  linear x = r.state();
  const linear e = r.evaluate(x, nodes[0]).noise;
  linear trial = transfer(x, e, nodes[0].level, nodes[1].level);
  if (nodes.size() == 2) {
    r.mark(trial, nodes[1]);
    return r.finish(trial);
  }
  const linear ahead = r.evaluate(trial, nodes[1]).noise;
  x = transfer(x, (e + ahead) / 2, nodes[0].level, nodes[1].level);
  r.mark(x, nodes[1]);
  return r.finish(detail::plms_tail(r, x, nodes, 1, {e}));
}

/// PLMS started by three pseudo Runge-Kutta steps: N steps, N + 9 evaluations. The midpoints are
/// the nodes of `schedule` at the middle times.
/// \throws std::invalid_argument if the grid does not fall, starts from pure noise, or has fewer
///   than three steps before clean data.
template <noise_schedule Schedule>
program pndm(const Schedule& schedule, const grid& nodes) {
  check_descending("pndm", nodes);
  detail::require(nodes.size() >= 4, "pndm", "steps", static_cast<double>(nodes.size()) - 1,
                  "valid: at least 3 steps, 4 if the grid ends in clean data");
  detail::require(nodes[3].level.sigma > 0, "pndm", "sigma of node 3", nodes[3].level.sigma,
                  "valid: sigma > 0; take at least 4 steps if the grid ends in clean data");
  recorder r(nodes.front());
  linear x = r.state();
  std::vector<linear> history;
  for (std::size_t i = 0; i < 3; ++i) {
    const node& from = nodes[i];
    const node& to = nodes[i + 1];
    const node middle = node_at(schedule, (from.time + to.time) / 2);
    const linear e1 = r.evaluate(x, from).noise;
    linear x2 = transfer(x, e1, from.level, middle.level);
    const linear e2 = r.evaluate(x2, middle).noise;
    linear x3 = transfer(x, e2, from.level, middle.level);
    const linear e3 = r.evaluate(x3, middle).noise;
    linear x4 = transfer(x, e3, from.level, to.level);
    const linear e4 = r.evaluate(x4, to).noise;
    x = transfer(x, (e1 + 2 * e2 + 2 * e3 + e4) / 6, from.level, to.level);
    detail::remember(history, e1);
    r.mark(x, to);
  }
  return r.finish(detail::plms_tail(r, x, nodes, 3, std::move(history)));
}

}  // namespace tweedie
