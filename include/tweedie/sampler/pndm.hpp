// PNDM, pseudo numerical methods (Liu et al. 2022): classical multistep and Runge-Kutta weights
// applied to the predicted noise, with the DDIM step as the transfer part (eq. 11),
//
//   phi(x, e, t, s) = (alpha_s/alpha_t) x + (sigma_s - sigma_t alpha_s/alpha_t) e
//
//   PLMS      e = (55 e_n - 59 e_(n-1) + 37 e_(n-2) - 9 e_(n-3))/24              (eq. 12)
//   pseudo RK e = (e1 + 2 e2 + 2 e3 + e4)/6, e2 and e3 halfway between t and s   (eq. 13)
//
// PLMS is started by one pseudo Heun step and lower orders (as in Stable Diffusion), or by three
// pseudo Runge-Kutta steps (as in the paper). The weights are those of steps equal in sigma/alpha: there
// the orders are 3 and 4, 2 where steps change slowly from one to the next, 1 elsewhere.
#pragma once

#include <vector>

#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// The transfer part phi: the DDIM step from x at `from` to `to` along the noise e.
inline linear transfer(const linear& x, const linear& e, signal_noise from, signal_noise to) {
  detail::require(from.alpha > 0, "transfer", "alpha", from.alpha, "valid: alpha > 0");
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

// One step of PLMS: the new estimate, and the transfer along the combination.
inline linear plms_step(recorder& r, const linear& x, const leg& l, std::vector<linear>& history) {
  remember(history, r.evaluate(x, l.from).noise);
  return transfer(x, plms_noise(history), l.from.level, l.to.level);
}

}  // namespace detail

/// PLMS started by a pseudo Heun step: N steps, N + 1 evaluations.
inline program plms(const legs& steps) {
  check_signal("plms", steps);
  std::vector<linear> history;
  return walk("plms", steps, [&](recorder& r, const linear& x, const leg& l, std::size_t i) {
    linear next = detail::plms_step(r, x, l, history);
    if (i > 0 || steps.size() == 1) return next;
    const linear ahead = r.evaluate(next, l.to).noise;
    return transfer(x, (history[0] + ahead) / 2, l.from.level, l.to.level);
  });
}

/// PLMS started by three pseudo Runge-Kutta steps: N steps, N + 9 evaluations. The midpoints are
/// the nodes of `schedule` at the middle times.
/// \throws std::invalid_argument if the grid does not fall, starts from pure noise, or has fewer
///   than three steps before clean data.
template <noise_schedule Schedule>
program pndm(const Schedule& schedule, const legs& steps) {
  check_descending("pndm", steps);
  check_signal("pndm", steps);
  detail::require(steps.size() >= 3, "pndm", "steps", static_cast<double>(steps.size()),
                  "valid: at least 3 steps, 4 if the grid ends in clean data");
  detail::require(steps[2].to.level.sigma > 0, "pndm", "sigma of node 3", steps[2].to.level.sigma,
                  "valid: sigma > 0; take at least 4 steps if the grid ends in clean data");
  std::vector<linear> history;
  return walk("pndm", steps, [&](recorder& r, const linear& x, const leg& l, std::size_t i) {
    if (i >= 3) return detail::plms_step(r, x, l, history);
    const auto& [from, to] = l;
    const node middle = node_at(schedule, (from.time + to.time) / 2);
    const linear e1 = r.evaluate(x, from).noise;
    const linear e2 = r.evaluate(transfer(x, e1, from.level, middle.level), middle).noise;
    const linear e3 = r.evaluate(transfer(x, e2, from.level, middle.level), middle).noise;
    const linear e4 = r.evaluate(transfer(x, e3, from.level, to.level), to).noise;
    detail::remember(history, e1);
    return transfer(x, (e1 + 2 * e2 + 2 * e3 + e4) / 6, from.level, to.level);
  });
}

}  // namespace tweedie
