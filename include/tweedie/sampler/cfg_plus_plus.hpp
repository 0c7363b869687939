// CFG++ (Chung et al. 2024, algorithm 2; ComfyUI's euler_cfg_pp and euler_ancestral_cfg_pp): the x0
// estimate is guided, the noise that is put back is the unconditional one,
//
//   x_s = alpha_s D_guided + sigma_s z,    D_guided = D + lambda (D_conditional - D),
//
// D and z from the unconditional output. One step equals classifier-free guidance of weight
// lambda / (1 - e^(-h)), h = log(u/u_s) in noise levels u = sigma/alpha: it grows without bound as
// steps shrink, so there is no limit of many steps to converge to.
//
// The second-order forms are ComfyUI's, in y = x/alpha:
//
//   2S   y_m = D + u_m z,  y_s = D_m + (u_s/u) (D - D_m) + u_s z,       D_m guided, at y_m
//   2M   y_s = D + u_s z + (1 - u_s/u)/(2 r) (D - D'_unguided),         D', r of the step before
//
// In a run the network's output is the unconditional one and the guided estimate is its transform
// of x0. Without a transform this is DDIM, and the ancestral form is Euler ancestral.
#pragma once

#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// eta = 0: Euler steps without draws; eta > 0: the share of ancestral noise.
inline program cfg_plus_plus(const legs& steps, double eta = 0) {
  detail::require(eta >= 0, "cfg_plus_plus", "eta", eta, "valid: eta >= 0");
  if (eta > 0) check_signal("cfg_plus_plus", steps);
  return walk("cfg_plus_plus", steps, [&](recorder& r, linear x, const leg& l) {
    const signal_noise from = l.from.level;
    const signal_noise to = l.to.level;
    ancestral_levels step{noise_level(to), 0};
    if (eta > 0) step = ancestral_split(noise_level(from), noise_level(to), eta);
    const estimate e = r.evaluate(x, l.from);
    x = to.alpha * (e.clean + step.down * e.noise);
    if (step.up > 0) x += to.alpha * step.up * r.draw();
    return x;
  });
}

/// 2S with ancestral noise (dpmpp_2s_ancestral_cfg_pp). `between(level)` makes the node of a noise
/// level that is not in the grid; the middle is at half the step in log-SNR.
template <class NodeMaker>
program cfg_plus_plus_2s(const legs& steps, const NodeMaker& between, double eta = 1) {
  constexpr const char* name = "cfg_plus_plus_2s";
  detail::require(eta >= 0, name, "eta", eta, "valid: eta >= 0");
  check_signal(name, steps);
  return walk(name, steps, [&](recorder& r, linear x, const leg& l) {
    const signal_noise to = l.to.level;
    const estimate e = r.evaluate(x, l.from);
    if (to.sigma == 0) {
      x = to.alpha * e.clean;
    } else {
      const double u = noise_level(l.from.level);
      const ancestral_levels step =
          eta > 0 ? ancestral_split(u, noise_level(to), eta) : ancestral_levels{noise_level(to), 0};
      const double u_m = std::sqrt(u * step.down);
      const node middle = between(u_m);
      linear x_m = middle.level.alpha * (e.clean + u_m * e.noise);
      const linear clean = r.evaluate(x_m, middle).clean;
      x = to.alpha * (clean + step.down / u * (e.clean - clean) + step.down * e.noise);
      if (step.up > 0) x += to.alpha * step.up * r.draw();
    }
    return x;
  });
}

/// 2M (dpmpp_2m_cfg_pp). The first step and a step onto clean data are those of `cfg_plus_plus`.
inline program cfg_plus_plus_2m(const legs& steps) {
  constexpr const char* name = "cfg_plus_plus_2m";
  linear unguided_before;
  double length_before = 0;
  return walk(name, steps, [&](recorder& r, linear x, const leg& l) {
    const signal_noise from = l.from.level;
    const signal_noise to = l.to.level;
    const estimate e = r.evaluate(x, l.from);
    linear unguided;
    double length = 0;
    if (from.alpha > 0 && to.sigma > 0) {
      const double u = noise_level(from);
      length = std::log(u / noise_level(to));
      unguided = x / from.alpha - u * e.noise;
    }
    x = to.alpha * (e.clean + noise_level(to) * e.noise);
    if (length > 0 && length_before > 0)
      x += to.alpha * -std::expm1(-length) * length / (2 * length_before) *
           (e.clean - unguided_before);
    unguided_before = unguided;
    length_before = length;
    return x;
  });
}

}  // namespace tweedie
