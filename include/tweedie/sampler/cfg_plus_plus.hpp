// CFG++ (Chung et al. 2024, algorithm 2; ComfyUI's euler_cfg_pp and euler_ancestral_cfg_pp): the x0
// estimate is guided, the noise that is put back is the unconditional one,
//
//   x_s = alpha_s D_guided + sigma_s z,    D_guided = D + lambda (D_conditional - D),
//
// D and z from the unconditional output. One step equals classifier-free guidance of weight
// lambda / (1 - e^(-h)), h = log(u/u_s) in noise levels u = sigma/alpha: it grows without bound as
// steps shrink, so there is no limit of many steps to converge to.
//
// In a run the network's output is the unconditional one and the guided estimate is its transform
// of x0. Without a transform this is DDIM, and the ancestral form is Euler ancestral.
#pragma once

#include "tweedie/sampler/ancestral.hpp"

namespace tweedie {

/// eta = 0: Euler steps without draws; eta > 0: the share of ancestral noise.
inline program cfg_plus_plus(const grid& nodes, double eta = 0) {
  check_descending("cfg_plus_plus", nodes);
  detail::require(eta >= 0, "cfg_plus_plus", "eta", eta, "valid: eta >= 0");
  recorder r(nodes.front());
  linear x = r.state();
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    const signal_noise from = nodes[i].level;
    const signal_noise to = nodes[i + 1].level;
    ancestral_levels step{noise_level(to), 0};
    if (eta > 0) {
      detail::require(from.alpha > 0, "cfg_plus_plus", "alpha", from.alpha,
                      "valid: alpha > 0 with ancestral noise");
      step = ancestral_split(noise_level(from), noise_level(to), eta);
    }
    const estimate e = r.evaluate(x, nodes[i]);
    x = to.alpha * (e.clean + step.down * e.noise);
    if (step.up > 0) x += to.alpha * step.up * r.draw();
    r.mark(x, nodes[i + 1]);
  }
  return r.finish(x);
}

}  // namespace tweedie
